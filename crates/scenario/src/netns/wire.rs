//! What a node said: its recorded frames, read for beats, words about the service address, and leaks.

use std::time::Duration;

use locum_lab::capture::Frame;
use locum_lab::frame::parse;
use locum_lab::leak::Leak;
use locum_lab::node::identity;

use super::life::silences;
use crate::outcome::{Condition, Word};
use crate::wire::{is_beat, word};

/// How much later than the change itself the log may tell it, on a busy machine: its thread has the
/// lowest priority of the three.
const LOG_LAG: Duration = Duration::from_millis(20);

/// When a node sent beats.
pub(super) fn beats(node: u8, frames: &[Frame]) -> Vec<u64> {
    let beats =
        frames.iter().filter(|frame| parse(&frame.bytes).is_some_and(|it| is_beat(node, &it)));
    beats.map(|frame| frame.at).collect()
}

/// What a node said about the service address.
pub(super) fn words(frames: &[Frame]) -> Vec<(u64, Word)> {
    frames.iter().filter_map(|frame| Some((frame.at, word(&parse(&frame.bytes)?)?))).collect()
}

/// The frames that a node sent for the service while it had to be silent.
///
/// `activations` are the times at which its log says that it became active; its turn began with its
/// announcement, a little earlier.
pub(super) fn leaks(
    node: u8,
    frames: &[Frame],
    conditions: &[(u64, Condition)],
    activations: &[u64],
    lease: Duration,
) -> Vec<Leak> {
    let identity = identity();
    let lease = u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX);
    let begins = |logged: u64| {
        let early = logged.saturating_sub(u64::try_from(LOG_LAG.as_nanos()).unwrap_or(0));
        let candidates = frames.iter().filter(|frame| (early..logged).contains(&frame.at));
        let announced = candidates
            .filter(|frame| parse(&frame.bytes).is_some_and(|it| identity.announces(&it)))
            .map(|frame| frame.at);
        announced.min().unwrap_or(logged)
    };
    silences(conditions, activations, lease)
        .into_iter()
        .map(|silence| match activations.contains(&silence.end) {
            true => silence.start..begins(silence.end),
            false => silence,
        })
        .flat_map(|silence| identity.leaks(node, frames, silence))
        .collect()
}

#[cfg(test)]
mod tests;
