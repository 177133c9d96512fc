//! Numbers a log: 1, 2, 3, within one epoch.
use crate::log::LogGap;
use wse_protocol::{Epoch, Position, Seq};

/// The epoch and the last number of a log. It counts what it numbered: that is `top`.
///
/// Bound: 2^53 - 1, the largest integer of the wire, which ten million messages a second reach in 28 years; it stays there.
///
/// ```
/// use wse_core::Sequencer;
/// use wse_protocol::Epoch;
///
/// let mut sequencer = Sequencer::new(Epoch::parse("e1").expect("not empty"));
/// let before = sequencer.position();
/// assert_eq!((sequencer.number().number(), sequencer.number().number()), (1, 2));
/// assert_eq!(sequencer.after(&before), Ok(2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequencer {
    epoch: Epoch,
    top: Seq,
}

impl Sequencer {
    /// Begins a log of this epoch.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, top: Seq::ZERO }
    }

    /// The number of the next entry.
    pub fn number(&mut self) -> Seq {
        self.top = self.top.next();
        self.top
    }

    /// How many were numbered after `position`.
    ///
    /// # Errors
    /// [`LogGap::Epoch`] for a position of another epoch, [`LogGap::Fork`] for one above the top.
    pub fn after(&self, position: &Position) -> Result<u64, LogGap> {
        if position.epoch != self.epoch {
            return Err(LogGap::Epoch);
        }
        self.top.number().checked_sub(position.seq.number()).ok_or(LogGap::Fork)
    }

    /// The position of the last entry; `seq` 0 before the first.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), seq: self.top }
    }

    /// The last number given; 0 before the first.
    #[must_use]
    pub fn top(&self) -> Seq {
        self.top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn epoch(text: &str) -> Epoch {
        Epoch::parse(text).expect("not empty")
    }

    fn at(text: &str, seq: u64) -> Position {
        Position { epoch: epoch(text), seq: Seq::new(seq).expect("small") }
    }

    #[test]
    fn another_epoch_is_told_before_a_number_is_compared() {
        let mut sequencer = Sequencer::new(epoch("a"));
        sequencer.number();
        assert_eq!(sequencer.after(&at("b", 9)), Err(LogGap::Epoch));
        assert_eq!(sequencer.after(&at("a", 2)), Err(LogGap::Fork));
        assert_eq!(sequencer.after(&at("a", 1)), Ok(0));
    }

    proptest! {
        #[test]
        fn numbers_are_consecutive_from_one_and_the_distance_is_exact(count in 0u64..500, since in 0u64..600) {
            let mut sequencer = Sequencer::new(epoch("a"));
            let given: Vec<u64> = (0..count).map(|_| sequencer.number().number()).collect();
            prop_assert_eq!(given, (1..=count).collect::<Vec<_>>());
            prop_assert_eq!(sequencer.position(), at("a", count));
            prop_assert_eq!(sequencer.after(&at("a", since)), count.checked_sub(since).ok_or(LogGap::Fork));
        }
    }
}
