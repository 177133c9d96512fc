//! Counts what arrived, and tells messages that are missing, doubled or late from those in order.
use crate::stamp::{self, Stamp};
use serde::Serialize;

/// Gaps of one connection that are remembered; in an older one a late message counts as doubled.
const MOST_GAPS: usize = 64;

/// What all connections of a run received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Stamped messages, doubled ones left out.
    pub received: u64,
    /// Messages that never came, though a later one did.
    pub missing: u64,
    /// Messages that came again.
    pub doubled: u64,
    /// Messages that came after a later one.
    pub late: u64,
    /// Data frames without a stamp: the protocol's own.
    pub unstamped: u64,
    /// Bytes of frames, headers included.
    pub bytes: u64,
}

/// Which message a connection expects, and which it lacks.
#[derive(Debug, Default)]
pub struct Sequence {
    next: u32,
    gaps: Vec<(u32, u32)>,
}

impl Sequence {
    /// The number after the highest seen.
    #[must_use]
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Enters a number.
    #[inline]
    pub fn enter(&mut self, number: u32, tally: &mut Tally) {
        if number == self.next {
            self.next = number.wrapping_add(1);
            tally.received += 1;
        } else {
            self.enter_unexpected(number, tally);
        }
    }

    #[cold]
    fn enter_unexpected(&mut self, number: u32, tally: &mut Tally) {
        if number > self.next {
            if self.gaps.len() == MOST_GAPS {
                self.gaps.remove(0);
            }
            self.gaps.push((self.next, number));
            tally.missing += u64::from(number - self.next);
            self.next = number.wrapping_add(1);
            tally.received += 1;
        } else if self.fill(number) {
            tally.missing -= 1;
            tally.late += 1;
            tally.received += 1;
        } else {
            tally.doubled += 1;
        }
    }

    /// Takes a number out of the gap that it is in, if there is one.
    fn fill(&mut self, number: u32) -> bool {
        let Some(at) = self.gaps.iter().position(|(from, to)| (*from..*to).contains(&number)) else { return false };
        let (from, to) = self.gaps.swap_remove(at);
        self.gaps.extend([(from, number), (number + 1, to)].into_iter().filter(|(from, to)| from < to));
        true
    }
}

/// Finds the stamps of a message. Messages of one kind have them in one place, counted from the end, so that a growing number
/// in an envelope's head does not move it.
#[derive(Debug, Default)]
pub struct Finder {
    len: usize,
    from_end: usize,
}

impl Finder {
    /// Calls `found` with each stamp of a payload, and returns whether there was one.
    #[inline]
    pub fn stamps(&mut self, payload: &[u8], mut found: impl FnMut(Stamp)) -> bool {
        // A few bytes more or less are the envelope's numbers; another length may be a batch of several messages.
        if self.from_end > 0 && payload.len().abs_diff(self.len) < 8 {
            let stamp = payload.len().checked_sub(self.from_end).and_then(|at| stamp::read(&payload[at..]));
            if let Some(stamp) = stamp {
                found(stamp);
                return true;
            }
        }
        self.search(payload, found)
    }

    fn search(&mut self, payload: &[u8], mut found: impl FnMut(Stamp)) -> bool {
        let (mut at, mut count) = (0, 0);
        while let Some(offset) = stamp::find(&payload[at..]) {
            at += offset;
            if let Some(stamp) = stamp::read(&payload[at..]) {
                found(stamp);
                count += 1;
                (self.len, self.from_end) = (payload.len(), payload.len() - at);
                at += stamp::LEN;
            } else {
                at += 1;
            }
        }
        if count > 1 {
            self.from_end = 0;
        }
        count > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(numbers: &[u32]) -> Tally {
        let (mut sequence, mut tally) = (Sequence::default(), Tally::default());
        numbers.iter().for_each(|number| sequence.enter(*number, &mut tally));
        tally
    }

    #[test]
    fn messages_in_order_are_only_received() {
        assert_eq!(entered(&[0, 1, 2, 3]), Tally { received: 4, ..Tally::default() });
    }

    #[test]
    fn a_dropped_message_is_missing() {
        assert_eq!(entered(&[0, 1, 4, 5]), Tally { received: 4, missing: 2, ..Tally::default() });
        assert_eq!(entered(&[1]), Tally { received: 1, missing: 1, ..Tally::default() });
    }

    #[test]
    fn a_repeated_message_is_doubled_and_not_received_again() {
        assert_eq!(entered(&[0, 1, 1, 2, 0]), Tally { received: 3, doubled: 2, ..Tally::default() });
    }

    #[test]
    fn a_late_message_is_late_and_no_longer_missing_and_the_next_time_doubled() {
        assert_eq!(entered(&[0, 2, 1, 3]), Tally { received: 4, late: 1, ..Tally::default() });
        assert_eq!(entered(&[0, 5, 3, 3]), Tally { received: 3, missing: 3, late: 1, doubled: 1, ..Tally::default() });
    }

    #[test]
    fn every_stamp_of_a_batch_is_found_also_after_single_ones() {
        let one = |number| String::from_utf8(stamp::message(40, Stamp { number, nanos: 0 })).expect("text");
        let mut finder = Finder::default();
        let mut numbers = Vec::new();
        let payloads = [one(0), one(1), format!("[{},{}]", one(2), one(3)), format!("[{},{}]", one(4), one(5)), one(6)];
        for payload in &payloads {
            assert!(finder.stamps(payload.as_bytes(), |stamp| numbers.push(stamp.number)));
        }
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn an_envelope_whose_head_grows_keeps_its_stamp() {
        let mut finder = Finder::default();
        let mut numbers = Vec::new();
        for number in [8, 9, 10, 11, 100_000] {
            let text = String::from_utf8(stamp::message(64, Stamp { number, nanos: 0 })).expect("text");
            finder.stamps(format!("{{\"seq\":{number},\"p\":{text}}}").as_bytes(), |stamp| numbers.push(stamp.number));
        }
        assert_eq!(numbers, [8, 9, 10, 11, 100_000]);
    }

    #[test]
    fn a_frame_without_a_stamp_is_told() {
        assert!(!Finder::default().stamps(b"{\"t\":\"ping\",\"c\":\"@@WSE\"}", |_| unreachable!()));
    }
}
