//! The one clock of a node.

use locum_types::Instant;
use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_BOOTTIME`: monotonic, and it goes on counting while the machine is suspended.
///
/// That is the point: a node that slept for an hour must see an hour, or its lease would still
/// look good when it wakes. The epoch is the boot of the machine, so that instants of several
/// processes of one machine (the parts of a test, a worker and its warden) can be compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// The time now.
    pub fn now(self) -> Instant {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
        Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back_and_has_better_than_microsecond_grain() {
        let readings: Vec<Instant> = (0..10_000).map(|_| Clock.now()).collect();
        assert!(readings.is_sorted());
        assert!(readings.iter().any(|now| now.as_nanos() % 1_000 != 0));
    }

    #[test]
    fn the_epoch_is_the_boot_of_the_machine() {
        let uptime = std::fs::read_to_string("/proc/uptime").expect("/proc is mounted");
        let seconds: f64 = uptime.split(' ').next().expect("a word").parse().expect("a number");
        let age = Clock.now().as_nanos() as f64 / 1e9;
        assert!((age - seconds).abs() < 5.0, "clock {age}, uptime {seconds}");
    }
}
