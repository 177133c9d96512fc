//! A shard sends its clients away: those that can move before it ends, the others at once ([P-67], [P-69]).
use super::Shard;
use std::{
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, time::timeout};
use wse_protocol::CloseCode;

/// What clients are told while it drains.
pub(super) const RESTARTS: &str = "the server restarts";

/// How often it looks whether everybody has gone.
const LOOK: Duration = Duration::from_millis(5);

/// How much time clients have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrainPlan {
    /// Moves begin within it, evenly; zero: nobody moves.
    pub(crate) window: Duration,
    /// For the last to move, and then for those that are closed.
    pub(crate) limit: Duration,
}

impl DrainPlan {
    /// The same without moves.
    pub(crate) fn at_once(self) -> Self {
        Self { window: Duration::ZERO, ..self }
    }
}

impl Shard {
    /// Sends every client away, and waits for them to go.
    pub(crate) fn drain(self: &Rc<Self>, plan: DrainPlan, done: oneshot::Sender<()>) {
        self.draining.set(true);
        let moving = !plan.window.is_zero() && self.send_away(plan);
        if !moving {
            self.close_all();
        }
        let shard = self.clone();
        tokio::task::spawn_local(async move {
            if moving && timeout(plan.window + plan.limit, shard.emptied()).await.is_err() {
                shard.close_all();
            }
            let _ = timeout(plan.limit, shard.emptied()).await;
            let _ = done.send(());
        });
    }

    /// Tells those that move when to do so, closes the others; whether anybody moves.
    fn send_away(&self, DrainPlan { window, limit }: DrainPlan) -> bool {
        let now = Instant::now();
        let connections = self.connections.borrow();
        let movers = connections.values().filter(|connection| connection.session().moves()).count() as u32;
        let mut told = 0;
        for connection in connections.values() {
            let wait = window.mul_f64(f64::from(told) / f64::from(movers.max(1)));
            told += u32::from(connection.session().send_away(now, wait, window + limit, RESTARTS));
            connection.wake();
        }
        self.counters.moves.fetch_add(told.into(), Relaxed);
        told > 0
    }

    /// Tells whoever is left to return soon.
    fn close_all(&self) {
        let now = Instant::now();
        for connection in self.connections.borrow().values() {
            let mut session = connection.session();
            let overdue = session.was_sent_away() && !session.is_closing();
            self.counters.moves_overdue.fetch_add(overdue.into(), Relaxed);
            session.close(now, CloseCode::RESTART, RESTARTS);
            drop(session);
            connection.wake();
        }
    }

    async fn emptied(&self) {
        while !self.connections.borrow().is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
