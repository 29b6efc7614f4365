//! Commands that take something out by an end, at once or when it comes.

use std::time::Duration;

use super::call::{Call, Outcome, SYNTAX};
use super::resp::Args;
use super::session::InVain;
use super::store::Failure;
use super::values::{End, List, SortedSet};

const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";

/// Refuses to take what could not be replied.
fn must_fit(call: &mut Call<'_>, key: &[u8], end: End, count: usize) -> Outcome {
    let list = call.read::<List>(key)?;
    let (len, bytes) = list.map_or((0, 0), |list| list.weigh(end, count));
    call.must_fit(len + 2, bytes + key.len())
}

fn take(
    call: &mut Call<'_>,
    key: &[u8],
    end: End,
    count: usize,
) -> Result<Vec<Box<[u8]>>, Failure> {
    must_fit(call, key, end, count)?;
    let mut items = Vec::new();
    call.amend(key, |list: &mut List| {
        items.extend((0..count.min(list.len())).filter_map(|_| list.pop(end)));
        items.len()
    })?;
    Ok(items)
}

fn pop(call: &mut Call<'_>, end: End) -> Outcome {
    if call.len() > 3 {
        let name = call.spec.name;
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    let count = if call.len() == 3 { Some(call.positive(2)?) } else { None };
    let key = call.arg(1);
    let there = call.read::<List>(key)?.is_some();
    match count {
        Some(_) if !there => call.out().null_array(),
        Some(count) => {
            let items = take(call, key, end, count)?;
            call.out().bulks(items.iter().map(|item| &**item));
        }
        None => {
            let items = take(call, key, end, 1)?;
            call.out().bulk_or_null(items.first().map(|item| &**item));
        }
    }
    Ok(())
}

pub(super) fn lpop(call: &mut Call<'_>) -> Outcome {
    pop(call, End::Left)
}

pub(super) fn rpop(call: &mut Call<'_>) -> Outcome {
    pop(call, End::Right)
}

/// Takes from a key, and replies what was there; says whether anything was.
type Take = fn(&mut Call<'_>, &[u8], End, usize) -> Result<bool, Failure>;

/// Takes from the first key that has something; says whether there was one.
fn take_first(
    call: &mut Call<'_>,
    keys: Args<'_>,
    (end, count): (End, usize),
    take: Take,
) -> Result<bool, Failure> {
    for key in keys.iter() {
        if call.may_take(key) && take(call, key, end, count)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn blocking_pop(call: &mut Call<'_>, end: End, take: Take) -> Outcome {
    let last = call.len() - 1;
    let timeout = call.timeout(last)?;
    let keys = call.args.from(1).first(last - 1);
    if take_first(call, keys, (end, 1), take)? {
        return Ok(());
    }
    call.wait(keys.iter(), timeout, InVain::NullArray)
}

fn take_item(call: &mut Call<'_>, key: &[u8], end: End, count: usize) -> Result<bool, Failure> {
    let items = take(call, key, end, count)?;
    let Some(item) = items.first() else { return Ok(false) };
    call.out().bulks([key, item].into_iter());
    Ok(true)
}

pub(super) fn blpop(call: &mut Call<'_>) -> Outcome {
    blocking_pop(call, End::Left, take_item)
}

pub(super) fn brpop(call: &mut Call<'_>) -> Outcome {
    blocking_pop(call, End::Right, take_item)
}

fn end(call: &Call<'_>, index: usize) -> Result<End, Failure> {
    match call.word(index).as_str() {
        "LEFT" => Ok(End::Left),
        "RIGHT" => Ok(End::Right),
        _ => Err(SYNTAX.into()),
    }
}

/// Moves an item; says whether there was one.
fn shift(call: &mut Call<'_>, from: End, to: End) -> Result<bool, Failure> {
    let (source, target) = (call.arg(1), call.arg(2));
    if call.read::<List>(source)?.is_none() {
        return Ok(false);
    }
    if let Err(text) = call.read::<List>(target) {
        // Who waits is told as well: the item has come, only its place is wrong.
        call.out().error(&text);
        return Ok(true);
    }
    let item = if source == target {
        // In place: the key keeps its end, even if this is its only item.
        must_fit(call, source, from, 1)?;
        let rotate = |list: &mut List| list.pop(from).inspect(|item| list.push(to, item));
        call.edit(source, rotate)?.flatten()
    } else {
        let item = take(call, source, from, 1)?.pop();
        if let Some(item) = &item {
            call.edit_or_create(target, |list: &mut List| list.push(to, item))?;
        }
        item
    };
    let Some(item) = item else { return Ok(false) };
    call.out().bulk(&item);
    Ok(true)
}

fn shift_or_null(call: &mut Call<'_>, from: End, to: End) -> Outcome {
    if !shift(call, from, to)? {
        call.out().null();
    }
    Ok(())
}

pub(super) fn rpoplpush(call: &mut Call<'_>) -> Outcome {
    shift_or_null(call, End::Right, End::Left)
}

pub(super) fn lmove(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (end(call, 3)?, end(call, 4)?);
    shift_or_null(call, from, to)
}

fn shift_or_wait(call: &mut Call<'_>, from: End, to: End, timeout: usize) -> Outcome {
    let timeout = call.timeout(timeout)?;
    if shift(call, from, to)? {
        return Ok(());
    }
    let source = call.arg(1);
    call.wait(std::iter::once(source), timeout, InVain::Null)
}

pub(super) fn brpoplpush(call: &mut Call<'_>) -> Outcome {
    shift_or_wait(call, End::Right, End::Left, 3)
}

pub(super) fn blmove(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (end(call, 3)?, end(call, 4)?);
    shift_or_wait(call, from, to, 5)
}

/// What LMPOP and its kin take, once their arguments are read.
#[derive(Clone, Copy, Debug)]
struct Many<'c> {
    keys: Args<'c>,
    end: End,
    count: usize,
    /// How long to wait, if there is a timeout in front of the number of keys.
    timeout: Option<Duration>,
}

impl<'c> Many<'c> {
    /// Reads the number of keys at `at`, and what comes after it; `ends` are the names of the two ends.
    fn read(call: &Call<'c>, at: usize, ends: [&str; 2]) -> Result<Self, Failure> {
        let keys = call.above_zero(at, "numkeys")?;
        let word = at.saturating_add(keys).saturating_add(1);
        if word >= call.len() {
            return Err(SYNTAX.into());
        }
        let end = match ends.map(|name| call.is(word, name)) {
            [true, _] => End::Left,
            [_, true] => End::Right,
            [..] => return Err(SYNTAX.into()),
        };
        let mut count = 1;
        if word + 2 < call.len() && call.is(word + 1, "COUNT") {
            count = call.above_zero(word + 2, "count")?;
            if word + 3 < call.len() {
                return Err(SYNTAX.into());
            }
        } else if word + 1 < call.len() {
            return Err(SYNTAX.into());
        }
        let timeout = if at > 1 { call.timeout(at - 1)? } else { None };
        Ok(Many { keys: call.args.from(at + 1).first(keys), end, count, timeout })
    }
}

const LIST_ENDS: [&str; 2] = ["LEFT", "RIGHT"];
const SORTED_ENDS: [&str; 2] = ["MIN", "MAX"];

/// Without waiting.
fn pop_many(call: &mut Call<'_>, ends: [&str; 2], take: Take) -> Outcome {
    let many = Many::read(call, 1, ends)?;
    if !take_first(call, many.keys, (many.end, many.count), take)? {
        call.out().null_array();
    }
    Ok(())
}

fn pop_many_or_wait(call: &mut Call<'_>, ends: [&str; 2], take: Take) -> Outcome {
    let many = Many::read(call, 2, ends)?;
    if take_first(call, many.keys, (many.end, many.count), take)? {
        return Ok(());
    }
    call.wait(many.keys.iter(), many.timeout, InVain::NullArray)
}

fn take_items(call: &mut Call<'_>, key: &[u8], end: End, count: usize) -> Result<bool, Failure> {
    let items = take(call, key, end, count)?;
    if items.is_empty() {
        return Ok(false);
    }
    let out = call.out();
    out.array(2);
    out.bulk(key);
    out.bulks(items.iter().map(|item| &**item));
    Ok(true)
}

pub(super) fn lmpop(call: &mut Call<'_>) -> Outcome {
    pop_many(call, LIST_ENDS, take_items)
}

pub(super) fn blmpop(call: &mut Call<'_>) -> Outcome {
    pop_many_or_wait(call, LIST_ENDS, take_items)
}

/// A member and its score.
type Scored = (Box<[u8]>, f64);

/// Takes the lowest or highest members.
fn take_sorted(
    call: &mut Call<'_>,
    key: &[u8],
    end: End,
    count: usize,
) -> Result<Vec<Scored>, Failure> {
    let own = |(member, score): (&[u8], f64)| (Box::from(member), score);
    let Some(sorted) = call.read::<SortedSet>(key)? else { return Ok(Vec::new()) };
    let taken: Vec<Scored> = match end {
        End::Left => sorted.iter().take(count).map(own).collect(),
        End::Right => sorted.iter().rev().take(count).map(own).collect(),
    };
    let bytes: usize = taken.iter().map(|(member, _)| member.len()).sum();
    call.must_fit(taken.len() * 3 + 2, bytes + key.len())?;
    call.amend(key, |sorted: &mut SortedSet| {
        taken.iter().for_each(|(member, _)| {
            sorted.remove(member);
        });
        taken.len()
    })?;
    Ok(taken)
}

fn pop_sorted(call: &mut Call<'_>, end: End) -> Outcome {
    if call.len() > 3 {
        return Err(SYNTAX.into());
    }
    let counted = call.len() == 3;
    let count = if counted { call.positive(2).map_err(|_| NOT_POSITIVE)? } else { 1 };
    let key = call.arg(1);
    let taken = take_sorted(call, key, end, count)?;
    let out = call.out();
    let nested = counted && out.resp3;
    out.array(taken.len() * if nested { 1 } else { 2 });
    for (member, score) in taken {
        if nested {
            out.array(2);
        }
        out.bulk(&member);
        out.double(score);
    }
    Ok(())
}

pub(super) fn zpopmin(call: &mut Call<'_>) -> Outcome {
    pop_sorted(call, End::Left)
}

pub(super) fn zpopmax(call: &mut Call<'_>) -> Outcome {
    pop_sorted(call, End::Right)
}

fn take_member(call: &mut Call<'_>, key: &[u8], end: End, count: usize) -> Result<bool, Failure> {
    let taken = take_sorted(call, key, end, count)?;
    let Some((member, score)) = taken.first() else { return Ok(false) };
    let out = call.out();
    out.array(3);
    out.bulk(key);
    out.bulk(member);
    out.double(*score);
    Ok(true)
}

pub(super) fn bzpopmin(call: &mut Call<'_>) -> Outcome {
    blocking_pop(call, End::Left, take_member)
}

pub(super) fn bzpopmax(call: &mut Call<'_>) -> Outcome {
    blocking_pop(call, End::Right, take_member)
}

fn take_members(call: &mut Call<'_>, key: &[u8], end: End, count: usize) -> Result<bool, Failure> {
    let taken = take_sorted(call, key, end, count)?;
    if taken.is_empty() {
        return Ok(false);
    }
    let out = call.out();
    out.array(2);
    out.bulk(key);
    out.array(taken.len());
    for (member, score) in taken {
        out.array(2);
        out.bulk(&member);
        out.double(score);
    }
    Ok(true)
}

pub(super) fn zmpop(call: &mut Call<'_>) -> Outcome {
    pop_many(call, SORTED_ENDS, take_members)
}

pub(super) fn bzmpop(call: &mut Call<'_>) -> Outcome {
    pop_many_or_wait(call, SORTED_ENDS, take_members)
}
