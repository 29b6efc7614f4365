//! What came of a run, as plain data: the same from both worlds. Judges and reports read it and
//! measure nothing of their own.
//!
//! Times are counted from the moment at which the group had settled; what came before is negative
//! and left out.

use std::time::Duration;

use locum_types::Mode;
use serde::Serialize;

use crate::model::{ProgramKind, World};

/// One run of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The scenario's name: that of its file, without `.toml`.
    pub scenario: String,
    /// Where it ran.
    pub world: World,
    /// The seed of the simulator, or of the switches' draws.
    pub seed: u64,
    /// How long it was, without the settling.
    pub duration: Duration,
    /// The nodes, by id.
    pub nodes: Vec<NodeTrack>,
    /// The clients' programs, in the order of the file.
    pub clients: Vec<ClientTrack>,
    /// What was done.
    pub faults: Vec<Fault>,
    /// Frames that nodes sent for the service while they had to be silent.
    pub leaks: Vec<String>,
    /// Frames that were looked at for that.
    pub frames_checked: u64,
    /// Times at which more than one node was active: when each began, and how long it was.
    pub overlaps: Vec<(Duration, Duration)>,
}

/// One node through the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeTrack {
    /// Its id.
    pub id: u8,
    /// Its condition from each moment on; the first is at zero.
    pub conditions: Vec<(Duration, Condition)>,
    /// Its changes of mode.
    pub changes: Vec<ModeChange>,
    /// When it sent beats.
    pub beats: Vec<Duration>,
    /// What it said by ARP and NDP for the service address.
    pub words: Vec<(Duration, Word)>,
    /// Its status at the end (`locum.status.v1`), `null` if it does not run. In the simulator, those
    /// parts that need no process; and counters are nested, not joined by dots.
    pub status: serde_json::Value,
}

/// What a node's process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// There is none.
    Dead,
    /// It is stopped.
    Frozen,
    /// It runs, in this mode.
    #[serde(untagged)]
    Running(Mode),
}

/// One change of mode, as the node told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModeChange {
    /// When.
    pub at: Duration,
    /// From which mode.
    pub from: Mode,
    /// To which.
    pub to: Mode,
    /// Why, in the words of the log.
    pub cause: String,
    /// The term it is in.
    pub term: u64,
}

/// A frame that says where the service address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Gratuitous ARP, or an unsolicited neighbour advertisement.
    Announcement,
    /// The answer to a question.
    Answer,
    /// A question from the node's own address: is anybody there?
    Probe,
}

/// One program of one client through the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClientTrack {
    /// The client's name.
    pub client: String,
    /// What it sent.
    pub program: ProgramKind,
    /// How often.
    pub every: Duration,
    /// When each request was sent, and when it was answered.
    pub requests: Vec<(Duration, Option<Duration>)>,
    /// When its connection was lost.
    pub connections_lost: Vec<Duration>,
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fault {
    /// When.
    pub at: Duration,
    /// What, for people: `kill node 1`.
    pub what: String,
    /// The node it was done to, if it was one.
    pub node: Option<u8>,
}

/// Something that happens in a run, told at once.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// Something was done.
    Fault(&'a Fault),
    /// A node changed its mode.
    Change {
        /// Its id.
        node: u8,
        /// From what to what, and why.
        change: &'a ModeChange,
    },
    /// The machine stalled under a node: what was told says nothing, and the run begins anew.
    Void {
        /// Its id.
        node: u8,
    },
}

/// What became of one expectation.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// What was expected, for people, with its line in the file.
    pub expected: String,
    /// Whether it held.
    pub held: bool,
    /// What was seen.
    pub seen: String,
}

impl NodeTrack {
    /// What its process was doing at a moment.
    pub fn condition_at(&self, at: Duration) -> Condition {
        let until = self.conditions.partition_point(|&(since, _)| since <= at);
        let last = until.checked_sub(1).and_then(|index| self.conditions.get(index));
        last.map_or(Condition::Dead, |&(_, condition)| condition)
    }

    /// Whether it ran and was active at a moment.
    pub fn is_active_at(&self, at: Duration) -> bool {
        self.condition_at(at) == Condition::Running(Mode::Active)
    }
}

impl ClientTrack {
    /// The longest time without an answer that touches `from..to`, less [`every`](Self::every), and when it began.
    /// `None` if nothing was ever answered before `to`.
    pub fn outage(&self, from: Duration, to: Duration) -> Option<(Duration, Duration)> {
        let mut answers: Vec<Duration> =
            self.requests.iter().filter_map(|&(_, answered)| answered).collect();
        answers.sort_unstable();
        let first = answers.partition_point(|&at| at < from).saturating_sub(1);
        let window = answers.get(first..)?.iter().copied().take_while(|&at| at < to);
        let ends = window.clone().skip(1).chain([to]);
        window
            .zip(ends)
            .map(|(start, end)| (start, (end - start).saturating_sub(self.every)))
            .max_by_key(|&(_, gap)| gap)
    }

    /// Requests sent in `from..to` that were never answered.
    pub fn lost(&self, from: Duration, to: Duration) -> usize {
        let sent = |at: Duration| at >= from && at < to;
        self.requests.iter().filter(|&&(at, answer)| sent(at) && answer.is_none()).count()
    }
}

impl Outcome {
    /// Every change of mode in the order in which they happened: node, and the mode it changed to.
    pub fn order(&self) -> Vec<(u8, Mode)> {
        let mut changes: Vec<(Duration, u8, Mode)> = self
            .nodes
            .iter()
            .flat_map(|node| node.changes.iter().map(|change| (change.at, node.id, change.to)))
            .collect();
        changes.sort_by_key(|&(at, ..)| at);
        changes.into_iter().map(|(_, id, to)| (id, to)).collect()
    }
}

/// The times at which more than one of these nodes was active, up to `end`: when each began, and how long
/// it was.
pub fn overlaps(nodes: &[NodeTrack], end: Duration) -> Vec<(Duration, Duration)> {
    let mut moments: Vec<Duration> =
        nodes.iter().flat_map(|node| node.conditions.iter().map(|&(at, _)| at)).collect();
    moments.sort_unstable();
    moments.dedup();
    let mut overlaps: Vec<(Duration, Duration)> = Vec::new();
    let ends = moments.iter().copied().skip(1).chain([end]);
    for (from, to) in moments.iter().copied().zip(ends) {
        let active = nodes.iter().filter(|node| node.is_active_at(from)).count();
        match overlaps.last_mut() {
            Some((start, long)) if active > 1 && *start + *long == from => *long = to - *start,
            Some(_) | None if active > 1 => overlaps.push((from, to - from)),
            Some(_) | None => {}
        }
    }
    overlaps
}
