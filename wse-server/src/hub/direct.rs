//! How a connection joins what is the server's own for it: messages to its user, and to its session ([P-65], [P-66]).
use super::{Hub, join::Joining};
use crate::{connection::Connection, shard::Shard};
use std::{rc::Rc, time::Duration};
use wse_core::session::{Outcome, Wanted};
use wse_protocol::{ErrorCode, Followed, Position, Seq};

/// After which a bus that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// What a message may have waited for the client that a later frame told that the server lives.
const OVERTAKEN: Duration = Duration::from_secs(90);

impl Hub {
    /// Joins all of `wanted` and tells the client; what the bus did not answer for is tried again as long as the connection lives.
    pub(crate) async fn direct(&self, shard: &Rc<Shard>, connection: &Rc<Connection>, mut wanted: Vec<Wanted>, away: Option<Duration>) {
        loop {
            wanted = self.join_direct(shard, connection, wanted, away).await;
            if wanted.is_empty() || connection.is_closing() {
                return;
            }
            connection.wake();
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Returns those that the bus did not answer for.
    async fn join_direct(
        &self,
        shard: &Rc<Shard>,
        connection: &Rc<Connection>,
        wanted: Vec<Wanted>,
        away: Option<Duration>,
    ) -> Vec<Wanted> {
        let joinings: Vec<_> = wanted.iter().filter_map(|wanted| joining(wanted, away)).collect();
        let ready = self.prepare(connection, joinings).await;
        // From here to the end nothing is awaited: the answer and what follows it are one step.
        let (mut outcomes, mut joined, mut left) = (Vec::new(), Vec::new(), Vec::new());
        let room = connection.session().room();
        for (wanted, ready) in wanted.into_iter().zip(ready) {
            let Followed::Topic(topic) = wanted.followed.clone() else { continue };
            match ready {
                Ok((begun, page)) => {
                    let end = self.finish(connection, &begun, page, room);
                    outcomes.push((topic.clone(), end.outcome.clone()));
                    joined.push((topic, end));
                }
                Err(error) if error.code == ErrorCode::Unavailable => left.push(wanted),
                Err(error) => outcomes.push((topic, Outcome::Refused(error))),
            }
        }
        if !outcomes.is_empty() {
            connection.session().directed(outcomes);
        }
        joined.into_iter().for_each(|(topic, joined)| self.replay(shard, connection, &topic, joined));
        left
    }

    /// A position before the first message is one in whatever log the first message has made, unless a log may have come and gone
    /// meanwhile: then what was missed cannot be known, and true is returned.
    pub(super) fn settle_beginning(&self, joining: &mut Joining, start: &Position) -> bool {
        let Some(theirs) = joining.theirs.clone().filter(|_| joining.topic.direct().is_some()) else { return false };
        let theirs = theirs.within(&start.epoch);
        let begins = theirs.seq == Seq::ZERO && theirs.epoch == start.epoch;
        let forgets = |away: Duration| away > Duration::ZERO && self.bus.may_have_forgotten(&joining.topic, away.saturating_add(OVERTAKEN));
        let forgotten = begins && joining.away.is_none_or(forgets);
        joining.theirs = Some(theirs).filter(|_| !forgotten);
        forgotten
    }
}

fn joining(wanted: &Wanted, away: Option<Duration>) -> Option<Joining> {
    let Followed::Topic(topic) = wanted.followed.clone() else { return None };
    Some(Joining { topic, theirs: wanted.position.clone(), filter: None, by_pattern: false, fresh: false, away })
}
