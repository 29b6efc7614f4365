//! Time as a distance: the window a picture shows, and the marks on its axis.

use std::time::Duration;

/// Maps a window of time onto a stretch of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    from: Duration,
    until: Duration,
    left: f64,
    right: f64,
}

impl Scale {
    /// A window of no length shows its one moment at the left.
    pub(super) const fn new(from: Duration, until: Duration, left: f64, right: f64) -> Self {
        Scale { from, until, left, right }
    }

    /// Where the window begins in the picture.
    pub(super) const fn left(self) -> f64 {
        self.left
    }

    /// Where it ends in the picture.
    pub(super) const fn right(self) -> f64 {
        self.right
    }

    /// How wide the window is in the picture.
    pub(super) const fn width(self) -> f64 {
        self.right - self.left
    }

    /// Whether a moment is within the window.
    pub(super) fn shows(self, at: Duration) -> bool {
        at >= self.from && at <= self.until
    }

    /// Where a moment is; ones outside the window are at its edges.
    pub(super) fn x(self, at: Duration) -> f64 {
        let window = self.until.saturating_sub(self.from).as_secs_f64();
        let part = at.clamp(self.from, self.until.max(self.from)) - self.from;
        if window > 0.0 {
            self.left + self.width() * part.as_secs_f64() / window
        } else {
            self.left
        }
    }

    /// Where a stretch of time begins and ends; `None` if none of it is in the window.
    pub(super) fn extent(self, from: Duration, until: Duration) -> Option<(f64, f64)> {
        let overlaps = from < self.until && until > self.from;
        overlaps.then(|| (self.x(from), self.x(until)))
    }

    /// The marks of the axis, at least `apart` from each other, counted from `origin`.
    pub(super) fn marks(self, origin: Duration, apart: f64) -> Vec<Mark> {
        let window = self.until.saturating_sub(self.from).as_secs_f64();
        let step = step(window * apart / self.width());
        if step <= 0.0 {
            return Vec::new();
        }
        let unit = Unit::of(window);
        let begin = self.from.as_secs_f64() - origin.as_secs_f64();
        // A mark at the very edge must not be lost to rounding.
        let slack = step * 1e-6;
        let first = ((begin - slack) / step).ceil() as i64;
        let last = ((begin + window + slack) / step).floor() as i64;
        (first..=last)
            .map(|index| {
                let seconds = index as f64 * step;
                let x = self.left + self.width() * (seconds - begin) / window;
                Mark { x, label: unit.label(seconds, step, origin > Duration::ZERO) }
            })
            .collect()
    }
}

/// One mark of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    /// Where.
    pub(super) x: f64,
    /// What it says.
    pub(super) label: String,
}

/// The least of 1, 2 and 5 times a power of ten that is not less than this.
fn step(least: f64) -> f64 {
    if least <= 0.0 || !least.is_finite() {
        return 0.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= least * 0.999_999);
    power * times.unwrap_or(10.0)
}

/// What an axis counts in.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Seconds,
    Millis,
    Micros,
}

impl Unit {
    fn of(window: f64) -> Unit {
        match window {
            long if long >= 2.0 => Unit::Seconds,
            short if short >= 2e-3 => Unit::Millis,
            _ => Unit::Micros,
        }
    }

    fn label(self, seconds: f64, step: f64, signed: bool) -> String {
        let (name, factor) = match self {
            Unit::Seconds => ("s", 1.0),
            Unit::Millis => ("ms", 1e3),
            Unit::Micros => ("µs", 1e6),
        };
        let value = seconds * factor;
        let decimals = (-(step * factor).log10().floor()).max(0.0) as usize;
        let sign = match value {
            zero if zero.abs() < step * factor / 2.0 => return "0".to_owned(),
            negative if negative < 0.0 => "−",
            _ if signed => "+",
            _ => "",
        };
        format!("{sign}{:.decimals$} {name}", value.abs())
    }
}

#[cfg(test)]
mod tests;
