//! Any bytes as a list of operations on a session. Held to: what `wse-core/tests/session/model` says.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::time::Instant;

#[path = "../../wse-core/tests/session/model/mod.rs"]
mod model;

fuzz_target!(|data: &[u8]| model::run(data, Instant::now()));
