//! Randomness of this crate: epochs, names and jitter.
use wse_protocol::Epoch;

/// 62 random bits.
pub(crate) fn random_u64() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1 & (u64::MAX >> 2)
}

/// A random share of a whole: from [0, 1).
pub(crate) fn random_share() -> f64 {
    (random_u64() >> 9) as f64 / (1u64 << 53) as f64
}

/// A new epoch: 16 hexadecimal digits.
pub(crate) fn new_epoch() -> Epoch {
    Epoch::parse(&format!("{:016x}", random_u64())).expect("16 digits are a valid epoch")
}

/// A new epoch, of a log of `run` where its first message makes it.
pub(crate) fn new_epoch_within(run: Option<&Epoch>) -> Epoch {
    let epoch = new_epoch();
    run.and_then(|run| Epoch::within(run, epoch.as_str())).unwrap_or(epoch)
}
