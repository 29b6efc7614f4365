//! What is promised for one fault that strikes a calm group: planned changes lose no request, and a
//! node that dies under a warden's eyes is followed at once.

use std::time::Duration;

use locum_monitor::Event;
use locum_types::{Instant, Mode};

use super::audit;
use super::plan::{FaultKind, Plan, ProgramPlan};
use crate::{NodeIndex, World, WorldEventKind};

/// Requests that a program must have had answered just before, to count.
const SERVED: usize = 3;
/// What a warden takes, and whoever hears it.
const GOODBYE: Duration = Duration::from_millis(2);
/// What `locum-appliance` waits at most for followers to have everything.
const DRAIN_MAX: Duration = Duration::from_millis(5);

/// A promise made when a fault struck.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    fault: usize,
    at: Instant,
    what: What,
    /// The programs that were served, as (client, position).
    served: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// No request is lost.
    NothingLost,
    /// Another node is active within this time.
    Successor(Duration),
}

impl What {
    /// What is promised when `active` is struck.
    fn of(plan: &Plan, kind: &FaultKind, active: NodeIndex) -> Vec<Self> {
        let one_way = plan.one_way();
        let nothing_lost = plan.changes_without_loss().then_some(What::NothingLost);
        // Whoever has followers waits so long for them before it offers its place.
        let drain = plan.replication.map_or(Duration::ZERO, |_| DRAIN_MAX.min(plan.dead_after / 4));
        let successor = What::Successor(GOODBYE + drain + one_way * 2);
        match kind {
            FaultKind::HandOver => nothing_lost.into_iter().collect(),
            FaultKind::Terminate { node } | FaultKind::Sick { node } if *node == active.0 => {
                nothing_lost.into_iter().chain([successor]).collect()
            }
            FaultKind::Kill { node, warden: true } if *node == active.0 => vec![successor],
            FaultKind::Kill { .. }
            | FaultKind::Terminate { .. }
            | FaultKind::Freeze { .. }
            | FaultKind::Suspend { .. }
            | FaultKind::Jump { .. }
            | FaultKind::Starve { .. }
            | FaultKind::Sick { .. }
            | FaultKind::LinkDown { .. }
            | FaultKind::Cut { .. }
            | FaultKind::Impair { .. }
            | FaultKind::Deafness { .. }
            | FaultKind::Adrift { .. }
            | FaultKind::Attack { .. } => Vec::new(),
        }
    }
}

impl Promise {
    /// The promises that hold for a fault that begins now.
    pub(super) fn for_fault(plan: &Plan, skip: &[usize], fault: usize, world: &World) -> Vec<Self> {
        let now = world.now();
        let Some(&active) = world.active().first() else { return Vec::new() };
        let promised = What::of(plan, &plan.faults[fault].kind, active);
        let has_successor = world.nodes().any(|index| audit::may_serve(world, index));
        let calm = has_successor && audit::is_settled(world) && is_alone(plan, skip, fault);
        if promised.is_empty() || !calm {
            return Vec::new();
        }
        let served = served(plan, world, now.saturating_sub(plan.settling()));
        let promise = |what| Promise { fault, at: now, what, served: served.clone() };
        promised.into_iter().map(promise).collect()
    }

    /// How it was broken, for people.
    pub(super) fn broken(&self, plan: &Plan, world: &World) -> Option<String> {
        let kind = &plan.faults[self.fault].kind;
        match self.what {
            What::NothingLost => {
                let (from, to) = (self.at.saturating_sub(plan.interval), self.at + judged(plan));
                self.served.iter().find_map(|&(client, position)| {
                    let program = &world.host(crate::HostId(client)).programs()[position];
                    let lost = program.record().lost_between(from, to);
                    (lost > 0).then(|| {
                        format!("{kind} at {}: client {client} lost {lost} requests", self.at)
                    })
                })
            }
            What::Successor(within) => {
                let followed = world.events().iter().any(|event| {
                    let activation = matches!(
                        event.kind,
                        WorldEventKind::Reported(Event::ModeChanged { to: Mode::Active, .. })
                    );
                    activation && event.at >= self.at && event.at <= self.at + within
                });
                (!followed)
                    .then(|| format!("{kind} at {}: nobody follows within {within:?}", self.at))
            }
        }
    }
}

/// For how long after a fault requests are judged.
fn judged(plan: &Plan) -> Duration {
    plan.dead_after * 3
}

/// For how long after a fault nothing else may happen, for a promise to hold: the last request, its entry in the log, the
/// acknowledgement of that and the answer must have arrived.
fn window(plan: &Plan) -> Duration {
    judged(plan) + plan.one_way() * 4 + Duration::from_millis(1)
}

/// Whether nothing else happens around a fault.
fn is_alone(plan: &Plan, skip: &[usize], fault: usize) -> bool {
    let at = plan.faults[fault].at;
    let (from, to) = (at.saturating_sub(plan.settling()), at + window(plan));
    let own_end = at + plan.faults[fault].lasts;
    let others = plan.faults.iter().enumerate();
    let apart = others
        .filter(|&(index, _)| index != fault && !skip.contains(&index))
        .all(|(_, other)| other.at > to || other.at + other.lasts < from);
    let started = plan.nodes.iter().all(|node| node.starts_at < from);
    let instant = matches!(plan.faults[fault].kind, FaultKind::HandOver);
    from > Duration::ZERO && apart && started && to < plan.safety && (instant || own_end > to)
}

/// The programs without a connection whose latest requests were all answered.
fn served(plan: &Plan, world: &World, since: Instant) -> Vec<(usize, usize)> {
    let mut served = Vec::new();
    // What was sent just now may still be on its way.
    let until = world.now().saturating_sub(plan.one_way() * 2 + Duration::from_millis(1));
    for (client, client_plan) in plan.clients.iter().enumerate() {
        for (position, program) in client_plan.programs.iter().enumerate() {
            let record = world.host(crate::HostId(client)).programs()[position].record();
            let sent = record.sent_between(since, until);
            let lost = record.lost_between(since, until);
            let connected =
                matches!(program, ProgramPlan::Tcp(_) | ProgramPlan::Tcp6(_) | ProgramPlan::Kv(_));
            if !connected && sent >= SERVED && lost == 0 {
                served.push((client, position));
            }
        }
    }
    served
}
