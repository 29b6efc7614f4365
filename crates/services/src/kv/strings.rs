//! Commands about strings.

use locum_types::Instant;

use super::call::{Call, NOT_AN_INTEGER, Outcome, REPLY_TOO_LARGE, SYNTAX, reach};
use super::number;
use super::store::{Failure, WRONG_TYPE};
use super::values::Value;

const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

pub(super) fn get(call: &mut Call<'_>) -> Outcome {
    match call.core.store.get(call.session.db, call.args.get(1)) {
        Some(Value::String(bytes)) => call.session.out.bulk(bytes),
        None => call.session.out.null(),
        Some(Value::Hash(_) | Value::List(_) | Value::Set(_) | Value::SortedSet(_)) => {
            return Err(WRONG_TYPE.into());
        }
    }
    Ok(())
}

/// What to do about the end of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Unsaid,
    Keep,
    Never,
    At(Instant),
    Past,
}

/// Whether this is one of EX, PX, EXAT, PXAT, before a number.
fn names_end(call: &Call<'_>, index: usize) -> bool {
    index + 1 < call.len() && matches!(call.word(index).as_str(), "EX" | "PX" | "EXAT" | "PXAT")
}

/// Reads an end: one of EX, PX, EXAT, PXAT with its number.
fn end(call: &Call<'_>, index: usize) -> Result<End, Failure> {
    let (seconds, absolute) = match call.word(index).as_str() {
        "EX" => (true, false),
        "PX" => (false, false),
        "EXAT" => (true, true),
        _ => (false, true),
    };
    let amount = call.integer(index + 1)?;
    if amount <= 0 {
        return Err(call.invalid_expiry());
    }
    let end = call.end_of(amount, seconds, absolute)?;
    Ok(end.map_or(End::Past, End::At))
}

pub(super) fn set(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (call.arg(1), call.arg(2));
    let (mut until, mut get, mut only_if) = (End::Unsaid, false, None);
    let (mut index, mut ends) = (3, None);
    while index < call.len() {
        if names_end(call, index) {
            if until != End::Unsaid || ends.is_some() {
                return Err(SYNTAX.into());
            }
            ends = Some(index);
            index += 2;
            continue;
        }
        match call.word(index).as_str() {
            "NX" if only_if != Some(true) => only_if = Some(false),
            "XX" if only_if != Some(false) => only_if = Some(true),
            "GET" => get = true,
            "KEEPTTL" if ends.is_none() => until = End::Keep,
            _ => return Err(SYNTAX.into()),
        }
        index += 1;
    }
    if let Some(index) = ends {
        until = end(call, index)?;
    }
    let exists = if get { reply_old(call, key)? } else { only_if.is_some() && call.exists(key) };
    if only_if.is_some_and(|wanted| wanted != exists) {
        if !get {
            call.out().null();
        }
        return Ok(());
    }
    store(call, key, value, until);
    if !get {
        call.out().ok();
    }
    Ok(())
}

fn store(call: &mut Call<'_>, key: &[u8], value: &[u8], until: End) {
    let db = call.db();
    let end = match until {
        End::Unsaid | End::Never => None,
        End::Keep => call.store().entry(db, key).and_then(|entry| entry.expires_at),
        End::At(end) => Some(end),
        End::Past => {
            call.store().remove(db, key);
            return;
        }
    };
    call.store().set_string(db, key, value, end);
}

pub(super) fn setnx(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (call.arg(1), call.arg(2));
    let fresh = !call.exists(key);
    if fresh {
        store(call, key, value, End::Never);
    }
    call.out().flag(fresh);
    Ok(())
}

fn set_for(call: &mut Call<'_>, seconds: bool) -> Outcome {
    let amount = call.integer(2)?;
    if amount <= 0 {
        return Err(call.invalid_expiry());
    }
    let until = call.end_of(amount, seconds, false)?.map_or(End::Past, End::At);
    let (key, value) = (call.arg(1), call.arg(3));
    store(call, key, value, until);
    call.out().ok();
    Ok(())
}

pub(super) fn setex(call: &mut Call<'_>) -> Outcome {
    set_for(call, true)
}

pub(super) fn psetex(call: &mut Call<'_>) -> Outcome {
    set_for(call, false)
}

/// Writes the string of a key, or null, before the key changes; says whether it is there.
fn reply_old(call: &mut Call<'_>, key: &[u8]) -> Result<bool, Failure> {
    let old = call.core.store.read::<Vec<u8>>(call.session.db, key)?;
    call.session.out.bulk_or_null(old.map(Vec::as_slice));
    if call.session.out.is_cut() {
        return Err(REPLY_TOO_LARGE.into());
    }
    Ok(old.is_some())
}

pub(super) fn getset(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (call.arg(1), call.arg(2));
    reply_old(call, key)?;
    store(call, key, value, End::Never);
    Ok(())
}

pub(super) fn getdel(call: &mut Call<'_>) -> Outcome {
    let key = call.arg(1);
    if reply_old(call, key)? {
        let db = call.db();
        call.store().remove(db, key);
    }
    Ok(())
}

pub(super) fn getex(call: &mut Call<'_>) -> Outcome {
    let ends = call.len() == 4 && names_end(call, 2);
    if !(call.len() == 2 || call.len() == 3 && call.is(2, "PERSIST") || ends) {
        return Err(SYNTAX.into());
    }
    let key = call.arg(1);
    if !reply_old(call, key)? {
        return Ok(());
    }
    let until = match call.len() {
        2 => End::Unsaid,
        3 => End::Never,
        _ => end(call, 2)?,
    };
    let db = call.db();
    match until {
        End::Unsaid | End::Keep => {}
        End::Never => {
            if call.store().entry(db, key).is_some_and(|entry| entry.expires_at.is_some()) {
                call.store().set_end(db, key, None);
            }
        }
        End::At(end) => {
            call.store().set_end(db, key, Some(end));
        }
        End::Past => {
            call.store().remove(db, key);
        }
    }
    Ok(())
}

pub(super) fn mget(call: &mut Call<'_>) -> Outcome {
    let keys = call.args.from(1);
    call.out().array(keys.len());
    for key in keys.iter() {
        match call.core.store.get(call.session.db, key) {
            Some(Value::String(bytes)) => call.session.out.bulk(bytes),
            None | Some(Value::Hash(_) | Value::List(_) | Value::Set(_) | Value::SortedSet(_)) => {
                call.session.out.null();
            }
        }
    }
    Ok(())
}

fn set_all(call: &mut Call<'_>) {
    for (key, value) in call.args.from(1).pairs() {
        store(call, key, value, End::Never);
    }
}

fn check_pairs(call: &Call<'_>) -> Outcome {
    if call.len().is_multiple_of(2) {
        let name = call.spec.name;
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    Ok(())
}

pub(super) fn mset(call: &mut Call<'_>) -> Outcome {
    check_pairs(call)?;
    set_all(call);
    call.out().ok();
    Ok(())
}

pub(super) fn msetnx(call: &mut Call<'_>) -> Outcome {
    check_pairs(call)?;
    let taken = call.args.from(1).pairs().any(|(key, _)| call.exists(key));
    if !taken {
        set_all(call);
    }
    call.out().flag(!taken);
    Ok(())
}

pub(super) fn strlen(call: &mut Call<'_>) -> Outcome {
    let len = call.read::<Vec<u8>>(call.arg(1))?.map_or(0, Vec::len);
    call.out().count(len);
    Ok(())
}

pub(super) fn append(call: &mut Call<'_>) -> Outcome {
    let (key, tail) = (call.arg(1), call.arg(2));
    let len = call.read::<Vec<u8>>(key)?.map_or(0, Vec::len);
    if len + tail.len() > call.core.limits.string() {
        return Err(TOO_LONG.into());
    }
    call.edit_or_create(key, |bytes: &mut Vec<u8>| bytes.extend_from_slice(tail))?;
    call.out().count(len + tail.len());
    Ok(())
}

pub(super) fn getrange(call: &mut Call<'_>) -> Outcome {
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    let backwards = start < 0 && stop < 0 && start > stop;
    let bytes = call.core.store.read::<Vec<u8>>(call.session.db, call.args.get(1))?;
    let bytes = bytes.map_or(b"".as_slice(), Vec::as_slice);
    let (start, count) = if backwards { (0, 0) } else { reach(start, stop, bytes.len()) };
    call.session.out.bulk(bytes.get(start..start + count).unwrap_or_default());
    Ok(())
}

pub(super) fn setrange(call: &mut Call<'_>) -> Outcome {
    let offset = call.integer(2)?;
    let offset = usize::try_from(offset).map_err(|_| "ERR offset is out of range")?;
    let (key, patch) = (call.arg(1), call.arg(3));
    let len = call.read::<Vec<u8>>(key)?.map_or(0, Vec::len);
    if patch.is_empty() {
        call.out().count(len);
        return Ok(());
    }
    let end = offset.saturating_add(patch.len());
    if end > call.core.limits.string() {
        return Err(TOO_LONG.into());
    }
    call.edit_or_create(key, |bytes: &mut Vec<u8>| {
        bytes.resize(len.max(end), 0);
        if let Some(place) = bytes.get_mut(offset..end) {
            place.copy_from_slice(patch);
        }
    })?;
    call.out().count(len.max(end));
    Ok(())
}

fn add(call: &mut Call<'_>, amount: i64) -> Outcome {
    let key = call.arg(1);
    let old = match call.read::<Vec<u8>>(key)? {
        Some(bytes) => number::integer(bytes).ok_or(NOT_AN_INTEGER)?,
        None => 0,
    };
    let new = old.checked_add(amount).ok_or("ERR increment or decrement would overflow")?;
    call.edit_or_create(key, |bytes: &mut Vec<u8>| {
        bytes.clear();
        number::write_integer(bytes, new);
    })?;
    call.out().integer(new);
    Ok(())
}

pub(super) fn incr(call: &mut Call<'_>) -> Outcome {
    add(call, 1)
}

pub(super) fn decr(call: &mut Call<'_>) -> Outcome {
    add(call, -1)
}

pub(super) fn incrby(call: &mut Call<'_>) -> Outcome {
    let amount = call.integer(2)?;
    add(call, amount)
}

pub(super) fn decrby(call: &mut Call<'_>) -> Outcome {
    let amount = call.integer(2)?;
    let amount = amount.checked_neg().ok_or("ERR decrement would overflow")?;
    add(call, amount)
}

pub(super) fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    let key = call.arg(1);
    let old = match call.read::<Vec<u8>>(key)? {
        Some(bytes) => number::float(bytes).ok_or(super::call::NOT_A_FLOAT)?,
        None => 0.0,
    };
    let new = old + call.float(2)?;
    if !new.is_finite() {
        return Err("ERR increment would produce NaN or Infinity".into());
    }
    let text = number::plain(new);
    call.edit_or_create(key, |bytes: &mut Vec<u8>| text.as_bytes().clone_into(bytes))?;
    call.out().text(&text);
    Ok(())
}
