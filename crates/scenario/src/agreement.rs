//! Whether two worlds tell the same story of one scenario.
//!
//! Changes of mode that are closer together than the scenario's tolerance have no order: between a node
//! that hands over and the one that takes over lie microseconds, which real schedulers shuffle.

use std::time::Duration;

use locum_types::Mode;

use crate::model::ProgramKind;
use crate::outcome::{ClientTrack, NodeTrack, Outcome};

/// Everything that `real` tells differently from `model`; empty if they agree.
///
/// Each node must go through the same modes in the same order; changes of different nodes that are
/// further apart than `tolerance` in `model` must be in its order in `real`; and no program may see a
/// longer outage than in `model`, and `tolerance`.
pub fn disagreements(model: &Outcome, real: &Outcome, tolerance: Duration) -> Vec<String> {
    let nodes = model.nodes.iter().zip(&real.nodes);
    let mut found: Vec<String> =
        nodes.filter_map(|(model, real)| different_modes(model, real)).collect();
    if found.is_empty() {
        found.extend(different_order(model, real, tolerance));
    }
    let clients = model.clients.iter().zip(&real.clients);
    found.extend(clients.filter_map(|(model_client, client)| {
        longer_outage(model_client, client, model.duration, tolerance)
    }));
    found
}

fn different_modes(model: &NodeTrack, real: &NodeTrack) -> Option<String> {
    let modes =
        |track: &NodeTrack| -> Vec<Mode> { track.changes.iter().map(|change| change.to).collect() };
    (modes(model) != modes(real)).then(|| {
        format!("node {} goes {} where it should go {}", model.id, story(real), story(model))
    })
}

/// `active (silence(node 1), 530ms), waiting (resigning(handover), 1.2s)`.
fn story(track: &NodeTrack) -> String {
    let told = track.changes.iter().map(|change| {
        let at = Duration::from_micros(u64::try_from(change.at.as_micros()).unwrap_or(u64::MAX));
        format!("{} ({}, {at:?})", change.to, change.cause)
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "nowhere".to_owned() } else { told.join(", ") }
}

/// Pairs of changes that one world has in one order and the other in the other. All nodes go through
/// the same modes, so a change has a counterpart of the same node and number.
fn different_order(model: &Outcome, real: &Outcome, tolerance: Duration) -> Vec<String> {
    let flat = |outcome: &Outcome| -> Vec<(u8, Mode, Duration)> {
        let change = |node: &NodeTrack| -> Vec<(u8, Mode, Duration)> {
            node.changes.iter().map(|change| (node.id, change.to, change.at)).collect()
        };
        outcome.nodes.iter().flat_map(change).collect()
    };
    let both: Vec<_> = flat(model).into_iter().zip(flat(real)).collect();
    let mut found = Vec::new();
    for &((node, to, first), (.., first_real)) in &both {
        for &((other, other_to, second), (.., second_real)) in &both {
            if node != other && second > first + tolerance && second_real < first_real {
                found.push(format!(
                    "node {other} becomes {other_to} at {second_real:?}, before node {node} becomes \
                     {to} at {first_real:?}: it should be {:?} later",
                    second - first
                ));
            }
        }
    }
    found
}

fn longer_outage(
    model: &ClientTrack,
    real: &ClientTrack,
    end: Duration,
    tolerance: Duration,
) -> Option<String> {
    let longest = |track: &ClientTrack| track.outage(Duration::ZERO, end);
    let (client, program) = (&real.client, real.program);
    let tolerance = tolerance + retransmission(program);
    match (longest(model), longest(real)) {
        (Some((_, expected)), Some((at, outage))) => (outage > expected + tolerance).then(|| {
            format!(
                "{client}'s {program:?} sees an outage of {outage:?} from {at:?} on, where \
                 {expected:?} and {tolerance:?} is all it may be"
            )
        }),
        (Some(_), None) => Some(format!("{client}'s {program:?} has no answer at all")),
        (None, _) => None,
    }
}

/// What a real client may wait for a segment that was lost with its node: Linux sends a lone one again after 200 ms at the
/// earliest. Simulated clients write more before that, which tells them sooner.
const fn retransmission(program: ProgramKind) -> Duration {
    match program {
        ProgramKind::TcpEcho => Duration::from_millis(250),
        ProgramKind::UdpEcho | ProgramKind::UdpEcho6 | ProgramKind::Ping | ProgramKind::Ping6 => {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests;
