//! The messages of one topic, one after the other: what they have in common is written once and copied.
use super::Writer;
use crate::{Epoch, Format, Priority, Publication, Seq, Topic, UnixMillis, WireError};
use std::ops::Range;

/// Appends messages of one topic's log to one buffer. Who changes what is in it before the end calls [`forget`](Self::forget).
#[derive(Debug)]
pub struct TopicMessages<'a> {
    format: Format,
    topic: &'a Topic,
    epoch: &'a Epoch,
    written: Option<Written<'a>>,
}

/// What the message before has in common with the next one, and where in the buffer.
#[derive(Debug)]
struct Written<'a> {
    event_type: &'a str,
    ts: UnixMillis,
    /// From the beginning to the end of `t`.
    head: Range<usize>,
    /// From `ts` to before the number of `seq`.
    place: Range<usize>,
}

impl<'a> TopicMessages<'a> {
    /// Messages in this format.
    #[must_use]
    pub fn new(format: Format, topic: &'a Topic, epoch: &'a Epoch) -> Self {
        Self { format, topic, epoch, written: None }
    }

    /// Appends a message: the same bytes for every subscriber of the same wire variant. `previous` is `ps`, for a filter class.
    /// A payload in the format goes in as it is ([P-35]); one in the other format is rewritten, so keep the result for all who want it.
    ///
    /// # Errors
    /// Those of [`transcode`](crate::transcode), when the payload is not what `publication.format` says; nothing is appended then.
    pub fn append(&mut self, out: &mut Vec<u8>, seq: Seq, previous: Option<Seq>, publication: &'a Publication) -> Result<(), WireError> {
        self.write(out, seq, previous, publication, (publication.format, &publication.payload))
    }

    /// What was appended has been moved or taken back: nothing of it is copied.
    pub fn forget(&mut self) {
        self.written = None;
    }

    /// `append` with null in place of the payload, which every format can write.
    pub fn append_null(&mut self, out: &mut Vec<u8>, seq: Seq, previous: Option<Seq>, publication: &'a Publication) {
        self.write(out, seq, previous, publication, (Format::Json, b"null")).expect("null is JSON");
    }

    fn write(
        &mut self,
        out: &mut Vec<u8>,
        seq: Seq,
        previous: Option<Seq>,
        publication: &'a Publication,
        (from, payload): (Format, &[u8]),
    ) -> Result<(), WireError> {
        out.reserve(publication.cost() + self.topic.as_str().len() + 128);
        let start = out.len();
        let before = self.written.take();
        let before = before.filter(|before| before.ts == publication.ts && before.event_type == &*publication.event_type);
        let mut writer = match &before {
            Some(before) => Writer::begin_as(out, self.format, before.head.clone(), HEAD_KEYS),
            None => {
                let mut writer = Writer::begin(out, self.format);
                writer.text("t", &publication.event_type);
                writer
            }
        };
        let head = start..writer.len();
        writer.text("id", &publication.id);
        let place = writer.len();
        match before {
            Some(before) => writer.repeat(before.place, PLACE_KEYS),
            None => {
                writer.time("ts", publication.ts);
                writer.text("tp", self.topic.as_str());
                writer.text("e", self.epoch.as_str());
                writer.key("seq");
            }
        }
        let place = place..writer.len();
        writer.number(seq.number());
        if let Some(previous) = previous {
            writer.integer("ps", previous.number());
        }
        writer.optional_text("k", publication.key.as_deref());
        if publication.priority != Priority::Normal {
            writer.integer("pri", publication.priority.number().into());
        }
        writer.payload_bytes(from, payload)?;
        self.written = Some(Written { event_type: &publication.event_type, ts: publication.ts, head, place });
        Ok(())
    }
}

/// Keys up to `t`: `v` and `t`.
const HEAD_KEYS: u8 = 2;
/// Keys from `ts` on: `ts`, `tp`, `e` and `seq`.
const PLACE_KEYS: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;
    use proptest::prelude::*;

    fn publication() -> impl Strategy<Value = Publication> {
        let words = prop_oneof![Just("a"), Just("b \" c")];
        (words, 0..2_u64, prop::bool::ANY, prop::sample::select(vec!["1", "{\"x\":[1,2]}", "{"])).prop_map(|(t, ts, key, payload)| {
            Publication {
                id: "0193b3a0".into(),
                event_type: t.into(),
                ts: UnixMillis(ts),
                expires: None,
                key: key.then(|| "k".into()),
                priority: if key { Priority::High } else { Priority::Normal },
                format: Format::Json,
                payload: payload.into(),
            }
        })
    }

    proptest! {
        #[test]
        fn each_of_several_messages_is_the_bytes_of_one_alone(
            publications in prop::collection::vec((publication(), prop::option::of(0..9_u64)), 1..8),
            is_json in prop::bool::ANY,
        ) {
            let format = if is_json { Format::Json } else { Format::Msgpack };
            let (topic, epoch) = (Topic::parse("prices").expect("a name"), Epoch::parse("e1").expect("short"));
            let (mut several, mut alone) = (Vec::new(), Vec::new());
            let mut messages = TopicMessages::new(format, &topic, &epoch);
            for ((publication, previous), seq) in publications.iter().zip(1..) {
                let (seq, previous) = (Seq::new(seq).expect("small"), previous.and_then(Seq::new));
                let position = Position { epoch: epoch.clone(), seq };
                let done = messages.append(&mut several, seq, previous, publication).is_ok();
                prop_assert_eq!(done, super::super::topic_message(&mut alone, format, &topic, &position, previous, publication).is_ok());
                prop_assert_eq!(&several, &alone);
            }
        }
    }
}
