//! Any bytes as a zlib stream. Held to: never more than the limits allow, one inflater is not changed by what it refused, and what is
//! inflated comes back when it is compressed.
#![no_main]
use libfuzzer_sys::fuzz_target;
use wse_core::{Compressor, CompressorConfig, InflateLimits, Inflater};

fuzz_target!(|data: &[u8]| {
    let limits = InflateLimits { bytes: 1 << 16, ratio: 20, free: 1 << 12 };
    let mut inflater = Inflater::new(limits);
    let first = inflater.inflate(data);
    assert_eq!(inflater.inflate(data), first);
    let Ok(message) = first else { return };
    assert!(message.len() <= limits.bytes && message.len() <= limits.free.max(limits.ratio * data.len()));
    let mut compressed = Vec::new();
    let config = CompressorConfig { from_bytes: 0, limits, ..CompressorConfig::default() };
    if Compressor::new(config).compress(&message, &mut compressed) {
        assert_eq!(inflater.inflate(&compressed), Ok(message));
    }
});
