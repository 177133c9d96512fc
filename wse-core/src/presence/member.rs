//! One member of a topic as one process has it: its connections, what the newest wants others to see, and what the bus knows of it.
use bytes::Bytes;
use std::sync::Arc;
use wse_protocol::UnixMillis;

/// What a connection wants others to see of its member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The user; none for an anonymous client.
    pub user: Option<Arc<str>>,
    /// One value of JSON.
    pub data: Bytes,
    /// When the client said so: the newest is shown.
    pub at: UnixMillis,
}

/// What the bus knows of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing.
    #[default]
    No,
    /// Something that was sent, or nothing.
    Unsure,
    Yes(Hold),
}

#[derive(Debug, Default)]
pub(super) struct Local {
    holds: Vec<Held>,
    pub(super) told: Told,
}

#[derive(Debug)]
struct Held {
    connection: u64,
    hold: Hold,
    /// The connection is gone; its client may come back.
    is_lost: bool,
}

impl Local {
    /// A connection enters or changes its data. One that was lost gives way for it: its client has come back.
    pub(super) fn enter(&mut self, connection: u64, mut hold: Hold) {
        if let Some(held) = self.holds.iter_mut().find(|held| held.connection == connection) {
            held.hold = hold;
            return;
        }
        let lost = || self.holds.iter().enumerate().filter(|(_, held)| held.is_lost);
        let same = lost().find(|(_, held)| held.hold.data == hold.data).or_else(|| lost().next()).map(|(index, _)| index);
        let replaced = same.map(|index| self.holds.remove(index));
        // Who comes back as before has changed nothing, whatever its other connections did meanwhile.
        if let Some(before) = replaced.filter(|before| before.hold.data == hold.data) {
            hold.at = before.hold.at;
        }
        self.holds.push(Held { connection, hold, is_lost: false });
    }

    pub(super) fn leave(&mut self, connection: u64) {
        self.holds.retain(|held| held.connection != connection);
    }

    /// A connection is gone. False where nobody can have seen it yet.
    pub(super) fn lose(&mut self, connection: u64) -> bool {
        if let Some(held) = self.holds.iter_mut().find(|held| held.connection == connection) {
            held.is_lost = true;
        }
        self.told != Told::No
    }

    pub(super) fn connections(&self) -> impl Iterator<Item = u64> {
        self.holds.iter().map(|held| held.connection)
    }

    /// What is to be stored, unless it is: then it may or may not be.
    pub(super) fn take(&mut self) -> Option<Option<Hold>> {
        let shown = self.holds.iter().max_by_key(|held| held.hold.at).map(|held| &held.hold);
        let is_known = match (&self.told, shown) {
            (Told::No, None) => true,
            (Told::Yes(known), Some(shown)) => known == shown,
            _ => false,
        };
        if is_known {
            return None;
        }
        let change = shown.cloned();
        self.told = Told::Unsure;
        Some(change)
    }

    /// The bus knows nothing of it any more; false where nobody is left who holds it.
    pub(super) fn begin_again(&mut self) -> bool {
        self.told = Told::No;
        !self.holds.is_empty()
    }

    /// Nobody holds it, and the bus knows.
    pub(super) fn is_over(&self) -> bool {
        self.holds.is_empty() && self.told == Told::No
    }
}
