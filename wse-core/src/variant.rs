//! How frames look to one connection: what its two hellos agreed on ([P-9]).
use wse_protocol::{Format, messages::Agreed};

/// A wire variant. Connections of one variant share the bytes of every frame.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variant {
    /// JSON text or MessagePack.
    pub format: Format,
    /// Whether frames may be compressed.
    pub compressed: bool,
    /// Whether runs of a topic may come as batches.
    pub batched: bool,
}

impl Variant {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// Its place among them, below [`Variant::COUNT`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.format == Format::Msgpack) | usize::from(self.compressed) << 1 | usize::from(self.batched) << 2
    }

    /// The same without batches.
    #[must_use]
    pub fn single(self) -> Self {
        Self { batched: false, ..self }
    }
}

impl From<Agreed> for Variant {
    fn from(agreed: Agreed) -> Self {
        Self { format: agreed.format, compressed: agreed.compression, batched: agreed.batch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_a_place_of_its_own() {
        let mut places = Vec::new();
        for format in [Format::Json, Format::Msgpack] {
            for (compressed, batched) in [(false, false), (false, true), (true, false), (true, true)] {
                places.push(Variant { format, compressed, batched }.index());
            }
        }
        places.sort_unstable();
        assert_eq!(places, (0..Variant::COUNT).collect::<Vec<_>>());
    }
}
