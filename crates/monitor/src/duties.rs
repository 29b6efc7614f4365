//! What a node does without being asked: beats, grants, announcements, and the will it leaves.

use std::time::Duration;

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{BootNonce, Grant, Health, Instant, LogPosition, Mode, NodeId, ResignReason};
use locum_wire::{Beat, Intent, TimestampEcho};

use crate::peer::{Peer, micros, timestamp_of};
use crate::{Deadline, Event, Monitor, Output};

/// Beats leave up to a quarter of the interval early (RFC 5880 §6.8.7), so that nodes do not fall into step.
const JITTER_SHARE: u64 = 4;
/// Beats out of turn are at least this share of the interval apart, so that no two nodes ping-pong.
const PAUSE_SHARE: u32 = 4;
/// A sign of a rival starts the announcements anew at most this often.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(100);

impl Monitor {
    /// The regular beats. An active node's lease is renewed with them, counted from before they
    /// leave: whoever hears one waits at least as long.
    pub(crate) fn beat_in_turn(&mut self, now: Instant) {
        if self.mode == Mode::Active {
            self.grant(now);
        }
        self.beat_all(now, Intent::None);
    }

    /// Sends a beat to every peer; the next round is due an interval from now.
    pub(crate) fn beat_all(&mut self, now: Instant, intent: Intent) {
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.beat(now, peer, intent);
        }
        let interval = self.pace.interval(now);
        let interval_us = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        let early = Duration::from_micros(self.rng.u64(..=interval_us / JITTER_SHARE));
        self.beat_at = now + interval.saturating_sub(early);
    }

    /// Sends one beat to one peer.
    pub(crate) fn beat(&mut self, now: Instant, to: NodeId, intent: Intent) {
        let dead_after = self.config.dead_after;
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let (sequence, echo) = (peer.next_sequence(), peer.echo(now, dead_after));
        self.send(now, to, Said { intent, sequence, echo });
    }

    /// Answers an introduction out of turn: by the echo its sender can prove that it hears us.
    pub(crate) fn answer_introduction(&mut self, now: Instant, introduction: &Beat) {
        let to = introduction.from;
        if !self.take_extra_turn(now, to) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let (sequence, echo) = (peer.next_sequence(), Some(introduction.boot));
        self.send(now, to, Said { intent: Intent::None, sequence, echo });
    }

    /// Sends a plain beat out of turn.
    pub(crate) fn beat_out_of_turn(&mut self, now: Instant, to: NodeId) {
        if self.take_extra_turn(now, to) {
            self.beat(now, to, Intent::None);
        }
    }

    fn take_extra_turn(&mut self, now: Instant, to: NodeId) -> bool {
        let pause = self.config.interval / PAUSE_SHARE;
        let Some(peer) = self.peers.get_mut(&to) else { return false };
        let may = peer.extra_at.is_none_or(|at| now >= at + pause);
        if may {
            peer.extra_at = Some(now);
        }
        may
    }

    fn send(&mut self, now: Instant, to: NodeId, said: Said) {
        let Some(peer) = self.peers.get(&to) else { return };
        // Of a former life of the peer nothing is said to the next one, whose clock may be another.
        let of_echoed = peer.boot().is_some() && peer.boot() == said.echo;
        let heard_at = peer.detector.heard_at().filter(|_| of_echoed);
        let heard = Heard {
            recent: if of_echoed { peer.recent() } else { 0 },
            age_us: heard_at.map(|at| micros(now - at)),
            timestamp_echo: peer.timestamp_echo(now).filter(|_| of_echoed),
        };
        let beat = Beat { timestamp: timestamp_of(now), ..self.compose(to, said, heard) };
        self.counters.beats_sent += 1;
        self.push(Output::Beat(beat));
    }

    /// An active node says what it took over with: that decides between two who did so at once.
    fn said_position(&self) -> LogPosition {
        if self.mode == Mode::Active { self.claimed_with } else { self.position() }
    }

    fn compose(&self, to: NodeId, said: Said, heard: Heard) -> Beat {
        Beat {
            group: self.config.group,
            from: self.config.node,
            to,
            boot: self.boot,
            echo: said.echo,
            sequence: said.sequence,
            term: self.term,
            mode: self.mode,
            health: self.health(),
            priority: self.config.priority,
            position: self.said_position(),
            isolated: self.mode == Mode::Active && self.isolated,
            interval: self.config.interval,
            dead_after: self.config.dead_after,
            heard: heard.recent,
            heard_age_us: heard.age_us,
            timestamp: 0,
            timestamp_echo: heard.timestamp_echo,
            intent: said.intent,
        }
    }

    /// The beats that resign for this node if it dies without a word: one per peer that hears it,
    /// empty unless it is active. They say nothing that changes from beat to beat, and hold until the
    /// next [`Output::WillChanged`].
    pub fn will(&self) -> Vec<Beat> {
        if self.mode != Mode::Active || sabotaged(Sabotage::NoGoodbye) {
            return Vec::new();
        }
        let intent = Intent::Resign(ResignReason::Crash);
        let last_word = |peer: &Peer| {
            let said = Said { intent, sequence: u64::MAX, echo: Some(peer.boot()?) };
            let beat = self.compose(peer.id, said, Heard::default());
            Some(Beat { health: Health::Failed, position: LogPosition::default(), ..beat })
        };
        self.peers.values().filter_map(last_word).collect()
    }

    /// Publishes the mode, with a lease of one detection time from now.
    pub(crate) fn grant(&mut self, now: Instant) {
        self.lease = now + self.pace.dead_after(now);
        let grant = Grant { mode: self.mode, term: self.term, lease: self.lease };
        self.push(Output::Grant(grant));
    }

    /// Starts the announcement burst.
    pub(crate) fn announce(&mut self, now: Instant) {
        self.announced_at = Some(now);
        self.counters.announcements += 1;
        self.push(Output::Announce);
    }

    /// Starts it again after a sign of a rival: an address must not stick to the loser. False if it
    /// was started just now.
    pub(crate) fn announce_again(&mut self, now: Instant) -> bool {
        let recently = self.announced_at.is_some_and(|at| now < at + ANNOUNCE_EVERY);
        // A successor announces itself before it says that it is one: that is no sign of a rival.
        let leaving = self.handover.is_some();
        let is_due = self.mode == Mode::Active && !recently && !leaving;
        if is_due {
            self.announce(now);
        }
        is_due
    }

    /// Tells people about peers that fell silent, or have left.
    pub(crate) fn report_silence(&mut self, now: Instant) {
        let dead_after = self.config.dead_after;
        let silent = |peer: &&mut Peer| peer.reported_up && !peer.is_alive(now, dead_after);
        let mut down = Vec::new();
        for peer in self.peers.values_mut().filter(silent) {
            peer.reported_up = false;
            down.push((peer.id, peer.boot().is_some()));
        }
        for (peer, silent) in down {
            self.tell(Event::PeerDown { peer, silent });
        }
    }

    /// When the next peer's detection time ends.
    pub(crate) fn silence_deadline(&self) -> Option<(Instant, Deadline)> {
        let up = self.peers.values().filter(|peer| peer.reported_up);
        let ends = up.map(|peer| peer.dies_at(self.config.dead_after));
        ends.min().map(|at| (at, Deadline::PeerSilence))
    }
}

/// What differs from beat to beat, beside the node's state.
struct Said {
    intent: Intent,
    sequence: u64,
    echo: Option<BootNonce>,
}

/// What a beat says about what was heard of its receiver.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    recent: u32,
    age_us: Option<u32>,
    timestamp_echo: Option<TimestampEcho>,
}
