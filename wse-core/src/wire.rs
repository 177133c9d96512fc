//! The way of a message onto the wire, in one place ([P-18]): envelope, batch, compression, WebSocket frame.
use crate::{
    BatchCounts, BatchLimits, Batcher, CompressionCounts, Compressor, CompressorConfig, Prepared, Variant,
    run::{Mark, Run},
};
use bytes::Bytes;
use std::ops::Range;
use wse_protocol::{
    Epoch, Format, Position, Publication, Seq, Topic, encode,
    frame::{self, Opcode},
};

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

    /// The frames of consecutive messages of one topic, for every connection of a variant.
    #[must_use]
    pub fn run(&mut self, variant: Variant, topic: &Topic, epoch: &Epoch, messages: &[Numbered<'_>]) -> Run {
        let mut ends = Vec::with_capacity(messages.len());
        self.bodies.clear();
        for message in messages {
            let position = Position { epoch: epoch.clone(), seq: message.seq };
            self.envelope(variant.format, topic, &position, message);
            ends.push(self.bodies.len());
        }
        let mut run =
            Building { out: Vec::with_capacity(self.bodies.len() + 4 * messages.len()), marks: Vec::with_capacity(messages.len()) };
        let start = |index: usize| if index == 0 { 0 } else { ends[index - 1] };
        let bodies = std::mem::take(&mut self.bodies);
        if variant.batched && messages.len() > 1 {
            let batches: Vec<Range<usize>> = self.batcher.split((0..messages.len()).map(|index| ends[index] - start(index))).collect();
            for batch in batches {
                let parts: Vec<&[u8]> = batch.clone().map(|index| &bodies[start(index)..ends[index]]).collect();
                self.batch(variant, &mut run, &messages[batch], &parts);
            }
        } else {
            for (index, message) in messages.iter().enumerate() {
                self.frame(variant, &mut run, &bodies[start(index)..ends[index]], std::slice::from_ref(message));
            }
        }
        self.bodies = bodies;
        Run { epoch: epoch.clone(), bytes: run.out.into(), marks: run.marks.into() }
    }

    /// A frame of the protocol's own around a body that `encode` made.
    #[must_use]
    pub fn own(&mut self, variant: Variant, body: &[u8]) -> Prepared {
        let mut run = Building { out: Vec::with_capacity(body.len() + 10), marks: Vec::new() };
        let payload = self.append(variant, &mut run.out, body);
        Prepared::framed_at(run.out.into(), payload)
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
    fn envelope(&mut self, format: Format, topic: &Topic, position: &Position, message: &Numbered<'_>) {
        let start = self.bodies.len();
        let Numbered { previous, publication, .. } = *message;
        if encode::topic_message(&mut self.bodies, format, topic, position, previous, publication).is_err() {
            self.bodies.truncate(start);
            self.unreadable += 1;
            let empty = Publication { format: Format::Json, payload: Bytes::from_static(b"null"), ..publication.clone() };
            // Null can be written in every format.
            let _ = encode::topic_message(&mut self.bodies, format, topic, position, previous, &empty);
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
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
        let payload = self.append(variant, &mut run.out, body);
        run.marks.push(Mark {
            previous: first.before(),
            first: first.seq,
            last: last.seq,
            payload,
            end: run.out.len(),
            priority: messages.iter().map(|message| message.publication.priority).max().unwrap_or_default(),
            key: last.publication.key.clone(),
        });
    }

    /// Appends a whole frame; returns where its payload begins.
    fn append(&mut self, variant: Variant, out: &mut Vec<u8>, body: &[u8]) -> usize {
        if variant.compressed {
            let mut packed = b"C:".to_vec();
            if self.compressor.compress(body, &mut packed) {
                return put(out, Opcode::Binary, &packed);
            }
        }
        put(out, if variant.format == Format::Json { Opcode::Text } else { Opcode::Binary }, body)
    }
}

/// A run in the making.
struct Building {
    out: Vec<u8>,
    marks: Vec<Mark>,
}

fn put(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) -> usize {
    out.extend_from_slice(frame::header(opcode, payload.len()).as_ref());
    let start = out.len();
    out.extend_from_slice(payload);
    start
}
