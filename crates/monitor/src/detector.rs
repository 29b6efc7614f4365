//! When silence means death. Pure: instants in, a deadline out.

use std::time::Duration;

use locum_types::Instant;

/// The smoothed gap between arrivals moves by 1/8 of each difference, and its deviation by 1/4, as
/// those of a TCP round-trip time do (RFC 6298 §2).
const GAP_GAIN: u32 = 8;
const DEVIATION_GAIN: u32 = 4;
/// A peer whose beats arrive slower or less regularly than it says is given this much of what is
/// really seen. With the default of three intervals a steady peer is below its configured time.
const GAPS_MIN: u32 = 2;
const DEVIATIONS_MIN: u32 = 4;
/// But never more than this many times the configured time.
const FLOOR_LIMIT: u32 = 4;

/// Watches the arrivals of one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detector {
    /// The last arrival, or the end of a stall of our own, whichever is later.
    base: Instant,
    heard_at: Option<Instant>,
    /// The start of the gap that the next arrival ends; `None` after a stall of our own.
    gap_from: Option<Instant>,
    gap: Option<Gap>,
}

/// What the gaps between arrivals are like.
#[derive(Clone, Copy, Debug)]
struct Gap {
    mean: Duration,
    deviation: Duration,
}

impl Detector {
    /// A detector that gives the peer a whole detection time from now on.
    pub(crate) fn new(now: Instant) -> Self {
        Detector { base: now, heard_at: None, gap_from: None, gap: None }
    }

    /// A beat arrived. A gap longer than `dead_after` was a death and not a rhythm: it is counted as
    /// that long.
    pub(crate) fn heard(&mut self, now: Instant, dead_after: Duration) {
        if let Some(before) = self.gap_from {
            let sample = (now - before).min(dead_after);
            self.gap = Some(self.gap.map_or(Gap::first(sample), |gap| gap.smoothed(sample)));
        }
        self.heard_at = Some(now);
        self.gap_from = Some(now);
        self.base = self.base.max(now);
    }

    /// Silence until now proves nothing: we were not listening.
    pub(crate) fn refresh(&mut self, now: Instant) {
        self.base = self.base.max(now);
        self.gap_from = None;
    }

    /// When the peer was last heard.
    pub(crate) fn heard_at(&self) -> Option<Instant> {
        self.heard_at
    }

    /// From when on silence counts.
    pub(crate) fn base(&self) -> Instant {
        self.base
    }

    /// How long a silence means death: `dead_after`, but not less than what the gaps that are really
    /// seen ask for.
    pub(crate) fn timeout(&self, dead_after: Duration) -> Duration {
        let floor = self.gap.map_or(Duration::ZERO, |gap| {
            gap.mean.saturating_mul(GAPS_MIN) + gap.deviation.saturating_mul(DEVIATIONS_MIN)
        });
        dead_after.max(floor.min(dead_after.saturating_mul(FLOOR_LIMIT)))
    }

    /// Whether the peer has been heard, and not been silent for too long.
    pub(crate) fn is_alive(&self, now: Instant, dead_after: Duration) -> bool {
        self.heard_at.is_some() && now < self.base + self.timeout(dead_after)
    }
}

impl Gap {
    /// Beats may come in pairs at first, so nothing is made of a single gap.
    fn first(sample: Duration) -> Self {
        Gap { mean: sample, deviation: Duration::ZERO }
    }

    fn smoothed(self, sample: Duration) -> Self {
        let difference = self.mean.abs_diff(sample);
        Gap {
            mean: (self.mean * (GAP_GAIN - 1) + sample) / GAP_GAIN,
            deviation: (self.deviation * (DEVIATION_GAIN - 1) + difference) / DEVIATION_GAIN,
        }
    }
}

#[cfg(test)]
mod tests;
