//! What `tools/gen.py` writes from `vectors/`: the defaults and the codes.
pub mod codes;
pub mod defaults;
