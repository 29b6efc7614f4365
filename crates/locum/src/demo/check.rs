//! The checks: what each of them promises, in words, and whether an act kept it, with the figure.

use std::time::Duration;

use locum_types::{Instant, Mode, NodeId};

use super::script::{Action, Check, Client};
use super::timeline::{Condition, Scene, Timeline};

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// What was promised.
    pub(super) promise: String,
    /// What was measured.
    pub(super) figure: String,
    /// Whether the one keeps the other.
    pub(super) held: bool,
}

impl Check {
    /// The promise in words.
    pub(super) fn promise(self) -> String {
        match self {
            Check::OneActive => "exactly one node is active in the end".to_owned(),
            Check::ActiveWithin(limit) => format!("a node takes over within {}", bound(limit)),
            Check::SilenceAtMost(client, limit) => {
                format!("{} is never without an answer for over {}", client.name(), bound(limit))
            }
            Check::NothingLost(client) => format!("{} loses no request", client.name()),
            Check::ConnectionsKept(limit) => {
                format!("connections go on, none silent for over {}", bound(limit))
            }
            Check::ProtectedWithin(limit) => {
                format!("the group is protected within {}", bound(limit))
            }
            Check::OnlyTheActiveAnswers => "only the active node answers ARP and NDP".to_owned(),
            Check::OverlapAtMost(Duration::ZERO) => "never two active at once".to_owned(),
            Check::OverlapAtMost(limit) => {
                format!("two active at once for no more than {}", bound(limit))
            }
            Check::YieldsWithin(limit) => {
                format!("one of the two yields within {} of healing", bound(limit))
            }
            Check::VictimWaits => "the node that comes back waits".to_owned(),
            Check::ZombieIsSilent => "the zombie says nothing for the address".to_owned(),
            Check::NoLeaks => "nothing leaks from nodes that are not active".to_owned(),
        }
    }

    /// Holds the promise against what happened.
    pub(super) fn judge(self, timeline: &Timeline, scene: &Scene) -> Outcome {
        let (held, figure) = match self {
            Check::OneActive => one_active(timeline, scene),
            Check::ActiveWithin(limit) => active_within(limit, timeline, scene),
            Check::SilenceAtMost(client, limit) => silence_at_most(client, limit, timeline, scene),
            Check::NothingLost(client) => nothing_lost(client, timeline, scene),
            Check::ConnectionsKept(limit) => connections_kept(limit, timeline, scene),
            Check::ProtectedWithin(limit) => protected_within(limit, timeline, scene),
            Check::OnlyTheActiveAnswers => only_the_active_answers(scene),
            Check::OverlapAtMost(limit) => overlap_at_most(limit, timeline, scene),
            Check::YieldsWithin(limit) => yields_within(limit, timeline, scene),
            Check::VictimWaits => victim_waits(timeline, scene),
            Check::ZombieIsSilent => zombie_is_silent(scene),
            Check::NoLeaks => no_leaks(scene),
        };
        Outcome { promise: self.promise(), figure, held }
    }
}

type Verdict = (bool, String);

fn one_active(timeline: &Timeline, scene: &Scene) -> Verdict {
    match timeline.active_after(scene)[..] {
        [] => (false, "none is".to_owned()),
        [node] => (true, format!("node {node}")),
        ref several => (false, format!("{} are", several.len())),
    }
}

fn active_within(limit: Duration, timeline: &Timeline, scene: &Scene) -> Verdict {
    match timeline.successor(scene) {
        Some((node, after)) => (after <= limit, format!("node {node} after {}", millis(after))),
        None => (false, "none did".to_owned()),
    }
}

fn silence_at_most(client: Client, limit: Duration, timeline: &Timeline, scene: &Scene) -> Verdict {
    match timeline.client(client).and_then(|lane| lane.silence(scene)) {
        Some(silence) => (silence.length <= limit, millis(silence.length)),
        None => (false, "never answered".to_owned()),
    }
}

fn nothing_lost(client: Client, timeline: &Timeline, scene: &Scene) -> Verdict {
    let Some(lane) = timeline.client(client) else { return (false, "never asked".to_owned()) };
    let (sent, lost) = (lane.sent(scene), lane.lost(scene));
    (lost == 0 && sent > 0, format!("{lost} of {sent}"))
}

fn connections_kept(limit: Duration, timeline: &Timeline, scene: &Scene) -> Verdict {
    let silences =
        timeline.connected().map(|lane| lane.silence(scene).map(|silence| silence.length));
    // One that was never answered is worse than any other.
    let longest = silences.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    let Some(longest) = longest else { return (false, "not all were answered".to_owned()) };
    let lost = timeline.connected().filter(|lane| lane.reconnection(scene).is_some()).count();
    let wrong: usize = timeline.connected().map(|lane| lane.wrong(scene)).sum();
    let figure = match (lost, wrong) {
        (0, 0) => format!("{} do, {}", timeline.connected().count(), millis(longest)),
        (lost, wrong) => format!("{lost} lost, {wrong} wrong bytes"),
    };
    (lost == 0 && wrong == 0 && longest <= limit, figure)
}

fn protected_within(limit: Duration, timeline: &Timeline, scene: &Scene) -> Verdict {
    match timeline.protected_after(scene) {
        Some(Duration::ZERO) => (true, "always".to_owned()),
        Some(after) => (after <= limit, format!("after {}", millis(after))),
        None => (false, "it is not".to_owned()),
    }
}

fn only_the_active_answers(scene: &Scene) -> Verdict {
    let frames = scene.frames;
    let (asked, answered, wrong) = (frames.questions, frames.answers, frames.wrong_answers);
    let held = asked > 0 && answered >= asked && wrong == 0;
    (held, format!("{asked} asked, {answered} answered, {wrong} by others"))
}

fn overlap_at_most(limit: Duration, timeline: &Timeline, scene: &Scene) -> Verdict {
    match timeline.overlap(scene) {
        None => (true, "never".to_owned()),
        Some(overlap) => (overlap.total <= limit, millis(overlap.total)),
    }
}

fn yields_within(limit: Duration, timeline: &Timeline, scene: &Scene) -> Verdict {
    let healed = scene.deeds.iter().find(|deed| deed.action == Action::Heal);
    let (Some(healed), Some(overlap)) = (healed, timeline.overlap(scene)) else {
        return (false, "there were no two".to_owned());
    };
    let after = overlap.ended - healed.at;
    let held = after <= limit && timeline.active_after(scene).len() == 1;
    (held, format!("{}; two for {} in all", millis(after), millis(overlap.total)))
}

fn victim_waits(timeline: &Timeline, scene: &Scene) -> Verdict {
    let Some(victim) = scene.victim() else { return (false, "nobody left".to_owned()) };
    match condition_at_end(timeline, scene, victim) {
        Some(Condition::Running(mode)) => {
            (mode == Mode::Waiting, format!("node {victim} is {mode}"))
        }
        Some(Condition::Frozen) => (false, format!("node {victim} is frozen")),
        Some(Condition::Dead) | None => (false, format!("node {victim} is dead")),
    }
}

fn condition_at_end(timeline: &Timeline, scene: &Scene, node: NodeId) -> Option<Condition> {
    let lane = timeline.nodes.iter().find(|lane| lane.id == node)?;
    lane.spans(scene.until).last().map(|span| span.view.condition)
}

fn zombie_is_silent(scene: &Scene) -> Verdict {
    let thawed = scene.deeds.iter().any(|deed| deed.action == Action::Thaw);
    (thawed && scene.zombie_frames == 0, format!("{} frames", scene.zombie_frames))
}

fn no_leaks(scene: &Scene) -> Verdict {
    let leaks = scene.leaks;
    let held = leaks.leaked == 0 && leaks.checked > 0;
    (held, format!("{} of {} frames so far", leaks.leaked, leaks.checked))
}

/// A measured time as people read it: `2.1 ms`.
pub(super) fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// A bound: `5 ms`.
fn bound(duration: Duration) -> String {
    format!("{} ms", duration.as_secs_f64() * 1e3)
}

/// A point in time as people read it: `1.234`, seconds and milliseconds.
pub(super) fn seconds(at: Instant) -> String {
    format!("{}.{:03}", at.as_millis() / 1_000, at.as_millis() % 1_000)
}

#[cfg(test)]
mod tests;
