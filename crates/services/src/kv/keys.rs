//! Commands about keys of any type.

use std::time::Duration;

use locum_types::Instant;

use super::call::{Call, NOT_AN_INTEGER, Outcome, SYNTAX};
use super::glob::{self, Pattern};
use super::number;
use super::reply::Out;
use super::store::{DATABASES, Entry, Failure};
use super::values::Kind;

const NO_KEY: &str = "ERR no such key";

impl Call<'_> {
    pub(super) fn invalid_expiry(&self) -> Failure {
        format!("ERR invalid expire time in '{}' command", self.spec.name).into()
    }

    /// The end of a key as a client says it; `None` is in the past.
    pub(super) fn end_of(
        &self,
        amount: i64,
        seconds: bool,
        absolute: bool,
    ) -> Result<Option<Instant>, Failure> {
        let millis = if seconds { amount.checked_mul(1000) } else { Some(amount) };
        let millis = millis.ok_or_else(|| self.invalid_expiry())?;
        let now = self.core.store.now;
        let wall = i64::try_from(self.core.wall().as_millis()).unwrap_or(i64::MAX);
        if !absolute && millis.checked_add(wall).is_none() {
            return Err(self.invalid_expiry());
        }
        let length = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        let end = if absolute { self.core.instant_at(length) } else { now + length };
        Ok((end > now).then_some(end))
    }
}

pub(super) fn del(call: &mut Call<'_>) -> Outcome {
    let db = call.db();
    let removed =
        call.args.from(1).iter().filter(|key| call.core.store.remove(db, key).is_some()).count();
    call.out().count(removed);
    Ok(())
}

pub(super) fn exists(call: &mut Call<'_>) -> Outcome {
    let found = call.args.from(1).iter().filter(|key| call.exists(key)).count();
    call.out().count(found);
    Ok(())
}

pub(super) fn type_of(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.arg(1));
    let name = call.store().entry(db, key).map_or("none", |entry| entry.value.type_name());
    call.out().simple(name);
    Ok(())
}

/// The conditions of EXPIRE.
#[derive(Clone, Copy, Debug, Default)]
struct Only {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Only {
    fn read(call: &Call<'_>) -> Result<Only, Failure> {
        let mut only = Only::default();
        for index in 3..call.len() {
            match call.word(index).as_str() {
                "NX" => only.nx = true,
                "XX" => only.xx = true,
                "GT" => only.gt = true,
                "LT" => only.lt = true,
                _ => {
                    let option = String::from_utf8_lossy(call.arg(index));
                    return Err(format!("ERR Unsupported option {option}").into());
                }
            }
        }
        if only.nx && (only.xx || only.gt || only.lt) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(text.into());
        }
        if only.gt && only.lt {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(only)
    }

    /// Whether an end may take the place of another; the past is `None` for the new one.
    fn allows(self, old: Option<Instant>, new: Option<Instant>) -> bool {
        let later = old.is_some_and(|old| new.is_some_and(|new| new > old));
        let sooner = old.is_none_or(|old| new.is_none_or(|new| new < old));
        !(self.nx && old.is_some()
            || self.xx && old.is_none()
            || self.gt && !later
            || self.lt && !sooner)
    }
}

fn expire_by(call: &mut Call<'_>, seconds: bool, absolute: bool) -> Outcome {
    let only = Only::read(call)?;
    let amount = call.integer(2)?;
    let end = call.end_of(amount, seconds, absolute)?;
    let (db, key) = (call.db(), call.arg(1));
    let old = call.store().entry(db, key).map(|entry| entry.expires_at);
    let done = old.is_some_and(|old| only.allows(old, end));
    if done {
        match end {
            Some(end) => {
                call.store().set_end(db, key, Some(end));
            }
            None => {
                call.store().remove(db, key);
            }
        }
    }
    call.out().flag(done);
    Ok(())
}

pub(super) fn expire(call: &mut Call<'_>) -> Outcome {
    expire_by(call, true, false)
}

pub(super) fn pexpire(call: &mut Call<'_>) -> Outcome {
    expire_by(call, false, false)
}

pub(super) fn expireat(call: &mut Call<'_>) -> Outcome {
    expire_by(call, true, true)
}

pub(super) fn pexpireat(call: &mut Call<'_>) -> Outcome {
    expire_by(call, false, true)
}

/// Tells the end of a key in milliseconds: -2 without a key, -1 without an end.
fn reply_end(call: &mut Call<'_>, tell: impl FnOnce(&Call<'_>, Instant) -> i64) -> Outcome {
    let (db, key) = (call.db(), call.arg(1));
    let told = match call.store().entry(db, key).map(|entry| entry.expires_at) {
        None => -2,
        Some(None) => -1,
        Some(Some(end)) => tell(call, end),
    };
    call.out().integer(told);
    Ok(())
}

/// Milliseconds left, a begun one counted.
fn left(call: &Call<'_>, end: Instant) -> i64 {
    (end - call.core.store.now).as_nanos().div_ceil(1_000_000) as i64
}

fn wall_millis(call: &Call<'_>, end: Instant) -> i64 {
    call.core.wall_at(end).as_millis() as i64
}

pub(super) fn ttl(call: &mut Call<'_>) -> Outcome {
    reply_end(call, |call, end| (left(call, end) + 500) / 1000)
}

pub(super) fn pttl(call: &mut Call<'_>) -> Outcome {
    reply_end(call, left)
}

pub(super) fn expiretime(call: &mut Call<'_>) -> Outcome {
    reply_end(call, |call, end| (wall_millis(call, end) + 500) / 1000)
}

pub(super) fn pexpiretime(call: &mut Call<'_>) -> Outcome {
    reply_end(call, wall_millis)
}

pub(super) fn persist(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.arg(1));
    let ends = call.store().entry(db, key).is_some_and(|entry| entry.expires_at.is_some());
    if ends {
        call.store().set_end(db, key, None);
    }
    call.out().flag(ends);
    Ok(())
}

pub(super) fn keys(call: &mut Call<'_>) -> Outcome {
    glob::check(call.arg(1))?;
    let pattern = Pattern::new(call.arg(1));
    let keys = call.core.store.iter(call.session.db).map(|(key, _)| key);
    let keys: Vec<&[u8]> = keys.filter(|key| pattern.matches(key)).collect();
    call.session.out.bulks(keys.into_iter());
    Ok(())
}

/// The options of SCAN and its kin.
pub(super) struct Scan<'a> {
    cursor: u64,
    pattern: Option<Pattern<'a>>,
    count: usize,
    kind: Option<&'a [u8]>,
}

impl<'a> Scan<'a> {
    /// Reads the cursor at `index` and the options after it.
    pub(super) fn read(call: &Call<'a>, index: usize) -> Result<Self, Failure> {
        let cursor = Scan::cursor(call, index)?;
        let mut scan = Scan { cursor, pattern: None, count: 10, kind: None };
        for option in (index + 1..call.len()).step_by(2) {
            if option + 1 >= call.len() {
                return Err(SYNTAX.into());
            }
            match call.word(option).as_str() {
                "MATCH" => {
                    glob::check(call.arg(option + 1))?;
                    scan.pattern = Some(Pattern::new(call.arg(option + 1)));
                }
                "COUNT" => {
                    let count = call.integer(option + 1)?;
                    scan.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(SYNTAX)?;
                }
                "TYPE" if index == 1 => scan.kind = Some(call.arg(option + 1)),
                _ => return Err(SYNTAX.into()),
            }
        }
        Ok(scan)
    }

    fn cursor(call: &Call<'_>, index: usize) -> Result<u64, Failure> {
        let cursor = std::str::from_utf8(call.arg(index)).ok().and_then(|text| text.parse().ok());
        cursor.ok_or("ERR invalid cursor".into())
    }

    /// Reads what is to be found within a key; nothing, once replied, if the key is not there.
    pub(super) fn within<K: Kind>(call: &mut Call<'a>) -> Result<Option<Self>, Failure> {
        Scan::cursor(call, 2)?;
        if call.read::<K>(call.arg(1))?.is_none() {
            Scan::reply(&mut call.session.out, 0, &[]);
            return Ok(None);
        }
        Scan::read(call, 2).map(Some)
    }

    pub(super) fn fits(&self, name: &[u8]) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(name))
    }

    /// The places to look at, from the highest to the lowest, and the next cursor.
    ///
    /// A scan goes downwards: what is removed is replaced by the last, which has been seen already, so
    /// whatever stays is seen.
    pub(super) fn places(&self, len: usize) -> (std::iter::Rev<std::ops::Range<usize>>, u64) {
        let cursor = usize::try_from(self.cursor).unwrap_or(usize::MAX);
        let end = if cursor == 0 { len } else { cursor.min(len) };
        let start = end.saturating_sub(self.count);
        ((start..end).rev(), start as u64)
    }

    pub(super) fn reply(out: &mut Out, cursor: u64, found: &[&[u8]]) {
        out.array(2);
        out.text(&cursor.to_string());
        out.bulks(found.iter().copied());
    }
}

pub(super) fn scan(call: &mut Call<'_>) -> Outcome {
    let scan = Scan::read(call, 1)?;
    let (store, db) = (&call.core.store, call.session.db);
    let space = store.space(db);
    let (places, cursor) = space.scan(scan.cursor, scan.count);
    let mut found = Vec::new();
    for (key, entry) in places.into_iter().filter_map(|place| space.at(place)) {
        let alive = entry.expires_at.is_none_or(|end| end > store.now);
        let name = entry.value.type_name().as_bytes();
        let typed = scan.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(name));
        if alive && typed && scan.fits(key) {
            found.push(key);
        }
    }
    Scan::reply(&mut call.session.out, cursor, &found);
    Ok(())
}

pub(super) fn randomkey(call: &mut Call<'_>) -> Outcome {
    let db = call.db();
    loop {
        let len = call.store().len(db);
        if len == 0 {
            call.out().null();
            return Ok(());
        }
        let index = call.store().random(len);
        let key = call.store().space(db).nth(index).map(<[u8]>::to_vec).unwrap_or_default();
        // An expired key is removed by the look, so this ends.
        if call.exists(&key) {
            call.out().bulk(&key);
            return Ok(());
        }
    }
}

pub(super) fn rename(call: &mut Call<'_>) -> Outcome {
    let (db, from, to) = (call.db(), call.arg(1), call.arg(2));
    if !call.exists(from) {
        return Err(NO_KEY.into());
    }
    if from != to
        && let Some(entry) = call.store().remove(db, from)
    {
        call.store().put(db, to, entry);
        call.signal(to);
    }
    call.out().ok();
    Ok(())
}

pub(super) fn renamenx(call: &mut Call<'_>) -> Outcome {
    let (db, from, to) = (call.db(), call.arg(1), call.arg(2));
    if !call.exists(from) {
        return Err(NO_KEY.into());
    }
    let free = !call.exists(to);
    if free && let Some(entry) = call.store().remove(db, from) {
        call.store().put(db, to, entry);
        call.signal(to);
    }
    call.out().flag(free);
    Ok(())
}

/// A number that may be one of a database.
pub(super) fn index(text: &[u8], not_a_number: &'static str) -> Result<i64, Failure> {
    let number = number::integer(text).ok_or(not_a_number)?;
    if i32::try_from(number).is_err() {
        if not_a_number != NOT_AN_INTEGER {
            return Err(not_a_number.into());
        }
        let text = "ERR value is out of range, value must between -2147483648 and 2147483647";
        return Err(text.into());
    }
    Ok(number)
}

/// A database by its number.
pub(super) fn database(text: &[u8], not_a_number: &'static str) -> Result<u8, Failure> {
    let number = index(text, not_a_number)?;
    let number = u8::try_from(number).ok().filter(|number| *number < DATABASES);
    number.ok_or("ERR DB index is out of range".into())
}

pub(super) fn move_key(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.arg(1));
    let to = database(call.arg(2), NOT_AN_INTEGER)?;
    if to == db {
        return Err("ERR source and destination objects are the same".into());
    }
    let movable = call.exists(key) && !call.store().exists(to, key);
    if movable && let Some(entry) = call.store().remove(db, key) {
        call.store().put(to, key, entry);
        call.core.waiting.signal(to, key);
    }
    call.out().flag(movable);
    Ok(())
}

pub(super) fn copy(call: &mut Call<'_>) -> Outcome {
    let (db, from, to) = (call.db(), call.arg(1), call.arg(2));
    let (mut target, mut replace) = (db, false);
    let mut index = 3;
    while index < call.len() {
        match call.word(index).as_str() {
            "REPLACE" => replace = true,
            "DB" if index + 1 < call.len() => {
                index += 1;
                target = database(call.arg(index), NOT_AN_INTEGER)?;
            }
            _ => return Err(SYNTAX.into()),
        }
        index += 1;
    }
    if from == to && target == db {
        return Err("ERR source and destination objects are the same".into());
    }
    let free = replace || !call.store().exists(target, to);
    let entry: Option<Entry> = call.store().entry(db, from).filter(|_| free).cloned();
    call.session.out.flag(entry.is_some());
    if let Some(entry) = entry {
        call.store().put(target, to, entry);
        call.core.waiting.signal(target, to);
    }
    Ok(())
}

pub(super) fn object(call: &mut Call<'_>) -> Outcome {
    let word = call.word(1);
    match (word.as_str(), call.len()) {
        ("HELP", _) => return super::help::reply(call),
        ("ENCODING" | "REFCOUNT" | "IDLETIME", 3) => {}
        ("FREQ", 3) if call.exists(call.arg(2)) => {
            let text = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. \
                        Please note that when switching between policies at runtime LRU and LFU data \
                        will take some time to adjust.";
            return Err(text.into());
        }
        ("FREQ", 3) => {}
        _ => return Err(SYNTAX.into()),
    }
    let (db, key) = (call.db(), call.arg(2));
    let encoding = call.store().entry(db, key).map(|entry| entry.value.encoding());
    match (encoding, word.as_str()) {
        (None, _) => call.out().null(),
        (Some(encoding), "ENCODING") => call.out().text(encoding),
        (Some(_), word) => call.out().flag(word == "REFCOUNT"),
    }
    Ok(())
}
