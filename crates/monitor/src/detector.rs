//! When silence means death. Pure: instants in, a deadline out.

use std::time::Duration;

use locum_types::Instant;

/// The smoothed gap between arrivals moves by 1/8 of each difference, as a TCP round-trip time does
/// (RFC 6298 §2).
const GAP_GAIN: u32 = 8;
/// A peer whose beats arrive slower than it says is given this many of its real gaps.
const GAPS_MIN: u32 = 2;
/// But never more than this many times the configured time.
const FLOOR_LIMIT: u32 = 4;

/// Watches the arrivals of one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detector {
    /// The last arrival, or the end of a stall of our own, whichever is later.
    base: Instant,
    heard_at: Option<Instant>,
    gap: Option<Duration>,
}

impl Detector {
    /// A detector that gives the peer a whole detection time from now on.
    pub(crate) fn new(now: Instant) -> Self {
        Detector { base: now, heard_at: None, gap: None }
    }

    /// A beat arrived.
    pub(crate) fn heard(&mut self, now: Instant) {
        if let Some(before) = self.heard_at {
            let sample = now - before;
            self.gap = Some(match self.gap {
                Some(gap) => (gap * (GAP_GAIN - 1) + sample) / GAP_GAIN,
                None => sample,
            });
        }
        self.heard_at = Some(now);
        self.base = self.base.max(now);
    }

    /// Silence until now proves nothing: we were not listening.
    pub(crate) fn refresh(&mut self, now: Instant) {
        self.base = self.base.max(now);
    }

    /// When the peer was last heard.
    pub(crate) fn heard_at(&self) -> Option<Instant> {
        self.heard_at
    }

    /// From when on silence counts.
    pub(crate) fn base(&self) -> Instant {
        self.base
    }

    /// How long a silence means death: the longer of what both sides are configured for (RFC 9568
    /// §6.4.2), but not less than two of the gaps that are really seen.
    pub(crate) fn timeout(&self, dead_after: Duration) -> Duration {
        let floor = self.gap.map_or(Duration::ZERO, |gap| gap * GAPS_MIN);
        dead_after.max(floor.min(dead_after * FLOOR_LIMIT))
    }

    /// Whether the peer has been heard, and not been silent for too long.
    pub(crate) fn is_alive(&self, now: Instant, dead_after: Duration) -> bool {
        self.heard_at.is_some() && now < self.base + self.timeout(dead_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD_AFTER: Duration = Duration::from_millis(30);

    fn ms(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn steady(gap: u64, beats: u64) -> Detector {
        let mut detector = Detector::new(ms(0));
        (0..beats).for_each(|beat| detector.heard(ms(beat * gap)));
        detector
    }

    #[test]
    fn a_punctual_peer_is_dead_exactly_after_the_configured_time() {
        let detector = steady(10, 100);
        assert!(detector.is_alive(ms(990 + 29), DEAD_AFTER));
        assert!(!detector.is_alive(ms(990 + 30), DEAD_AFTER));
    }

    #[test]
    fn a_slow_peer_gets_two_of_its_gaps_but_no_more_than_four_times_the_limit() {
        assert_eq!(steady(25, 100).timeout(DEAD_AFTER), Duration::from_millis(50));
        assert_eq!(steady(500, 100).timeout(DEAD_AFTER), DEAD_AFTER * 4);
    }

    #[test]
    fn a_stall_of_our_own_starts_the_time_anew() {
        let mut detector = steady(10, 10);
        detector.refresh(ms(1_000));
        assert!(detector.is_alive(ms(1_029), DEAD_AFTER));
        assert!(!detector.is_alive(ms(1_030), DEAD_AFTER));
    }

    #[test]
    fn a_peer_that_was_never_heard_is_not_alive() {
        assert!(!Detector::new(ms(0)).is_alive(ms(1), DEAD_AFTER));
    }
}
