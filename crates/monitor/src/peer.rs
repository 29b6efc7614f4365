//! The session with one peer: which of its lives we talk to, and what it last said.

use std::collections::VecDeque;
use std::time::Duration;

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{BootNonce, Health, Instant, LogPosition, Mode, NodeId, Priority};
use locum_wire::{Beat, ReplayWindow, TimestampEcho};

use crate::detector::Detector;

/// Lives of a peer that are known to be over.
const RETIRED_MAX: usize = 32;
/// The smoothed round-trip time moves by 1/8 of each difference (RFC 6298 §2).
const RTT_GAIN: u32 = 8;
/// A new life begins with a beat that took less than this to come, so with none from a record. More
/// than any link takes, and far less than the microseconds of a timestamp take to come round.
const FRESH: Duration = Duration::from_secs(1);
/// A second life that goes on for this many detection times beside the first is another node.
const TWIN_TIMES: u32 = 4;

/// What a beat was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// It does not prove that its sender hears us: answer, and believe nothing.
    Introduced,
    /// It was recorded, repeated, or of a life that does not count.
    Refused(Refused),
    /// It was said before its sender fell silent for too long: answer, and believe nothing.
    Stale,
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
    /// Seen before, or too old to tell.
    Replayed,
    /// Of a life that is over.
    OldBoot,
    /// Of another life than the one that still lives: it was restarted within the detection time, or
    /// two nodes have one id.
    SecondLife {
        /// It has lasted too long for a restart; true once.
        twin: bool,
    },
}

/// A life of a peer that hears us while an earlier one still counts.
#[derive(Clone, Copy, Debug)]
struct SecondLife {
    boot: BootNonce,
    since: Instant,
    /// Its newest beat. Once this life counts, those up to here come from a record.
    newest: u64,
    /// Whether people know that it has lasted too long for a restart.
    told: bool,
}

/// The order of elections: health, freshness, priority, id.
pub(crate) type Merit = (Health, LogPosition, Priority, NodeId);

/// One peer.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    /// The life that has proved to hear us.
    boot: Option<BootNonce>,
    /// A life that has introduced itself, and when.
    candidate: Option<(BootNonce, Instant)>,
    /// A life that hears us beside the one that counts.
    second: Option<SecondLife>,
    retired: VecDeque<BootNonce>,
    doubted_until: Instant,
    window: ReplayWindow,
    pub(crate) detector: Detector,
    pub(crate) latest: Option<Beat>,
    /// The timestamp of the newest beat of this life, and when it came. One that is too old to be believed tells how old
    /// the answer to it is all the same: without that two nodes could each take the other for dead, over a link that was slow.
    newest: Option<(u32, Instant)>,
    pub(crate) rtt: Option<Duration>,
    /// When we had said what the latest beat answers: it was made after that.
    said_before: Instant,
    /// The sequence number of the last beat sent.
    sent: u64,
    /// When the last beat out of turn was sent to it.
    pub(crate) extra_at: Option<Instant>,
    /// The sequence numbers with which the session began, in both directions.
    first_heard: u64,
    first_sent: u64,
    /// Whether people were told that it is up.
    pub(crate) reported_up: bool,
    /// It is active too, and is to yield.
    pub(crate) outranked: bool,
}

impl Peer {
    pub(crate) fn new(id: NodeId, now: Instant) -> Self {
        Peer {
            id,
            boot: None,
            candidate: None,
            second: None,
            retired: VecDeque::new(),
            doubted_until: Instant::ZERO,
            window: ReplayWindow::new(),
            detector: Detector::new(now),
            latest: None,
            newest: None,
            rtt: None,
            said_before: Instant::ZERO,
            sent: 0,
            extra_at: None,
            first_heard: 0,
            first_sent: 0,
            reported_up: false,
            outranked: false,
        }
    }

    /// Judges a beat of this peer by its boot, its echo and its number.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        beat: &Beat,
        ours: BootNonce,
        dead_after: Duration,
    ) -> Hearing {
        if self.retired.contains(&beat.boot) {
            return Hearing::Refused(Refused::OldBoot);
        }
        let new_boot = self.boot != Some(beat.boot);
        if beat.echo != Some(ours) && !sabotaged(Sabotage::EchoIgnored) {
            if new_boot {
                self.candidate = Some((beat.boot, now));
            }
            return Hearing::Introduced;
        }
        if beat.sequence == 0 {
            return Hearing::Refused(Refused::Replayed);
        }
        if new_boot && self.spoke_lately(now, dead_after) {
            let twin = self.note_second_life(now, beat, dead_after);
            return Hearing::Refused(Refused::SecondLife { twin });
        }
        if new_boot {
            if self.is_recorded(now, beat) {
                return Hearing::Refused(Refused::Replayed);
            }
            self.adopt(now, beat);
        }
        let newest = self.window.highest();
        if !self.window.accept(beat.sequence) {
            return Hearing::Refused(Refused::Replayed);
        }
        if beat.sequence > newest {
            self.newest = Some((beat.timestamp, now));
        }
        if self.is_of_the_dead(now, beat, dead_after) {
            return Hearing::Stale;
        }
        self.detector.heard(now, self.limit(dead_after));
        if beat.sequence < newest {
            return Hearing::Late;
        }
        self.measure_rtt(now, beat);
        self.latest = Some(*beat);
        self.said_before = said_before(now, beat).unwrap_or(Instant::ZERO);
        Hearing::News { new_boot }
    }

    /// The lives of one node follow each other: as long as one lives no other one counts.
    fn note_second_life(&mut self, now: Instant, beat: &Beat, dead_after: Duration) -> bool {
        let (boot, newest) = (beat.boot, beat.sequence);
        let fresh = SecondLife { boot, since: now, newest, told: false };
        let second = self.second.filter(|second| second.boot == boot).unwrap_or(fresh);
        let is_twin = now - second.since >= self.timeout(dead_after).saturating_mul(TWIN_TIMES);
        let (newest, told) = (second.newest.max(newest), second.told || is_twin);
        self.second = Some(SecondLife { newest, told, ..second });
        is_twin && !second.told
    }

    /// Whether the first beat of a new life was said before: heard while another life counted, or on
    /// its way for longer than a link takes.
    fn is_recorded(&self, now: Instant, beat: &Beat) -> bool {
        let heard = |second: SecondLife| second.boot == beat.boot && beat.sequence <= second.newest;
        self.second.is_some_and(heard) || age_of(now, beat).is_some_and(|age| age > FRESH)
    }

    /// Whether a peer that has been silent for its detection time said this before, and that long ago: what was
    /// lost then may be repeated by others, and would keep its next life from being heard. Whoever is back proves it
    /// by what is younger than that, or by what it says from now on, however slow the link is.
    fn is_of_the_dead(&self, now: Instant, beat: &Beat, dead_after: Duration) -> bool {
        let (died_at, timeout) = (self.dies_at(dead_after), self.timeout(dead_after));
        let is_old = |age: Duration| age > timeout && now < died_at + age;
        now >= died_at && age_of(now, beat).is_some_and(is_old)
    }

    fn adopt(&mut self, now: Instant, beat: &Beat) {
        self.retire();
        self.boot = Some(beat.boot);
        self.candidate = None;
        self.second = None;
        self.window = ReplayWindow::new();
        self.detector = Detector::new(now);
        self.newest = None;
        self.rtt = None;
        self.first_heard = beat.sequence;
        self.first_sent = self.sent;
    }

    /// Ends the session: this life of the peer is over, by its own word or by that of the next.
    pub(crate) fn retire(&mut self) {
        if let Some(boot) = self.boot.take() {
            if self.retired.len() == RETIRED_MAX {
                self.retired.pop_front();
            }
            self.retired.push_back(boot);
        }
        self.latest = None;
        self.outranked = false;
    }

    /// What a beat echoes, so that the peer can tell how old it is.
    pub(crate) fn timestamp_echo(&self, now: Instant) -> Option<TimestampEcho> {
        let (timestamp, at) = self.newest?;
        Some(TimestampEcho { timestamp, held_us: micros(now - at) })
    }

    fn measure_rtt(&mut self, now: Instant, beat: &Beat) {
        let Some(sample) = age_of(now, beat) else { return };
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
    /// talk over it; a newcomer of late once the session is silent.
    pub(crate) fn echo(&self, now: Instant, dead_after: Duration) -> Option<BootNonce> {
        if self.spoke_lately(now, dead_after) {
            return self.boot;
        }
        let newcomer = self.candidate.filter(|&(_, at)| now < at + self.timeout(dead_after));
        newcomer.map(|(boot, _)| boot).or(self.boot)
    }

    /// Whether the life we talk to was heard within its time. Other than [`is_alive`](Peer::is_alive)
    /// this makes no allowance for a stall of our own, and does not believe what waited in a queue
    /// meanwhile: the peer may have begun a new life.
    fn spoke_lately(&self, now: Instant, dead_after: Duration) -> bool {
        let lately = |at: Instant| at >= self.doubted_until && now < at + self.timeout(dead_after);
        self.boot.is_some() && self.detector.heard_at().is_some_and(lately)
    }

    /// After a stall of our own: what is heard before `until` may be old.
    pub(crate) fn doubt(&mut self, until: Instant) {
        self.doubted_until = until;
    }

    pub(crate) fn is_alive(&self, now: Instant, dead_after: Duration) -> bool {
        self.boot.is_some() && self.detector.is_alive(now, self.limit(dead_after))
    }

    /// The longer of our own and the peer's time (RFC 9568 §6.4.2: adopt what the active advertises).
    fn limit(&self, dead_after: Duration) -> Duration {
        self.latest.map_or(dead_after, |beat| beat.dead_after.max(dead_after))
    }

    /// After how long a silence this peer is dead.
    pub(crate) fn timeout(&self, dead_after: Duration) -> Duration {
        self.detector.timeout(self.limit(dead_after))
    }

    /// When the silence of this peer becomes death.
    pub(crate) fn dies_at(&self, dead_after: Duration) -> Instant {
        self.detector.base() + self.timeout(dead_after)
    }

    /// Its merit in an election, if it may take part.
    pub(crate) fn candidacy(&self, now: Instant, dead_after: Duration) -> Option<Merit> {
        let beat = self.latest.filter(|_| self.is_alive(now, dead_after))?;
        let eligible = beat.mode == Mode::Waiting && beat.health > Health::Failed;
        eligible.then_some((beat.health, beat.position, beat.priority, beat.from))
    }

    /// Its latest beat, if it lives and says that it is active.
    pub(crate) fn active_beat(&self, now: Instant, dead_after: Duration) -> Option<&Beat> {
        let beat = self.latest.as_ref().filter(|beat| beat.mode == Mode::Active)?;
        self.is_alive(now, dead_after).then_some(beat)
    }

    /// Its latest beat, if it lives and made it after `since`: it had heard what we said after that.
    pub(crate) fn beat_since(
        &self,
        now: Instant,
        since: Instant,
        dead_after: Duration,
    ) -> Option<&Beat> {
        let beat = self.latest.as_ref().filter(|_| self.is_alive(now, dead_after));
        beat.filter(|_| self.said_before > since)
    }

    /// The number of the next beat to this peer. The last number is the will's.
    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sent = self.sent.saturating_add(1).min(u64::MAX - 1);
        self.sent
    }

    pub(crate) fn recent(&self) -> u32 {
        self.window.recent()
    }

    /// Whether this peer hears us, by its own account; `None` while it says nothing.
    pub(crate) fn hears_us(&self) -> Option<bool> {
        let beat = self.latest?;
        let age = |micros: u32| Duration::from_micros(micros.into());
        Some(beat.heard_age_us.is_some_and(|micros| age(micros) <= beat.dead_after))
    }

    /// The share of the latest beats of this peer that were lost on the way to us, 0 to 1.
    pub(crate) fn loss_in(&self) -> f64 {
        let beats = self.window.highest().saturating_sub(self.first_heard).saturating_add(1);
        share_lost(self.window.recent(), beats)
    }

    /// The share of our latest beats that this peer has not heard, by its own account.
    pub(crate) fn loss_out(&self) -> Option<f64> {
        let beat = self.latest.filter(|beat| beat.heard != 0)?;
        Some(share_lost(beat.heard, self.sent.saturating_sub(self.first_sent)))
    }
}

/// How old a beat is at most: the round trip, less the time its sender held our timestamp.
pub(crate) fn age_of(now: Instant, beat: &Beat) -> Option<Duration> {
    let TimestampEcho { timestamp, held_us } = beat.timestamp_echo?;
    let elapsed = timestamp_of(now).wrapping_sub(timestamp);
    Some(Duration::from_micros(elapsed.saturating_sub(held_us).into()))
}

/// When we sent the timestamp that a beat echoes.
fn said_before(now: Instant, beat: &Beat) -> Option<Instant> {
    let TimestampEcho { timestamp, .. } = beat.timestamp_echo?;
    let elapsed = timestamp_of(now).wrapping_sub(timestamp);
    Some(now.saturating_sub(Duration::from_micros(elapsed.into())))
}

/// The microseconds of an instant as a beat carries them: wrapping, and only ever compared to our own.
pub(crate) fn timestamp_of(now: Instant) -> u32 {
    now.as_micros() as u32
}

/// A time as a beat carries it.
pub(crate) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// The share of the last 32 of `beats` that is missing in `heard`.
fn share_lost(heard: u32, beats: u64) -> f64 {
    let of = u32::try_from(beats).unwrap_or(u32::MAX).min(u32::BITS);
    if of == 0 { 0.0 } else { f64::from(of - heard.count_ones().min(of)) / f64::from(of) }
}

#[cfg(test)]
mod tests;
