//! What an engine knows of its own state, its shards asked.
use super::Engine;
use crate::{
    Health, Tally,
    health::{DEGRADED, OK},
    shard::Command,
};
use serde::Serialize;
use std::time::Duration;
use tokio::{sync::oneshot, time::timeout};

/// How long a shard may take for its answer; a turn takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// [`Engine::health`], and what each shard counts for itself. In JSON one flat object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// What all shards count together. `degraded` also where a shard did not answer.
    #[serde(flatten)]
    pub health: Health,
    /// What the shards that answered count, summed up.
    #[serde(flatten)]
    pub tally: Tally,
    /// Shards.
    pub shards: usize,
    /// Shards that did not answer within a second: stalled, or ended by a bug.
    pub shards_silent: usize,
}

impl Engine {
    /// `health` with the counts of the shards. Within a tokio runtime that has time; costs each shard a look at its connections.
    pub async fn inspect(&self) -> Inspection {
        let asked = self.0.shards.iter().map(|shard| {
            let (answer, tally) = oneshot::channel();
            // One that has ended or is behind does not answer.
            shard.commands.send(Command::Tally { answer });
            timeout(PATIENCE, tally)
        });
        let answers = futures_util::future::join_all(asked).await;
        let (shards, mut health, mut tally) = (answers.len(), self.health(), Tally::default());
        let mut shards_silent = shards;
        for answer in answers.iter().filter_map(|answer| answer.as_ref().ok()?.as_ref().ok()) {
            tally.add(answer);
            shards_silent -= 1;
        }
        if shards_silent > 0 && health.status == OK {
            health.status = DEGRADED;
        }
        Inspection { health, tally, shards, shards_silent }
    }
}
