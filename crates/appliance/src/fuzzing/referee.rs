//! The rules, checked from outside. What must always hold is checked always; what holds among nodes that
//! hear each other, after they were left alone for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use locum_gate::MacMode;
use locum_monitor::Status;
use locum_types::{Instant, Mode, Term};

use super::stage::Stage;
use super::wire;
use super::world::Station;
use crate::{NodeStatus, Port};

/// Within this time, nodes that are left alone have heard each other.
const SETTLING: Duration = Duration::from_secs(1);

/// What one life of a node has shown so far.
#[derive(Clone, Copy, Debug, Default)]
struct Past {
    term: Term,
    activated_in: Option<Term>,
}

pub(super) struct Referee {
    /// By id.
    pasts: BTreeMap<u8, Past>,
    /// Until when something disturbed the nodes, as far as is known.
    disturbed_until: Instant,
    connected: bool,
    /// Somebody with the key has told lies.
    forged: bool,
    /// A node was told that its link, its service or its process is at an end.
    handicapped: bool,
    both_active_since: Option<Instant>,
}

impl Referee {
    pub(super) fn new(now: Instant) -> Self {
        Referee {
            pasts: BTreeMap::new(),
            disturbed_until: now,
            connected: true,
            forged: false,
            handicapped: false,
            both_active_since: None,
        }
    }

    /// Something unusual happens, until then.
    pub(super) fn disturb(&mut self, until: Instant) {
        self.disturbed_until = self.disturbed_until.max(until);
    }

    pub(super) fn note_forgery(&mut self) {
        self.forged = true;
    }

    pub(super) fn is_forged(&self) -> bool {
        self.forged
    }

    pub(super) fn note_handicap(&mut self) {
        self.handicapped = true;
    }

    pub(super) fn note_cables(&mut self, connected: bool) {
        self.connected = connected;
    }

    pub(super) fn note_restart(&mut self, now: Instant, id: u8) {
        self.pasts.remove(&id);
        self.disturb(now);
    }

    /// Each activation begins a term of its own, and nodes that hear each other do not begin the same.
    pub(super) fn note_activation(&mut self, now: Instant, id: u8, term: Term) {
        // There is no term beyond the last. Only somebody with the key can get a group there.
        let is_last = term == Term(u64::MAX);
        let others_term = self.pasts.get(&(3 - id)).and_then(|past| past.activated_in);
        if self.is_calm(now) {
            assert_ne!(others_term, Some(term), "both nodes began a term, the second at {now}");
        }
        let past = self.pasts.entry(id).or_default();
        let is_new = past.activated_in.is_none_or(|before| term > before);
        assert!(is_new || is_last, "node {id} began {term:?} twice");
        past.activated_in = Some(term);
    }

    /// A frame that a node sends; true if it speaks for the service.
    pub(super) fn judge(
        &self,
        now: Instant,
        stage: &Stage,
        station: &Station,
        port: Port,
        frame: &[u8],
    ) -> bool {
        let shared = (stage.mac_mode == MacMode::Virtual).then(|| stage.mac(0));
        let Some(what) = wire::speaks_for_service(shared, frame) else { return false };
        let (id, mode) = (station.id, station.node.mode_at(now));
        assert_eq!(mode, Mode::Active, "node {id} speaks for the service: {what}, {frame:02x?}");
        // Not by the node's own account: one that was stopped may be wrong about itself.
        let idle = now - station.ran_at;
        assert!(idle <= station.dead_after, "node {id} speaks for the service, idle for {idle:?}");
        assert_eq!(port, Port::Service, "node {id} speaks for the service on the wrong link");
        true
    }

    /// Looks at both nodes: whether one of them should know that it has to yield.
    pub(super) fn watch_overlap(&mut self, now: Instant, stations: &[Station]) {
        let active =
            |station: &&Station| station.runs(now) && station.node.mode_at(now) == Mode::Active;
        if stations.iter().filter(active).count() < 2 {
            self.both_active_since = None;
            return;
        }
        let since = *self.both_active_since.get_or_insert(now);
        let overlapped = now - since > SETTLING && self.is_calm(now);
        assert!(!overlapped, "two nodes that hear each other are active, since {since}");
    }

    /// Looks at one node.
    pub(super) fn watch(&mut self, now: Instant, station: &Station, monitor: &Status) {
        let id = station.id;
        let past = self.pasts.entry(id).or_default();
        assert!(monitor.term >= past.term, "the term of node {id} went back");
        past.term = monitor.term;
        if station.node.mode_at(now) == Mode::Active {
            assert_eq!(monitor.mode, Mode::Active, "the gate of node {id} is open without leave");
        }
    }

    fn is_calm(&self, now: Instant) -> bool {
        let honest = !self.forged && !self.handicapped && self.connected;
        honest && now - self.disturbed_until > SETTLING
    }
}

/// Holds what a node at rest has counted against what it was given, and against its bounds.
pub(super) fn audit(station: &Station, status: &NodeStatus) {
    let (steering, heartbeat) = (status.steering, &status.heartbeat.counters);
    let (gate, queue) = (&status.service.gate, &status.service.queue);
    let stack = &status.service.stack;
    let (ingress, egress) = (&gate.ingress, &gate.egress);
    let unread = queue.rx_full + queue.rx_oversize + queue.rx_cleared;
    let id = station.id;
    for (what, left, right) in [
        ("frames given", station.delivered, steering.frames()),
        ("frames to the gate", steering.service + steering.both, ingress.frames + unread),
        (
            "frames to the heartbeat half",
            steering.heartbeat + steering.both,
            heartbeat.frames + steering.inbox_full,
        ),
        ("ingress", ingress.frames, ingress.passed + ingress.answered + ingress.dropped()),
        ("egress", egress.frames, egress.passed + egress.rewritten + egress.dropped()),
        ("frames of the gate's own that it refused", gate.sent.refused, 0),
        ("notices lost", heartbeat.notices_dropped, 0),
    ] {
        assert_eq!(left, right, "node {id}: {what} do not add up");
    }
    assert!(stack.flows <= stack.flows_max, "node {id} has {} flows", stack.flows);
    assert!(stack.half_open <= stack.flows, "node {id}: more half-open flows than flows");
}
