//! Clients of one topic across their connections: where each stands, and what all of them got.
use crate::{
    histogram::Histogram,
    pool::Sink,
    tally::{Finder, Sequence, Tally},
};
use memchr::memmem;
use std::time::Instant;

/// All clients.
#[derive(Debug)]
pub(super) struct Crowd {
    clients: Vec<Client>,
    /// Which client a connection of the pool is of.
    of: Vec<usize>,
    finder: Finder,
    /// The one topic's.
    epoch: String,
    answered: usize,
    /// What they received.
    pub(super) tally: Tally,
    /// Answers by status.
    pub(super) recovered: u64,
    pub(super) live: u64,
    pub(super) resyncs: u64,
    /// From a connect to the answer, in nanoseconds.
    pub(super) answers: Histogram,
}

#[derive(Debug, Default)]
struct Client {
    connection: Option<usize>,
    began: Option<Instant>,
    sequence: Sequence,
    /// The position of the last message.
    seq: u64,
}

impl Crowd {
    pub(super) fn new(clients: usize) -> Self {
        Self {
            clients: (0..clients).map(|_| Client::default()).collect(),
            of: Vec::new(),
            finder: Finder::default(),
            epoch: String::new(),
            answered: 0,
            tally: Tally::default(),
            recovered: 0,
            live: 0,
            resyncs: 0,
            answers: Histogram::default(),
        }
    }

    pub(super) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Answers so far.
    pub(super) fn answered(&self) -> usize {
        self.answered
    }

    /// Everybody is there for the first time: from here on answers count.
    pub(super) fn begin_to_count(&mut self) {
        (self.live, self.answers) = (0, Histogram::default());
    }

    /// Where a client stands; none before its first answer.
    pub(super) fn position(&self, client: usize) -> Option<(String, u64)> {
        (!self.epoch.is_empty() && self.clients[client].began.is_some()).then(|| (self.epoch.clone(), self.clients[client].seq))
    }

    pub(super) fn is_away(&self, client: usize) -> bool {
        self.clients[client].connection.is_none()
    }

    /// A client begins a connection.
    pub(super) fn came(&mut self, client: usize, connection: usize) {
        self.of.resize(connection + 1, client);
        self.clients[client].connection = Some(connection);
        self.clients[client].began = Some(Instant::now());
    }

    /// A client has none any more; the one that it had.
    pub(super) fn left(&mut self, client: usize) -> Option<usize> {
        self.clients[client].connection.take()
    }

    fn answer(&mut self, client: usize, text: &[u8]) {
        self.answered += 1;
        if let Some(began) = self.clients[client].began {
            self.answers.enter(began.elapsed().as_nanos() as u64);
        }
        if let Some(epoch) = after(text, b"\"e\":\"") {
            self.epoch = String::from_utf8_lossy(epoch.split(|byte| *byte == b'"').next().unwrap_or_default()).into_owned();
        }
        match memmem::find(text, b"\"status\":\"").map(|at| &text[at + 10..]) {
            Some([b'l', ..]) => self.live += 1,
            Some([b'r', b'e', b'c', ..]) => self.recovered += 1,
            _ => self.resyncs += 1,
        }
    }
}

impl Sink for Crowd {
    fn message(&mut self, connection: usize, payload: &[u8], wire: usize) {
        let client = self.of[connection];
        if memmem::find(payload, b"\"subscription_update\"").is_some() {
            return self.answer(client, payload);
        }
        let Self { clients, finder, tally, .. } = self;
        tally.bytes += wire as u64;
        let known = &mut clients[client];
        if !finder.stamps(payload, |stamp| known.sequence.enter(stamp.number, tally)) {
            tally.unstamped += 1;
            return;
        }
        // Of a batch the last one's: payloads hold no quotes.
        if let Some(at) = memmem::rfind(payload, b"\"seq\":") {
            let digits = payload[at + 6..].iter().take_while(|byte| byte.is_ascii_digit());
            known.seq = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        }
    }
}

fn after<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    memmem::find(text, mark).map(|at| &text[at + mark.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::{self, Stamp};

    fn message(seq: u32) -> Vec<u8> {
        let payload = String::from_utf8(stamp::message(64, Stamp { number: seq - 1, nanos: 1 })).expect("text");
        format!(r#"{{"v":2,"t":"bench","tp":"bench","e":"ab","seq":{seq},"p":{payload}}}"#).into_bytes()
    }

    fn answer(status: &str) -> Vec<u8> {
        format!(r#"{{"v":2,"c":"WSE","t":"subscription_update","p":{{"topics":[{{"tp":"bench","status":"{status}","e":"ab","seq":0}}]}}}}"#)
            .into_bytes()
    }

    #[test]
    fn a_client_stands_where_its_last_message_does_and_what_it_misses_is_seen() {
        let mut crowd = Crowd::new(1);
        crowd.came(0, 0);
        crowd.message(0, &answer("live"), 10);
        [1, 2, 3].iter().for_each(|seq| crowd.message(0, &message(*seq), 10));
        assert_eq!((crowd.left(0), crowd.position(0)), (Some(0), Some(("ab".into(), 3))));
        crowd.came(0, 1);
        crowd.message(1, &answer("recovered"), 10);
        [3, 5].iter().for_each(|seq| crowd.message(1, &message(*seq), 10));
        let Tally { received, missing, doubled, .. } = crowd.tally;
        assert_eq!((received, missing, doubled, crowd.live, crowd.recovered, crowd.resyncs), (4, 1, 1, 1, 1, 0));
        crowd.message(1, &answer("resync"), 10);
        assert_eq!((crowd.resyncs, crowd.answered()), (1, 3));
    }
}
