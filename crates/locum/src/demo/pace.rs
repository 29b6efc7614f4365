//! How fast the world goes: by the real clock, or as fast as it can.

use std::io;
use std::time::Duration;

use locum_link::{Clock, Poller};
use locum_types::Instant;

/// Decides how the world's time passes. The world moves on when `wait_until` returns.
pub(super) trait Pace {
    /// Waits until it is `at` in the world.
    fn wait_until(&mut self, at: Instant) -> io::Result<()>;
}

/// The real clock, times a speed.
pub(super) struct RealTime {
    start: Instant,
    speed: f64,
    lag: Duration,
}

impl RealTime {
    /// The world's time zero is now; it goes `speed` times as fast as the clock.
    pub(super) fn start(speed: f64) -> Self {
        RealTime { start: Clock.now(), speed, lag: Duration::ZERO }
    }

    /// How far the world was behind the clock at worst.
    pub(super) fn lag(&self) -> Duration {
        self.lag
    }

    /// Real time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        Clock.now() - self.start
    }
}

impl Pace for RealTime {
    fn wait_until(&mut self, at: Instant) -> io::Result<()> {
        let due = self.start + Duration::from_nanos((at.as_nanos() as f64 / self.speed) as u64);
        while Clock.now() < due {
            Poller.wait(&[], Some(due))?;
        }
        self.lag = self.lag.max(Clock.now() - due);
        Ok(())
    }
}

/// No waiting: the world's time is all there is.
#[cfg(test)]
pub(super) struct AtOnce;

#[cfg(test)]
impl Pace for AtOnce {
    fn wait_until(&mut self, _at: Instant) -> io::Result<()> {
        Ok(())
    }
}
