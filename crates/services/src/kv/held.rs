//! What connections make the service keep: how much it is, and who has to go when it is too much.
//!
//! Input that is no whole command yet, commands after MULTI, keys that are watched or waited for, subscriptions, and
//! output that waits are all bounded for one connection. Here they are bounded for all of them together.

use std::collections::BTreeSet;
use std::collections::btree_set::Iter;

use locum_stack::service::FlowId;

use super::Kv;
use super::call::Core;
use super::session::{Blocked, MESSAGES_MAX, Session};

/// What a name costs beyond its bytes, which are kept twice.
const NAME: usize = 256;

/// What it costs to keep a key or a channel for a connection, roughly.
pub(super) fn cost(name: &[u8]) -> usize {
    2 * name.len() + NAME
}

/// Channels or patterns of a connection, in order.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: BTreeSet<Box<[u8]>>,
    bytes: usize,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Adds a name; says whether it is new.
    pub(super) fn insert(&mut self, name: &[u8]) -> bool {
        let is_new = self.names.insert(name.into());
        self.bytes += if is_new { cost(name) } else { 0 };
        is_new
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        self.bytes -= if self.names.remove(name) { cost(name) } else { 0 };
    }

    pub(super) fn iter(&self) -> Iter<'_, Box<[u8]>> {
        self.names.iter()
    }
}

impl Blocked {
    fn held(&self) -> usize {
        2 * self.args.size() + self.keys.len() * NAME
    }
}

impl Session {
    /// Bytes that are kept for this connection, roughly.
    fn held(&self) -> usize {
        self.input.len()
            + self.pending()
            + self.name.len()
            + self.multi.as_ref().map_or(0, |multi| multi.bytes)
            + self.watches.bytes
            + self.channels.bytes
            + self.patterns.bytes
            + self.blocked.as_ref().map_or(0, Blocked::held)
    }

    /// Drops what is kept for this connection, which is to be reset.
    fn drop_held(&mut self, core: &mut Core) {
        self.killed = true;
        (self.out.bytes, self.sent, self.input) = (Vec::new(), 0, Vec::new());
        self.multi = None;
        core.let_go(self);
        core.recount(self);
        core.dirty.insert(self.flow);
    }
}

impl Core {
    /// Accounts for what a connection holds now.
    pub(super) fn recount(&mut self, session: &mut Session) {
        let held = session.held();
        self.held = self.held + held - session.counted;
        session.counted = held;
    }

    /// Resets a connection that reads too slowly for so many more bytes that it did not ask for; says whether it had
    /// to.
    pub(super) fn outruns(&mut self, session: &mut Session, message: usize) -> bool {
        // The connections that hold most are reset after the event: until then there is twice the room.
        let is_too_much = session.pending() + message > MESSAGES_MAX
            || self.held + message > 2 * self.limits.held;
        if is_too_much && !session.killed {
            session.drop_held(self);
        }
        is_too_much
    }
}

impl Kv {
    /// Resets the connections that hold most, while all together hold too much.
    pub(super) fn relieve(&mut self) {
        while self.core.held > self.core.limits.held {
            let most = |(flow, session): (&FlowId, &Session)| (session.counted, *flow);
            let Some((_, flow)) = self.sessions.iter().map(most).max() else { return };
            let Some(session) = self.sessions.get_mut(&flow).filter(|s| s.counted > 0) else {
                return;
            };
            session.drop_held(&mut self.core);
        }
    }
}
