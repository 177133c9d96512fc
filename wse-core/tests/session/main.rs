//! The session under random operations: what the fuzz target `session` explores at length, for a moment on every run of the tests.
mod model;

use proptest::prelude::*;
use std::time::Instant;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for the model's clock")]
    fn whatever_is_done_to_a_session_its_peer_is_told_of_all_that_it_misses(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        model::run(&bytes, Instant::now());
    }
}
