//! When which node was last disturbed, by the plan alone: what the referee may expect follows from it.

use std::time::Duration;

use locum_types::Instant;

use super::plan::{Cable, FaultKind, Plan};
use crate::Weapon;

/// The disturbances of one run.
#[derive(Clone, Debug)]
pub(super) struct Calm {
    /// Of each node's process.
    process: Vec<Vec<Period>>,
    /// Those in which it did not run, or not in time, and what it hears next may be old.
    asleep: Vec<Vec<Period>>,
    /// When its clock stood still.
    paused: Vec<Vec<Period>>,
    /// Of each node's service link.
    link: Vec<Vec<Period>>,
    /// Of each node's beats alone: whoever probes is still answered.
    soft: Vec<Vec<Period>>,
    /// In which beats of former lives may be heard again.
    replays: Vec<Period>,
    /// When the place may change hands by request.
    requests: Vec<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Period {
    from: Instant,
    to: Instant,
}

impl Calm {
    /// The disturbances of a plan of which the faults in `skip` are left out.
    pub(super) fn of(plan: &Plan, skip: &[usize]) -> Self {
        let nodes = plan.nodes.len();
        let mut calm = Calm {
            process: vec![vec![]; nodes],
            asleep: vec![vec![]; nodes],
            paused: vec![vec![]; nodes],
            link: vec![vec![]; nodes],
            soft: vec![vec![]; nodes],
            replays: vec![],
            requests: vec![],
        };
        for (node, plan) in plan.nodes.iter().enumerate() {
            let period = Period { from: Instant::ZERO, to: Instant::ZERO + plan.starts_at };
            calm.process[node].push(period);
        }
        let faults = plan.faults.iter().enumerate().filter(|(index, _)| !skip.contains(index));
        for (_, fault) in faults {
            let from = Instant::ZERO + fault.at;
            let period = Period { from, to: from + fault.lasts.min(plan.safety - fault.at) };
            calm.note(&fault.kind, period, plan.dead_after);
        }
        // Whoever stayed dead until then may be started.
        let healed = Instant::ZERO + plan.safety;
        for periods in &mut calm.process {
            periods.push(Period { from: healed, to: healed });
        }
        calm
    }

    fn note(&mut self, kind: &FaultKind, period: Period, dead_after: Duration) {
        match kind {
            FaultKind::Kill { node, .. } => self.process[*node].push(period),
            // To a machine whose clock stood still old lives have just been heard: new ones do not count before
            // those have been silent for the longest detection time.
            FaultKind::Suspend { node, .. } => {
                let period = Period { to: period.to + dead_after * 4, ..period };
                self.process[*node].push(period);
                self.asleep[*node].push(period);
                self.paused[*node].push(period);
            }
            FaultKind::Freeze { node }
            | FaultKind::Jump { node, .. }
            | FaultKind::Starve { node, .. } => {
                self.process[*node].push(period);
                self.asleep[*node].push(period);
                // What it sends leaves so late that it might as well have a bad cable.
                if matches!(kind, FaultKind::Starve { wait_max, .. } if *wait_max * 2 > dead_after)
                {
                    self.link[*node].push(period);
                }
            }
            FaultKind::LinkDown { node }
            | FaultKind::Cut { cable: Cable::Node(node), .. }
            | FaultKind::Impair { cable: Cable::Node(node), .. } => self.link[*node].push(period),
            FaultKind::Terminate { node } | FaultKind::Sick { node } => {
                self.process[*node].push(period);
                self.requests.push(period.from);
                self.requests.push(period.to);
            }
            FaultKind::Deafness { node }
            | FaultKind::Cut { cable: Cable::Heartbeat(node), .. }
            | FaultKind::Impair { cable: Cable::Heartbeat(node), .. } => {
                self.soft[*node].push(period);
            }
            // It hears, and is heard: what its copy is worth is said in time.
            FaultKind::Adrift { .. }
            | FaultKind::Cut { cable: Cable::Client(_), .. }
            | FaultKind::Impair { cable: Cable::Client(_), .. } => {}
            FaultKind::Cut { cable: Cable::Trunk(_), .. }
            | FaultKind::Impair { cable: Cable::Trunk(_), .. } => self.disturb_all(period),
            FaultKind::HandOver => self.requests.push(period.from),
            FaultKind::Attack { weapons } => {
                if weapons.contains(&Weapon::MacSpoof) {
                    self.disturb_all(period);
                }
                if weapons.contains(&Weapon::BeatReplay) {
                    self.replays.push(period);
                }
            }
        }
    }

    fn disturb_all(&mut self, period: Period) {
        self.link.iter_mut().for_each(|periods| periods.push(period));
    }

    /// The latest moment up to `now` at which a node, its beats included, was disturbed.
    pub(super) fn disturbed_at(&self, node: usize, now: Instant) -> Instant {
        self.hard_disturbed_at(node, now).max(latest(&self.soft[node], now))
    }

    /// The same, of its process and service link.
    pub(super) fn hard_disturbed_at(&self, node: usize, now: Instant) -> Instant {
        latest(&self.process[node], now).max(self.link_disturbed_at(node, now))
    }

    /// The same, of its service link alone.
    pub(super) fn link_disturbed_at(&self, node: usize, now: Instant) -> Instant {
        latest(&self.link[node], now)
    }

    /// The latest moment up to `now` at which a node may have heard something old.
    pub(super) fn delayed_at(&self, node: usize, now: Instant) -> Instant {
        let soft = latest(&self.soft[node], now);
        self.asleep_at(node, now).max(self.link_disturbed_at(node, now)).max(soft)
    }

    /// The latest moment up to `now` at which a node did not come round in time.
    pub(super) fn asleep_at(&self, node: usize, now: Instant) -> Instant {
        latest(&self.asleep[node], now)
    }

    /// The latest moment up to `now` at which a node's clock stood still.
    pub(super) fn paused_at(&self, node: usize, now: Instant) -> Instant {
        latest(&self.paused[node], now)
    }

    /// The latest moment up to `now` at which a life may have looked longer than it was: by frames that
    /// were old, or played back.
    pub(super) fn haunted_at(&self, node: usize, now: Instant) -> Instant {
        self.disturbed_at(node, now).max(latest(&self.replays, now))
    }

    /// Whether somebody asked for a change within `before` up to `now`.
    pub(super) fn requested_within(&self, now: Instant, before: Duration) -> bool {
        self.requests.iter().any(|&at| at <= now && now - at <= before)
    }
}

fn latest(periods: &[Period], now: Instant) -> Instant {
    let begun = periods.iter().filter(|period| period.from <= now);
    begun.map(|period| period.to.min(now)).max().unwrap_or(Instant::ZERO)
}
