//! Following patterns: whoever asks while another looks where the pattern stands shares the next look, so that a thousand
//! clients that come back at once cost two.
use super::{Core, interest::Held};
use crate::{BusError, Consumer, Following};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::{Mutex as Turns, oneshot},
    time::timeout,
};
use wse_protocol::{Followed, Pattern};

type Answer = Result<Following, BusError>;

/// Who waits to be told what a pattern stands for.
#[derive(Debug, Default)]
pub(crate) struct Follows {
    /// Held by the one that looks.
    turn: Turns<()>,
    waiting: Mutex<HashMap<Pattern, Vec<Waiter>>>,
}

#[derive(Debug)]
struct Waiter {
    consumer: Consumer,
    answer: oneshot::Sender<Answer>,
}

impl Follows {
    fn wait(&self, pattern: &Pattern, consumer: Consumer) -> oneshot::Receiver<Answer> {
        let (answer, told) = oneshot::channel();
        self.lock().entry(pattern.clone()).or_default().push(Waiter { consumer, answer });
        told
    }

    /// Everyone who waits for this pattern and is still there.
    fn take(&self, pattern: &Pattern) -> Vec<Waiter> {
        let mut waiters = self.lock().remove(pattern).unwrap_or_default();
        waiters.retain(|waiter| !waiter.answer.is_closed());
        waiters
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pattern, Vec<Waiter>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Shows a consumer's interest in a pattern, and tells it what there is; births after that reach it.
    pub(super) async fn follow(&self, pattern: &Pattern, consumer: Consumer) -> Answer {
        let followed = Followed::Pattern(pattern.clone());
        let claim = self.claim(&followed, consumer)?;
        self.interests.add(&followed, consumer);
        // One look may be under way, and the next is ours or is shared with us.
        let limit = self.config.publish_timeout.saturating_mul(4);
        let told = timeout(limit, self.told(pattern, consumer)).await;
        let following = told.unwrap_or_else(|_| Err(self.unavailable(&format!("no answer within {limit:?}"))))?;
        std::mem::forget(claim);
        Ok(following)
    }

    async fn told(&self, pattern: &Pattern, consumer: Consumer) -> Answer {
        loop {
            let mut told = self.follows.wait(pattern, consumer);
            let _turn = tokio::select! {
                biased;
                answer = &mut told => match answer {
                    Ok(answer) => return answer,
                    // Who looked for us was cancelled.
                    Err(_) => continue,
                },
                turn = self.follows.turn.lock() => turn,
            };
            if let Ok(answer) = told.try_recv() {
                return answer;
            }
            let waiters = self.follows.take(pattern);
            let answer = self.look(pattern, waiters.iter().map(|waiter| waiter.consumer).collect()).await;
            for waiter in waiters {
                // One that left meanwhile gives its interest back by itself.
                let _ = waiter.answer.send(answer.clone());
            }
            return answer;
        }
    }

    async fn look(&self, pattern: &Pattern, consumers: Vec<Consumer>) -> Answer {
        self.listen(pattern.as_str()).await?;
        let held: Held<'_> = self.interests.hold(pattern.as_str(), consumers);
        let (position, members) = self.reader.members(pattern).await?;
        held.join(&position);
        let topics = self.reader.positions(pattern, &members).await?;
        Ok(Following { position, topics })
    }
}
