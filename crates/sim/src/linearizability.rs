//! Whether a history of operations on one object could have happened one after the other: linearizability.
//!
//! What belongs here: the search, and the histories it takes. What does not: how histories come about
//! ([`crate::program`]), and when they have to be linearizable ([`crate::swarm`]).
//!
//! An operation takes effect at one moment between its invocation and its answer; one that was never answered at any
//! moment after its invocation, or not at all. The search is that of Wing and Gong (*Testing and Verifying
//! Concurrent Objects*, 1993) with Lowe's memory of configurations that were seen before (*Testing for
//! linearizability*, 2017), as in Porcupine. Histories of objects that do not depend on each other are to be
//! checked one by one, which is what keeps it fast (P-compositionality).

mod string;

use std::collections::BTreeSet;
use std::fmt::{Debug, Write};

use locum_types::Instant;

pub use string::{Answer, Command, StringKey};

/// An object, as if it were used by one client alone.
pub trait Model {
    /// What it holds.
    type State: Clone + Ord;
    /// What it is asked.
    type Input: Debug;
    /// What it answers.
    type Output: Debug + Eq;

    /// What it holds at first.
    fn initial() -> Self::State;

    /// What it holds after an operation, and what it answers.
    fn step(state: &Self::State, input: &Self::Input) -> (Self::State, Self::Output);
}

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<I, O> {
    /// When the client began to ask.
    pub invoked: Instant,
    /// What it asked.
    pub input: I,
    /// When it had all of the answer, and what that was; `None`: there was none.
    pub answer: Option<(Instant, O)>,
}

/// What the search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains every answer.
    Linearizable,
    /// There is none: with the operations around the first answer that no order explains.
    Violated(String),
    /// The search was given up.
    Undecided,
}

/// A moment of the history: an invocation, or an answer. In a list, so that both can be taken out and put back.
struct Moment {
    operation: usize,
    is_answer: bool,
    before: usize,
    after: usize,
}

/// When operations that were not answered end.
const FAR: Instant = Instant::from_nanos(u64::MAX);
/// The place before the first moment, and after the last one.
const RIM: usize = 0;

/// Searches for an order; `steps_max` bounds the work.
pub fn check<M: Model>(history: &[Operation<M::Input, M::Output>], steps_max: usize) -> Verdict {
    let mut moments = Moments::of(history);
    let mut state = M::initial();
    let mut done = Set::new(history.len());
    let mut seen: BTreeSet<(Set, M::State)> = BTreeSet::new();
    let mut order: Vec<(usize, M::State)> = Vec::new();
    let (mut at, mut best) = (moments.list[RIM].after, (0, RIM));
    for _ in 0..steps_max {
        let Moment { operation, is_answer, after, .. } = moments.list[at];
        if at == RIM {
            return Verdict::Linearizable;
        }
        if is_answer {
            // This answer has to be explained before anything later is looked at: the last choice was wrong.
            best = best.max((order.len(), at));
            let Some((last, before)) = order.pop() else {
                return Verdict::Violated(explain(history, moments.list[best.1].operation));
            };
            done.remove(moments.list[last].operation);
            state = before;
            moments.put_back(last);
            at = moments.list[last].after;
            continue;
        }
        let Operation { input, answer, .. } = &history[operation];
        let (next, output) = M::step(&state, input);
        let fits = answer.as_ref().is_none_or(|(_, answer)| *answer == output);
        at = after;
        if fits {
            done.insert(operation);
            if seen.insert((done.clone(), next.clone())) {
                let invocation = moments.take_out(operation);
                order.push((invocation, std::mem::replace(&mut state, next)));
                at = moments.list[RIM].after;
            } else {
                done.remove(operation);
            }
        }
    }
    Verdict::Undecided
}

/// The operations that were under way with the one that no order explains, in the order of their invocations.
fn explain<I: Debug, O: Debug>(history: &[Operation<I, O>], wrong: usize) -> String {
    let begun = history[wrong].invoked;
    let ended = history[wrong].answer.as_ref().map_or(FAR, |(at, _)| *at);
    let overlaps = |operation: &&Operation<I, O>| {
        let end = operation.answer.as_ref().map_or(FAR, |(at, _)| *at);
        operation.invoked <= ended && end >= begun
    };
    let before = history.iter().filter(|it| it.answer.as_ref().is_some_and(|(at, _)| *at < begun));
    let mut shown: Vec<_> = before.collect();
    shown.sort_by_key(|it| it.answer.as_ref().map(|(at, _)| *at));
    let mut shown: Vec<_> = shown.into_iter().rev().take(4).collect();
    shown.extend(history.iter().filter(overlaps));
    shown.sort_by_key(|operation| operation.invoked);
    let mut text = String::new();
    for operation in shown {
        let mark = if std::ptr::eq(operation, &history[wrong]) { " <- why?" } else { "" };
        let _ = match &operation.answer {
            Some((at, answer)) => writeln!(
                text,
                "{} .. {at} {:?}: {answer:?}{mark}",
                operation.invoked, operation.input
            ),
            None => writeln!(text, "{} .. {:?}: no answer", operation.invoked, operation.input),
        };
    }
    text
}

/// All moments, in order; those of operations that are in the order so far are taken out.
struct Moments {
    list: Vec<Moment>,
    /// Where the moments of each operation are.
    invocations: Vec<usize>,
    answers: Vec<usize>,
}

impl Moments {
    fn of<I, O>(history: &[Operation<I, O>]) -> Self {
        let mut sorted: Vec<(Instant, bool, usize)> = Vec::with_capacity(2 * history.len());
        for (index, operation) in history.iter().enumerate() {
            let end = operation.answer.as_ref().map_or(FAR, |(at, _)| *at);
            sorted.extend([(operation.invoked, false, index), (end, true, index)]);
        }
        // At the same moment invocations come first: who is to say which was first.
        sorted.sort_unstable();
        let len = sorted.len();
        let mut list =
            vec![Moment { operation: 0, is_answer: false, before: len, after: 1 % (len + 1) }];
        let (mut invocations, mut answers) = (vec![RIM; history.len()], vec![RIM; history.len()]);
        for (index, (_, is_answer, operation)) in sorted.into_iter().enumerate() {
            let place = index + 1;
            let places = if is_answer { &mut answers } else { &mut invocations };
            places[operation] = place;
            list.push(Moment {
                operation,
                is_answer,
                before: index,
                after: (place + 1) % (len + 1),
            });
        }
        Moments { list, invocations, answers }
    }

    /// Takes both moments of an operation out; returns the place of its invocation.
    fn take_out(&mut self, operation: usize) -> usize {
        let places = [self.invocations[operation], self.answers[operation]];
        for place in places {
            let Moment { before, after, .. } = self.list[place];
            self.list[before].after = after;
            self.list[after].before = before;
        }
        places[0]
    }

    /// Puts both moments of the operation whose invocation is at a place back: the last that was taken out.
    fn put_back(&mut self, invocation: usize) {
        let operation = self.list[invocation].operation;
        for place in [self.answers[operation], self.invocations[operation]] {
            let Moment { before, after, .. } = self.list[place];
            self.list[before].after = place;
            self.list[after].before = place;
        }
    }
}

/// Operations that are in the order so far.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Set(Vec<u64>);

impl Set {
    fn new(len: usize) -> Self {
        Set(vec![0; len.div_ceil(64)])
    }

    fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    fn remove(&mut self, index: usize) {
        self.0[index / 64] &= !(1 << (index % 64));
    }
}

#[cfg(test)]
mod tests;
