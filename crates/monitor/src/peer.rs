//! The session with one peer: which of its lives we talk to, and what it last said.

use std::collections::VecDeque;
use std::time::Duration;

use locum_types::{BootNonce, Health, Instant, LogPosition, Mode, NodeId, Priority};
use locum_wire::{Beat, ReplayWindow, TimestampEcho};

use crate::detector::Detector;

/// Lives of a peer that are known to be over.
const RETIRED_MAX: usize = 8;
/// The smoothed round-trip time moves by 1/8 of each difference (RFC 6298 §2).
const RTT_GAIN: u32 = 8;

/// What a beat was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// It does not prove that its sender hears us: answer, and believe nothing.
    Introduced,
    /// It was recorded, repeated, or of a life that is over.
    Refused(Refused),
    /// It proves that the peer lives, but it is older than what we know.
    Late,
    /// It is news.
    News {
        /// It is the first of a new life of the peer.
        new_boot: bool,
    },
}

/// Why a beat had no effect at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Replayed,
    OldBoot,
}

/// The order of elections: health, freshness, priority, id.
pub(crate) type Merit = (Health, LogPosition, Priority, NodeId);

/// One peer.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    /// The life that has proved to hear us.
    boot: Option<BootNonce>,
    /// A life that has introduced itself.
    candidate: Option<BootNonce>,
    retired: VecDeque<BootNonce>,
    window: ReplayWindow,
    pub(crate) detector: Detector,
    pub(crate) latest: Option<Beat>,
    pub(crate) rtt: Option<Duration>,
    /// The sequence number of the last beat sent.
    sent: u64,
    pub(crate) sent_at: Instant,
    /// Whether people were told that it is up.
    pub(crate) reported_up: bool,
}

impl Peer {
    pub(crate) fn new(id: NodeId, now: Instant) -> Self {
        Peer {
            id,
            boot: None,
            candidate: None,
            retired: VecDeque::new(),
            window: ReplayWindow::new(),
            detector: Detector::new(now),
            latest: None,
            rtt: None,
            sent: 0,
            sent_at: Instant::ZERO,
            reported_up: false,
        }
    }

    /// Judges a beat of this peer by its boot, its echo and its number.
    pub(crate) fn hear(&mut self, now: Instant, beat: &Beat, ours: BootNonce) -> Hearing {
        if self.retired.contains(&beat.boot) {
            return Hearing::Refused(Refused::OldBoot);
        }
        if beat.echo != Some(ours) {
            if self.boot != Some(beat.boot) {
                self.candidate = Some(beat.boot);
            }
            return Hearing::Introduced;
        }
        let new_boot = self.boot != Some(beat.boot);
        if new_boot {
            self.adopt(beat.boot, now);
        }
        let newest = self.window.highest();
        if !self.window.accept(beat.sequence) {
            return Hearing::Refused(Refused::Replayed);
        }
        self.detector.heard(now);
        if beat.sequence < newest {
            return Hearing::Late;
        }
        self.measure_rtt(now, beat.timestamp_echo);
        self.latest = Some(*beat);
        Hearing::News { new_boot }
    }

    fn adopt(&mut self, boot: BootNonce, now: Instant) {
        self.retire();
        self.boot = Some(boot);
        self.candidate = None;
        self.window = ReplayWindow::new();
        self.detector = Detector::new(now);
        self.rtt = None;
    }

    /// Ends the session: this life of the peer is over, by its own word.
    pub(crate) fn retire(&mut self) {
        if let Some(boot) = self.boot.take() {
            if self.retired.len() == RETIRED_MAX {
                self.retired.pop_front();
            }
            self.retired.push_back(boot);
        }
        self.latest = None;
    }

    fn measure_rtt(&mut self, now: Instant, echo: Option<TimestampEcho>) {
        let Some(TimestampEcho { timestamp, held_us }) = echo else { return };
        let elapsed = timestamp_of(now).wrapping_sub(timestamp);
        let sample = Duration::from_micros(elapsed.saturating_sub(held_us).into());
        self.rtt = Some(match self.rtt {
            Some(rtt) => (rtt * (RTT_GAIN - 1) + sample) / RTT_GAIN,
            None => sample,
        });
    }

    /// The life we talk to, if it has proved to hear us.
    pub(crate) fn boot(&self) -> Option<BootNonce> {
        self.boot
    }

    /// What a regular beat echoes: the session while it lives, so that a recorded introduction cannot
    /// talk over it; a newcomer once the session is silent.
    pub(crate) fn echo(&self, now: Instant, dead_after: Duration) -> Option<BootNonce> {
        if self.is_alive(now, dead_after) { self.boot } else { self.candidate.or(self.boot) }
    }

    /// What the answer to an introduction echoes.
    pub(crate) fn introduction_echo(&self) -> Option<BootNonce> {
        self.candidate.or(self.boot)
    }

    pub(crate) fn is_alive(&self, now: Instant, dead_after: Duration) -> bool {
        self.boot.is_some() && self.detector.is_alive(now, self.limit(dead_after))
    }

    /// The longer of our own and the peer's time.
    pub(crate) fn limit(&self, dead_after: Duration) -> Duration {
        self.latest.map_or(dead_after, |beat| beat.dead_after.max(dead_after))
    }

    /// After how long a silence this peer is dead.
    pub(crate) fn timeout(&self, dead_after: Duration) -> Duration {
        self.detector.timeout(self.limit(dead_after))
    }

    /// Its merit in an election, if it may take part.
    pub(crate) fn candidacy(&self, now: Instant, dead_after: Duration) -> Option<Merit> {
        let beat = self.latest.filter(|_| self.is_alive(now, dead_after))?;
        let eligible = beat.mode == Mode::Waiting && beat.health > Health::Failed;
        eligible.then_some((beat.health, beat.position, beat.priority, beat.from))
    }

    /// The number of the next beat to this peer. The last number is the will's.
    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sent = self.sent.saturating_add(1).min(u64::MAX - 1);
        self.sent
    }

    pub(crate) fn recent(&self) -> u32 {
        self.window.recent()
    }

    /// The share of the latest beats of this peer that were lost on the way to us, 0 to 1.
    pub(crate) fn loss_in(&self) -> f64 {
        share_lost(self.window.recent(), self.window.highest())
    }

    /// The share of our latest beats that this peer has not heard, by its own account.
    pub(crate) fn loss_out(&self) -> Option<f64> {
        self.latest.filter(|beat| beat.heard != 0).map(|beat| share_lost(beat.heard, self.sent))
    }
}

/// The microseconds of an instant as a beat carries them: wrapping, and only ever compared to our own.
pub(crate) fn timestamp_of(now: Instant) -> u32 {
    now.as_micros() as u32
}

fn share_lost(heard: u32, beats: u64) -> f64 {
    let of = beats.min(32) as u32;
    if of == 0 { 0.0 } else { f64::from(of - heard.count_ones().min(of)) / f64::from(of) }
}
