//! What is worth a close look: silences that clients felt, and the moments at which things
//! happened.

use std::time::Duration;

use locum_types::Mode;

use super::words;
use crate::outcome::{ClientTrack, Fault, ModeChange, Outcome};

/// What a close-up shows before its first event, at least.
const BEFORE: Duration = Duration::from_millis(10);
/// What a fault may take to be felt; things that are nearer to each other belong together.
const EFFECT: Duration = Duration::from_millis(40);
/// A change of mode explains itself in less.
const ASIDE: Duration = Duration::from_millis(10);
/// The beginning and the end of a silence that is longer than this are moments of their own: on one
/// picture with all of it, neither would be seen.
const LONG: Duration = Duration::from_millis(400);
/// No more moments than this are looked at closely.
const MOMENTS: usize = 8;

/// A time without an answer that a client felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// The last answer before it.
    pub(super) from: Duration,
    /// The first one after it, or the end of the run.
    pub(super) until: Duration,
    /// How long it was, less the time between requests.
    pub(super) length: Duration,
}

impl Silence {
    /// The stretches of it that are worth a close look. At the end of the run nothing ends.
    fn worth_seeing(self, end: Duration) -> Vec<(Duration, Duration)> {
        if self.length <= LONG {
            return vec![(self.from, self.until)];
        }
        let begins = (self.from, self.from + EFFECT);
        if self.until >= end {
            return vec![begins];
        }
        vec![begins, (self.until.saturating_sub(ASIDE), self.until + ASIDE)]
    }
}

/// The silences of one client that are longer than one lost request explains.
pub(super) fn silences(track: &ClientTrack, end: Duration) -> Vec<Silence> {
    let mut answers: Vec<Duration> =
        track.requests.iter().filter_map(|&(_, answer)| answer).filter(|&at| at < end).collect();
    answers.sort_unstable();
    // A client that was never answered is silent from its first request.
    let Some(first) = answers.first().or(track.requests.first().map(|(sent, _)| sent)) else {
        return Vec::new();
    };
    let starts = std::iter::once(*first).chain(answers.iter().skip(1).copied());
    let ends = answers.iter().skip(1).copied().chain([end]);
    starts
        .zip(ends)
        .map(|(from, until)| {
            let length = until.saturating_sub(from).saturating_sub(track.every);
            Silence { from, until, length }
        })
        .filter(|silence| silence.length > track.every * 3 / 2)
        .collect()
}

/// A stretch of time in which things happened that belong together.
#[derive(Clone, Debug)]
pub(super) struct Moment<'a> {
    /// What a picture of it shows.
    pub(super) from: Duration,
    /// And to here.
    pub(super) until: Duration,
    /// What its times count from: the first fault, or the first thing that happened.
    pub(super) origin: Duration,
    /// What was done, with its number in the run.
    pub(super) faults: Vec<(usize, &'a Fault)>,
    /// Who changed its mode.
    pub(super) changes: Vec<(u8, &'a ModeChange)>,
    /// Which clients felt it: the longest silence of each, longest first.
    pub(super) silences: Vec<(&'a ClientTrack, Silence)>,
}

/// The moments that tell most, in the order in which they were, and how many others there are.
pub(super) fn choose<'a>(
    outcome: &'a Outcome,
    silences: &[Vec<Silence>],
) -> (Vec<Moment<'a>>, usize) {
    let stretches = stretches(outcome, silences);
    let mut moments: Vec<Moment<'a>> =
        stretches.iter().map(|&stretch| moment(outcome, silences, stretch)).collect();
    let others = moments.len().saturating_sub(MOMENTS);
    if others > 0 {
        moments.sort_by_key(|moment| {
            let felt = moment.silences.first().map(|(_, silence)| silence.length);
            let moved = moment.changes.iter().any(|(_, change)| is_event(change));
            std::cmp::Reverse((felt, moved, !moment.faults.is_empty()))
        });
        moments.truncate(MOMENTS);
        moments.sort_by_key(|moment| moment.from);
    }
    (moments, others)
}

/// Everything that happened, each with the time it takes, joined where they meet.
fn stretches(outcome: &Outcome, silences: &[Vec<Silence>]) -> Vec<(Duration, Duration)> {
    let faults = outcome.faults.iter().map(|fault| (fault.at, fault.at + EFFECT));
    let felt = silences.iter().flatten().flat_map(|silence| silence.worth_seeing(outcome.duration));
    let changes = outcome.nodes.iter().flat_map(|node| &node.changes);
    let changes = changes.filter(|change| is_event(change));
    let changes = changes.map(|change| (change.at, change.at + ASIDE));
    let mut events: Vec<(Duration, Duration)> = faults.chain(felt).chain(changes).collect();
    events.sort_unstable();
    let mut joined: Vec<(Duration, Duration)> = Vec::new();
    for (from, until) in events {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            Some(_) | None => joined.push((from, until)),
        }
    }
    joined
}

/// Whether a change of mode matters to clients, or says that a node was unsure of itself.
fn is_event(change: &ModeChange) -> bool {
    match (change.from, change.to) {
        (Mode::Active, _) | (_, Mode::Active | Mode::Fenced) => true,
        (Mode::Joining | Mode::Waiting | Mode::Fenced, Mode::Joining | Mode::Waiting) => false,
    }
}

fn moment<'a>(
    outcome: &'a Outcome,
    silences: &[Vec<Silence>],
    (begin, end): (Duration, Duration),
) -> Moment<'a> {
    let within = |at: Duration| at >= begin && at <= end;
    let faults: Vec<(usize, &Fault)> =
        outcome.faults.iter().enumerate().filter(|(_, fault)| within(fault.at)).collect();
    let changes = outcome.nodes.iter().flat_map(|node| {
        node.changes.iter().filter(|change| within(change.at)).map(|change| (node.id, change))
    });
    let mut changes: Vec<(u8, &ModeChange)> = changes.collect();
    changes.sort_by_key(|(_, change)| change.at);
    let longest = outcome.clients.iter().zip(silences).filter_map(|(track, silences)| {
        let here = silences.iter().filter(|silence| silence.from <= end && silence.until >= begin);
        Some((track, *here.max_by_key(|silence| silence.length)?))
    });
    let mut felt: Vec<(&ClientTrack, Silence)> = longest.collect();
    felt.sort_by_key(|(_, silence)| std::cmp::Reverse(silence.length));
    let origin = faults.first().map_or(begin, |(_, fault)| fault.at);
    let margin = (end - begin) / 5;
    Moment {
        from: begin.saturating_sub(margin.max(BEFORE)),
        until: (end + margin.max(BEFORE)).min(outcome.duration.max(begin)),
        origin,
        faults,
        changes,
        silences: felt,
    }
}

impl Moment<'_> {
    /// What was done, in a line: `kill node 1, start node 3 (+12 ms)`.
    pub(super) fn title(&self) -> String {
        let said = |(index, fault): (usize, &&Fault)| {
            let after = fault.at.saturating_sub(self.origin);
            match (index, after) {
                (0, _) | (_, Duration::ZERO) => fault.what.clone(),
                (_, after) => format!("{} (+{})", fault.what, words::span(after)),
            }
        };
        let faults = self.faults.iter().map(|(_, fault)| fault).enumerate().map(said);
        match self.faults.len() {
            0 => self.without_a_fault(),
            1.. => some(faults, 3),
        }
    }

    fn without_a_fault(&self) -> String {
        let begins = self.silences.iter().any(|(_, silence)| silence.from >= self.from);
        match self.changes.first() {
            Some(_) | None if begins => "silence".to_owned(),
            Some((id, change)) => format!("node {id} becomes {}", words::mode(change.to)),
            None => "answers come again".to_owned(),
        }
    }

    /// What came of it, in a sentence for each kind of thing.
    pub(super) fn consequences(&self) -> Vec<String> {
        let felt = self.silences.iter().map(|(track, silence)| {
            format!("{} silent for {}", words::program(track), words::span(silence.length))
        });
        let felt = match self.silences.len() {
            0 => "no client felt it".to_owned(),
            1.. => some(felt, 3),
        };
        let changes = self.changes.iter().map(|(id, change)| {
            let after = match change.at.checked_sub(self.origin) {
                Some(Duration::ZERO) => "at once".to_owned(),
                Some(after) => format!("after {}", words::span(after)),
                None => format!("{} before", words::span(self.origin - change.at)),
            };
            format!("node {id} {} {after}", words::mode(change.to))
        });
        let changes = some(changes, 4);
        [felt, changes].into_iter().filter(|sentence| !sentence.is_empty()).collect()
    }
}

/// The first few of many, and how many more there are.
fn some(items: impl ExactSizeIterator<Item = String>, limit: usize) -> String {
    let more = items.len().saturating_sub(limit);
    let mut said: Vec<String> = items.take(limit).collect();
    if more > 0 {
        said.push(format!("{more} more"));
    }
    said.join(", ")
}

#[cfg(test)]
mod tests;
