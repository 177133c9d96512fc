//! One request to subscribe, name by name: what each comes to, and the answers to all.
use super::join::{Joined, Joining};
use std::collections::HashMap;
use wse_core::{Chunk, session::Outcome};
use wse_protocol::{Pattern, Position, Topic};

/// What one request comes to, topic by topic.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) joined: Vec<(Topic, Joined)>,
    /// What a second answer of the topic says.
    pub(super) at: HashMap<Topic, Outcome>,
    /// Bytes of what was missed that may still be handed over at once.
    pub(super) room: usize,
}

impl Answers {
    pub(super) fn take(&mut self, topic: &Topic, joined: Joined) {
        if let Some(at) = joined.outcome.position() {
            let live = Outcome::Live(at.clone());
            self.at.insert(topic.clone(), if joined.waiting.is_some() { live.with_snapshot() } else { live });
        }
        self.room = self.room.saturating_sub(joined.frames.iter().map(Chunk::len).sum());
        self.joined.push((topic.clone(), joined));
    }
}

/// What one wanted name comes to.
pub(super) enum Plan {
    Topic(Joining),
    /// The pattern's own outcome, and its topics; none where it is refused.
    Pattern(Pattern, Outcome, Vec<Joining>),
}

impl Plan {
    pub(super) fn joinings(&self) -> &[Joining] {
        match self {
            Self::Topic(joining) => std::slice::from_ref(joining),
            Self::Pattern(_, _, joinings) => joinings,
        }
    }

    /// A pattern that is followed now, and where its births log stood.
    pub(super) fn pattern(&self) -> Option<(Pattern, Position)> {
        match self {
            Self::Pattern(pattern, Outcome::Live(at) | Outcome::Recovered(at, _) | Outcome::Resync(at, _), _) => {
                Some((pattern.clone(), at.clone()))
            }
            _ => None,
        }
    }

    pub(super) fn outcome(self, mut joined: impl FnMut(&Topic) -> Outcome) -> Outcome {
        match self {
            Self::Topic(joining) => joined(&joining.topic),
            Self::Pattern(_, own, joinings) => {
                let topics = joinings.into_iter().map(|joining| (joining.topic.clone(), joined(&joining.topic))).collect();
                Outcome::Pattern(Box::new(own), topics)
            }
        }
    }
}
