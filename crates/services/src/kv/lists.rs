//! Commands about lists, but for those that take items out by an end (`pops`).

use super::call::{Call, NOT_AN_INTEGER, Outcome, SYNTAX, window};
use super::store::Failure;
use super::values::{End, List};

fn push(call: &mut Call<'_>, end: End, only_if_there: bool) -> Outcome {
    let (key, items) = (call.arg(1), call.args.from(2));
    let change = |list: &mut List| {
        items.iter().for_each(|item| list.push(end, item));
        list.len()
    };
    let len = if only_if_there {
        call.edit(key, change)?.unwrap_or(0)
    } else {
        call.edit_or_create(key, change)?
    };
    call.out().count(len);
    Ok(())
}

pub(super) fn lpush(call: &mut Call<'_>) -> Outcome {
    push(call, End::Left, false)
}

pub(super) fn rpush(call: &mut Call<'_>) -> Outcome {
    push(call, End::Right, false)
}

pub(super) fn lpushx(call: &mut Call<'_>) -> Outcome {
    push(call, End::Left, true)
}

pub(super) fn rpushx(call: &mut Call<'_>) -> Outcome {
    push(call, End::Right, true)
}

pub(super) fn llen(call: &mut Call<'_>) -> Outcome {
    let len = call.read::<List>(call.arg(1))?.map_or(0, List::len);
    call.out().count(len);
    Ok(())
}

/// A place in a list, negative ones from the end.
fn place(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index.saturating_add(len as i64) } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

pub(super) fn lindex(call: &mut Call<'_>) -> Outcome {
    let Some(list) = call.core.store.read::<List>(call.session.db, call.args.get(1))? else {
        call.out().null();
        return Ok(());
    };
    let index = super::number::integer(call.args.get(2)).ok_or(NOT_AN_INTEGER)?;
    let item = place(index, list.len()).and_then(|place| list.get(place));
    call.session.out.bulk_or_null(item);
    Ok(())
}

pub(super) fn lset(call: &mut Call<'_>) -> Outcome {
    let (key, item) = (call.arg(1), call.arg(3));
    let len = call.read::<List>(key)?.ok_or("ERR no such key")?.len();
    let place = place(call.integer(2)?, len).ok_or("ERR index out of range")?;
    call.edit(key, |list: &mut List| list.replace(place, item))?;
    call.out().ok();
    Ok(())
}

pub(super) fn lrange(call: &mut Call<'_>) -> Outcome {
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    match call.core.store.read::<List>(call.session.db, call.args.get(1))? {
        Some(list) => {
            let (start, len) = window(start, stop, list.len());
            call.session.out.bulks(list.range(start, len));
        }
        None => call.session.out.array(0),
    }
    Ok(())
}

pub(super) fn ltrim(call: &mut Call<'_>) -> Outcome {
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    call.edit(call.arg(1), |list: &mut List| {
        let (start, len) = window(start, stop, list.len());
        list.trim(start, len);
    })?;
    call.out().ok();
    Ok(())
}

pub(super) fn lrem(call: &mut Call<'_>) -> Outcome {
    let (count, item) = (call.integer(2)?, call.arg(3));
    let end = if count < 0 { End::Right } else { End::Left };
    let most = if count == 0 { u64::MAX } else { count.unsigned_abs() };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let removed = call.amend(call.arg(1), |list: &mut List| {
        let mut removed = 0;
        list.retain(end, |each| {
            let goes = removed < most && each == item;
            removed += usize::from(goes);
            !goes
        });
        removed
    })?;
    call.out().count(removed);
    Ok(())
}

pub(super) fn linsert(call: &mut Call<'_>) -> Outcome {
    let after = match call.word(2).as_str() {
        "BEFORE" => 0,
        "AFTER" => 1,
        _ => return Err(SYNTAX.into()),
    };
    let (key, pivot, item) = (call.arg(1), call.arg(3), call.arg(4));
    let found = call
        .read::<List>(key)?
        .map(|list| (list.len(), list.iter().position(|each| each == pivot)));
    let len = match found {
        None => 0,
        Some((_, None)) => -1,
        Some((len, Some(at))) => {
            call.edit(key, |list: &mut List| list.insert(at + after, item))?;
            len as i64 + 1
        }
    };
    call.out().integer(len);
    Ok(())
}

pub(super) fn lpos(call: &mut Call<'_>) -> Outcome {
    let (mut rank, mut count, mut most) = (1, None, usize::MAX);
    let unsigned = |index, what: &str| {
        let number = call.integer(index).ok().and_then(|n| usize::try_from(n).ok());
        number.ok_or_else(|| Failure::from(format!("ERR {what} can't be negative")))
    };
    for option in (3..call.len()).step_by(2) {
        if option + 1 >= call.len() {
            return Err(SYNTAX.into());
        }
        match call.word(option).as_str() {
            "RANK" => {
                rank = call.integer(option + 1)?;
                if rank == 0 {
                    let text = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the \
                                second ... or use negative to start from the end of the list";
                    return Err(text.into());
                }
            }
            "COUNT" => count = Some(unsigned(option + 1, "COUNT")?),
            "MAXLEN" => {
                most =
                    Some(unsigned(option + 1, "MAXLEN")?).filter(|n| *n > 0).unwrap_or(usize::MAX);
            }
            _ => return Err(SYNTAX.into()),
        }
    }
    let list = call.core.store.read::<List>(call.session.db, call.args.get(1))?;
    let (item, skip) = (call.args.get(2), rank.unsigned_abs() as usize - 1);
    let take = count.map_or(1, |count| if count == 0 { usize::MAX } else { count });
    let found: Vec<usize> = match list {
        None => Vec::new(),
        Some(list) if rank > 0 => {
            let places = list.iter().enumerate().take(most);
            let places = places.filter(|(_, each)| *each == item).map(|(place, _)| place);
            places.skip(skip).take(take).collect()
        }
        Some(list) => {
            let places = list.iter().enumerate().rev().take(most);
            let places = places.filter(|(_, each)| *each == item).map(|(place, _)| place);
            places.skip(skip).take(take).collect()
        }
    };
    let out = &mut call.session.out;
    match (count, found.first()) {
        (None, None) => out.null(),
        (None, Some(place)) => out.count(*place),
        (Some(_), _) => {
            out.array(found.len());
            found.iter().for_each(|place| out.count(*place));
        }
    }
    Ok(())
}
