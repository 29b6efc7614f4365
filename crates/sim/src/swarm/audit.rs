//! What is asked of a world at the end of a run.

use locum_appliance::{LogCopy, Prefer};
use locum_monitor::Event;
use locum_types::{Instant, Mode, Protection};

use crate::{HostId, NodeIndex, NodeState, World, WorldEventKind};

/// Requests in a row that have to be answered before a client counts as served.
const SERVED: usize = 3;

/// Whether one node is active, and every other one that runs waits.
pub(super) fn is_settled(world: &World) -> bool {
    let mut active = 0;
    for index in world.nodes().filter(|&index| world.state(index) != NodeState::Dead) {
        match world.mode(index) {
            Some(Mode::Active) => active += 1,
            Some(Mode::Waiting) => {}
            Some(Mode::Joining | Mode::Fenced) | None => return false,
        }
    }
    active == 1
}

/// Whether a waiting node serves when it is its turn: where consistency is preferred, not from a copy that is not whole.
pub(super) fn may_serve(world: &World, index: NodeIndex) -> bool {
    let consistent = world.config_of(index).replication.is_some_and(|with| match with.prefer {
        Prefer::Consistency => true,
        Prefer::Availability => false,
    });
    let is_whole = |copy: LogCopy| match copy.protection {
        Protection::Stale | Protection::Joining => false,
        Protection::Alone
        | Protection::InSync
        | Protection::Protected
        | Protection::Unprotected => true,
    };
    world.mode(index) == Some(Mode::Waiting)
        && (!consistent || world.copy(index).is_none_or(is_whole))
}

/// Whether all that run wait, and none of them may serve, because a node is dead that may have the only whole copy. That is
/// right where consistency is preferred.
pub(super) fn is_stalled(world: &World) -> bool {
    if world.nodes().all(|index| world.state(index) != NodeState::Dead) {
        return false;
    }
    let mut running = world.nodes().filter(|&index| world.state(index) != NodeState::Dead);
    running.all(|index| world.mode(index) == Some(Mode::Waiting) && !may_serve(world, index))
}

/// Whether a few requests of every program of a client, sent since `since`, were answered.
pub(super) fn is_served(world: &World, client: HostId, since: Instant) -> bool {
    world.host(client).programs().iter().all(|program| {
        let requests = program.record().requests();
        let first = requests.partition_point(|request| request.sent_at < since);
        let answered = requests[first..].iter().filter(|request| request.answered_at.is_some());
        answered.take(SERVED).count() == SERVED
    })
}

/// The modes of all nodes, for people.
pub(super) fn modes(world: &World) -> String {
    let mode = |index: NodeIndex| match (world.state(index), world.mode(index)) {
        (NodeState::Running, Some(mode)) => format!("{} {mode}", index.0 + 1),
        (NodeState::Frozen, _) => format!("{} frozen", index.0 + 1),
        (NodeState::Dead, _) | (NodeState::Running, None) => format!("{} dead", index.0 + 1),
    };
    world.nodes().map(mode).collect::<Vec<_>>().join(", ")
}

/// Who wants a turn now, and why, for people.
pub(super) fn restless(world: &World) -> String {
    let why = |index: NodeIndex| {
        let (at, why) = world.deadline(index)?;
        let due = at <= world.clock_of(index).at(world.now());
        due.then(|| format!("node {}: {why}", index.0 + 1))
    };
    let reasons: Vec<String> = world.nodes().filter_map(why).collect();
    format!("{}; {}", modes(world), reasons.join(", "))
}

/// Which programs were not served since `since`, for people.
pub(super) fn unanswered(world: &World, clients: &[HostId], since: Instant) -> String {
    let mut lines = Vec::new();
    for &client in clients.iter().filter(|&&client| !is_served(world, client, since)) {
        let host = world.host(client);
        for program in host.programs() {
            let record = program.record();
            let last = record.answers().last();
            let (kind, target) = (record.program(), program.target());
            lines.push(format!("{} {kind} to {target}, last answer {last:?}", host.name()));
        }
    }
    lines.join("; ")
}

/// A request of `from..to` that was not answered, over a connection or not, for people.
pub(super) fn lost(
    world: &World,
    clients: &[HostId],
    (from, to): (Instant, Instant),
    with_connections: bool,
) -> Option<String> {
    for &client in clients {
        for program in world.host(client).programs() {
            let record = program.record();
            if program.has_connection() && !with_connections {
                continue;
            }
            let lost = record.lost_between(from, to);
            if lost > 0 {
                let (name, kind) = (world.host(client).name(), record.program());
                return Some(format!("{name} {kind}: {lost} of those sent from {from} to {to}"));
            }
        }
    }
    None
}

/// How often a node became active.
pub(super) fn takeovers(world: &World) -> u64 {
    let activations = world.events().iter().filter(|event| {
        matches!(event.kind, WorldEventKind::Reported(Event::ModeChanged { to: Mode::Active, .. }))
    });
    activations.count() as u64
}

/// What a node's counters leave unexplained, for people.
pub(super) fn imbalance(world: &World, index: NodeIndex) -> Option<String> {
    let status = world.status(index)?;
    let steering = status.steering;
    let (gate, queue) = (&status.service.gate, &status.service.queue);
    let node = index.0 + 1;
    let checks = [
        ("frames delivered and steered", world.delivered(index), steering.frames()),
        (
            "frames for the service and seen by the gate",
            steering.service + steering.both + status.service.frames_taken_over,
            gate.ingress.frames
                + queue.rx_full
                + queue.rx_oversize
                + queue.rx_cleared
                + status.service.frames_waiting
                + status.service.frames_left,
        ),
        (
            "frames for the heartbeat half and seen by it",
            steering.heartbeat + steering.both,
            status.heartbeat.counters.frames + steering.inbox_full,
        ),
        (
            "frames into the gate and their fates",
            gate.ingress.frames,
            gate.ingress.passed + gate.ingress.answered + gate.ingress.dropped(),
        ),
        (
            "frames out of the stack and their fates",
            gate.egress.frames,
            gate.egress.passed + gate.egress.rewritten + gate.egress.dropped(),
        ),
    ];
    let wrong = checks.into_iter().find(|(_, a, b)| a != b);
    wrong
        .map(|(what, a, b)| format!("node {node}: {what}: {a} and {b}"))
        .or_else(|| excess(&status).map(|what| format!("node {node}: {what}")))
}

/// A bound that is exceeded.
fn excess(status: &locum_appliance::NodeStatus) -> Option<String> {
    let stack = &status.service.stack;
    let bounds = [
        ("flows", stack.flows as u64, stack.flows_max as u64),
        ("half-open flows", stack.half_open as u64, stack.flows_max as u64),
        ("notices lost", status.heartbeat.counters.notices_dropped, 0),
    ];
    let over = bounds.into_iter().find(|(_, value, limit)| value > limit);
    over.map(|(what, value, limit)| format!("{value} {what}, of at most {limit}"))
}
