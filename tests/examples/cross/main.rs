//! Random messages to another implementation and back: `cross COUNT SEED COMMAND...`, COUNT of each kind.
//!
//! Each goes out in both formats, plain and as the server compresses it. The command reads lines, `<` and a frame of the server's or `>`
//! and one of the client's, in hex, and answers each with a line of JSON: what it `read`, as JSON; the same written by its encoders as
//! `json` and as `msgpack`; and those `packed` as it compresses. All must mean what was to be sent: the generator says it by itself, so
//! that what an encoder of ours leaves out or mixes up is seen, not only what the other side does.
mod client;
mod peer;
mod server;
mod topics;
mod values;

use proptest::{
    strategy::{BoxedStrategy, Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::Value;
use std::{collections::HashMap, process::ExitCode};
use wse_core::{Variant, Wire, WireConfig};
use wse_protocol::{Format, Tagged, messages::ServerMessage};

/// One frame, and what it means.
struct Frame {
    kind: &'static str,
    is_servers: bool,
    format: Format,
    body: Vec<u8>,
    means: Value,
    /// The same as what our reader makes of it, where that holds no application's payload.
    typed: Option<ServerMessage>,
}

/// A message, and its plain frames.
#[derive(Debug)]
struct Said {
    means: Value,
    typed: Option<ServerMessage>,
    bodies: Vec<(Format, Vec<u8>)>,
}

/// A kind of message.
struct Kind {
    name: &'static str,
    /// Every fourth one is so long that both sides compress it.
    packs: bool,
    /// Its messages, those that have to be long or the others.
    strategy: fn(bool) -> BoxedStrategy<Said>,
}

const FORMATS: [Format; 2] = [Format::Json, Format::Msgpack];
/// Of what is packed every so manieth has to be long.
const LONG: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [count, seed, program, rest @ ..] = &arguments[..] else {
        eprintln!("usage: cross COUNT SEED COMMAND...");
        return ExitCode::FAILURE;
    };
    let (count, seed): (usize, u64) = (count.parse().expect("a count"), seed.parse().expect("a seed"));
    let frames = frames(count, seed);
    let answers = peer::ask(program, rest, &frames);
    assert_eq!(answers.len(), frames.len(), "one line for each frame (seed {seed})");
    let mut tally = Tally::default();
    for (index, (frame, answer)) in frames.iter().zip(&answers).enumerate() {
        let back = peer::check(frame, answer, &format!("frame {index} of seed {seed}, {}", frame.kind));
        tally.count(frame, &back);
    }
    tally.hold_against(count);
    let (name, kinds) = (program.rsplit('/').next().unwrap_or(program), kinds().len());
    println!("{name}: {kinds} kinds, of each {count} messages or more, in {} frames read and written again, seed {seed}", frames.len());
    ExitCode::SUCCESS
}

/// How many frames there were.
#[derive(Debug, Default)]
struct Tally {
    /// By kind and format, and whether they were compressed: of those that went out, of those that came back.
    sent: HashMap<(&'static str, Format, bool), usize>,
    back: HashMap<(&'static str, Format, bool), usize>,
}

impl Tally {
    fn count(&mut self, frame: &Frame, back: &[(Format, bool)]) {
        let is_packed = frame.body.starts_with(Tagged::COMPRESSED);
        *self.sent.entry((frame.kind, frame.format, is_packed)).or_default() += 1;
        for (format, is_packed) in back {
            *self.back.entry((frame.kind, *format, *is_packed)).or_default() += 1;
        }
    }

    /// No kind had fewer frames than were asked for, in any form that it has.
    fn hold_against(&self, count: usize) {
        for (kind, packs) in kinds() {
            // The two hellos are JSON, and never packed.
            let is_hello = kind.ends_with("_hello");
            for (format, is_packed) in FORMATS.into_iter().flat_map(|format| [(format, false), (format, true)]) {
                let of = |tally: &HashMap<_, usize>| tally.get(&(kind, format, is_packed)).copied().unwrap_or_default();
                let (sent, back) = match (is_packed, is_hello) {
                    (false, false) => (count, count),
                    (false, true) => (if format == Format::Json { count } else { 0 }, count),
                    (true, _) => (if packs { count.div_ceil(LONG) } else { 0 }, if packs { count.div_ceil(LONG) } else { 0 }),
                };
                let (got_sent, got_back) = (of(&self.sent), of(&self.back));
                assert!(got_sent >= sent && got_back >= back, "{kind} as {format:?}, compressed: {is_packed}: {got_sent} and {got_back}");
            }
        }
    }
}

/// Every kind, and whether it is packed.
fn kinds() -> Vec<(&'static str, bool)> {
    let listed = server::KINDS.iter().chain(&client::KINDS).map(|kind| (kind.name, kind.packs));
    listed.chain([("message", true), ("batch", true)]).collect()
}

/// All frames, of `count` messages of each kind.
fn frames(count: usize, seed: u64) -> Vec<Frame> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let mut wire = Wire::new(WireConfig::default());
    let mut frames = Vec::new();
    for index in 0..count {
        let is_long = index % LONG == 0;
        for messages in [topics::alone(is_long), topics::several(is_long)] {
            frames.extend(drawn(&messages, &mut runner).frames(&mut wire));
        }
        for (kinds, is_servers) in [(&server::KINDS[..], true), (&client::KINDS[..], false)] {
            for Kind { name, packs, strategy } in kinds {
                let said = drawn(&strategy(is_long && *packs), &mut runner);
                frames.extend(said.frames(name, is_servers, &mut wire));
            }
        }
    }
    frames
}

fn drawn<T: std::fmt::Debug>(strategy: &BoxedStrategy<T>, runner: &mut TestRunner) -> T {
    strategy.new_tree(runner).expect("no filter gives up").current()
}

impl Said {
    /// Each body plain, and where both formats are spoken also as it goes to a peer that takes compressed frames.
    fn frames(self, kind: &'static str, is_servers: bool, wire: &mut Wire) -> Vec<Frame> {
        let is_hello = self.bodies.len() == 1;
        let mut frames = Vec::new();
        for (format, body) in self.bodies {
            let variant = Variant { format, compressed: true, batched: false };
            let packed = (!is_hello).then(|| wire.own(variant, &body).payload().to_vec());
            for body in [Some(body), packed].into_iter().flatten() {
                frames.push(Frame { kind, is_servers, format, body, means: self.means.clone(), typed: self.typed.clone() });
            }
        }
        frames
    }
}
