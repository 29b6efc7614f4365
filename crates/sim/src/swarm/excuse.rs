//! Why connections, and what was answered, may be lost.

use std::time::Duration;

use locum_monitor::Event;
use locum_types::{Instant, Mode};

use crate::{NodeIndex, NodeState, World, WorldEventKind};

/// What no pair of nodes can prevent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excuse {
    /// Whoever became active had nothing, or not everything.
    NewLog,
    /// Two nodes were active, each for some clients.
    Split,
    /// Whoever became active had been dropped by its leader, and did not know yet.
    Trusted,
    /// Its service is left out of the log, and another node took over.
    LeftOut,
}

/// The excuses of one run.
#[derive(Debug)]
pub(super) struct Excuses {
    /// What came about before may show so much later.
    settling: Duration,
    /// Longer than this two nodes are not both active in a planned change.
    overlap_max: Duration,
    overlap_since: Option<Instant>,
    /// Who is active, as far as events have told.
    active: Vec<bool>,
    /// When each last withdrew an offer of its place, which may be on its way yet.
    withdrawn: Vec<Option<Instant>>,
    last: Option<(Instant, Excuse)>,
    split: Option<Instant>,
    /// The first time, and the last, that a node has served that did not know what another had said.
    mixed: Option<(Instant, Instant)>,
    first: Option<Instant>,
    /// The first time, and the last, that a node has taken over from another.
    changes: Option<(Instant, Instant)>,
}

impl Excuses {
    pub(super) fn new(settling: Duration, overlap_max: Duration, nodes: usize) -> Self {
        Excuses {
            settling,
            overlap_max,
            overlap_since: None,
            active: vec![false; nodes],
            withdrawn: vec![None; nodes],
            last: None,
            split: None,
            mixed: None,
            first: None,
            changes: None,
        }
    }

    /// `promised`: somebody was told something before.
    pub(super) fn add(&mut self, now: Instant, why: Excuse, promised: bool) {
        self.last = Some((now, why));
        if why == Excuse::Split {
            self.split = Some(now);
        }
        if matches!(why, Excuse::Split | Excuse::Trusted) {
            self.mixed = Some((self.mixed.map_or(now, |(first, _)| first), now));
        }
        if promised {
            self.first.get_or_insert(now);
        }
    }

    /// A node has become active after another.
    pub(super) fn change(&mut self, now: Instant) {
        self.changes = Some((self.changes.map_or(now, |(first, _)| first), now));
    }

    /// The one of a connection that was opened at `time`, to a service that is left out of the log.
    pub(super) fn of_left_out_since(&self, time: Instant) -> Option<Excuse> {
        let changed = self.changes.is_some_and(|(_, last)| last + self.settling >= time);
        self.since(time).or(changed.then_some(Excuse::LeftOut))
    }

    /// Up to when everything that was answered must stay where the service is left out of the log.
    pub(super) fn unchanged_until(&self) -> Option<Instant> {
        let changed = self.changes.map(|(first, _)| first.saturating_sub(self.settling));
        changed.into_iter().chain(self.kept_until()).min()
    }

    /// The last one, if it came about at `time` or later, or a little before.
    pub(super) fn since(&self, time: Instant) -> Option<Excuse> {
        self.last.filter(|&(at, _)| at + self.settling >= time).map(|(_, why)| why)
    }

    /// Whether two were active a little before `time`, or since.
    pub(super) fn split_since(&self, time: Instant) -> bool {
        self.split.is_some_and(|at| at + self.settling >= time)
    }

    /// Whether two nodes have spoken on a connection that was opened at `time`, or may have.
    pub(super) fn mixed_since(&self, time: Instant) -> bool {
        self.mixed.is_some_and(|(_, last)| last + self.settling >= time)
    }

    /// Up to when no two nodes have spoken on one connection.
    pub(super) fn apart_until(&self) -> Option<Instant> {
        self.mixed.map(|(first, _)| first.saturating_sub(self.settling))
    }

    /// Up to when everything that was answered must stay.
    pub(super) fn kept_until(&self) -> Option<Instant> {
        self.first.map(|at| at.saturating_sub(self.settling))
    }

    /// Who is active, in the order of events: within one instant one may yield to another.
    pub(super) fn note(&mut self, now: Instant, index: NodeIndex, kind: &WorldEventKind) {
        match kind {
            WorldEventKind::Reported(Event::HandoverFailed { .. }) => {
                self.withdrawn[index.0] = Some(now);
            }
            WorldEventKind::Reported(Event::ModeChanged { to, .. }) => {
                self.active[index.0] = *to == Mode::Active;
            }
            WorldEventKind::Fault("killed" | "exited" | "started") => self.active[index.0] = false,
            WorldEventKind::Reported(_) | WorldEventKind::Fault(_) => {}
        }
    }

    /// The other nodes that run and are active too.
    pub(super) fn rivals(
        &self,
        world: &World,
        index: NodeIndex,
    ) -> impl Iterator<Item = NodeIndex> {
        world.nodes().filter(move |&other| {
            other != index && self.active[other.0] && world.state(other) == NodeState::Running
        })
    }

    pub(super) fn has_rival(&self, world: &World, index: NodeIndex) -> bool {
        self.rivals(world, index).next().is_some()
    }

    /// Whether a node has withdrawn an offer of its place a little before `now`.
    pub(super) fn has_withdrawn(&self, index: NodeIndex, now: Instant) -> bool {
        self.withdrawn[index.0].is_some_and(|at| at + self.settling >= now)
    }

    pub(super) fn is_active(&self, index: NodeIndex) -> bool {
        self.active[index.0]
    }

    /// Whether so many nodes have been active for longer than in any planned change.
    pub(super) fn overlap(&mut self, now: Instant, active: usize) -> bool {
        if active < 2 {
            self.overlap_since = None;
            return false;
        }
        now - *self.overlap_since.get_or_insert(now) > self.overlap_max
    }
}
