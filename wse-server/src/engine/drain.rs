//! The end of a process that serves: its clients are sent to others, where there are any ([P-67], [P-69]).
use super::Engine;
use crate::shard::{Command, DrainPlan};
use std::{sync::atomic::Ordering::Relaxed, time::Duration};
use tokio::{sync::oneshot, time::sleep};

/// A drain that takes longer is none: its times stay far from what overflows.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How often it asks whether there are others still, while clients are on their way to them.
const LOOK: Duration = Duration::from_millis(500);

impl Engine {
    /// This process takes clients: others that drain may count on it. Begins by itself with the first request.
    pub fn serve(&self) {
        if !self.0.draining.load(Relaxed) {
            self.0.bus.serve(true);
        }
    }

    /// Sends every client away and waits for them to go; new ones are refused, with 503. Publishing still works.
    ///
    /// Where other processes serve on the same bus, clients that can move are told when to do so, spread over `window`: each goes
    /// on over a new connection before it lets this one go. Whoever is still here `limit` after the window, all others at once, and
    /// everybody where `window` is zero or nobody else serves (any more), are told to return soon (1012), and get up to `limit` for
    /// that. Called again, it begins anew: with a `window` of zero it hurries the first call.
    pub async fn drain(&self, window: Duration, limit: Duration) {
        self.0.draining.store(true, Relaxed);
        self.0.bus.serve(false);
        let plan = DrainPlan { window: window.min(LONGEST), limit: limit.min(LONGEST) };
        if plan.window.is_zero() || !self.has_others().await {
            return self.send_away(plan.at_once()).await;
        }
        tokio::select! {
            () = self.send_away(plan) => {}
            () = self.is_alone() => self.send_away(plan.at_once()).await,
        }
    }

    async fn send_away(&self, plan: DrainPlan) {
        let drains = self.0.shards.iter().map(|shard| {
            let (done, drained) = oneshot::channel();
            // A shard that has ended has no clients left.
            shard.commands.send(Command::Drain { plan, done });
            drained
        });
        futures_util::future::join_all(drains).await;
    }

    /// Where the bus does not answer, nobody could go on elsewhere.
    async fn has_others(&self) -> bool {
        self.0.bus.others().await.is_ok_and(|others| others > 0)
    }

    /// Waits until nobody else serves. A bus that does not answer says nothing.
    async fn is_alone(&self) {
        while self.0.bus.others().await.ok() != Some(0) {
            sleep(LOOK).await;
        }
    }
}
