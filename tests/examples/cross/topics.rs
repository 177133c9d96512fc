//! Messages of topics: alone, and in the batches that the batcher makes of their runs.
use crate::{
    FORMATS, Frame, peer,
    values::{bytes, epoch, format, integer, maybe, object, padded, payload, seq, text, topic},
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};
use std::{sync::Arc, time::Instant};
use wse_core::{Moment, Numbered, Variant, Wire};
use wse_protocol::{Epoch, Format, MAX_INTEGER, Priority, Publication, Topic, UnixMillis};

/// Messages of one topic, ascending, and what each means.
#[derive(Debug)]
pub(crate) struct Messages {
    topic: Topic,
    epoch: Epoch,
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    seq: u64,
    previous: Option<u64>,
    publication: Publication,
    means: Value,
}

/// One message.
pub(crate) fn alone(is_long: bool) -> BoxedStrategy<Messages> {
    messages(1..=1, is_long).boxed()
}

/// Two or more, the first two short enough to be in one batch.
pub(crate) fn several(is_long: bool) -> BoxedStrategy<Messages> {
    messages(2..=9, is_long).boxed()
}

fn messages(count: std::ops::RangeInclusive<usize>, is_long: bool) -> impl Strategy<Value = Messages> {
    let is_batch = *count.end() > 1;
    let item = (publication(), 1..100_u64, prop::option::of(integer()));
    (topic(), epoch(), 0..=MAX_INTEGER - 1000, vec(item, count)).prop_map(move |(topic, epoch, mut seq, items)| {
        let items = items.into_iter().enumerate().map(|(at, ((publication, payload), step, previous))| {
            seq += step;
            let payload = if is_batch && at < 2 { Value::from(at) } else { payload };
            let payload = padded(payload, is_long && at == 0);
            let publication = Publication { payload: bytes(&payload, publication.format).into(), ..publication };
            let means = means(&topic, &epoch, seq, previous, &publication, payload);
            Item { seq, previous, publication, means }
        });
        Messages { items: items.collect(), topic: topic.clone(), epoch: epoch.clone() }
    })
}

/// What a publisher says, without its payload, and the payload.
fn publication() -> impl Strategy<Value = (Publication, Value)> {
    let priority = select(vec![Priority::Background, Priority::Low, Priority::Normal, Priority::High, Priority::Critical]);
    let header = (text(16), text(64), 0..253_402_300_800_000_u64, maybe(64), priority, format());
    (header, payload()).prop_map(|((id, event_type, ts, key, priority, format), payload)| {
        let (id, event_type, key) = (id.into(), event_type.into(), key.map(Into::into));
        let empty = Publication { id, event_type, ts: UnixMillis(ts), expires: None, key, priority, format, payload: Vec::new().into() };
        (empty, payload)
    })
}

fn means(topic: &Topic, epoch: &Epoch, seq: u64, previous: Option<u64>, publication: &Publication, payload: Value) -> Value {
    let mut ts = Vec::new();
    publication.ts.write_iso(&mut ts);
    let pri = match publication.priority {
        Priority::Background => 1,
        Priority::Low => 3,
        Priority::Normal => 5,
        Priority::High => 8,
        Priority::Critical => 10,
    };
    object([
        ("v", Some(json!(2))),
        ("t", Some(json!(&*publication.event_type))),
        ("id", Some(json!(&*publication.id))),
        ("ts", Some(String::from_utf8(ts).expect("ASCII").into())),
        ("tp", Some(json!(topic.as_str()))),
        ("e", Some(json!(epoch.as_str()))),
        ("seq", Some(json!(seq))),
        ("ps", previous.map(Value::from)),
        ("k", publication.key.as_deref().map(Value::from)),
        ("pri", Some(json!(pri))),
        ("p", Some(payload)),
    ])
}

impl Messages {
    /// The frames of every wire variant, as the server makes them.
    pub(crate) fn frames(&self, wire: &mut Wire) -> Vec<Frame> {
        let numbered: Vec<_> = self.items.iter().map(Item::numbered).collect();
        let at = Moment { now: Instant::now(), unix: UnixMillis(0) };
        let mut frames = Vec::new();
        for format in FORMATS {
            for (compressed, batched) in [(false, false), (false, true), (true, false), (true, true)] {
                let variant = Variant { format, compressed, batched };
                let run = Arc::new(wire.run(at, variant, &self.topic, &self.epoch, &numbered));
                frames.extend(self.told(format, run.whole().payloads().map(|(_, payload)| payload.to_vec())));
            }
        }
        frames
    }

    /// Each frame with what its messages mean: the next ones, in their order.
    fn told(&self, format: Format, bodies: impl Iterator<Item = Vec<u8>>) -> Vec<Frame> {
        let mut means = self.items.iter().map(|item| item.means.clone());
        let frame = |body: Vec<u8>| {
            let mut items: Vec<Value> = means.by_ref().take(peer::messages_in(&body)).collect();
            let (kind, means) = match items.len() {
                1 => ("message", items.remove(0)),
                _ => ("batch", json!({"v": 2, "c": "WSE", "t": "batch", "p": items})),
            };
            Frame { kind, is_servers: true, format, body, means, typed: None }
        };
        let frames = bodies.map(frame).collect();
        assert_eq!(means.next(), None, "every message is in a frame");
        frames
    }
}

impl Item {
    fn numbered(&self) -> Numbered<'_> {
        Numbered { seq: seq(self.seq), previous: self.previous.map(seq), publication: &self.publication }
    }
}
