//! Where the keys of a window are, by hash: a table in which a look and a removal read one cache line each, as good as always.

/// Numbers by hash, open-addressed with linear probing: at most every other slot is taken. The hash is beside the number, so that nothing
/// else is read to pass over a slot or to move it.
#[derive(Debug)]
pub(super) struct Slots {
    /// Their count is a power of two.
    slots: Box<[Slot]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    hash: Hash,
    number: u32,
}

/// The part of a key's hash that is kept; never that of an empty slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash(u32);

/// A slot that may be filled, until the next change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(usize);

const EMPTY: Slot = Slot { hash: Hash(0), number: 0 };
const FEWEST: usize = 8;

impl Hash {
    pub(super) fn of(hash: u64) -> Self {
        Self(hash as u32 | 1 << 31)
    }
}

impl Slots {
    /// Entries that it takes at most, with a bit of [`Hash`] for each slot's index.
    pub(super) const MOST: usize = 1 << 30;

    pub(super) fn new() -> Self {
        Self { slots: Box::new([EMPTY; FEWEST]) }
    }

    /// Entries that it takes before it has to `grow`.
    pub(super) fn room(&self) -> usize {
        self.slots.len() / 2
    }

    /// The number under this hash for which `is` says so, or where it may be put.
    pub(super) fn find(&self, hash: Hash, mut is: impl FnMut(u32) -> bool) -> Result<u32, Place> {
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot == EMPTY {
                return Err(Place(at));
            }
            if slot.hash == hash && is(slot.number) {
                return Ok(slot.number);
            }
            at = self.after(at);
        }
    }

    pub(super) fn put(&mut self, place: Place, hash: Hash, number: u32) {
        self.slots[place.0] = Slot { hash, number };
    }

    /// Takes an entry out. Those behind it move up, so that none is behind an empty slot.
    pub(super) fn remove(&mut self, hash: Hash, number: u32) {
        let mut hole = self.home(hash);
        while self.slots[hole] != (Slot { hash, number }) {
            if self.slots[hole] == EMPTY {
                return;
            }
            hole = self.after(hole);
        }
        let mut at = self.after(hole);
        while self.slots[at] != EMPTY {
            let way = self.distance(self.home(self.slots[at].hash), at);
            if way >= self.distance(hole, at) {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = self.after(at);
        }
        self.slots[hole] = EMPTY;
    }

    /// Twice as many slots, in order that `room` is free.
    pub(super) fn grow(&mut self) {
        let twice = vec![EMPTY; 2 * self.slots.len()].into();
        for slot in std::mem::replace(&mut self.slots, twice) {
            if slot != EMPTY
                && let Err(place) = self.find(slot.hash, |_| false)
            {
                self.put(place, slot.hash, slot.number);
            }
        }
    }

    fn home(&self, hash: Hash) -> usize {
        hash.0 as usize & (self.slots.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.slots.len() - 1)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.iter().filter(|slot| **slot != EMPTY).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a list, with hashes that crowd at both ends of the table, so that runs go around it.
        #[test]
        fn it_has_what_was_put_and_not_taken_out(
            steps in proptest::collection::vec((any::<bool>(), prop_oneof![0u64..3, 5u64..9, 13u64..17, any::<u64>()], 0usize..40), 1..300),
        ) {
            let (mut slots, mut all) = (Slots::new(), Vec::<(Hash, u32)>::new());
            for (number, (puts, hash, which)) in steps.into_iter().enumerate() {
                if puts || all.is_empty() {
                    if all.len() == slots.room() {
                        slots.grow();
                    }
                    let (hash, number) = (Hash::of(hash), number as u32);
                    slots.put(slots.find(hash, |_| false).expect_err("none is meant"), hash, number);
                    all.push((hash, number));
                } else {
                    let (hash, number) = all.swap_remove(which % all.len());
                    slots.remove(hash, number);
                    prop_assert!(slots.find(hash, |each| each == number).is_err());
                }
                prop_assert!(all.iter().all(|(hash, number)| slots.find(*hash, |each| each == *number).ok() == Some(*number)));
                prop_assert_eq!(slots.len(), all.len());
            }
        }
    }

    #[test]
    fn a_slot_that_is_full_is_never_taken_for_an_empty_one() {
        let mut slots = Slots::new();
        let place = slots.find(Hash::of(0), |_| true).expect_err("it is empty");
        slots.put(place, Hash::of(0), 0);
        assert_eq!(slots.find(Hash::of(0), |_| true).ok(), Some(0));
        slots.remove(Hash::of(0), 1);
        assert_eq!(slots.len(), 1, "another number");
    }
}
