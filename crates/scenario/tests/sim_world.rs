//! What the world of the simulator does besides running scenarios.

use std::fs;

use locum_scenario::model::Scenario;
use locum_scenario::outcome::News;
use locum_scenario::sim_world::{self, RunError};

const HANDOVER: &str = r#"
about = "test"
duration = "500ms"
node = [{ id = 1, priority = 200 }, { id = 2 }]
client = [{ name = "alice", programs = [{ kind = "ping" }] }]
step = [{ at = "100ms", do = "hand-over" }]
expect = [{ active = [2], from = "200ms" }]
"#;

fn scenario(text: &str) -> Scenario {
    Scenario::parse(text, "test", "test.toml").unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn what_happens_is_told_in_order() {
    let mut told = Vec::new();
    let mut tell = |news: News<'_>| {
        told.push(match news {
            News::Fault(fault) => format!("{} (node {:?})", fault.what, fault.node),
            News::Change { node, change } => format!("node {node} {}", change.to),
            News::Void { node } => format!("node {node} stalled"),
        });
    };
    sim_world::run(&scenario(HANDOVER), 0, None, &mut tell).unwrap();
    assert_eq!(told, ["hand-over (node Some(1))", "node 2 active", "node 1 waiting"]);
}

#[test]
fn an_outcome_has_what_nodes_and_clients_did_since_the_group_had_settled() {
    let outcome = sim_world::run(&scenario(HANDOVER), 0, None, &mut |_| {}).unwrap();
    for node in &outcome.nodes {
        // One beat in ten milliseconds, and never much earlier.
        assert!((45..75).contains(&node.beats.len()), "{}", node.beats.len());
        assert!(node.beats.is_sorted());
        assert_eq!(node.status["node"], node.id);
    }
    assert!(!outcome.nodes[1].words.is_empty(), "node 2 announced itself");
    assert!((50..=51).contains(&outcome.clients[0].requests.len()));
    assert!(outcome.frames_checked > 100);
}

#[test]
fn every_cable_is_captured() {
    let directory = tempfile::tempdir().unwrap();
    sim_world::run(&scenario(HANDOVER), 0, Some(directory.path()), &mut |_| {}).unwrap();
    for cable in ["node1", "node2", "alice"] {
        let capture = fs::read(directory.path().join(format!("{cable}.pcap"))).unwrap();
        assert!(capture.len() > 5_000, "{cable}: {} bytes", capture.len());
    }
}

#[test]
fn a_group_that_cannot_settle_is_an_error_that_says_why() {
    let divided = scenario(
        r#"
about = "Two switches, and no trunk."
duration = "500ms"
segment = [{ name = "left" }, { name = "right" }]
node = [{ id = 1, segment = "left" }, { id = 2, segment = "right" }]
expect = [{ active = [1] }]
"#,
    );
    let error = sim_world::run(&divided, 0, None, &mut |_| {}).unwrap_err();
    assert!(matches!(error, RunError::NeverSettled { .. }));
    let text = error.to_string();
    assert!(text.contains("node 1 is active, node 2 is active"), "{text}");
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = sim_world::run(&scenario(HANDOVER), 0, Some(file.path()), &mut |_| {}).unwrap_err();
    assert!(matches!(error, RunError::Capture(_)), "{error}");
}
