//! Micro-benchmarks: each file in `benches/` measures one part beside what it stands in for; `cargo bench -p wse-micro --bench NAME` runs it.
//!
//! Examples print what is no time: `cargo run --release -p wse-micro --example NAME`.
