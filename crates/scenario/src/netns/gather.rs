//! Putting together what came of a run: logs, recordings and clients become an [`Outcome`].

use std::time::Duration;

use anyhow::Result;
use locum_lab::capture::Frame;
use locum_types::Mode;
use serde_json::Value;

use super::Time;
use super::client::Record;
use super::life::conditions;
use super::log::LoggedChange;
use super::nodes::{Node, Nodes};
use super::wire;
use crate::model::{Scenario, World};
use crate::outcome::{ClientTrack, Condition, Fault, ModeChange, NodeTrack, Outcome};

/// Nodes write their log a little after the fact, each at its own pace: two that change places by a
/// word of one of them seem to be active together for less than this.
const LOG_SKEW: Duration = Duration::from_millis(1);

pub(super) fn outcome(
    scenario: &Scenario,
    nodes: &Nodes,
    statuses: Vec<Value>,
    records: Vec<Record>,
    faults: Vec<Fault>,
    time: Time,
) -> Result<Outcome> {
    let mut tracks = Vec::new();
    let mut leaks = Vec::new();
    let mut frames_checked = 0;
    for (node, status) in nodes.all().iter().zip(statuses) {
        let seen = Seen::of(node)?;
        let frames = seen.frames.iter();
        frames_checked += frames.filter(|frame| time.within(frame.at).is_some()).count() as u64;
        leaks.extend(seen.leaks(node.id, scenario, time));
        tracks.push(seen.track(node.id, status, time));
    }
    let duration = scenario.duration.0;
    Ok(Outcome {
        scenario: scenario.source.name.clone(),
        world: World::Netns,
        seed: 0,
        duration,
        overlaps: overlaps(&tracks, duration),
        nodes: tracks,
        clients: records.into_iter().map(|record| client_track(record, time)).collect(),
        faults,
        leaks,
        frames_checked,
    })
}

/// All that was seen of a node, from its first start on.
struct Seen {
    frames: Vec<Frame>,
    changes: Vec<LoggedChange>,
    conditions: Vec<(u64, Condition)>,
}

impl Seen {
    fn of(node: &Node) -> Result<Seen> {
        let changes = node.changes();
        let conditions = conditions(&node.life, &changes);
        Ok(Seen { frames: node.capture.drain()?, changes, conditions })
    }

    fn leaks(&self, node: u8, scenario: &Scenario, time: Time) -> Vec<String> {
        let activations = self.changes.iter().filter(|change| change.to == Mode::Active);
        let activations: Vec<u64> = activations.map(|change| change.at).collect();
        let leaks = wire::leaks(
            node,
            &self.frames,
            &self.conditions,
            &activations,
            scenario.group.dead_after(),
        );
        let told = |at: u64| time.within(at).map(humantime::format_duration);
        leaks.iter().filter_map(|leak| Some(format!("{}: {leak}", told(leak.at)?))).collect()
    }

    fn track(self, id: u8, status: Value, time: Time) -> NodeTrack {
        let before = self.conditions.iter().take_while(|(at, _)| time.of(*at).is_none());
        let first = before.last().map_or(Condition::Dead, |&(_, condition)| condition);
        let later = self.conditions.iter();
        let later = later.filter_map(|&(at, condition)| Some((time.within(at)?, condition)));
        let change = |change: LoggedChange| {
            let LoggedChange { at, from, to, cause, term } = change;
            Some(ModeChange { at: time.within(at)?, from, to, cause, term })
        };
        let beats = wire::beats(id, &self.frames).into_iter();
        let words = wire::words(&self.frames).into_iter();
        NodeTrack {
            id,
            conditions: [(Duration::ZERO, first)].into_iter().chain(later).collect(),
            changes: self.changes.into_iter().filter_map(change).collect(),
            beats: beats.filter_map(|at| time.within(at)).collect(),
            words: words.filter_map(|(at, word)| Some((time.within(at)?, word))).collect(),
            status,
        }
    }
}

fn client_track(record: Record, time: Time) -> ClientTrack {
    let Record { client, program, every, requests, connections_lost, .. } = record;
    let request = |(sent, answer): (u64, Option<u64>)| {
        Some((time.within(sent)?, answer.and_then(|answer| time.of(answer))))
    };
    ClientTrack {
        client,
        program,
        every,
        requests: requests.into_iter().filter_map(request).collect(),
        connections_lost: connections_lost.into_iter().filter_map(|at| time.within(at)).collect(),
    }
}

/// The times at which more than one node was active.
fn overlaps(tracks: &[NodeTrack], end: Duration) -> Vec<(Duration, Duration)> {
    let mut overlaps = crate::outcome::overlaps(tracks, end);
    overlaps.retain(|&(_, long)| long >= LOG_SKEW);
    overlaps
}

#[cfg(test)]
mod tests;
