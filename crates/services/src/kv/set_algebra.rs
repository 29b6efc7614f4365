//! Commands about several sets.

use std::collections::BTreeSet;

use super::call::{Call, Outcome, SYNTAX};
use super::resp::Args;
use super::store::Failure;
use super::values::{Set, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Difference,
    Intersection,
    Union,
}

/// Takes the members of another set out, which has so many, the shorter way.
pub(super) fn subtract<'o>(
    set: &mut Set,
    len: usize,
    members: impl Iterator<Item = &'o [u8]>,
    contains: impl Fn(&[u8]) -> bool,
) {
    if len > set.len() {
        set.retain(|member| !contains(member));
    } else {
        members.for_each(|member| {
            set.remove(member);
        });
    }
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
            Operation::Difference => {
                let members = other.into_iter().flat_map(Set::iter);
                subtract(&mut result, other.map_or(0, Set::len), members, keep);
            }
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
    call.keep(call.arg(1), result.len(), Value::Set(result.into()));
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
    let keys = call.above_zero(1, "numkeys")?;
    if keys > call.len() - 2 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let mut limit = usize::MAX;
    for option in (2 + keys..call.len()).step_by(2) {
        if !call.is(option, "LIMIT") || option + 1 >= call.len() {
            return Err(SYNTAX.into());
        }
        limit = call.limit(option + 1)?;
    }
    let len = compute(call, call.args.from(2).first(keys), Operation::Intersection)?.len();
    call.out().count(len.min(limit));
    Ok(())
}
