//! Every log of the bus: topics', users', sessions', and those that tell of members, each kind by its own bounds and all under one budget.
use super::{
    MemoryConfig,
    store::{Store, StoreLimits},
};
use crate::{Consumer, random::new_epoch};
use std::time::Duration;
use wse_core::log::{LogLimits, PackCounts};
use wse_protocol::{Direct, Topic};

/// The logs by whom they are for.
#[derive(Debug)]
pub(crate) struct Stores {
    topics: Store,
    users: Store,
    sessions: Store,
    presence: Store,
    /// Of all together.
    budget_bytes: usize,
    /// Of all but topics' logs together.
    direct_bytes: usize,
}

impl Stores {
    pub(crate) fn new(config: &MemoryConfig) -> Self {
        let direct = config.direct;
        let limits = StoreLimits {
            log: config.history,
            compress_after: config.compress_after,
            budget_bytes: config.budget_bytes,
            meta_age: config.meta_age,
            topics: config.topics,
            births: config.births,
        };
        let of = |log: LogLimits| StoreLimits { log, meta_age: direct.remembered(), topics: direct.logs, ..limits };
        let told = config.presence;
        let told = StoreLimits { log: told.log, meta_age: told.remembered(), topics: told.logs, ..limits };
        let run = new_epoch();
        Self {
            topics: Store::new(limits),
            users: Store::of_run(of(direct.user), run.clone()),
            sessions: Store::of_run(of(direct.session), run),
            presence: Store::new(told),
            budget_bytes: config.budget_bytes,
            direct_bytes: direct.budget_bytes,
        }
    }

    /// The topics', and what patterns stand for.
    pub(crate) fn topics(&mut self) -> &mut Store {
        &mut self.topics
    }

    /// Where a topic's log is.
    pub(crate) fn of(&self, topic: &Topic) -> &Store {
        match topic.direct() {
            None if topic.is_own() => &self.presence,
            None => &self.topics,
            Some(Direct::User) => &self.users,
            Some(Direct::Session) => &self.sessions,
        }
    }

    pub(crate) fn of_mut(&mut self, topic: &Topic) -> &mut Store {
        match topic.direct() {
            None if topic.is_own() => &mut self.presence,
            None => &mut self.topics,
            Some(Direct::User) => &mut self.users,
            Some(Direct::Session) => &mut self.sessions,
        }
    }

    /// Something was stored: the server's own logs give way to topics', the largest kind first.
    pub(crate) fn keep_budget(&mut self) {
        let room = self.budget_bytes.saturating_sub(self.topics.bytes()).min(self.direct_bytes);
        let mut own = [&mut self.users, &mut self.sessions, &mut self.presence];
        let mut over = own.iter().map(|store| store.bytes()).sum::<usize>().saturating_sub(room);
        if over > 0 {
            own.sort_by_key(|store| std::cmp::Reverse(store.bytes()));
            for store in own {
                let before = store.bytes();
                store.shrink_to(before.saturating_sub(over));
                over = over.saturating_sub(before - store.bytes());
            }
        }
    }

    pub(crate) fn remove_interest(&mut self, now: Duration, topic: &Topic, consumer: Consumer) {
        self.of_mut(topic).remove_interest(now, topic, consumer);
    }

    /// What became of payloads that were old enough to be packed.
    pub(crate) fn pack_counts(&self) -> PackCounts {
        let mut counts = self.topics.pack_counts();
        counts += self.users.pack_counts();
        counts += self.sessions.pack_counts();
        counts += self.presence.pack_counts();
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DirectLimits;
    use std::sync::Arc;
    use wse_protocol::{Format, Priority, Publication, UnixMillis};

    const NOW: Duration = Duration::ZERO;

    fn push(stores: &mut Stores, topic: &Topic, bytes: usize) {
        let publication = Publication {
            id: "m".into(),
            event_type: "t".into(),
            ts: UnixMillis(0),
            expires: None,
            key: None,
            priority: Priority::Normal,
            format: Format::Json,
            payload: vec![b'1'; bytes].into(),
        };
        let store = stores.of_mut(topic);
        let id = store.find(topic).unwrap_or_else(|| store.begin(NOW, topic).0);
        store.push(NOW, id, [Arc::new(publication)]);
        stores.keep_budget();
    }

    fn held(stores: &Stores) -> [usize; 3] {
        [&stores.topics, &stores.users, &stores.sessions].map(|store| store.bytes() / 10_000)
    }

    #[test]
    fn messages_to_users_and_sessions_give_way_to_topics_and_to_their_own_bound() {
        let direct = DirectLimits { budget_bytes: 50_000, ..DirectLimits::default() };
        let mut stores = Stores::new(&MemoryConfig::default().budget_bytes(100_000).direct(direct));
        let [user, topic] = [Topic::of_user("u"), Topic::parse("t")].map(|name| name.expect("a name"));
        let session = Topic::of_session(&wse_protocol::SessionId(1));
        for _ in 0..9 {
            push(&mut stores, &user, 10_000);
            push(&mut stores, &session, 10_000);
        }
        assert_eq!(held(&stores).iter().sum::<usize>(), 4, "their own bound: {:?}", held(&stores));
        for _ in 0..9 {
            push(&mut stores, &topic, 10_000);
        }
        assert_eq!(held(&stores), [9, 0, 0], "the topic has all that it wants");
    }

    #[test]
    fn a_million_who_come_and_go_leave_nothing() {
        let mut stores = Stores::new(&MemoryConfig::default());
        for number in 0..1_000_000 {
            let user = Topic::of_user(&number.to_string()).expect("an id");
            let users = stores.of_mut(&user);
            let id = users.begin(NOW, &user).0;
            users.add_interest(NOW, id, Consumer(0));
            users.remove_interest(NOW, &user, Consumer(0));
        }
        assert_eq!((stores.users.remembered(), stores.users.bytes()), (0, 0));
    }
}
