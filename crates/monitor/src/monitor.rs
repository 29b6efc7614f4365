//! The state, the turn, and the one place where the mode changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use locum_types::{
    BootNonce, Cause, Health, Instant, LogPosition, Mode, NodeId, ResignReason, Term,
};

use locum_wire::Intent;

use crate::election::{Probing, Vacancy};
use crate::handover::Handover;
use crate::peer::Peer;
use crate::transition::is_legal;
use crate::{Config, Counters, Deadline, Event, Input, Output, PeerStatus, Status, Takeover};

/// Activations kept for the status.
const TAKEOVERS_MAX: usize = 16;
/// Outputs that may wait; the embedding drains them after every call.
const OUTPUTS_MAX: usize = 4096;

/// The state machine that owns a node's mode.
pub struct Monitor {
    pub(crate) config: Config,
    /// Tells this life of the node from earlier ones.
    pub(crate) boot: BootNonce,
    pub(crate) rng: Rng,

    pub(crate) mode: Mode,
    /// The term of the latest activation this node knows of.
    pub(crate) term: Term,
    pub(crate) since: Instant,
    cause: Option<Cause>,

    pub(crate) health: Health,
    pub(crate) position: LogPosition,
    pub(crate) link_up: bool,

    pub(crate) peers: BTreeMap<NodeId, Peer>,
    /// The peer that is active, as far as this node knows.
    pub(crate) active_peer: Option<NodeId>,
    /// Since when, and why, nobody is known to be active.
    pub(crate) vacancy: Vacancy,
    /// When a probe was last answered.
    pub(crate) answered_at: Option<Instant>,
    pub(crate) probing: Probing,
    pub(crate) degraded: bool,
    pub(crate) handover: Option<Handover>,
    pub(crate) shutdown: Option<ResignReason>,
    finished: bool,
    /// While another node uses our id: until when to believe so.
    pub(crate) duplicate_until: Option<Instant>,

    /// When the next round of beats is due.
    pub(crate) beat_at: Instant,
    /// An active node may speak until then.
    pub(crate) lease: Instant,
    /// When the last turn ended.
    turn_at: Instant,
    pub(crate) announced_at: Option<Instant>,
    pub(crate) requested_at: Option<Instant>,

    pub(crate) outputs: VecDeque<Output>,
    takeovers: VecDeque<Takeover>,
    pub(crate) counters: Counters,
}

impl Monitor {
    /// A monitor that starts to listen at `now`. `boot` must differ at every start of the node.
    pub fn new(config: Config, boot: BootNonce, seed: u64, now: Instant) -> Self {
        let peers = config.peers.iter().map(|&id| (id, Peer::new(id, now))).collect();
        Monitor {
            vacancy: Vacancy::at_start(now, &config),
            config,
            boot,
            rng: Rng::with_seed(seed),
            mode: Mode::Joining,
            term: Term::default(),
            since: now,
            cause: None,
            health: Health::Ok,
            position: LogPosition::default(),
            link_up: true,
            peers,
            active_peer: None,
            answered_at: None,
            probing: Probing::default(),
            degraded: false,
            handover: None,
            shutdown: None,
            finished: false,
            duplicate_until: None,
            beat_at: now,
            lease: now,
            turn_at: now,
            announced_at: None,
            requested_at: None,
            outputs: VecDeque::new(),
            takeovers: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Opens a turn: notices a stall of this node before anything else, then sends what is due.
    pub fn begin_turn(&mut self, now: Instant) {
        if self.finished {
            return;
        }
        self.notice_stall(now);
        if now >= self.beat_at {
            self.beat_all(now, Intent::None);
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if self.finished {
            return;
        }
        match input {
            Input::Beat(beat) => self.hear(now, &beat),
            Input::ProbeAnswered => self.hear_answer(now),
            Input::Health(health) => self.health = health,
            Input::Position(position) => self.position = position,
            Input::Handover { to } => self.hand_over(now, to),
            Input::Shutdown(reason) => self.shut_down(now, reason),
            Input::Link { up } => self.link_changed(now, up),
            Input::Rival => self.announce_again(now),
            Input::Reconfigure(config) => self.reconfigure(now, config),
        }
    }

    /// Closes a turn: judges the others, now that everything they said was heard.
    pub fn end_turn(&mut self, now: Instant) {
        if !self.finished {
            self.report_silence(now);
            self.pursue_handover(now);
            self.judge(now);
        }
        self.turn_at = now;
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the next turn is due at the latest, and why. `None` once finished.
    pub fn poll_deadline(&self) -> Option<(Instant, Deadline)> {
        if self.finished {
            return None;
        }
        let beat = Some((self.beat_at, Deadline::Beat));
        [beat, self.handover_deadline(), self.mode_deadline(), self.silence_deadline()]
            .into_iter()
            .flatten()
            .min_by_key(|&(at, _)| at)
    }

    /// True while the first active beat of a successor is awaited.
    pub fn is_handing_over(&self) -> bool {
        self.handover.is_some()
    }

    /// The state at `now`.
    pub fn status(&self, now: Instant) -> Status {
        Status {
            mode: self.mode,
            term: self.term,
            since: self.since,
            cause: self.cause,
            handing_over: self.handover.is_some(),
            degraded: self.degraded,
            peers: self.peers.values().map(|peer| self.peer_status(now, peer)).collect(),
            takeovers: self.takeovers.iter().copied().collect(),
            counters: self.counters,
        }
    }

    /// The only writer of the mode. The grant goes out before anything the change leads to.
    pub(crate) fn change_mode(&mut self, now: Instant, to: Mode, cause: Cause) {
        let from = self.mode;
        assert!(is_legal(from, to, &cause), "{from} -> {to} by {cause} is not in the table");
        let detection = self.detection(now, cause);
        self.mode = to;
        self.since = now;
        self.cause = Some(cause);
        self.handover = None;
        self.degraded = false;
        self.probing = Probing::default();
        if to == Mode::Active {
            self.term = self.term.next();
            self.active_peer = None;
            self.note_takeover(now, cause, detection);
        }
        self.grant(now);
        if to == Mode::Active {
            self.announce(now);
        }
        let intent = match cause {
            Cause::Resigning { reason } if to == Mode::Fenced => Intent::Resign(reason),
            Cause::Joined
            | Cause::NoActive
            | Cause::Silence { .. }
            | Cause::Resigned { .. }
            | Cause::Resigning { .. }
            | Cause::Rival { .. }
            | Cause::Stall
            | Cause::LinkDown
            | Cause::Heard
            | Cause::Alone
            | Cause::DuplicateId => Intent::None,
        };
        self.beat_all(now, intent);
        self.push(Output::WillChanged);
        let term = self.term;
        self.push(Output::Event(Event::ModeChanged { from, to, cause, term, detection }));
    }

    /// Says the last words and falls silent for good.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
        self.push(Output::Finished);
    }

    pub(crate) fn push(&mut self, output: Output) {
        assert!(self.outputs.len() < OUTPUTS_MAX, "outputs are drained after every call");
        self.outputs.push_back(output);
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.push(Output::Event(event));
    }

    /// While this node did not run it heard nobody, and its lease ran out.
    fn notice_stall(&mut self, now: Instant) {
        let gap = now - self.turn_at;
        let gap_us = u64::try_from(gap.as_micros()).unwrap_or(u64::MAX);
        self.counters.loop_gap_max_us = self.counters.loop_gap_max_us.max(gap_us);
        if gap > self.config.dead_after {
            self.counters.stalls += 1;
            self.listen_afresh(now);
        }
        if self.mode == Mode::Active && now >= self.lease {
            self.change_mode(now, Mode::Fenced, Cause::Stall);
        }
    }

    /// Silence until now proves nothing about anybody.
    pub(crate) fn listen_afresh(&mut self, now: Instant) {
        self.peers.values_mut().for_each(|peer| peer.detector.refresh(now));
        self.vacancy.refresh(now);
    }

    fn link_changed(&mut self, now: Instant, up: bool) {
        if self.link_up == up {
            return;
        }
        self.link_up = up;
        self.listen_afresh(now);
        if !up && self.mode == Mode::Active {
            self.change_mode(now, Mode::Fenced, Cause::LinkDown);
        }
    }

    fn reconfigure(&mut self, now: Instant, config: Config) {
        if config.group != self.config.group || config.node != self.config.node {
            self.tell(Event::ConfigRefused);
            return;
        }
        self.peers.retain(|id, _| config.peers.contains(id));
        for &id in &config.peers {
            self.peers.entry(id).or_insert_with(|| Peer::new(id, now));
        }
        self.active_peer = self.active_peer.filter(|id| config.peers.contains(id));
        self.config = config;
        self.push(Output::WillChanged);
        // With a shorter interval the next beat is due sooner.
        self.beat_at = self.beat_at.min(now + self.config.interval);
    }

    /// The time since the predecessor's last beat, for a takeover that has one.
    fn detection(&self, now: Instant, cause: Cause) -> Option<Duration> {
        let peer = match cause {
            Cause::Silence { peer } | Cause::Resigned { peer, .. } => self.peers.get(&peer)?,
            Cause::Joined
            | Cause::NoActive
            | Cause::Resigning { .. }
            | Cause::Rival { .. }
            | Cause::Stall
            | Cause::LinkDown
            | Cause::Heard
            | Cause::Alone
            | Cause::DuplicateId => return None,
        };
        peer.detector.heard_at().map(|heard_at| now - heard_at)
    }

    fn note_takeover(&mut self, now: Instant, cause: Cause, detection: Option<Duration>) {
        self.counters.takeovers += 1;
        if self.takeovers.len() == TAKEOVERS_MAX {
            self.takeovers.pop_front();
        }
        self.takeovers.push_back(Takeover { at: now, cause, term: self.term, detection });
    }

    fn peer_status(&self, now: Instant, peer: &Peer) -> PeerStatus {
        PeerStatus {
            id: peer.id,
            alive: peer.is_alive(now, self.config.dead_after),
            mode: peer.latest.map(|beat| beat.mode),
            term: peer.latest.map(|beat| beat.term),
            priority: peer.latest.map(|beat| beat.priority),
            health: peer.latest.map(|beat| beat.health),
            last_heard_age: peer.detector.heard_at().map(|at| now - at),
            rtt: peer.rtt,
            loss_in: peer.loss_in(),
            loss_out: peer.loss_out(),
        }
    }
}
