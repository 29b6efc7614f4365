//! Commands about several sorted sets. A plain set passes for a sorted one whose scores are all 1.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::call::{Call, Outcome, SYNTAX};
use super::number;
use super::resp::Args;
use super::set_algebra::{Operation, subtract};
use super::sorted_ranges::write;
use super::store::{Failure, Store, WRONG_TYPE};
use super::values::{Hashing, Score, Set, SortedSet, Value};

/// Members that one command may read again, from keys that it names again.
pub(super) const AGAIN_MAX: usize = 1 << 20;

/// Members with their scores.
type Scored<'s> = Vec<(&'s [u8], f64)>;

/// What a key has for these commands.
#[derive(Clone, Copy, Debug)]
enum Members<'s> {
    Scored(&'s SortedSet),
    Plain(&'s Set),
    Nothing,
}

impl<'s> Members<'s> {
    fn of(value: Option<&'s Value>) -> Result<Self, Failure> {
        match value {
            None => Ok(Members::Nothing),
            Some(Value::SortedSet(sorted)) => Ok(Members::Scored(sorted)),
            Some(Value::Set(set)) => Ok(Members::Plain(set)),
            Some(Value::String(_) | Value::Hash(_) | Value::List(_)) => Err(WRONG_TYPE.into()),
        }
    }

    fn len(self) -> usize {
        match self {
            Members::Scored(sorted) => sorted.len(),
            Members::Plain(set) => set.len(),
            Members::Nothing => 0,
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Members::Scored(sorted) => sorted.score(member),
            Members::Plain(set) => set.contains(member).then_some(1.0),
            Members::Nothing => None,
        }
    }

    fn iter(self) -> impl Iterator<Item = (&'s [u8], f64)> {
        (0..self.len()).filter_map(move |place| match self {
            Members::Scored(sorted) => sorted.at(place),
            Members::Plain(set) => set.at(place).map(|member| (member, 1.0)),
            Members::Nothing => None,
        })
    }
}

/// What becomes of the scores of a member that several sets have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// As Redis does it, also when the second score is not a number.
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum => number_or_zero(one + other),
            Aggregate::Min if other < one => other,
            Aggregate::Max if other > one => other,
            Aggregate::Min | Aggregate::Max => one,
        }
    }
}

/// Infinity less infinity is zero, and so is zero times infinity.
fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What a command asks for.
#[derive(Debug)]
struct Query<'c> {
    operation: Operation,
    keys: Args<'c>,
    /// One for each key, or none if they are all 1.
    weights: Vec<f64>,
    aggregate: Aggregate,
    scores: bool,
    /// So many members are enough.
    limit: usize,
}

/// What its options are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Reply,
    Store,
    Count,
}

impl<'c> Query<'c> {
    /// Reads the number of keys at `at`, and what comes after it.
    fn read(
        call: &mut Call<'c>,
        at: usize,
        operation: Operation,
        purpose: Purpose,
    ) -> Result<Self, Failure> {
        let count = call.integer(at)?;
        if count < 1 {
            let name = call.spec.name;
            return Err(format!("ERR at least 1 input key is needed for '{name}' command").into());
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > call.len() - at - 1 {
            return Err(SYNTAX.into());
        }
        let keys = call.args.from(at + 1).first(count);
        let db = call.db();
        for key in keys.iter() {
            Members::of(call.store().get(db, key))?;
        }
        let mut query = Query {
            operation,
            keys,
            weights: Vec::new(),
            aggregate: Aggregate::Sum,
            scores: false,
            limit: usize::MAX,
        };
        query.read_options(call, at + 1 + count, purpose)?;
        Ok(query)
    }

    fn read_options(&mut self, call: &Call<'c>, mut index: usize, purpose: Purpose) -> Outcome {
        let weighs = self.operation != Operation::Difference && purpose != Purpose::Count;
        while index < call.len() {
            let left = call.len() - index - 1;
            match call.word(index).as_str() {
                "WEIGHTS" if weighs && left >= self.keys.len() => {
                    let given = call.args.from(index + 1).first(self.keys.len());
                    let weights: Option<_> = given.iter().map(number::float).collect();
                    self.weights = weights.ok_or("ERR weight value is not a float")?;
                    index += given.len();
                }
                "AGGREGATE" if weighs && left >= 1 => {
                    index += 1;
                    self.aggregate = match call.word(index).as_str() {
                        "SUM" => Aggregate::Sum,
                        "MIN" => Aggregate::Min,
                        "MAX" => Aggregate::Max,
                        _ => return Err(SYNTAX.into()),
                    };
                }
                "WITHSCORES" if purpose == Purpose::Reply => self.scores = true,
                "LIMIT" if purpose == Purpose::Count && left >= 1 => {
                    index += 1;
                    self.limit = call.limit(index)?;
                }
                _ => return Err(SYNTAX.into()),
            }
            index += 1;
        }
        Ok(())
    }

    /// The sets with their weights, in the order in which they are gone through.
    fn sources<'s>(&self, store: &'s Store, db: u8) -> Result<Vec<(Members<'s>, f64)>, Failure> {
        let mut seen = BTreeSet::new();
        let (mut sources, mut again) = (Vec::new(), 0);
        for (place, key) in self.keys.iter().enumerate() {
            let members = Members::of(store.peek(db, key))?;
            if !seen.insert(key) {
                again += members.len();
            }
            sources.push((members, self.weights.get(place).copied().unwrap_or(1.0)));
        }
        if again > AGAIN_MAX {
            return Err("ERR keys are named too often".into());
        }
        // Sums depend on the order: it is that of Redis, the smallest first.
        if self.operation != Operation::Difference {
            sources.sort_by_key(|(members, _)| members.len());
        }
        Ok(sources)
    }

    /// The members of the result with their scores, in no order.
    fn run<'s>(&self, store: &'s Store, db: u8) -> Result<Scored<'s>, Failure> {
        let sources = self.sources(store, db)?;
        let Some(((first, weight), others)) = sources.split_first() else { return Ok(Vec::new()) };
        Ok(match self.operation {
            Operation::Union => self.union(&sources, store.hashing()),
            Operation::Intersection => {
                let both = |(member, score)| {
                    let score = number_or_zero(weight * score);
                    let more = others
                        .iter()
                        .map(|(other, weight)| other.score(member).map(|score| weight * score));
                    let add = |sum, score: Option<f64>| Some(self.aggregate.of(sum, score?));
                    more.into_iter().try_fold(score, add).map(|score| (member, score))
                };
                first.iter().filter_map(both).take(self.limit).collect()
            }
            Operation::Difference => difference(*first, others, store.hashing()),
        })
    }

    fn union<'s>(&self, sources: &[(Members<'s>, f64)], hashing: &Hashing) -> Scored<'s> {
        let mut sums = IndexMap::with_hasher(hashing.clone());
        for (members, weight) in sources {
            for (member, score) in members.iter() {
                let score = number_or_zero(weight * score);
                let sum = |sum: &mut f64| *sum = self.aggregate.of(*sum, score);
                sums.entry(member).and_modify(sum).or_insert(score);
            }
        }
        sums.into_iter().collect()
    }
}

fn difference<'s>(
    first: Members<'s>,
    others: &[(Members<'s>, f64)],
    hashing: &Hashing,
) -> Scored<'s> {
    let mut left = Set::new(hashing);
    first.iter().for_each(|(member, _)| {
        left.insert(member);
    });
    for (other, _) in others {
        let members = other.iter().map(|(member, _)| member);
        subtract(&mut left, other.len(), members, |member| other.score(member).is_some());
    }
    first.iter().filter(|(member, _)| left.contains(member)).collect()
}

fn reply(call: &mut Call<'_>, operation: Operation) -> Outcome {
    let query = Query::read(call, 1, operation, Purpose::Reply)?;
    let mut found = query.run(&call.core.store, call.session.db)?;
    found.sort_by(|one, other| (Score::new(one.1), one.0).cmp(&(Score::new(other.1), other.0)));
    write(&mut call.session.out, &found, query.scores);
    Ok(())
}

fn keep(call: &mut Call<'_>, operation: Operation) -> Outcome {
    let query = Query::read(call, 2, operation, Purpose::Store)?;
    let mut result = SortedSet::new(call.core.store.hashing());
    let found = query.run(&call.core.store, call.session.db)?;
    found.into_iter().for_each(|(member, score)| result.set(member, score));
    call.keep(call.arg(1), result.len(), Value::SortedSet(result.into()));
    Ok(())
}

pub(super) fn zunion(call: &mut Call<'_>) -> Outcome {
    reply(call, Operation::Union)
}

pub(super) fn zinter(call: &mut Call<'_>) -> Outcome {
    reply(call, Operation::Intersection)
}

pub(super) fn zdiff(call: &mut Call<'_>) -> Outcome {
    reply(call, Operation::Difference)
}

pub(super) fn zunionstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Operation::Union)
}

pub(super) fn zinterstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Operation::Intersection)
}

pub(super) fn zdiffstore(call: &mut Call<'_>) -> Outcome {
    keep(call, Operation::Difference)
}

pub(super) fn zintercard(call: &mut Call<'_>) -> Outcome {
    let query = Query::read(call, 1, Operation::Intersection, Purpose::Count)?;
    let count = query.run(&call.core.store, call.session.db)?.len();
    call.out().count(count);
    Ok(())
}
