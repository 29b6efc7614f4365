//! A command that is being run: its arguments, who sent it, and what it may touch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use locum_stack::service::FlowId;
use locum_types::Instant;

use super::blocking::Waiting;
use super::number;
use super::pubsub::Channels;
use super::reply::Out;
use super::resp::{Args, Limits};
use super::session::Session;
use super::store::{Entry, Failure, Store};
use super::table::Spec;
use super::values::{Kind, Value};

pub(super) const SYNTAX: &str = "ERR syntax error";
pub(super) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
pub(super) const NOT_A_FLOAT: &str = "ERR value is not a valid float";
pub(super) const REPLY_TOO_LARGE: &str = "ERR reply too large";

/// Nothing, once the reply is written; or the error to reply.
pub(super) type Outcome = Result<(), Failure>;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) store: Store,
    pub(super) channels: Channels,
    pub(super) waiting: Waiting,
    /// Connections that have to take a turn before the event is over.
    pub(super) dirty: BTreeSet<FlowId>,
    /// The wall clock at time 0.
    pub(super) epoch: Duration,
    pub(super) limits: Limits,
    pub(super) commands: u64,
    pub(super) connections: u64,
    /// Bytes kept for connections.
    pub(super) held: usize,
}

impl Core {
    /// Wall-clock time.
    pub(super) fn wall(&self) -> Duration {
        self.wall_at(self.store.now)
    }

    pub(super) fn wall_at(&self, instant: Instant) -> Duration {
        self.epoch + Duration::from_nanos(instant.as_nanos())
    }

    /// The instant of a wall-clock time; what is before time 0 becomes time 0.
    pub(super) fn instant_at(&self, wall: Duration) -> Instant {
        Instant::ZERO + wall.saturating_sub(self.epoch)
    }
}

/// A command under way.
pub(super) struct Call<'c> {
    pub(super) spec: &'static Spec,
    pub(super) args: Args<'c>,
    pub(super) session: &'c mut Session,
    pub(super) core: &'c mut Core,
    /// All other connections.
    pub(super) peers: &'c mut BTreeMap<FlowId, Session>,
}

impl<'c> Call<'c> {
    pub(super) fn out(&mut self) -> &mut Out {
        &mut self.session.out
    }

    /// Refuses what could not be replied, before anything is changed: so many elements, of so many bytes together.
    pub(super) fn must_fit(&self, elements: usize, bytes: usize) -> Outcome {
        self.session.out.has_room(elements, bytes).then_some(()).ok_or(REPLY_TOO_LARGE.into())
    }

    pub(super) fn store(&mut self) -> &mut Store {
        &mut self.core.store
    }

    pub(super) fn db(&self) -> u8 {
        self.session.db
    }

    pub(super) fn arg(&self, index: usize) -> &'c [u8] {
        self.args.get(index)
    }

    pub(super) fn len(&self) -> usize {
        self.args.len()
    }

    /// Whether an argument is this word.
    pub(super) fn is(&self, index: usize, word: &str) -> bool {
        self.arg(index).eq_ignore_ascii_case(word.as_bytes())
    }

    /// An argument as upper-case text, to match it against words.
    pub(super) fn word(&self, index: usize) -> String {
        String::from_utf8_lossy(self.arg(index)).to_ascii_uppercase()
    }

    pub(super) fn integer(&self, index: usize) -> Result<i64, Failure> {
        number::integer(self.arg(index)).ok_or(NOT_AN_INTEGER.into())
    }

    /// An integer that must not be negative.
    pub(super) fn positive(&self, index: usize) -> Result<usize, Failure> {
        let wrong = "ERR value is out of range, must be positive";
        let number = number::integer(self.arg(index)).and_then(|n| usize::try_from(n).ok());
        number.ok_or(wrong.into())
    }

    /// A number of keys or elements that must not be 0.
    pub(super) fn above_zero(&self, index: usize, what: &str) -> Result<usize, Failure> {
        let number = self.positive(index).ok().filter(|number| *number > 0);
        number.ok_or_else(|| format!("ERR {what} should be greater than 0").into())
    }

    /// How many elements are enough; 0 stands for all.
    pub(super) fn limit(&self, index: usize) -> Result<usize, Failure> {
        let limit = self.positive(index).map_err(|_| "ERR LIMIT can't be negative")?;
        Ok(if limit == 0 { usize::MAX } else { limit })
    }

    pub(super) fn float(&self, index: usize) -> Result<f64, Failure> {
        number::float(self.arg(index)).ok_or(NOT_A_FLOAT.into())
    }

    pub(super) fn exists(&mut self, key: &[u8]) -> bool {
        self.core.store.exists(self.session.db, key)
    }

    pub(super) fn read<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&K>, Failure> {
        self.core.store.read(self.session.db, key)
    }

    pub(super) fn edit<K: Kind, T>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> T,
    ) -> Result<Option<T>, Failure> {
        self.core.store.edit(self.session.db, key, change)
    }

    pub(super) fn edit_or_create<K: Kind, T>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> T,
    ) -> Result<T, Failure> {
        self.edit_or_create_if(key, change, |_| true)
    }

    /// Like `edit_or_create`; but who watches the key hears of it only if the result says that something changed.
    ///
    /// Who waits for the key hears of it if it is new. As in Redis not otherwise: a key that was there when they came,
    /// since it had another type, serves nobody.
    pub(super) fn edit_or_create_if<K: Kind, T>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> T,
        changed: impl FnOnce(&T) -> bool,
    ) -> Result<T, Failure> {
        let is_awaited = self.core.waiting.awaits(self.session.db, key) && !self.exists(key);
        let result = self.core.store.edit_or_create(self.session.db, key, change, changed)?;
        if is_awaited {
            self.signal(key);
        }
        Ok(result)
    }

    /// Edits what may turn out to be right already: the change counts what it has changed.
    pub(super) fn amend<K: Kind>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> usize,
    ) -> Result<usize, Failure> {
        let changed = |count: &usize| *count > 0;
        let count = self.core.store.edit_if(self.session.db, key, change, changed)?;
        Ok(count.unwrap_or(0))
    }

    /// Puts the result of a command, which has so many elements, in place of whatever a key had, and replies how many
    /// there are. Without any the key goes.
    pub(super) fn keep(&mut self, key: &[u8], len: usize, value: Value) {
        let db = self.session.db;
        let is_new = !self.exists(key);
        if len == 0 {
            self.core.store.remove(db, key);
        } else {
            self.core.store.put(db, key, Entry { value, expires_at: None });
        }
        if is_new && len > 0 {
            self.signal(key);
        }
        self.session.out.count(len);
    }

    /// Tells those who wait for this key.
    pub(super) fn signal(&mut self, key: &[u8]) {
        self.core.waiting.signal(self.session.db, key);
    }

    /// The error about a subcommand whose arguments are more than its row in the table tells.
    pub(super) fn wrong_subcommand(&self) -> Failure {
        let given: String = String::from_utf8_lossy(self.arg(1)).chars().take(128).collect();
        let name = self.spec.name.to_ascii_uppercase();
        let text = "ERR unknown subcommand or wrong number of arguments for";
        format!("{text} '{given}'. Try {name} HELP.").into()
    }

    /// The error about a subcommand with too many or too few arguments.
    pub(super) fn wrong_arity(&self) -> Failure {
        let subcommand = self.word(1).to_ascii_lowercase();
        let name = self.spec.name;
        format!("ERR wrong number of arguments for '{name}|{subcommand}' command").into()
    }
}

/// Positions `start..=stop` among `len`, negative ones from the end: as start and count.
pub(super) fn window(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let start = from_end(start).max(0);
    let stop = from_end(stop).min(len - 1);
    if start > stop || start >= len {
        return (0, 0);
    }
    (start as usize, (stop - start + 1) as usize)
}

/// Like `window`, but a stop before the beginning is the beginning, as long as the start is not after it.
pub(super) fn reach(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let stop = if stop < 0 { stop.saturating_add(len as i64).max(0) } else { stop };
    window(start, stop, len)
}

#[cfg(test)]
mod tests {
    use super::{reach, window};

    #[test]
    fn windows_count_from_either_end() {
        assert_eq!(window(0, -1, 3), (0, 3));
        assert_eq!(window(-2, 100, 3), (1, 2));
        assert_eq!(window(2, 1, 3), (0, 0));
        assert_eq!(window(i64::MIN, i64::MAX, 3), (0, 3));
        assert_eq!(window(3, 9, 3), (0, 0));
        assert_eq!(window(0, -1, 0), (0, 0));
        assert_eq!((window(-9, -8, 3), reach(-9, -8, 3)), ((0, 0), (0, 1)));
        assert_eq!((reach(0, -1, 0), reach(1, -9, 3)), ((0, 0), (0, 0)));
    }
}
