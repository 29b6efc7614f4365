//! The state, the turn, and the one place where the mode changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{
    BootNonce, Cause, Health, Instant, LogPosition, Mode, NodeId, ResignReason, Succeeded, Term,
};

use locum_wire::Intent;

use crate::config::Pace;
use crate::election::{Probing, Vacancy};
use crate::handover::Handover;
use crate::hearing::Duplicate;
use crate::peer::Peer;
use crate::succession::Retirement;
use crate::transition::is_legal;
use crate::{Config, Counters, Deadline, Event, Input, Output, Takeover};

/// Activations kept for the status.
const TAKEOVERS_MAX: usize = 16;
/// Outputs that may wait; the embedding drains them after every call.
const OUTPUTS_MAX: usize = 4096;

/// The state machine that owns a node's mode.
pub struct Monitor {
    pub(crate) config: Config,
    pub(crate) pace: Pace,
    /// Tells this life of the node from earlier ones.
    pub(crate) boot: BootNonce,
    pub(crate) rng: Rng,

    pub(crate) mode: Mode,
    /// While active, the term of this activation; else the latest one this node knows of.
    pub(crate) term: Term,
    /// The highest term heard of: after a partition others may have been in later ones.
    pub(crate) term_seen: Term,
    pub(crate) since: Instant,
    pub(crate) cause: Option<Cause>,

    pub(crate) health: Health,
    /// Since when the service has not failed.
    pub(crate) well_since: Instant,
    /// What this node's copy of the log is worth, as it was told; see [`Monitor::position`].
    told_position: LogPosition,
    /// From when on that is not known to be whole.
    position_until: Option<Instant>,
    /// How this node ceased to be active without a successor, as long as it has not heard of one.
    pub(crate) retirement: Option<Retirement>,
    /// Whether somebody has led since; while active, as it was when this node claimed.
    pub(crate) succeeded: Succeeded,
    /// What others believe its copy to be worth, until then.
    pub(crate) ranked_as: Option<(LogPosition, Instant)>,
    /// What it was worth when this node became active.
    pub(crate) claimed_with: LogPosition,
    pub(crate) link_up: bool,
    /// Nobody is heard on the service link since its start, or since a peer fell silent.
    pub(crate) isolated: bool,

    pub(crate) peers: BTreeMap<NodeId, Peer>,
    /// The peer that is active, as far as this node knows.
    pub(crate) active_peer: Option<NodeId>,
    /// Since when, and why, nobody is known to be active.
    pub(crate) vacancy: Vacancy,
    /// When a probe was last answered.
    pub(crate) answered_at: Option<Instant>,
    pub(crate) probing: Probing,
    /// When the last silence began that this node did not end because of its copy.
    pub(crate) refused_silence: Option<Instant>,
    /// How many waiting nodes were better than this one, and since when it is one less.
    pub(crate) rank_before: u32,
    pub(crate) promoted_at: Instant,
    pub(crate) degraded: bool,
    pub(crate) handover: Option<Handover>,
    pub(crate) shutdown: Option<ResignReason>,
    finished: bool,
    pub(crate) duplicate: Option<Duplicate>,

    /// When the next round of beats is due.
    pub(crate) beat_at: Instant,
    /// An active node may speak until then.
    pub(crate) lease: Instant,
    /// Since when this node has been listening without a break: silence before that proves nothing.
    pub(crate) listening_since: Instant,
    /// After a stall: until when what is heard may be old.
    pub(crate) caught_up_at: Instant,
    /// The `now` of the last call.
    pub(crate) ran_at: Instant,
    pub(crate) announced_at: Option<Instant>,
    pub(crate) requested_at: Option<Instant>,
    pub(crate) offer_pause_until: Instant,

    pub(crate) outputs: VecDeque<Output>,
    pub(crate) takeovers: VecDeque<Takeover>,
    pub(crate) counters: Counters,
}

impl Monitor {
    /// A monitor that starts to listen at `now`. `boot` must differ at every start of the node.
    pub fn new(config: Config, boot: BootNonce, seed: u64, now: Instant) -> Self {
        let peers = config.peers.iter().map(|&id| (id, Peer::new(id, now))).collect();
        Monitor {
            vacancy: Vacancy::unknown(now, &config),
            pace: Pace::new(&config),
            config,
            boot,
            rng: Rng::with_seed(seed),
            mode: Mode::Joining,
            term: Term::default(),
            term_seen: Term::default(),
            since: now,
            cause: None,
            health: Health::Ok,
            well_since: now,
            told_position: LogPosition::default(),
            position_until: None,
            retirement: None,
            succeeded: Succeeded::Maybe,
            ranked_as: None,
            claimed_with: LogPosition::default(),
            link_up: true,
            isolated: false,
            peers,
            active_peer: None,
            answered_at: None,
            probing: Probing::default(),
            refused_silence: None,
            rank_before: 0,
            promoted_at: Instant::ZERO,
            degraded: false,
            handover: None,
            shutdown: None,
            finished: false,
            duplicate: None,
            beat_at: now,
            lease: now,
            listening_since: now,
            caught_up_at: now,
            ran_at: now,
            announced_at: None,
            requested_at: None,
            offer_pause_until: Instant::ZERO,
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
            self.beat_in_turn(now);
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if self.finished {
            return;
        }
        self.notice_stall(now);
        match input {
            Input::Beat(beat) => self.hear(now, &beat),
            Input::ProbeAnswered => self.hear_answer(now),
            Input::Health(health) => self.set_health(now, health),
            Input::Position { position, until } => self.learn_position(now, position, until),
            Input::Handover { to } => self.hand_over(now, to),
            Input::Shutdown(reason) => self.shut_down(now, reason),
            Input::Link { up } => self.link_changed(now, up),
            Input::Deaf => {
                self.counters.deaf_turns += 1;
                self.listen_afresh(now);
            }
            Input::Isolated(isolated) => {
                self.isolated = isolated;
                if isolated {
                    self.tell(Event::Isolated);
                }
            }
            Input::Rival => {
                self.counters.strangers += 1;
                self.announce_again(now);
            }
            Input::Reconfigure(config) => self.reconfigure(now, config),
        }
    }

    /// Closes a turn: judges the others, now that everything they said was heard.
    pub fn end_turn(&mut self, now: Instant) {
        if self.finished {
            return;
        }
        self.notice_stall(now);
        self.report_silence(now);
        self.pursue_handover(now);
        if !self.finished {
            self.review_succession(now);
            self.judge(now);
        }
    }

    /// The next thing to do, in order. The embedding drains it after every other call: outputs are
    /// never dropped, and a few thousand that nobody fetched are a defect of the embedding.
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

    /// The interval of this node's beats.
    pub fn interval(&self) -> Duration {
        self.config.interval
    }

    /// The other node that is active, as far as this one knows.
    pub fn active_peer(&self) -> Option<NodeId> {
        self.active_peer
    }

    /// Whether this node was told to be isolated.
    pub fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// Whether another node has led since this one did. It stays as it was while this node is active: that is what
    /// it claimed by.
    pub fn succeeded(&self) -> Succeeded {
        self.succeeded
    }

    /// What this node's copy of the log is worth, as far as is known now: what it was told may have been true until it
    /// fell asleep.
    pub(crate) fn position(&self) -> LogPosition {
        let has_ended = self.position_until.is_some_and(|until| self.ran_at >= until);
        let is_doubtful = self.retirement.is_some() && self.succeeded == Succeeded::Maybe;
        let is_known = self.mode == Mode::Active || !has_ended && !is_doubtful;
        match self.told_position.is_complete() && !is_known {
            true => LogPosition::NOT_WHOLE,
            false => self.told_position,
        }
    }

    /// True while the first active beat of a successor is awaited.
    pub fn is_handing_over(&self) -> bool {
        self.handover.is_some()
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
        self.term = self.term.max(self.term_seen);
        if to == Mode::Joining {
            self.listening_since = now;
        }
        if from == Mode::Active {
            // Another node goes on with the log: what this one's copy is worth now is not known yet.
            self.forget_position(LogPosition::default());
            self.note_retirement(now);
        }
        if to == Mode::Active {
            if !sabotaged(Sabotage::TermKept) {
                self.term = self.term.next();
            }
            self.term_seen = self.term;
            self.claimed_with = self.position();
            self.active_peer = None;
            self.note_takeover(now, cause, detection);
        }
        self.grant(now);
        if to == Mode::Active {
            self.announce(now);
        }
        self.beat_all(now, parting_words(to, cause));
        if from == Mode::Active || to == Mode::Active {
            self.push(Output::WillChanged);
        }
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

    /// While this node did not run it heard nobody, and its lease ran out. Looked at in every call: it
    /// may have been stopped in the middle of a turn.
    fn notice_stall(&mut self, now: Instant) {
        if sabotaged(Sabotage::PauseUnnoticed) {
            self.ran_at = now;
            return;
        }
        let gap = now - self.ran_at;
        let gap_us = u64::try_from(gap.as_micros()).unwrap_or(u64::MAX);
        self.counters.loop_gap_max_us = self.counters.loop_gap_max_us.max(gap_us);
        if gap > self.config.dead_after {
            self.counters.stalls += 1;
            self.caught_up_at = now + self.config.interval;
            self.peers.values_mut().for_each(|peer| peer.doubt(self.caught_up_at));
            self.listen_afresh(now);
        }
        self.ran_at = now;
        if self.mode == Mode::Active && now >= self.lease {
            self.change_mode(now, Mode::Fenced, Cause::Stall);
        }
    }

    /// Silence since the last call proves nothing about anybody. Those who were dead by then are.
    fn listen_afresh(&mut self, now: Instant) {
        let (before, dead_after) = (self.ran_at, self.config.dead_after);
        self.listening_since = now;
        for peer in self.peers.values_mut() {
            if peer.is_alive(before, dead_after) {
                peer.detector.refresh(now);
            }
        }
        self.vacancy.refresh(now);
        if let Some(retirement) = &mut self.retirement {
            retirement.listening_since = now;
        }
    }

    /// How well this node could serve: not at all without a link.
    pub(crate) fn health(&self) -> Health {
        if self.link_up { self.health } else { Health::Failed }
    }

    /// A later in-sync set is news that cannot wait: another node, left behind, may be about to claim.
    fn learn_position(&mut self, now: Instant, position: LogPosition, until: Option<Instant>) {
        let before = std::mem::replace(&mut self.told_position, position);
        self.position_until = until;
        if self.mode == Mode::Active && position > LogPosition::NOTHING_YET {
            // It may have begun with nothing, but clients have been with it since.
            self.claimed_with = self.claimed_with.max(LogPosition::NOT_WHOLE);
        }
        if self.mode == Mode::Active || position <= before {
            return;
        }
        if !position.is_complete() {
            // As good as it is believed to be by others: two that find out at once must not each believe to be the best.
            self.ranked_as = Some((before, now + self.config.stagger()));
        }
        if before.is_complete() || !position.is_complete() {
            self.beat_all(now, Intent::None);
        }
    }

    /// What this node was told of its copy is not true any more.
    pub(crate) fn forget_position(&mut self, position: LogPosition) {
        self.told_position = position;
        self.position_until = None;
    }

    fn set_health(&mut self, now: Instant, health: Health) {
        let before = self.health();
        self.health = health;
        self.note_ability(now, before);
    }

    /// What happened while this node could not take over was not watched closely enough to act on
    /// it now: it listens, and probes, for a detection time first.
    fn note_ability(&mut self, now: Instant, before: Health) {
        if before == Health::Failed && self.health() > Health::Failed {
            self.well_since = now;
            self.listening_since = now;
            if self.active_peer.is_none() {
                self.vacancy = Vacancy::unknown(now, &self.config);
            }
        }
    }

    fn link_changed(&mut self, now: Instant, up: bool) {
        if self.link_up == up {
            return;
        }
        let before = self.health();
        self.link_up = up;
        self.note_ability(now, before);
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
        if self.active_peer.is_some_and(|id| !config.peers.contains(&id)) {
            self.vacate(Vacancy::unknown(now, &config));
        }
        self.handover = self.handover.filter(|handover| config.peers.contains(&handover.to));
        self.pace.change(now, &config);
        self.config = config;
        self.will_changed();
        // With a shorter interval the next beat is due sooner.
        self.beat_at = self.beat_at.min(now + self.config.interval);
    }

    /// Whether this node is active because `peer` resigned, or offered its place.
    pub(crate) fn has_succeeded(&self, peer: NodeId) -> bool {
        matches!(self.cause, Some(Cause::Resigned { peer: predecessor, .. }) if predecessor == peer)
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
}

/// What the beats of a change of mode ask for: whoever leaves the place says so at once.
fn parting_words(to: Mode, cause: Cause) -> Intent {
    match cause {
        Cause::Resigning { reason } if to == Mode::Fenced => Intent::Resign(reason),
        Cause::LinkDown => Intent::Resign(ResignReason::Health),
        Cause::Joined
        | Cause::NoActive
        | Cause::Silence { .. }
        | Cause::Resigned { .. }
        | Cause::Resigning { .. }
        | Cause::Rival { .. }
        | Cause::Stall
        | Cause::Heard
        | Cause::Alone
        | Cause::DuplicateId => Intent::None,
    }
}
