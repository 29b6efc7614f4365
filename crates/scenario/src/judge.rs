//! Was it what was expected? Reads an outcome, whichever world it came from, and measures nothing itself.

mod modes;

use std::time::Duration;

use serde_json::Value;

use crate::model::{Expectation, Scenario, Span, World};
use crate::outcome::{ClientTrack, Outcome, Verdict};

/// Leaks named in a verdict; the outcome has them all.
const LEAKS_SHOWN_MAX: usize = 3;

/// A verdict on everything that was expected, and on what always must hold: that no node spoke for the
/// service address while it had to be silent.
pub fn judge(scenario: &Scenario, outcome: &Outcome) -> Vec<Verdict> {
    let mut verdicts = vec![silence(outcome)];
    let tolerance = match outcome.world {
        World::Sim => Duration::ZERO,
        World::Netns => scenario.tolerance.0,
    };
    for expectation in &scenario.expectations {
        let line = scenario.source.line(&expectation.span());
        let mut bench =
            Bench { line, expectation: expectation.get_ref(), outcome, tolerance, verdicts };
        bench.modes();
        bench.clients();
        bench.run();
        bench.counter();
        verdicts = bench.verdicts;
    }
    verdicts
}

/// A duration in the unit that suits it, for people: `31.4ms`.
pub fn brief(duration: Duration) -> String {
    let micros = duration.as_nanos() as f64 / 1e3;
    if duration < Duration::from_millis(1) {
        format!("{micros:.0}us")
    } else if duration < Duration::from_secs(1) {
        format!("{:.1}ms", micros / 1e3)
    } else {
        format!("{:.3}s", micros / 1e6)
    }
}

fn silence(outcome: &Outcome) -> Verdict {
    let leaks = &outcome.leaks;
    let shown: Vec<&str> = leaks.iter().take(LEAKS_SHOWN_MAX).map(String::as_str).collect();
    Verdict {
        expected: "always: no node speaks for the service address unless it is active".to_owned(),
        held: leaks.is_empty() && outcome.frames_checked > 0,
        seen: match leaks.len() {
            0 => format!("{} frames, none of them wrong", outcome.frames_checked),
            count => format!("{count} wrong ones: {}", shown.join("; ")),
        },
    }
}

/// One expectation, and what became of it.
struct Bench<'a> {
    line: usize,
    expectation: &'a Expectation,
    outcome: &'a Outcome,
    /// By how much an outage may exceed what is expected: a real machine has other things to do.
    tolerance: Duration,
    verdicts: Vec<Verdict>,
}

impl Bench<'_> {
    fn note(&mut self, expected: impl AsRef<str>, held: bool, seen: impl Into<String>) {
        let expected = format!("line {}: {}", self.line, expected.as_ref());
        self.verdicts.push(Verdict { expected, held, seen: seen.into() });
    }

    /// The period it is about.
    fn window(&self) -> (Duration, Duration) {
        let end = self.outcome.duration;
        let from = self.expectation.from.unwrap_or_default().0;
        (from, self.expectation.to.map_or(end, |to| to.0.min(end)))
    }

    /// The period in words, empty for the whole run.
    fn when(&self) -> String {
        match (self.expectation.from, self.expectation.to) {
            (None, None) => String::new(),
            (Some(from), None) => format!(" from {from} on"),
            (None, Some(to)) => format!(" until {to}"),
            (Some(from), Some(to)) => format!(" from {from} to {to}"),
        }
    }

    fn clients(&mut self) {
        let Expectation { client, program, .. } = self.expectation;
        let is_meant = |track: &&ClientTrack| {
            client.as_ref().is_none_or(|client| track.client == *client)
                && program.is_none_or(|program| track.program == program)
        };
        for track in self.outcome.clients.iter().filter(is_meant) {
            self.outage(track);
            self.losses(track);
        }
    }

    fn outage(&mut self, track: &ClientTrack) {
        let Expectation { outage_min, outage_max, .. } = *self.expectation;
        let expected = match (outage_min, outage_max) {
            (None, None) => return,
            (None, Some(max)) => format!("at most {max}"),
            (Some(min), None) => format!("at least {min}"),
            (Some(min), Some(max)) => format!("{min} to {max}"),
        };
        let (from, to) = self.window();
        let expected = format!("{} is without an answer for {expected}", who(track)) + &self.when();
        match track.outage(from, to) {
            Some((at, long)) => {
                let held = outage_min.is_none_or(|Span(min)| long >= min)
                    && outage_max.is_none_or(|Span(max)| long <= max + self.tolerance);
                self.note(expected, held, format!("{} from {} on", brief(long), brief(at)));
            }
            None => self.note(expected, false, "never answered"),
        }
    }

    fn losses(&mut self, track: &ClientTrack) {
        let (from, to) = self.window();
        let when = self.when();
        if let Some(max) = self.expectation.lost_max {
            let lost = track.lost(from, to) as u64;
            let sent = track.requests.iter().filter(|&&(at, _)| at >= from && at < to).count();
            let expected = format!("{} loses at most {max} requests{when}", who(track));
            self.note(expected, lost <= max && sent > 0, format!("{lost} of {sent}"));
        }
        if let Some(max) = self.expectation.connections_lost_max {
            let lost = track.connections_lost.iter().filter(|&&at| at >= from && at < to).count();
            let expected = format!("{} loses at most {max} connections{when}", who(track));
            self.note(expected, lost as u64 <= max, lost.to_string());
        }
    }

    fn run(&mut self) {
        let (from, to) = self.window();
        let when = self.when();
        let Expectation { takeovers_min, takeovers_max, overlap_max, .. } = *self.expectation;
        if takeovers_min.is_some() || takeovers_max.is_some() {
            let changes = self.outcome.nodes.iter().flat_map(|node| &node.changes);
            let takeovers = changes.filter(|change| {
                change.to == locum_types::Mode::Active && change.at >= from && change.at < to
            });
            let count = takeovers.count() as u64;
            let (min, max) = (takeovers_min.unwrap_or(0), takeovers_max.unwrap_or(u64::MAX));
            let expected = match (takeovers_min, takeovers_max) {
                (_, None) => format!("at least {min} takeovers{when}"),
                (None, Some(max)) => format!("at most {max} takeovers{when}"),
                (Some(min), Some(max)) => format!("{min} to {max} takeovers{when}"),
            };
            self.note(expected, (min..=max).contains(&count), count.to_string());
        }
        if let Some(Span(max)) = overlap_max {
            let overlaps = self.outcome.overlaps.iter();
            let within =
                overlaps.map(|&(at, long)| (at + long).min(to).saturating_sub(at.max(from)));
            let total: Duration = within.sum();
            let expected = format!("at most {} with two active nodes{when}", brief(max));
            self.note(expected, total <= max, brief(total));
        }
    }

    fn counter(&mut self) {
        let Expectation { node: Some(id), counter: Some(path), min, max, .. } = self.expectation
        else {
            return;
        };
        let expected = match (min, max) {
            (Some(min), Some(max)) => format!("node {id} counts {path}: {min} to {max}"),
            (Some(min), None) => format!("node {id} counts {path}: at least {min}"),
            (None, Some(max)) => format!("node {id} counts {path}: at most {max}"),
            (None, None) => return,
        };
        let node = self.outcome.nodes.iter().find(|node| node.id == *id);
        match node.and_then(|node| count(&node.status, path)) {
            Some(count) => {
                let held = min.is_none_or(|min| count >= min) && max.is_none_or(|max| count <= max);
                self.note(expected, held, count.to_string());
            }
            None if node.is_some_and(|node| node.status.is_null()) => {
                self.note(expected, false, "the node does not run at the end");
            }
            None => self.note(expected, false, "there is no such counter"),
        }
    }
}

fn who(track: &ClientTrack) -> String {
    format!("{} ({})", track.client, track.program)
}

/// The count at a path whose parts are joined by dots. Names may have dots too.
fn count(status: &Value, path: &str) -> Option<u64> {
    if let Some(value) = status.get(path) {
        return value.as_u64();
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let (head, rest) = path.split_at(dot);
        count(status.get(head)?, &rest[1..])
    })
}

#[cfg(test)]
mod tests;
