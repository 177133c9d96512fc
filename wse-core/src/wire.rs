//! The way of a message onto the wire, in one place ([P-18]): envelope, batch, compression, WebSocket frame.
use crate::{
    BatchCounts, BatchLimits, Batcher, CompressionCounts, Compressor, CompressorConfig, Prepared, Variant,
    run::{Mark, Run},
};
use std::{
    ops::Range,
    time::{Duration, Instant},
};
use wse_protocol::{
    Epoch, Format, Position, Priority, Publication, Seq, Topic, UnixMillis,
    encode::{self, TopicMessages},
    frame::{self, Opcode},
    messages::{Beacon, Skip, SkipReason},
};

/// The bytes of most headers.
const HEADER: usize = 4;

/// A message of a topic with its number.
#[derive(Debug, Clone, Copy)]
pub struct Numbered<'a> {
    /// Its number.
    pub seq: Seq,
    /// The message before it that passed the filter; none where there is no filter.
    pub previous: Option<Seq>,
    /// Its content.
    pub publication: &'a Publication,
}

impl Numbered<'_> {
    fn before(&self) -> Seq {
        self.previous.unwrap_or_else(|| Seq::new(self.seq.number().saturating_sub(1)).unwrap_or(Seq::ZERO))
    }
}

/// One moment by the two clocks: a session's, and the one by which messages expire.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// What sessions are given.
    pub now: Instant,
    /// What publications name.
    pub unix: UnixMillis,
}

impl Moment {
    /// When a message expires; none where it does not, or later than clocks go.
    fn until(self, publication: &Publication) -> Option<Instant> {
        let left = publication.expires?.0.saturating_sub(self.unix.0);
        self.now.checked_add(Duration::from_millis(left))
    }

    #[cfg(test)]
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for a test's clock")]
    pub(crate) fn origin() -> Self {
        Self { now: Instant::now(), unix: UnixMillis(0) }
    }
}

/// How a [`Wire`] works.
#[derive(Debug, Default, Clone, Copy)]
pub struct WireConfig {
    /// Which frames are compressed, for those who can read it.
    pub compression: CompressorConfig,
    /// How large batches become, for those who can read them.
    pub batches: BatchLimits,
}

/// Makes frames. One per shard: its buffers and its compressor's state serve one message after the other.
#[derive(Debug)]
pub struct Wire {
    compressor: Compressor,
    batcher: Batcher,
    /// Frame bodies, one after the other.
    bodies: Vec<u8>,
    scratch: Vec<u8>,
    unreadable: u64,
}

impl Wire {
    /// A maker of frames.
    #[must_use]
    pub fn new(config: WireConfig) -> Self {
        let (compressor, batcher) = (Compressor::new(config.compression), Batcher::new(config.batches));
        Self { compressor, batcher, bodies: Vec::new(), scratch: Vec::new(), unreadable: 0 }
    }

    /// The frames of consecutive messages of one topic, for every connection of a variant. What expires is not batched, because it may
    /// be left out by itself.
    #[must_use]
    pub fn run(&mut self, at: Moment, variant: Variant, topic: &Topic, epoch: &Epoch, messages: &[Numbered<'_>]) -> Run {
        let cost: usize = messages.iter().map(|message| message.publication.cost()).sum();
        let (out, marks) = (Vec::with_capacity(cost + 160 * messages.len()), Vec::with_capacity(messages.len()));
        let mut run = Building { out, marks, at };
        let expire = messages.iter().any(|message| message.publication.expires.is_some());
        let variant = if expire { variant.single() } else { variant };
        if variant.compressed || (variant.batched && messages.len() > 1) {
            self.packed(variant, topic, epoch, messages, &mut run);
        } else {
            let mut envelopes = TopicMessages::new(variant.format, topic, epoch);
            for message in messages {
                self.plain(variant, &mut envelopes, message, &mut run);
            }
        }
        Run::new(epoch.clone(), run.out.into(), run.marks.into())
    }

    /// A message in a frame of its own, written where it stays.
    fn plain<'a>(&mut self, variant: Variant, envelopes: &mut TopicMessages<'a>, message: &Numbered<'a>, run: &mut Building) {
        let opcode = opcode(variant);
        let start = run.out.len();
        // Most bodies have 126 bytes to 64 KiB, and so a header of four bytes: the others are moved.
        run.out.extend_from_slice(&[0; HEADER]);
        self.envelope(&mut run.out, envelopes, message);
        let header = frame::header(opcode, run.out.len() - start - HEADER);
        let header = header.as_ref();
        if header.len() == HEADER {
            run.out[start..start + HEADER].copy_from_slice(header);
        } else {
            run.out.splice(start..start + HEADER, header.iter().copied());
            envelopes.forget();
        }
        run.mark(start + header.len(), std::slice::from_ref(message));
    }

    /// Messages whose bodies are made first, to be batched or compressed.
    fn packed(&mut self, variant: Variant, topic: &Topic, epoch: &Epoch, messages: &[Numbered<'_>], run: &mut Building) {
        let mut bodies = std::mem::take(&mut self.bodies);
        bodies.clear();
        let mut ends = Vec::with_capacity(messages.len());
        let mut envelopes = TopicMessages::new(variant.format, topic, epoch);
        for message in messages {
            self.envelope(&mut bodies, &mut envelopes, message);
            ends.push(bodies.len());
        }
        let body = |index: usize| &bodies[if index == 0 { 0 } else { ends[index - 1] }..ends[index]];
        if variant.batched {
            let batches: Vec<Range<usize>> = self.batcher.split((0..messages.len()).map(|index| body(index).len())).collect();
            for batch in batches {
                let parts: Vec<&[u8]> = batch.clone().map(body).collect();
                self.batch(variant, run, &messages[batch], &parts);
            }
        } else {
            for (index, message) in messages.iter().enumerate() {
                self.frame(variant, run, body(index), std::slice::from_ref(message));
            }
        }
        self.bodies = bodies;
    }

    /// A beacon that keeps its place among the frames of its topic: what came after `previous`, up to `position`, did not pass.
    #[must_use]
    pub fn beacon(&mut self, format: Format, topic: &Topic, position: &Position, previous: Seq) -> Run {
        let (mut body, mut out) = (Vec::with_capacity(128), Vec::new());
        Beacon { topic: topic.as_str().into(), position: position.clone(), previous }.encode(format, &mut body);
        let payload = put(&mut out, if format == Format::Json { Opcode::Text } else { Opcode::Binary }, &body);
        let (first, last, end) = (position.seq, position.seq, out.len());
        let mark = Mark { previous, first, last, messages: 0, payload, end, priority: Priority::default(), key: None, until: None };
        Run::new(position.epoch.clone(), out.into(), [mark].into())
    }

    /// Word that messages will not come because they have expired, each in its place among the frames of its topic, so that a reader may
    /// begin anywhere.
    #[must_use]
    pub fn expired(&mut self, format: Format, topic: &Topic, epoch: &Epoch, messages: &[Numbered<'_>]) -> Run {
        let opcode = if format == Format::Json { Opcode::Text } else { Opcode::Binary };
        let (mut out, mut marks, mut body) = (Vec::new(), Vec::with_capacity(messages.len()), Vec::with_capacity(128));
        for message in messages {
            body.clear();
            let (seq, previous) = (message.seq, message.before());
            let topic = topic.as_str().into();
            Skip { topic, epoch: epoch.clone(), previous: Some(previous), from: seq, to: seq, reason: SkipReason::Ttl }
                .encode(format, &mut body);
            let payload = put(&mut out, opcode, &body);
            let (end, priority) = (out.len(), message.publication.priority);
            marks.push(Mark { previous, first: seq, last: seq, messages: 0, payload, end, priority, key: None, until: None });
        }
        Run::new(epoch.clone(), out.into(), marks.into())
    }

    /// A frame of the protocol's own around a body that `encode` made.
    #[must_use]
    pub fn own(&mut self, variant: Variant, body: &[u8]) -> Prepared {
        let mut out = Vec::with_capacity(body.len() + 10);
        let payload = self.append(variant, &mut out, body);
        Prepared::framed_at(out.into(), payload)
    }

    /// Payloads that their publishers vouched for and that are not what they were said to be: null was sent.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// What was compressed, and how.
    #[must_use]
    pub fn compression(&self) -> CompressionCounts {
        self.compressor.counts()
    }

    /// What was batched, and how.
    #[must_use]
    pub fn batching(&self) -> BatchCounts {
        self.batcher.counts()
    }

    /// Appends the envelope of a message. A payload that cannot be written in this format is its publisher's fault, found too late to
    /// refuse it: null takes its place, and it is counted.
    fn envelope<'a>(&mut self, out: &mut Vec<u8>, envelopes: &mut TopicMessages<'a>, message: &Numbered<'a>) {
        let Numbered { seq, previous, publication } = *message;
        // On an error nothing was appended.
        if envelopes.append(out, seq, previous, publication).is_err() {
            self.unreadable += 1;
            envelopes.append_null(out, seq, previous, publication);
        }
    }

    fn batch(&mut self, variant: Variant, run: &mut Building, messages: &[Numbered<'_>], bodies: &[&[u8]]) {
        if let [single] = bodies {
            return self.frame(variant, run, single, messages);
        }
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        encode::batch(&mut body, variant.format, bodies);
        self.frame(variant, run, &body, messages);
        self.scratch = body;
    }

    fn frame(&mut self, variant: Variant, run: &mut Building, body: &[u8], messages: &[Numbered<'_>]) {
        let payload = self.append(variant, &mut run.out, body);
        run.mark(payload, messages);
    }

    /// Appends a whole frame; returns where its payload begins.
    fn append(&mut self, variant: Variant, out: &mut Vec<u8>, body: &[u8]) -> usize {
        if variant.compressed {
            let mut packed = b"C:".to_vec();
            if self.compressor.compress(body, &mut packed) {
                return put(out, Opcode::Binary, &packed);
            }
        }
        put(out, opcode(variant), body)
    }
}

/// A run in the making.
struct Building {
    out: Vec<u8>,
    marks: Vec<Mark>,
    at: Moment,
}

impl Building {
    /// Notes the frame that was appended last.
    fn mark(&mut self, payload: usize, messages: &[Numbered<'_>]) {
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
        self.marks.push(Mark {
            previous: first.before(),
            first: first.seq,
            last: last.seq,
            messages: messages.len() as u64,
            payload,
            end: self.out.len(),
            priority: messages.iter().map(|message| message.publication.priority).max().unwrap_or_default(),
            key: last.publication.key.clone(),
            until: self.at.until(last.publication),
        });
    }
}

fn opcode(variant: Variant) -> Opcode {
    if variant.format == Format::Json { Opcode::Text } else { Opcode::Binary }
}

fn put(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) -> usize {
    out.extend_from_slice(frame::header(opcode, payload.len()).as_ref());
    let start = out.len();
    out.extend_from_slice(payload);
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::Arc;
    use wse_protocol::{Tagged, UnixMillis, frame_body, messages::ServerMessage};

    fn publication(size: usize) -> Publication {
        let payload = format!("\"{}\"", "x".repeat(size)).into_bytes().into();
        let (id, event_type) = ("m".into(), "t".into());
        Publication {
            id,
            event_type,
            ts: UnixMillis(0),
            expires: None,
            key: None,
            priority: Priority::Normal,
            format: Format::Json,
            payload,
        }
    }

    fn seq(number: u64) -> Seq {
        Seq::new(number).expect("small")
    }

    /// A run of messages of these sizes, numbered from 1.
    fn run(variant: Variant, sizes: &[usize]) -> Arc<Run> {
        let publications: Vec<_> = sizes.iter().map(|size| publication(*size)).collect();
        let messages: Vec<_> =
            publications.iter().zip(1..).map(|(publication, n)| Numbered { seq: seq(n), previous: None, publication }).collect();
        let (topic, epoch) = (Topic::parse("a").expect("a name"), Epoch::parse("e").expect("short"));
        Arc::new(Wire::new(WireConfig::default()).run(Moment::origin(), variant, &topic, &epoch, &messages))
    }

    /// What a client reads of a frame's payload: the numbers and payload sizes of its messages.
    fn read(payload: &[u8]) -> Vec<(u64, usize)> {
        let limits = crate::InflateLimits { bytes: 1 << 20, ..crate::InflateLimits::default() };
        let body = match frame_body(payload) {
            Tagged::Compressed(stream) => crate::Inflater::new(limits).inflate(stream).expect("our own stream"),
            _ => payload.to_vec(),
        };
        let message = match frame_body(&body) {
            Tagged::Msgpack(map) => ServerMessage::read(Format::Msgpack, &mut map.to_vec()),
            _ => ServerMessage::read(Format::Json, &mut body.clone()),
        };
        match message.expect("our own message") {
            ServerMessage::Batch(envelopes) => envelopes.iter().map(numbered).collect(),
            ServerMessage::Event(envelope) => vec![numbered(&envelope)],
            other => panic!("{other:?}"),
        }
    }

    fn numbered(envelope: &wse_protocol::envelope::Envelope) -> (u64, usize) {
        (envelope.seq.expect("a topic message").number(), envelope.payload.parse::<String>().expect("a string").len())
    }

    #[test]
    fn every_variant_carries_the_same_messages_whatever_their_headers_need() {
        let sizes = [1, 70, 5_000, 80_000, 3];
        for format in [Format::Json, Format::Msgpack] {
            for (compressed, batched) in [(false, false), (false, true), (true, false), (true, true)] {
                let chunk = run(Variant { format, compressed, batched }, &sizes).whole();
                let got: Vec<_> = chunk.payloads().flat_map(|(_, payload)| read(&payload)).collect();
                assert_eq!(got, (1..).zip(sizes).collect::<Vec<_>>(), "{format:?} {compressed} {batched}");
                let framed: usize =
                    chunk.payloads().map(|(_, payload)| payload.len() + frame::header(Opcode::Text, payload.len()).as_ref().len()).sum();
                assert_eq!(chunk.framed().len(), framed, "nothing but headers lies between payloads");
                assert_eq!(chunk.messages(), 5);
            }
        }
    }

    #[test]
    fn a_reader_within_a_run_takes_what_it_has_not_and_one_within_a_batch_cannot() {
        let single = run(Variant::default(), &[1, 2, 3]);
        let rest: Vec<_> = single.after(seq(1)).expect("no batch").payloads().flat_map(|(_, payload)| read(&payload)).collect();
        assert_eq!(rest, [(2, 2), (3, 3)]);
        assert!(single.after(seq(3)).expect("nothing is left").is_empty());
        assert!(run(Variant { batched: true, ..Variant::default() }, &[1, 2, 3]).after(seq(1)).is_none());
    }

    #[test]
    fn a_payload_that_is_not_what_was_said_becomes_null_and_is_counted() {
        let mut broken = publication(1);
        broken.payload = Bytes::from_static(b"{");
        let message = Numbered { seq: seq(1), previous: None, publication: &broken };
        let mut wire = Wire::new(WireConfig::default());
        let (topic, epoch) = (Topic::parse("a").expect("a name"), Epoch::parse("e").expect("short"));
        let run = wire.run(Moment::origin(), Variant { format: Format::Msgpack, ..Variant::default() }, &topic, &epoch, &[message]);
        assert_eq!((wire.unreadable(), run.is_empty()), (1, false));
    }
}
