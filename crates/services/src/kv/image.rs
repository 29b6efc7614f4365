//! The snapshot of the service: every key, every connection.

use std::collections::{BTreeMap, VecDeque};

use locum_stack::service::{FlowId, FrozenState, RestoreError};

use super::call::Core;
use super::held::cost;
use super::resp::OwnedArgs;
use super::session::{Blocked, InVain, Multi, Queued, Replies, Session};
use super::space::FrozenSpace;
use super::store::{Counters, DATABASES, Entry, Store};
use super::table::{self, Spec};
use super::values::{End, Hash, Hashing, List, Set, SortedSet, Value};
use crate::codec::{Reader, Writer};

type Result<T> = std::result::Result<T, RestoreError>;

const STRING: u8 = 0;
const HASH: u8 = 1;
const LIST: u8 = 2;
const SET: u8 = 3;
const SORTED_SET: u8 = 4;

/// Where the next byte of a frozen database comes from.
#[derive(Debug, Default)]
struct Cursor {
    /// The count of keys is written.
    begun: bool,
    key: usize,
    /// The next element of its value, once what comes before them is written.
    element: Option<usize>,
}

/// Everything the service holds, at one moment: what comes before the keys, the keys, and what comes after.
#[derive(Debug)]
pub(super) struct Frozen {
    head: Vec<u8>,
    databases: VecDeque<FrozenSpace>,
    tail: Vec<u8>,
    at: Cursor,
}

impl Frozen {
    pub(super) fn new(head: Vec<u8>, store: &Store, tail: Vec<u8>) -> Self {
        Frozen { head, databases: store.freeze().into(), tail, at: Cursor::default() }
    }

    /// Without the keys of all segments but one.
    pub(super) fn only(mut self, number: u64) -> Self {
        for database in &mut self.databases {
            let count = database.segments.len() as u64;
            let chosen = number.checked_rem(count).and_then(|place| {
                usize::try_from(place)
                    .ok()
                    .and_then(|place| database.segments.swap_remove_front(place))
            });
            database.segments = chosen.into_iter().collect();
        }
        self
    }

    /// Writes elements of the next key until `out` is as long as `end`; false if there is no key left.
    fn write_keys(&mut self, end: usize, out: &mut Vec<u8>) -> bool {
        let Some(database) = self.databases.front_mut() else { return false };
        let mut writer = Writer::to(out);
        if !self.at.begun {
            writer.count(database.len);
            self.at.begun = true;
        }
        let Some(segment) = database.segments.front() else {
            self.databases.pop_front();
            self.at = Cursor::default();
            return true;
        };
        match segment.get_index(self.at.key) {
            None => {
                database.segments.pop_front();
                self.at.key = 0;
            }
            Some((key, entry)) => {
                let mut element = self.at.element.take().unwrap_or_else(|| {
                    save_head(key, entry, &mut writer);
                    0
                });
                let elements = entry.value.elements();
                while element < elements && writer.len() < end {
                    save_element(&entry.value, element, &mut writer);
                    element += 1;
                }
                if element < elements {
                    self.at.element = Some(element);
                } else {
                    self.at.key += 1;
                }
            }
        }
        true
    }
}

impl FrozenState for Frozen {
    fn write(&mut self, limit: usize, out: &mut Vec<u8>) -> bool {
        let end = out.len().saturating_add(limit);
        out.append(&mut self.head);
        while out.len() < end {
            if !self.write_keys(end, out) {
                out.append(&mut self.tail);
                return false;
            }
        }
        true
    }
}

/// Writes what comes before the keys.
pub(super) fn save_store(store: &Store, writer: &mut Writer<'_>) {
    let counters = store.counters();
    writer.instant(counters.now);
    writer.instant(counters.not_before);
    for count in [
        counters.version,
        counters.random,
        counters.expired,
        counters.hits,
        counters.misses,
        store.limit.map_or(0, |limit| limit.max(1)),
    ] {
        writer.u64(count);
    }
}

/// Writes a key, its end, and the type and the length of its value.
fn save_head(key: &[u8], entry: &Entry, writer: &mut Writer<'_>) {
    writer.bytes(key);
    writer.bool(entry.expires_at.is_some());
    if let Some(end) = entry.expires_at {
        writer.instant(end);
    }
    let kind = match &entry.value {
        Value::String(_) => return writer.u8(STRING),
        Value::Hash(_) => HASH,
        Value::List(_) => LIST,
        Value::Set(_) => SET,
        Value::SortedSet(_) => SORTED_SET,
    };
    writer.u8(kind);
    writer.count(entry.value.elements());
}

/// Writes one element of a value, by its number.
fn save_element(value: &Value, index: usize, writer: &mut Writer<'_>) {
    let whole = match value {
        Value::String(bytes) => Some(bytes.as_slice()),
        Value::List(list) => list.get(index),
        Value::Set(set) => set.at(index),
        Value::Hash(hash) => hash.at(index).map(|(field, value)| {
            writer.bytes(field);
            value
        }),
        Value::SortedSet(sorted) => {
            if let Some((member, score)) = sorted.at(index) {
                writer.bytes(member);
                writer.u64(score.to_bits());
            }
            None
        }
    };
    whole.into_iter().for_each(|bytes| writer.bytes(bytes));
}

/// Reads the keys of a snapshot into a store that has none.
pub(super) fn load_store(reader: &mut Reader<'_>, store: &mut Store) -> Result<()> {
    let (now, not_before) = (reader.instant()?, reader.instant()?);
    let counters = Counters {
        now,
        not_before,
        version: reader.u64()?,
        random: reader.u64()?,
        expired: reader.u64()?,
        hits: reader.u64()?,
        misses: reader.u64()?,
    };
    store.limit = Some(reader.u64()?).filter(|limit| *limit > 0);
    for db in 0..DATABASES {
        for _ in 0..reader.count()? {
            let key = reader.bytes()?;
            let expires_at = if reader.bool()? { Some(reader.instant()?) } else { None };
            let value = load_value(reader, store.hashing())?;
            // At time 0 nothing has expired yet, so what is there twice is found.
            if value.is_void() || store.exists(db, key) {
                return Err(reader.error("a key in it is empty or there twice"));
            }
            store.put(db, key, Entry { value, expires_at });
        }
    }
    store.set_counters(counters);
    Ok(())
}

fn load_value(reader: &mut Reader<'_>, hashing: &Hashing) -> Result<Value> {
    let kind = reader.u8()?;
    if kind == STRING {
        return Ok(Value::String(reader.bytes()?.to_vec()));
    }
    let count = reader.count()?;
    let mut fresh = true;
    let value = match kind {
        HASH => {
            let mut hash = Hash::new(hashing);
            for _ in 0..count {
                fresh &= hash.set(reader.bytes()?, reader.bytes()?);
            }
            Value::Hash(hash.into())
        }
        LIST => {
            let mut list = List::default();
            for _ in 0..count {
                list.push(End::Right, reader.bytes()?);
            }
            Value::List(list.into())
        }
        SET => {
            let mut set = Set::new(hashing);
            for _ in 0..count {
                fresh &= set.insert(reader.bytes()?);
            }
            Value::Set(set.into())
        }
        SORTED_SET => {
            let mut sorted = SortedSet::new(hashing);
            for _ in 0..count {
                let (member, score) = (reader.bytes()?, f64::from_bits(reader.u64()?));
                fresh &= sorted.score(member).is_none() && !score.is_nan();
                sorted.set(member, score);
            }
            Value::SortedSet(sorted.into())
        }
        other => return Err(reader.error(format!("{other} is no type of a value"))),
    };
    if fresh {
        Ok(value)
    } else {
        Err(reader.error("an element in it is there twice, or no number"))
    }
}

fn save_args(spec: &Spec, args: &OwnedArgs, writer: &mut Writer<'_>) {
    writer.bytes(spec.name.as_bytes());
    writer.count(args.args().len());
    args.args().iter().for_each(|arg| writer.bytes(arg));
}

fn load_args(reader: &mut Reader<'_>) -> Result<(&'static Spec, OwnedArgs)> {
    let name = reader.bytes()?;
    let spec = table::find(name).ok_or_else(|| reader.error("a command in it is unknown"))?;
    let mut args = OwnedArgs::default();
    let mut bytes: usize = 0;
    for _ in 0..reader.count()? {
        let arg = reader.bytes()?;
        bytes += arg.len();
        args.push(arg);
    }
    if !spec.takes(args.args().len()) || u32::try_from(bytes).is_err() {
        return Err(reader.error("a command in it has the wrong arguments"));
    }
    Ok((spec, args))
}

fn load_db(reader: &mut Reader<'_>) -> Result<u8> {
    match reader.u8()? {
        db if db < DATABASES => Ok(db),
        other => Err(reader.error(format!("there is no database {other}"))),
    }
}

pub(super) fn save_session(session: &Session, core: &Core, writer: &mut Writer<'_>) {
    writer.bytes(session.local.to_string().as_bytes());
    writer.bytes(session.remote.to_string().as_bytes());
    writer.instant(session.opened);
    writer.instant(session.active);
    writer.bool(session.out.resp3);
    writer.bytes(session.unsent());
    writer.bytes(&session.input);
    writer.u8(session.db);
    writer.bytes(&session.name);
    writer.bytes(session.last.map_or("", |spec| spec.name).as_bytes());
    writer.u8(match session.replies {
        Replies::On => 0,
        Replies::Off => 1,
        Replies::SkipNext => 2,
    });
    for flag in [session.closing, session.finished, session.paused, session.killed] {
        writer.bool(flag);
    }
    writer.bool(session.multi.is_some());
    if let Some(multi) = &session.multi {
        writer.bool(multi.failed);
        writer.count(multi.queue.len());
        multi.queue.iter().for_each(|queued| save_args(queued.spec, &queued.args, writer));
    }
    writer.count(session.watches.keys.len());
    for ((db, key), version) in &session.watches.keys {
        writer.u8(*db);
        writer.bytes(key);
        writer.u64(*version);
        writer.u64(core.store.current_version(*db, key));
    }
    for names in [&session.channels, &session.patterns] {
        writer.count(names.len());
        names.iter().for_each(|name| writer.bytes(name));
    }
    writer.bool(session.blocked.is_some());
    if let Some(blocked) = &session.blocked {
        writer.u64(blocked.turn);
        writer.bool(blocked.deadline.is_some());
        if let Some(deadline) = blocked.deadline {
            writer.instant(deadline);
        }
        save_args(blocked.spec, &blocked.args, writer);
        writer.count(blocked.keys.len());
        blocked.keys.iter().for_each(|key| writer.bytes(key));
        writer.u8(match blocked.in_vain {
            InVain::Null => 0,
            InVain::NullArray => 1,
            InVain::Zero => 2,
        });
    }
}

/// Reads the connections, and what the core knows about them.
pub(super) fn load_sessions(
    reader: &mut Reader<'_>,
    core: &mut Core,
) -> Result<BTreeMap<FlowId, Session>> {
    let mut sessions = reader.flows(|reader| load_session(reader, core))?;
    for (flow, session) in &mut sessions {
        session.flow = *flow;
        core.channels.add(session);
        if let Some(blocked) = &session.blocked {
            core.waiting.add(session.db, *flow, blocked);
        }
        core.recount(session);
    }
    Ok(sessions)
}

fn load_session(reader: &mut Reader<'_>, core: &mut Core) -> Result<Session> {
    let mut address = || -> Result<std::net::SocketAddr> {
        let text = reader.text()?;
        text.parse().map_err(|_| reader.error(format!("{text} is no address")))
    };
    let (local, remote) = (address()?, address()?);
    let mut session = Session::new(FlowId(0), local, remote, reader.instant()?);
    session.active = reader.instant()?;
    session.out.resp3 = reader.bool()?;
    session.out.bytes = reader.bytes()?.to_vec();
    session.input = reader.bytes()?.to_vec();
    session.db = load_db(reader)?;
    session.name = reader.bytes()?.to_vec();
    session.last = match reader.bytes()? {
        [] => None,
        name => Some(table::find(name).ok_or_else(|| reader.error("a command in it is unknown"))?),
    };
    session.replies = match reader.u8()? {
        0 => Replies::On,
        1 => Replies::Off,
        2 => Replies::SkipNext,
        other => return Err(reader.error(format!("{other} is no way to reply"))),
    };
    session.closing = reader.bool()?;
    session.finished = reader.bool()?;
    session.paused = reader.bool()?;
    session.killed = reader.bool()?;
    session.multi = load_multi(reader)?;
    for _ in 0..reader.count()? {
        let db = load_db(reader)?;
        let key: Box<[u8]> = reader.bytes()?.into();
        let (version, current) = (reader.u64()?, reader.u64()?);
        core.store.restore_watch(db, &key, current);
        session.watches.bytes += cost(&key);
        if session.watches.keys.insert((db, key), version).is_some() {
            return Err(reader.error("a key in it is watched twice"));
        }
    }
    for names in [&mut session.channels, &mut session.patterns] {
        for _ in 0..reader.count()? {
            names.insert(reader.bytes()?);
        }
    }
    session.blocked = load_blocked(reader)?;
    Ok(session)
}

fn load_multi(reader: &mut Reader<'_>) -> Result<Option<Multi>> {
    if !reader.bool()? {
        return Ok(None);
    }
    let mut multi = Multi { failed: reader.bool()?, queue: Vec::new(), bytes: 0 };
    for _ in 0..reader.count()? {
        let (spec, args) = load_args(reader)?;
        if spec.has(table::AT_ONCE) {
            return Err(reader.error("a command in it cannot be queued"));
        }
        multi.bytes += args.size();
        multi.queue.push(Queued { spec, args });
    }
    Ok(Some(multi))
}

fn load_blocked(reader: &mut Reader<'_>) -> Result<Option<Blocked>> {
    if !reader.bool()? {
        return Ok(None);
    }
    let turn = reader.u64()?;
    let deadline = if reader.bool()? { Some(reader.instant()?) } else { None };
    let (spec, args) = load_args(reader)?;
    let mut keys = Vec::new();
    for _ in 0..reader.count()? {
        keys.push(reader.bytes()?.into());
    }
    // Redis does not mark WAIT as one that may block.
    if !spec.has(table::WAITS) && spec.name != "wait" {
        return Err(reader.error("a command in it cannot wait"));
    }
    let in_vain = match reader.u8()? {
        0 => InVain::Null,
        1 => InVain::NullArray,
        2 => InVain::Zero,
        other => return Err(reader.error(format!("nobody waits in vain for {other}"))),
    };
    Ok(Some(Blocked { turn, deadline, spec, args, keys, in_vain }))
}
