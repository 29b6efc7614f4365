//! What a node was doing when: its log and what was done to it, put together.
//!
//! Times are nanoseconds of the wall clock, as captures and logs have them.

use std::ops::Range;
use std::time::Duration;

use locum_types::{Cause, Mode};

use super::log::LoggedChange;
use super::nodes::Life;
use crate::outcome::Condition;

/// For how long threads of a process run on that was just stopped or killed, and how long a frame may be
/// on its way through the kernel.
const LAST_FRAMES: Duration = Duration::from_millis(2);

/// How long a process that may go on needs, on a busy machine, until it has seen that it was stopped and
/// has logged what it makes of that.
const WAKE_UP: Duration = Duration::from_millis(20);

/// The condition of a node from each moment on. Before the first there was no process.
///
/// A process that was stopped, may go on, and changes its mode first thing, was stopped until then.
pub(super) fn conditions(life: &[(u64, Life)], changes: &[LoggedChange]) -> Vec<(u64, Condition)> {
    enum Turn {
        Life(Life),
        Mode(Mode),
    }
    let lived = life.iter().map(|&(at, turn)| (at, Turn::Life(turn)));
    let mut turns: Vec<(u64, Turn)> =
        lived.chain(changes.iter().map(|change| (change.at, Turn::Mode(change.to)))).collect();
    turns.sort_by_key(|&(at, _)| at);
    let mut mode = Mode::Joining;
    let mut conditions = Vec::new();
    let mut runs = false;
    for (at, turn) in turns {
        let condition = match turn {
            Turn::Life(Life::Started) => {
                (runs, mode) = (true, Mode::Joining);
                Condition::Running(mode)
            }
            Turn::Life(Life::Ended) => {
                runs = false;
                Condition::Dead
            }
            Turn::Life(Life::Frozen) => Condition::Frozen,
            Turn::Life(Life::Thawed) if wakes_up_changed(at, changes) => continue,
            Turn::Life(Life::Thawed) => Condition::Running(mode),
            Turn::Mode(changed) if runs => {
                mode = changed;
                Condition::Running(mode)
            }
            // Written just before the end, and stamped by a thread that was late.
            Turn::Mode(_) => continue,
        };
        conditions.push((at, condition));
    }
    conditions
}

fn wakes_up_changed(thawed: u64, changes: &[LoggedChange]) -> bool {
    let soon = thawed..thawed + u64::try_from(WAKE_UP.as_nanos()).unwrap_or(0);
    changes.iter().any(|change| soon.contains(&change.at))
}

/// Whether a node has found that its own loop stood still, without having been stopped before.
pub(super) fn has_stalled(life: &[(u64, Life)], changes: &[LoggedChange]) -> bool {
    let frozen_at = life.iter().find(|(_, turn)| *turn == Life::Frozen).map(|&(at, _)| at);
    changes.iter().any(|change| {
        change.cause == Cause::Stall.name() && frozen_at.is_none_or(|frozen| change.at < frozen)
    })
}

/// When a node had to be silent for the service.
///
/// A node that was stopped for `lease` or longer must not go on where it was, so its silence lasts until
/// it becomes active again, whatever its log calls it in between.
pub(super) fn silences(
    conditions: &[(u64, Condition)],
    activations: &[u64],
    lease: u64,
) -> Vec<Range<u64>> {
    let grace = u64::try_from(LAST_FRAMES.as_nanos()).unwrap_or(u64::MAX);
    let mut silences = Vec::new();
    let mut since = Some(0);
    let mut stopped = None;
    for (index, &(at, condition)) in conditions.iter().enumerate() {
        let speaks = match condition {
            Condition::Running(Mode::Active) => {
                let too_long = stopped.is_some_and(|stopped| at - stopped >= lease);
                let activated = activations.contains(&at);
                stopped = None;
                activated || since.is_none() || !too_long && was_active(&conditions[..index])
            }
            Condition::Running(Mode::Joining | Mode::Waiting | Mode::Fenced) => false,
            Condition::Frozen => {
                stopped = Some(at);
                false
            }
            Condition::Dead => {
                stopped = None;
                false
            }
        };
        match (since, speaks) {
            (Some(start), true) => {
                silences.push(start..at);
                since = None;
            }
            (None, false) => since = Some(at + grace),
            (Some(_), false) | (None, true) => {}
        }
    }
    silences.extend(since.map(|start| start..u64::MAX));
    silences.retain(|silence| !silence.is_empty());
    silences
}

/// Whether the node was active when it was stopped.
fn was_active(before: &[(u64, Condition)]) -> bool {
    let mut running = before.iter().rev().map(|&(_, condition)| condition);
    running.find(|&condition| condition != Condition::Frozen)
        == Some(Condition::Running(Mode::Active))
}

#[cfg(test)]
mod tests;
