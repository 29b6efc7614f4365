use super::*;
use crate::model::{ProgramKind, World};
use crate::outcome::ModeChange;

const TOLERANCE: Duration = Duration::from_millis(25);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An outcome of two nodes whose changes are at these times, and of a client with these answers.
fn outcome(changes: [&[(u64, Mode)]; 2], answers: &[u64]) -> Outcome {
    let node = |(id, changes): (u8, &[(u64, Mode)])| NodeTrack {
        id,
        conditions: Vec::new(),
        changes: changes
            .iter()
            .map(|&(at, to)| ModeChange {
                at: ms(at),
                from: Mode::Waiting,
                to,
                cause: "silence(node 1)".to_owned(),
                term: 2,
            })
            .collect(),
        beats: Vec::new(),
        words: Vec::new(),
        status: serde_json::Value::Null,
    };
    let client = ClientTrack {
        client: "alice".to_owned(),
        program: ProgramKind::Ping,
        every: ms(10),
        requests: answers.iter().map(|&at| (ms(at), Some(ms(at)))).collect(),
        connections_lost: Vec::new(),
    };
    Outcome {
        scenario: "test".to_owned(),
        world: World::Sim,
        seed: 1,
        duration: ms(100),
        nodes: (1..).zip(changes).map(node).collect(),
        clients: vec![client],
        faults: Vec::new(),
        leaks: Vec::new(),
        frames_checked: 0,
        overlaps: Vec::new(),
    }
}

fn of_modes(changes: [&[(u64, Mode)]; 2]) -> Outcome {
    outcome(changes, &[])
}

fn of_answers(answers: &[u64]) -> Outcome {
    outcome([&[], &[]], answers)
}

#[test]
fn a_node_that_goes_another_way_is_told() {
    let model = of_modes([&[], &[(30, Mode::Active)]]);
    let real = of_modes([&[], &[(30, Mode::Active), (50, Mode::Waiting)]]);
    let found = disagreements(&model, &real, TOLERANCE);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("node 2 goes active (silence(node 1), 30ms), waiting"),
        "{found:?}"
    );
}

#[test]
fn changes_further_apart_than_the_tolerance_keep_their_order() {
    let model = of_modes([&[(10, Mode::Waiting)], &[(40, Mode::Active)]]);
    let late = of_modes([&[(45, Mode::Waiting)], &[(40, Mode::Active)]]);
    assert_eq!(disagreements(&model, &late, TOLERANCE).len(), 1);
    assert_eq!(disagreements(&model, &model, TOLERANCE), [""; 0]);
}

#[test]
fn changes_at_about_the_same_time_have_no_order() {
    let model = of_modes([&[(10, Mode::Waiting)], &[(11, Mode::Active)]]);
    let real = of_modes([&[(12, Mode::Waiting)], &[(11, Mode::Active)]]);
    assert_eq!(disagreements(&model, &real, TOLERANCE), [""; 0]);
}

#[test]
fn an_outage_may_exceed_the_models_by_the_tolerance() {
    let model = of_answers(&[0, 10, 20, 50, 60, 70, 80, 90]);
    let tolerable = of_answers(&[0, 10, 65, 70, 80, 90]);
    let intolerable = of_answers(&[0, 10, 66, 70, 80, 90]);
    assert_eq!(disagreements(&model, &tolerable, TOLERANCE), [""; 0]);
    assert_eq!(disagreements(&model, &intolerable, TOLERANCE).len(), 1);
    assert_eq!(disagreements(&model, &of_answers(&[]), TOLERANCE).len(), 1);
}
