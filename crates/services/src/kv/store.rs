//! The key space: databases, expiry and the account of memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use locum_types::Instant;

use super::space::{FrozenSpace, Place, Space};
use super::values::{Hashing, Kind, Value};

/// The databases there are.
pub(super) const DATABASES: u8 = 16;

/// Keys that one tick removes at most.
const EXPIRED_PER_TICK: usize = 256;
/// The least time from one tick for expired keys to the next.
const TICK: Duration = Duration::from_millis(1);
/// What a key costs beyond its bytes, roughly.
const KEY: usize = 96;

/// Why a command failed: the text of the error reply.
pub(super) type Failure = Cow<'static, str>;

pub(super) const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";
pub(super) const WRONG_TYPE: &str =
    "WRONGTYPE Operation against a key holding the wrong kind of value";

/// A key's value and its end.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) expires_at: Option<Instant>,
}

/// A key somebody watches.
#[derive(Debug, Default)]
struct Watched {
    watchers: usize,
    version: u64,
}

/// One database.
#[derive(Debug)]
struct Database {
    entries: Space,
    expiries: BTreeSet<(Instant, Box<[u8]>)>,
    watched: BTreeMap<Box<[u8]>, Watched>,
}

/// All databases.
#[derive(Debug)]
pub(super) struct Store {
    databases: Vec<Database>,
    hashing: Hashing,
    /// The time of the event under way.
    pub(super) now: Instant,
    /// Not before this time comes the next tick for expired keys.
    not_before: Instant,
    /// Bytes taken by keys and values, roughly.
    used: usize,
    /// Writing commands that need memory are refused above it.
    pub(super) limit: Option<u64>,
    /// Counts changes of watched keys.
    version: u64,
    /// The state of the random numbers.
    random: u64,
    /// Keys that expired.
    pub(super) expired: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
}

/// What a snapshot holds of a store beyond its keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counters {
    pub(super) now: Instant,
    pub(super) not_before: Instant,
    pub(super) version: u64,
    pub(super) random: u64,
    pub(super) expired: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
}

impl Store {
    pub(super) fn new(seed: u64, limit: Option<u64>) -> Self {
        let hashing = Hashing::with_seed(seed);
        let database = || Database {
            entries: Space::new(&hashing),
            expiries: BTreeSet::new(),
            watched: BTreeMap::new(),
        };
        Store {
            databases: (0..DATABASES).map(|_| database()).collect(),
            hashing,
            now: Instant::ZERO,
            not_before: Instant::ZERO,
            used: 0,
            limit,
            version: 0,
            random: 0,
            expired: 0,
            hits: 0,
            misses: 0,
        }
    }

    fn db(&self, db: u8) -> &Database {
        &self.databases[usize::from(db % DATABASES)]
    }

    fn db_mut(&mut self, db: u8) -> &mut Database {
        &mut self.databases[usize::from(db % DATABASES)]
    }

    pub(super) fn used(&self) -> usize {
        self.used
    }

    pub(super) fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.used as u64 > limit)
    }

    pub(super) fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// The place of a key that is there; one whose time has come is removed.
    fn find(&mut self, db: u8, key: &[u8]) -> Option<Place> {
        let now = self.now;
        let database = self.db(db);
        let place = database.entries.find(key)?;
        let (_, entry) = database.entries.at(place)?;
        if entry.expires_at.is_none_or(|end| end > now) {
            return Some(place);
        }
        self.expire(db, key);
        None
    }

    fn expire(&mut self, db: u8, key: &[u8]) {
        self.take(db, key);
        self.expired += 1;
    }

    pub(super) fn entry(&mut self, db: u8, key: &[u8]) -> Option<&Entry> {
        let place = self.find(db, key)?;
        self.db(db).entries.at(place).map(|(_, entry)| entry)
    }

    pub(super) fn exists(&mut self, db: u8, key: &[u8]) -> bool {
        self.find(db, key).is_some()
    }

    /// The value of a key for a reading command.
    pub(super) fn get(&mut self, db: u8, key: &[u8]) -> Option<&Value> {
        let Some(place) = self.find(db, key) else {
            self.misses += 1;
            return None;
        };
        self.hits += 1;
        self.db(db).entries.at(place).map(|(_, entry)| &entry.value)
    }

    /// The bytes that a key takes, roughly.
    pub(super) fn usage(&mut self, db: u8, key: &[u8]) -> Option<usize> {
        self.entry(db, key).map(|entry| key.len() + KEY + entry.value.size())
    }

    /// The value of a key that this command has asked for already.
    pub(super) fn peek(&self, db: u8, key: &[u8]) -> Option<&Value> {
        let entries = &self.db(db).entries;
        let (_, entry) = entries.at(entries.find(key)?)?;
        entry.expires_at.is_none_or(|end| end > self.now).then_some(&entry.value)
    }

    /// The value of a key, if it has the right type.
    pub(super) fn read<K: Kind>(&mut self, db: u8, key: &[u8]) -> Result<Option<&K>, Failure> {
        match self.get(db, key) {
            None => Ok(None),
            Some(value) => K::of(value).map(Some).ok_or(WRONG_TYPE.into()),
        }
    }

    /// Changes the value of a key that is there. A collection that ends up empty goes.
    pub(super) fn edit<K: Kind, T>(
        &mut self,
        db: u8,
        key: &[u8],
        change: impl FnOnce(&mut K) -> T,
    ) -> Result<Option<T>, Failure> {
        self.edit_if(db, key, change, |_| true)
    }

    /// Like `edit`; but who watches the key hears of it only if the result says that something changed.
    pub(super) fn edit_if<K: Kind, T>(
        &mut self,
        db: u8,
        key: &[u8],
        change: impl FnOnce(&mut K) -> T,
        changed: impl FnOnce(&T) -> bool,
    ) -> Result<Option<T>, Failure> {
        let Some(place) = self.find(db, key) else { return Ok(None) };
        let Some(entry) = self.db_mut(db).entries.at_mut(place) else { return Ok(None) };
        let before = entry.value.size();
        let value = K::of_mut(&mut entry.value).ok_or(WRONG_TYPE)?;
        let result = change(value);
        let (after, void) = (entry.value.size(), entry.value.is_void());
        self.used = (self.used + after).saturating_sub(before);
        if void {
            self.take(db, key);
        } else if changed(&result) {
            self.touch(db, key);
        }
        Ok(Some(result))
    }

    /// Changes the value of a key, which is made if it is not there.
    pub(super) fn edit_or_create<K: Kind, T>(
        &mut self,
        db: u8,
        key: &[u8],
        change: impl FnOnce(&mut K) -> T,
        changed: impl FnOnce(&T) -> bool,
    ) -> Result<T, Failure> {
        if self.find(db, key).is_none() {
            let entry = Entry { value: K::empty(&self.hashing), expires_at: None };
            self.used += key.len() + KEY;
            self.db_mut(db).entries.insert(key, entry);
        }
        self.edit_if(db, key, change, changed)?.ok_or("ERR no such key".into())
    }

    /// Sets a string and its end; what was there goes, whatever it was.
    pub(super) fn set_string(&mut self, db: u8, key: &[u8], bytes: &[u8], end: Option<Instant>) {
        let Some(place) = self.find(db, key) else {
            return self.put(
                db,
                key,
                Entry { value: Value::String(bytes.to_vec()), expires_at: end },
            );
        };
        let database = self.db_mut(db);
        let Some(entry) = database.entries.at_mut(place) else { return };
        let before = entry.value.size();
        match &mut entry.value {
            Value::String(old) => bytes.clone_into(old),
            other @ (Value::Hash(_) | Value::List(_) | Value::Set(_) | Value::SortedSet(_)) => {
                *other = Value::String(bytes.to_vec());
            }
        }
        let old_end = std::mem::replace(&mut entry.expires_at, end);
        if old_end != end {
            database.reschedule(key, old_end, end);
        }
        self.used = (self.used + bytes.len()).saturating_sub(before);
        self.touch(db, key);
    }

    /// Puts an entry; what was there goes. An empty collection is not put.
    pub(super) fn put(&mut self, db: u8, key: &[u8], entry: Entry) {
        self.take(db, key);
        if entry.value.is_void() {
            return;
        }
        self.used += key.len() + KEY + entry.value.size();
        let database = self.db_mut(db);
        database.reschedule(key, None, entry.expires_at);
        database.entries.insert(key, entry);
        self.touch(db, key);
    }

    /// Removes a key, expired or not.
    fn take(&mut self, db: u8, key: &[u8]) -> Option<Entry> {
        let database = self.db_mut(db);
        let entry = database.entries.remove(key)?;
        database.reschedule(key, entry.expires_at, None);
        self.used = self.used.saturating_sub(key.len() + KEY + entry.value.size());
        self.touch(db, key);
        Some(entry)
    }

    pub(super) fn remove(&mut self, db: u8, key: &[u8]) -> Option<Entry> {
        self.find(db, key)?;
        self.take(db, key)
    }

    /// Sets the end of a key; says whether the key is there.
    pub(super) fn set_end(&mut self, db: u8, key: &[u8], end: Option<Instant>) -> bool {
        let Some(place) = self.find(db, key) else { return false };
        let database = self.db_mut(db);
        let Some(entry) = database.entries.at_mut(place) else { return false };
        let old = std::mem::replace(&mut entry.expires_at, end);
        database.reschedule(key, old, end);
        self.touch(db, key);
        true
    }

    pub(super) fn len(&self, db: u8) -> usize {
        self.db(db).entries.len()
    }

    /// Keys of a database that have an end.
    pub(super) fn ending(&self, db: u8) -> usize {
        self.db(db).expiries.len()
    }

    /// The keys of a database that are there, with their entries, in an order that a snapshot keeps.
    pub(super) fn iter(&self, db: u8) -> impl Iterator<Item = (&[u8], &Entry)> {
        let now = self.now;
        let all = self.db(db).entries.iter();
        all.filter(move |(_, entry)| entry.expires_at.is_none_or(|end| end > now))
    }

    /// All keys of a database, expired or not.
    pub(super) fn space(&self, db: u8) -> &Space {
        &self.db(db).entries
    }

    /// The keys of all databases as they are now, expired or not.
    pub(super) fn freeze(&self) -> Vec<FrozenSpace> {
        self.databases.iter().map(|database| database.entries.freeze()).collect()
    }

    pub(super) fn flush(&mut self, db: u8) {
        let database = self.db_mut(db);
        database.expiries.clear();
        let gone = database.entries.drain();
        for (key, entry) in gone.segments.iter().flat_map(|segment| segment.iter()) {
            self.used = self.used.saturating_sub(key.len() + KEY + entry.value.size());
            self.touch(db, key);
        }
    }

    /// Swaps two databases; whoever watches a key that is in either sees it change.
    pub(super) fn swap(&mut self, one: u8, other: u8) {
        if one == other {
            return;
        }
        for (here, there) in [(one, other), (other, one)] {
            let keys: Vec<Box<[u8]>> = self.db(here).watched.keys().cloned().collect();
            for key in keys {
                let both = [here, there];
                if both.iter().any(|db| self.db(*db).entries.contains(&key)) {
                    self.touch(here, &key);
                }
            }
        }
        self.databases.swap(usize::from(one % DATABASES), usize::from(other % DATABASES));
        let watched = std::mem::take(&mut self.db_mut(one).watched);
        let watched = std::mem::replace(&mut self.db_mut(other).watched, watched);
        self.db_mut(one).watched = watched;
    }

    /// Notes that a key changed.
    fn touch(&mut self, db: u8, key: &[u8]) {
        if self.db(db).watched.is_empty() {
            return;
        }
        self.version += 1;
        let version = self.version;
        if let Some(watched) = self.db_mut(db).watched.get_mut(key) {
            watched.version = version;
        }
    }

    /// Begins to watch a key; returns its version.
    pub(super) fn watch(&mut self, db: u8, key: &[u8]) -> u64 {
        self.find(db, key);
        let watched = self.db_mut(db).watched.entry(key.into()).or_default();
        watched.watchers += 1;
        watched.version
    }

    /// The version of a watched key.
    pub(super) fn watched_version(&mut self, db: u8, key: &[u8]) -> u64 {
        self.find(db, key);
        self.db(db).watched.get(key).map_or(0, |watched| watched.version)
    }

    pub(super) fn unwatch(&mut self, db: u8, key: &[u8]) {
        let watched = &mut self.db_mut(db).watched;
        if let Some(entry) = watched.get_mut(key) {
            entry.watchers -= 1;
            if entry.watchers == 0 {
                watched.remove(key);
            }
        }
    }

    /// Watches a key at a version that a snapshot tells.
    pub(super) fn restore_watch(&mut self, db: u8, key: &[u8], current: u64) {
        let watched = self.db_mut(db).watched.entry(key.into()).or_default();
        watched.watchers += 1;
        watched.version = current;
    }

    /// The version of a watched key, without a look at its end.
    pub(super) fn current_version(&self, db: u8, key: &[u8]) -> u64 {
        self.db(db).watched.get(key).map_or(0, |watched| watched.version)
    }

    /// When the next key is to be removed.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let first = |database: &Database| database.expiries.first().map(|(end, _)| *end);
        let due = self.databases.iter().filter_map(first).min()?;
        Some(due.max(self.not_before))
    }

    /// Removes keys whose time has come, not too many at a time.
    pub(super) fn tick(&mut self) {
        let mut left = EXPIRED_PER_TICK;
        for db in 0..DATABASES {
            while left > 0 {
                let now = self.now;
                let first = self.db(db).expiries.first().filter(|(end, _)| *end <= now);
                let Some((_, key)) = first.cloned() else { break };
                self.expire(db, &key);
                left -= 1;
            }
        }
        self.not_before = self.now + TICK;
    }

    /// A number below `end`, which must not be 0: the same on every node.
    pub(super) fn random(&mut self, end: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * end as u128) >> 64) as usize
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            now: self.now,
            not_before: self.not_before,
            version: self.version,
            random: self.random,
            expired: self.expired,
            hits: self.hits,
            misses: self.misses,
        }
    }

    pub(super) fn set_counters(&mut self, counters: Counters) {
        self.now = counters.now;
        self.not_before = counters.not_before;
        self.version = counters.version;
        self.random = counters.random;
        self.expired = counters.expired;
        self.hits = counters.hits;
        self.misses = counters.misses;
    }
}

impl Database {
    /// Moves a key in the order of ends.
    fn reschedule(&mut self, key: &[u8], old: Option<Instant>, new: Option<Instant>) {
        if let Some(old) = old {
            self.expiries.remove(&(old, key.into()));
        }
        if let Some(new) = new {
            self.expiries.insert((new, key.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_accounted_for_and_given_back() {
        let mut store = Store::new(7, Some(200));
        store.set_string(0, b"k", b"value", Some(Instant::from_millis(5)));
        assert_eq!(store.used(), 1 + KEY + 5);
        store.set_string(0, b"k", &[0; 200], None);
        assert!(store.is_full() && store.ending(0) == 0);
        assert!(store.remove(0, b"k").is_some());
        assert_eq!(store.used(), 0);
    }

    #[test]
    fn a_tick_removes_what_is_due_but_not_too_much_at_once() {
        let mut store = Store::new(7, None);
        for key in 0..EXPIRED_PER_TICK as u64 + 1 {
            store.set_string(3, &key.to_be_bytes(), b"", Some(Instant::from_millis(5)));
        }
        assert_eq!(store.next_tick(), Some(Instant::from_millis(5)));
        store.now = Instant::from_millis(5);
        store.tick();
        assert_eq!((store.len(3), store.next_tick()), (1, Some(Instant::from_millis(6))));
        store.now = Instant::from_millis(6);
        store.tick();
        assert_eq!((store.len(3), store.next_tick(), store.used()), (0, None, 0));
    }

    #[test]
    fn a_watched_key_that_ends_has_changed() {
        let mut store = Store::new(7, None);
        store.set_string(0, b"k", b"", Some(Instant::from_millis(5)));
        let version = store.watch(0, b"k");
        assert_eq!(store.watched_version(0, b"k"), version);
        store.now = Instant::from_millis(5);
        assert_ne!(store.watched_version(0, b"k"), version);
        store.unwatch(0, b"k");
        assert!(store.db(0).watched.is_empty());
    }
}
