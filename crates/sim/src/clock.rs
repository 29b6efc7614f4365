//! The clock of one machine: it drifts, jumps and stands still as real ones do.

use std::time::Duration;

use locum_types::Instant;

const PPM: i64 = 1_000_000;

/// A monotonic clock that is not the world's. Without a fault it shows the world's time.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock {
    /// The moment of the last change, in the world's time and by this clock.
    world: Instant,
    local: Instant,
    /// How much faster than the world's it runs, in parts per million.
    ppm: i32,
    stopped: bool,
}

impl MachineClock {
    /// A clock that shows `local` at `world` and runs `ppm` parts per million too fast.
    ///
    /// # Panics
    /// When it would run backwards.
    pub fn new(world: Instant, local: Instant, ppm: i32) -> Self {
        assert!(ppm > -1_000_000, "a monotonic clock does not run backwards");
        MachineClock { world, local, ppm, stopped: false }
    }

    /// What it shows.
    pub fn at(&self, world: Instant) -> Instant {
        let elapsed = world - self.world;
        match (self.stopped, self.ppm) {
            (true, _) => self.local,
            (false, 0) => self.local + elapsed,
            (false, ppm) => {
                // In two steps, so that 64 bits are enough: whole milliseconds, and the rest.
                let (nanos, ppm) = (elapsed.as_nanos() as i64, i64::from(ppm));
                let drift = nanos / PPM * ppm + nanos % PPM * ppm / PPM;
                self.local + Duration::from_nanos((nanos + drift).unsigned_abs())
            }
        }
    }

    /// The first moment at which it shows `local` or more; `None` while it stands still.
    pub fn when(&self, local: Instant) -> Option<Instant> {
        let missing = local - self.local;
        if missing.is_zero() || self.stopped || self.ppm == 0 {
            return (missing.is_zero() || !self.stopped).then(|| self.world + missing);
        }
        // Rounded down, and corrected by at most a nanosecond or two.
        let (nanos, ppm) = (missing.as_nanos() as i64, i64::from(self.ppm));
        let rate = PPM + ppm;
        let mut elapsed = nanos / rate * PPM + nanos % rate * PPM / rate;
        while self.at(self.world + Duration::from_nanos(elapsed.unsigned_abs())) < local {
            elapsed += 1;
        }
        Some(self.world + Duration::from_nanos(elapsed.unsigned_abs()))
    }

    /// Runs at another speed from now on.
    pub fn set_drift(&mut self, world: Instant, ppm: i32) {
        *self =
            MachineClock { stopped: self.stopped, ..MachineClock::new(world, self.at(world), ppm) };
    }

    /// Jumps forward: the machine was suspended, and its clock was told.
    pub fn jump(&mut self, world: Instant, by: Duration) {
        self.local = self.at(world) + by;
        self.world = world;
    }

    /// Stands still, or goes on: the machine is suspended, and its clock is not told.
    pub fn set_stopped(&mut self, world: Instant, stopped: bool) {
        self.local = self.at(world);
        self.world = world;
        self.stopped = stopped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_default_clock_shows_the_worlds_time() {
        let clock = MachineClock::default();
        assert_eq!(clock.at(ms(5)), ms(5));
        assert_eq!(clock.when(ms(5)), Some(ms(5)));
    }

    #[test]
    fn a_deadline_is_never_early_and_less_than_two_nanoseconds_late() {
        for ppm in [-300_000, -999, -1, 1, 77, 5_000, 400_000] {
            let mut clock = MachineClock::new(ms(3), ms(1_000), ppm);
            clock.jump(ms(9), Duration::from_nanos(12_345));
            for nanos in (0..50_000_000).step_by(1_234_567) {
                let local = clock.at(ms(9)) + Duration::from_nanos(nanos);
                let world = clock.when(local).expect("it runs");
                assert!(clock.at(world) >= local, "{ppm} ppm");
                assert!(clock.at(world.saturating_sub(Duration::from_nanos(2))) <= local);
            }
        }
    }

    #[test]
    fn a_stopped_clock_has_no_deadlines_and_goes_on_where_it_stood() {
        let mut clock = MachineClock::default();
        clock.set_stopped(ms(10), true);
        assert_eq!((clock.at(ms(500)), clock.when(ms(11))), (ms(10), None));
        assert_eq!(clock.when(ms(10)), Some(ms(10)), "what is due is due");
        clock.set_stopped(ms(500), false);
        assert_eq!(clock.at(ms(501)), ms(11));
        assert_eq!(clock.when(ms(11)), Some(ms(501)));
    }

    #[test]
    fn a_change_of_speed_is_not_a_jump() {
        let mut clock = MachineClock::default();
        clock.set_drift(ms(100), 100_000);
        assert_eq!(clock.at(ms(100)), ms(100));
        assert_eq!(clock.at(ms(110)), ms(111));
        clock.jump(ms(110), Duration::from_secs(3600));
        assert_eq!(clock.at(ms(120)), ms(3_600_122));
    }
}
