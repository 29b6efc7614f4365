//! What a monitor says about itself, for `locum status`.

use std::time::Duration;

use locum_types::{Cause, Health, Instant, Mode, NodeId, Priority, Term};

use crate::Monitor;
use crate::peer::Peer;

/// The state of a monitor at one moment.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// The mode.
    pub mode: Mode,
    /// The term.
    pub term: Term,
    /// Since when it is in this mode.
    pub since: Instant,
    /// Why; `None`: since its start.
    pub cause: Option<Cause>,
    /// Whether it waits for a successor's first beat.
    pub handing_over: bool,
    /// Whether the active node answers probes only.
    pub degraded: bool,
    /// Whether this node is active, and hears nobody on the service link since its start, or since a peer fell silent.
    pub isolated: bool,
    /// The peers, by id.
    pub peers: Vec<PeerStatus>,
    /// The latest activations of this node, oldest first.
    pub takeovers: Vec<Takeover>,
    /// Counts since the start.
    pub counters: Counters,
}

impl Status {
    /// Whether a hand-over, to `to` or to the best node, could begin now; if not, why not.
    pub fn check_handover(&self, to: Option<NodeId>) -> Result<(), &'static str> {
        if self.mode != Mode::Active {
            return Err("this node is not active; ask the one that is");
        }
        if self.handing_over {
            return Err("a hand-over is under way");
        }
        let able = |peer: &PeerStatus| {
            peer.alive && peer.mode == Some(Mode::Waiting) && peer.health > Some(Health::Failed)
        };
        let found = match to {
            Some(to) => self.peers.iter().any(|peer| peer.id == to && able(peer)),
            None => self.peers.iter().any(able),
        };
        match (found, to) {
            (true, _) => Ok(()),
            (false, Some(_)) => Err("that node is not waiting and healthy"),
            (false, None) => Err("no other node is waiting and healthy"),
        }
    }
}

/// One peer.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PeerStatus {
    /// Its id.
    pub id: NodeId,
    /// Whether it was heard within its detection time.
    pub alive: bool,
    /// Its mode, by its latest beat.
    pub mode: Option<Mode>,
    /// Its term, by its latest beat.
    pub term: Option<Term>,
    /// Its priority, by its latest beat.
    pub priority: Option<Priority>,
    /// Its health, by its latest beat.
    pub health: Option<Health>,
    /// The interval at which it beats, by its latest beat.
    pub interval: Option<Duration>,
    /// After how long a silence it is dead, by what is seen of it.
    pub timeout: Duration,
    /// How long ago it was heard.
    pub last_heard_age: Option<Duration>,
    /// Whether it hears this node, by its latest beat; `alive` without this is a one-way loss.
    pub hears_us: Option<bool>,
    /// Smoothed round-trip time.
    pub rtt: Option<Duration>,
    /// Share of its latest beats that were lost, 0 to 1.
    pub loss_in: f64,
    /// Share of our latest beats that it did not hear, by its account.
    pub loss_out: Option<f64>,
}

/// One activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Takeover {
    /// When.
    pub at: Instant,
    /// Why.
    pub cause: Cause,
    /// The term that began.
    pub term: Term,
    /// The time since the predecessor's last beat, if there was one.
    pub detection: Option<Duration>,
}

/// Beats without effect, per reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RefusedBeats {
    /// Introductions: they do not echo our boot nonce.
    pub not_echoed: u64,
    /// Seen before, too old to tell, or said long ago by a node that has been silent since.
    pub replayed: u64,
    /// Of a life, of the peer or of this node, that is over.
    pub old_boot: u64,
    /// Of a second life of a peer whose first one still lives.
    pub second_life: u64,
    /// From a node that is not configured.
    pub unknown_peer: u64,
    /// Our own, come back.
    pub reflected: u64,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Beats sent.
    pub beats_sent: u64,
    /// Beats that were news.
    pub beats_accepted: u64,
    /// Beats that proved life but were overtaken.
    pub beats_late: u64,
    /// Beats without effect.
    pub refused: RefusedBeats,
    /// Probes asked for.
    pub probes_sent: u64,
    /// Answers to probes.
    pub probes_answered: u64,
    /// Activations.
    pub takeovers: u64,
    /// Times that this node did not take over, because its copy of the log is not whole and it is told to prefer
    /// consistency.
    pub takeovers_refused: u64,
    /// Hand-overs offered.
    pub handovers_offered: u64,
    /// Hand-overs whose successor was heard.
    pub handovers_completed: u64,
    /// Offers given up.
    pub handovers_failed: u64,
    /// Offers of others that were too old to be taken.
    pub offers_stale: u64,
    /// Active beats of other nodes that have to yield.
    pub rivals_heard: u64,
    /// Times somebody outside the group spoke for a service address.
    pub strangers: u64,
    /// Turns in which frames for this node waited to be read, so that silence said nothing.
    pub deaf_turns: u64,
    /// Times this node yielded to another active one.
    pub rivals_yielded_to: u64,
    /// Announcement bursts asked for.
    pub announcements: u64,
    /// Gaps in our own loop that were longer than the detection time.
    pub stalls: u64,
    /// The longest gap between two turns, in microseconds.
    pub loop_gap_max_us: u64,
    /// Beats of another node with our id.
    pub duplicate_ids: u64,
}

impl Monitor {
    /// The state at `now`.
    pub fn status(&self, now: Instant) -> Status {
        Status {
            mode: self.mode,
            term: self.term,
            since: self.since,
            cause: self.cause,
            handing_over: self.handover.is_some(),
            degraded: self.degraded,
            isolated: self.isolated,
            peers: self.peers.values().map(|peer| self.peer_status(now, peer)).collect(),
            takeovers: self.takeovers.iter().copied().collect(),
            counters: self.counters,
        }
    }

    fn peer_status(&self, now: Instant, peer: &Peer) -> PeerStatus {
        PeerStatus {
            id: peer.id,
            alive: peer.is_alive(now, self.config.dead_after),
            mode: peer.latest.map(|beat| beat.mode),
            term: peer.latest.map(|beat| beat.term),
            priority: peer.latest.map(|beat| beat.priority),
            health: peer.latest.map(|beat| beat.health),
            interval: peer.latest.map(|beat| beat.interval),
            timeout: peer.timeout(self.config.dead_after),
            last_heard_age: peer.detector.heard_at().map(|at| now - at),
            hears_us: peer.hears_us(),
            rtt: peer.rtt,
            loss_in: peer.loss_in(),
            loss_out: peer.loss_out(),
        }
    }
}
