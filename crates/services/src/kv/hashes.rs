//! Commands about hashes.

use super::call::{Call, Outcome, SYNTAX};
use super::keys::Scan;
use super::number;
use super::store::Failure;
use super::values::Hash;

fn set_all(call: &mut Call<'_>) -> Result<usize, Failure> {
    if call.len() % 2 == 1 {
        let name = call.spec.name;
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    let fields = call.args.from(2);
    call.edit_or_create(call.arg(1), |hash: &mut Hash| {
        fields.pairs().filter(|(field, value)| hash.set(field, value)).count()
    })
}

pub(super) fn hset(call: &mut Call<'_>) -> Outcome {
    let added = set_all(call)?;
    call.out().count(added);
    Ok(())
}

pub(super) fn hmset(call: &mut Call<'_>) -> Outcome {
    set_all(call)?;
    call.out().ok();
    Ok(())
}

pub(super) fn hsetnx(call: &mut Call<'_>) -> Outcome {
    let (key, field, value) = (call.arg(1), call.arg(2), call.arg(3));
    let there = call.read::<Hash>(key)?.is_some_and(|hash| hash.get(field).is_some());
    if !there {
        call.edit_or_create(key, |hash: &mut Hash| hash.set(field, value))?;
    }
    call.out().flag(!there);
    Ok(())
}

pub(super) fn hget(call: &mut Call<'_>) -> Outcome {
    let hash = call.core.store.read::<Hash>(call.session.db, call.args.get(1))?;
    let value = hash.and_then(|hash| hash.get(call.args.get(2)));
    call.session.out.bulk_or_null(value);
    Ok(())
}

pub(super) fn hmget(call: &mut Call<'_>) -> Outcome {
    let hash = call.core.store.read::<Hash>(call.session.db, call.args.get(1))?;
    let fields = call.args.from(2);
    call.session.out.array(fields.len());
    for field in fields.iter() {
        call.session.out.bulk_or_null(hash.and_then(|hash| hash.get(field)));
    }
    Ok(())
}

pub(super) fn hdel(call: &mut Call<'_>) -> Outcome {
    let fields = call.args.from(2);
    let removed = call.amend(call.arg(1), |hash: &mut Hash| {
        fields.iter().filter(|field| hash.remove(field)).count()
    })?;
    call.out().count(removed);
    Ok(())
}

pub(super) fn hexists(call: &mut Call<'_>) -> Outcome {
    let field = call.arg(2);
    let there = call.read::<Hash>(call.arg(1))?.is_some_and(|hash| hash.get(field).is_some());
    call.out().flag(there);
    Ok(())
}

pub(super) fn hlen(call: &mut Call<'_>) -> Outcome {
    let len = call.read::<Hash>(call.arg(1))?.map_or(0, Hash::len);
    call.out().count(len);
    Ok(())
}

pub(super) fn hstrlen(call: &mut Call<'_>) -> Outcome {
    let field = call.arg(2);
    let value = call.read::<Hash>(call.arg(1))?.and_then(|hash| hash.get(field));
    let len = value.map_or(0, <[u8]>::len);
    call.out().count(len);
    Ok(())
}

pub(super) fn hgetall(call: &mut Call<'_>) -> Outcome {
    let hash = call.core.store.read::<Hash>(call.session.db, call.args.get(1))?;
    let out = &mut call.session.out;
    out.map(hash.map_or(0, Hash::len));
    for (field, value) in hash.into_iter().flat_map(Hash::iter) {
        out.bulk(field);
        out.bulk(value);
    }
    Ok(())
}

fn half(call: &mut Call<'_>, values: bool) -> Outcome {
    let hash = call.core.store.read::<Hash>(call.session.db, call.args.get(1))?;
    let out = &mut call.session.out;
    out.array(hash.map_or(0, Hash::len));
    for (field, value) in hash.into_iter().flat_map(Hash::iter) {
        out.bulk(if values { value } else { field });
    }
    Ok(())
}

pub(super) fn hkeys(call: &mut Call<'_>) -> Outcome {
    half(call, false)
}

pub(super) fn hvals(call: &mut Call<'_>) -> Outcome {
    half(call, true)
}

pub(super) fn hincrby(call: &mut Call<'_>) -> Outcome {
    let (key, field, amount) = (call.arg(1), call.arg(2), call.integer(3)?);
    let old = match call.read::<Hash>(key)?.and_then(|hash| hash.get(field)) {
        Some(value) => number::integer(value).ok_or("ERR hash value is not an integer")?,
        None => 0,
    };
    let new = old.checked_add(amount).ok_or("ERR increment or decrement would overflow")?;
    let text = new.to_string();
    call.edit_or_create(key, |hash: &mut Hash| hash.set(field, text.as_bytes()))?;
    call.out().integer(new);
    Ok(())
}

pub(super) fn hincrbyfloat(call: &mut Call<'_>) -> Outcome {
    let (key, field, amount) = (call.arg(1), call.arg(2), call.float(3)?);
    if !amount.is_finite() {
        return Err("ERR value is NaN or Infinity".into());
    }
    let old = match call.read::<Hash>(key)?.and_then(|hash| hash.get(field)) {
        Some(value) => number::float(value).ok_or("ERR hash value is not a float")?,
        None => 0.0,
    };
    let new = old + amount;
    if !new.is_finite() {
        return Err("ERR increment would produce NaN or Infinity".into());
    }
    let text = number::plain(new);
    call.edit_or_create(key, |hash: &mut Hash| hash.set(field, text.as_bytes()))?;
    call.out().text(&text);
    Ok(())
}

pub(super) fn hscan(call: &mut Call<'_>) -> Outcome {
    let Some(scan) = Scan::within::<Hash>(call)? else { return Ok(()) };
    let hash = call.core.store.read::<Hash>(call.session.db, call.args.get(1))?;
    let (places, cursor) = scan.places(hash.map_or(0, Hash::len));
    let pairs = places.filter_map(|place| hash.and_then(|hash| hash.at(place)));
    let pairs = pairs.filter(|(field, _)| scan.fits(field));
    let found: Vec<&[u8]> = pairs.flat_map(|(field, value)| [field, value]).collect();
    Scan::reply(&mut call.session.out, cursor, &found);
    Ok(())
}

/// How many random elements are wanted.
pub(super) enum Pick {
    /// One, not in an array.
    One,
    /// So many different ones at most.
    Different(usize),
    /// Exactly so many, perhaps with repetitions.
    Any(usize),
}

/// Random elements that one command may ask for with repetitions.
const PICKS_MAX: i64 = 1 << 20;

const BELOW_RANGE: &str =
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";

impl Pick {
    pub(super) fn read(call: &Call<'_>, index: usize) -> Result<Pick, Failure> {
        if call.len() <= index {
            return Ok(Pick::One);
        }
        match call.integer(index)? {
            i64::MIN => Err(BELOW_RANGE.into()),
            count if count < -PICKS_MAX => Err("ERR value is out of range".into()),
            count if count < 0 => Ok(Pick::Any(count.unsigned_abs() as usize)),
            count => Ok(Pick::Different(usize::try_from(count).unwrap_or(usize::MAX))),
        }
    }

    /// Chooses among `len` places.
    pub(super) fn places(&self, len: usize, mut random: impl FnMut(usize) -> usize) -> Vec<usize> {
        match self {
            Pick::One | Pick::Any(_) if len == 0 => Vec::new(),
            Pick::One => vec![random(len)],
            Pick::Any(count) => (0..*count).map(|_| random(len)).collect(),
            Pick::Different(count) if *count >= len => (0..len).collect(),
            Pick::Different(count) => {
                // The first steps of a shuffle, on the places that move only.
                let mut moved = std::collections::BTreeMap::new();
                let pick = |step: usize| {
                    let place = step + random(len - step);
                    let picked = moved.get(&place).copied().unwrap_or(place);
                    let here = moved.get(&step).copied().unwrap_or(step);
                    moved.insert(place, here);
                    picked
                };
                (0..*count).map(pick).collect()
            }
        }
    }
}

pub(super) fn hrandfield(call: &mut Call<'_>) -> Outcome {
    let pick = Pick::read(call, 2)?;
    let values = match call.len() {
        0..=3 => false,
        4 if call.is(3, "WITHVALUES") => true,
        _ => return Err(SYNTAX.into()),
    };
    let (db, key) = (call.db(), call.arg(1));
    let len = call.read::<Hash>(key)?.map_or(0, Hash::len);
    let places = pick.places(len, |end| call.core.store.random(end));
    let hash = call.core.store.read::<Hash>(db, key)?;
    let found = places.iter().filter_map(|place| hash.and_then(|hash| hash.at(*place)));
    let out = &mut call.session.out;
    if matches!(pick, Pick::One) {
        out.bulk_or_null(found.map(|(field, _)| field).next());
        return Ok(());
    }
    out.array(places.len() * if values && !out.resp3 { 2 } else { 1 });
    for (field, value) in found {
        if values && out.resp3 {
            out.array(2);
        }
        out.bulk(field);
        if values {
            out.bulk(value);
        }
    }
    Ok(())
}
