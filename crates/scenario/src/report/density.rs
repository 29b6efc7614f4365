//! Many events on few pixels: single ticks where they fit, else how many there are in each stretch.

use std::time::Duration;

use super::scale::Scale;

/// Ticks nearer to each other than this are counted rather than drawn.
const TICK_ROOM: f64 = 3.0;
/// How many events a stretch should have, so that an empty one means something.
const PER_BIN: f64 = 3.0;

/// How wide the stretches are in which this many events are counted, in pixels; `None` if there is
/// room for single ticks.
pub(super) fn bin_width(scale: Scale, events: usize) -> Option<f64> {
    let room = scale.width() / (events.max(1) as f64);
    (room < TICK_ROOM).then(|| (PER_BIN * room).max(TICK_ROOM))
}

/// How many events are in each stretch of this many pixels.
pub(super) fn bins(scale: Scale, width: f64, events: impl Iterator<Item = Duration>) -> Vec<u32> {
    let mut bins = vec![0_u32; (scale.width() / width).ceil() as usize];
    let last = bins.len().saturating_sub(1);
    for at in events {
        let index = ((scale.x(at) - scale.left()) / width) as usize;
        if let Some(bin) = bins.get_mut(index.min(last)) {
            *bin = bin.saturating_add(1);
        }
    }
    bins
}

/// Neighbouring stretches of one value as one: the value, the first stretch, and how many.
pub(super) fn runs<T: PartialEq + Copy>(
    values: impl IntoIterator<Item = T>,
) -> Vec<(T, usize, usize)> {
    let mut runs: Vec<(T, usize, usize)> = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        match runs.last_mut() {
            Some((last, _, length)) if *last == value => *length += 1,
            Some(_) | None => runs.push((value, index, 1)),
        }
    }
    runs
}

/// Positions at least this far from the one before them that was kept.
pub(super) fn thinned(
    positions: impl IntoIterator<Item = f64>,
    apart: f64,
) -> impl Iterator<Item = f64> {
    let mut last = f64::NEG_INFINITY;
    positions.into_iter().filter(move |&x| {
        let keep = x - last >= apart;
        if keep {
            last = x;
        }
        keep
    })
}

#[cfg(test)]
mod tests;
