//! Small draws that plans are made of.

use std::time::Duration;

use fastrand::Rng;

/// True with probability `share`.
pub(super) fn chance(rng: &mut Rng, share: f64) -> bool {
    rng.f64() < share
}

/// One of a list that is not empty.
pub(super) fn pick<'a, T>(rng: &mut Rng, list: &'a [T]) -> &'a T {
    &list[rng.usize(..list.len())]
}

/// A time from `from` to `to`, both included.
pub(super) fn duration(rng: &mut Rng, from: Duration, to: Duration) -> Duration {
    Duration::from_nanos(rng.u64(from.as_nanos() as u64..=to.max(from).as_nanos() as u64))
}
