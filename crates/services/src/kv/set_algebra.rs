//! Commands about several sets.

use std::collections::BTreeSet;

use super::call::{Call, Outcome, SYNTAX};
use super::number;
use super::resp::Args;
use super::store::{Entry, Failure};
use super::values::{Set, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Difference,
    Intersection,
    Union,
}

fn compute(call: &mut Call<'_>, keys: Args<'_>, operation: Operation) -> Result<Set, Failure> {
    let db = call.db();
    let empty = Set::new(call.core.store.hashing());
    // Every key is checked, even when the result is known before: a wrong type is always an error.
    for key in keys.iter() {
        call.read::<Set>(key)?;
    }
    let mut result = call.read::<Set>(keys.get(0))?.cloned().unwrap_or(empty);
    // A key that is named again changes nothing: so the whole takes no longer than all that the sets have.
    let mut seen = BTreeSet::new();
    for key in keys.from(1).iter().filter(|key| seen.insert(*key)) {
        let other = call.core.store.read::<Set>(db, key)?;
        let keep = |member: &[u8]| other.is_some_and(|other| other.contains(member));
        match operation {
            Operation::Union => {
                other.into_iter().flat_map(Set::iter).for_each(|member| {
                    result.insert(member);
                });
            }
            Operation::Intersection => result.retain(keep),
            Operation::Difference if other.is_some_and(|other| other.len() > result.len()) => {
                result.retain(|member| !keep(member));
            }
            Operation::Difference => other.into_iter().flat_map(Set::iter).for_each(|member| {
                result.remove(member);
            }),
        }
    }
    Ok(result)
}

fn reply(call: &mut Call<'_>, operation: Operation) -> Outcome {
    let result = compute(call, call.args.from(1), operation)?;
    let out = call.out();
    out.set(result.len());
    result.iter().for_each(|member| out.bulk(member));
    Ok(())
}

fn keep(call: &mut Call<'_>, operation: Operation) -> Outcome {
    let result = compute(call, call.args.from(2), operation)?;
    let (db, key, len) = (call.db(), call.arg(1), result.len());
    call.store().put(db, key, Entry { value: Value::Set(result.into()), expires_at: None });
    call.out().count(len);
    Ok(())
}

pub(super) fn sinter(call: &mut Call<'_>) -> Outcome {
    reply(call, Operation::Intersection)
}

pub(super) fn sunion(call: &mut Call<'_>) -> Outcome {
    reply(call, Operation::Union)
}

pub(super) fn sdiff(call: &mut Call<'_>) -> Outcome {
    reply(call, Operation::Difference)
}

pub(super) fn sinterstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Operation::Intersection)
}

pub(super) fn sunionstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Operation::Union)
}

pub(super) fn sdiffstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Operation::Difference)
}

pub(super) fn sintercard(call: &mut Call<'_>) -> Outcome {
    let keys = number::integer(call.arg(1)).and_then(|count| usize::try_from(count).ok());
    let keys = keys.filter(|n| *n > 0).ok_or("ERR numkeys should be greater than 0")?;
    if keys > call.len() - 2 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let mut limit = 0;
    for option in (2 + keys..call.len()).step_by(2) {
        if !call.is(option, "LIMIT") || option + 1 >= call.len() {
            return Err(SYNTAX.into());
        }
        let given = call.integer(option + 1).ok().and_then(|n| usize::try_from(n).ok());
        limit = given.ok_or("ERR LIMIT can't be negative")?;
    }
    let len = compute(call, call.args.from(2).first(keys), Operation::Intersection)?.len();
    call.out().count(if limit == 0 { len } else { len.min(limit) });
    Ok(())
}
