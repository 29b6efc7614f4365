//! What a cable does to frames, per direction: latency, jitter, loss, duplicates, disorder, damage,
//! and a rate with a queue before it.
//!
//! Pure and deterministic: each direction of each cable draws from a generator of its own, so what
//! happens on one does not depend on the traffic on another.

use std::time::Duration;

use fastrand::Rng;
use locum_types::Instant;

use super::rule::Loss;

/// What a cable does to frames in one direction. The default is a perfect cable.
///
/// Shares are probabilities, 0.0 to 1.0, drawn for each frame.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Impairment {
    /// How long every frame takes.
    #[serde(with = "humantime_serde")]
    pub latency: Duration,
    /// Up to how much longer it may take, uniformly. Frames stay in order.
    #[serde(with = "humantime_serde")]
    pub jitter: Duration,
    /// The share of frames that are lost.
    pub loss: f64,
    /// Losses that come in bursts, on top.
    pub burst: Option<Burst>,
    /// The share of frames that arrive twice.
    pub duplicate: f64,
    /// The share of frames that are held back, and may be overtaken.
    pub reorder: f64,
    /// For how long they are held back.
    #[serde(with = "humantime_serde")]
    pub reorder_by: Duration,
    /// The share of frames of which one bit is flipped, as faulty memory does: behind the checksum.
    pub corrupt: f64,
    /// The rate, in bits per second; `None`: no limit.
    pub bandwidth: Option<u64>,
    /// Bytes that may wait for the rate; what finds no room is lost. `None`: no limit.
    pub queue: Option<usize>,
}

/// Losses in bursts: the model of Gilbert (1960) and Elliott (1963), stepped at each frame.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// The probability that a burst begins.
    pub enter: f64,
    /// The probability that it ends.
    pub leave: f64,
    /// The share of frames that are lost within it.
    pub loss: f64,
}

impl Impairment {
    /// Whether it does nothing to any frame.
    pub fn is_clear(&self) -> bool {
        *self == Impairment::default()
    }
}

/// One direction of a cable.
#[derive(Debug)]
pub(super) struct Cable {
    with: Impairment,
    is_clear: bool,
    rng: Rng,
    in_burst: bool,
    /// When the last frame in order arrives: no later one does before.
    last_due: Instant,
    /// When the rate allows the next frame to leave.
    free_at: Instant,
}

/// One frame on its way through a cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// When it arrives.
    pub(super) due: Instant,
    /// Whether it arrives twice.
    pub(super) twice: bool,
    /// Whether it was held back.
    pub(super) held_back: bool,
    /// The bit that is flipped, counted from the first of the frame.
    pub(super) flipped: Option<usize>,
}

impl Carried {
    /// Whether a frame that entered at `at` is at the other end already, once and as it was.
    pub(super) fn is_untouched(&self, at: Instant) -> bool {
        let Carried { due, twice, held_back, flipped } = *self;
        due <= at && !twice && !held_back && flipped.is_none()
    }
}

impl Cable {
    pub(super) fn perfect() -> Self {
        Cable {
            with: Impairment::default(),
            is_clear: true,
            rng: Rng::with_seed(0),
            in_burst: false,
            last_due: Instant::ZERO,
            free_at: Instant::ZERO,
        }
    }

    /// From now on it is another one. Frames on their way keep their time; new ones do not wait for
    /// them.
    pub(super) fn set(&mut self, with: Impairment, seed: u64) {
        let (is_clear, rng) = (with.is_clear(), Rng::with_seed(seed));
        *self = Cable { with, is_clear, rng, ..Cable::perfect() };
    }

    /// From now on it has this latency; all else stays.
    pub(super) fn set_latency(&mut self, latency: Duration) {
        self.with.latency = latency;
        self.is_clear = self.with.is_clear();
    }

    /// What becomes of a frame of `len` bytes that enters at `now`.
    #[inline]
    pub(super) fn carry(&mut self, now: Instant, len: usize) -> Result<Carried, Loss> {
        if self.is_clear {
            return Ok(Carried { due: now, twice: false, held_back: false, flipped: None });
        }
        self.carry_impaired(now, len)
    }

    /// Apart, so that perfect cables, nearly all, are inlined where they are used.
    fn carry_impaired(&mut self, now: Instant, len: usize) -> Result<Carried, Loss> {
        if self.is_lost() {
            return Err(Loss::Random);
        }
        let left = self.leave(now, len)?;
        let jitter = self.up_to(self.with.jitter);
        let mut due = (left + self.with.latency + jitter).max(self.last_due);
        let held_back = self.draw(self.with.reorder);
        if held_back {
            due += self.with.reorder_by;
        } else {
            self.last_due = due;
        }
        let twice = self.draw(self.with.duplicate);
        let corrupt = len > 0 && self.draw(self.with.corrupt);
        let flipped = corrupt.then(|| self.rng.usize(..len * 8));
        Ok(Carried { due, twice, held_back, flipped })
    }

    fn is_lost(&mut self) -> bool {
        if let Some(burst) = self.with.burst {
            let turn = if self.in_burst { burst.leave } else { burst.enter };
            self.in_burst ^= self.draw(turn);
            if self.in_burst && self.draw(burst.loss) {
                return true;
            }
        }
        self.draw(self.with.loss)
    }

    /// When the last bit has left, at the cable's rate.
    fn leave(&mut self, now: Instant, len: usize) -> Result<Instant, Loss> {
        let Some(rate) = self.with.bandwidth else { return Ok(now) };
        let rate = rate.max(1);
        let start = now.max(self.free_at);
        let waiting = (start - now).as_nanos() * u128::from(rate) / 8_000_000_000;
        let room = self.with.queue.map_or(u128::MAX, |queue| queue as u128);
        if waiting + len as u128 > room {
            return Err(Loss::Congestion);
        }
        let nanos = (len as u128 * 8_000_000_000).div_ceil(u128::from(rate));
        self.free_at = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Ok(self.free_at)
    }

    /// Draws only where something is at stake, so that an idle share costs nothing.
    fn draw(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.f64() < share
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        if nanos == 0 { Duration::ZERO } else { Duration::from_nanos(self.rng.u64(..=nanos)) }
    }
}

#[cfg(test)]
mod tests;
