use locum_types::Mode;
use serde_json::json;

use super::*;
use crate::model::{ProgramKind, World};
use crate::outcome::{Condition, ModeChange, NodeTrack};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Node 1 is active until it dies at 100 ms; node 2 takes over at 130 ms.
fn takeover() -> Outcome {
    let track = |id, conditions, changes, status| NodeTrack {
        id,
        conditions,
        changes,
        beats: Vec::new(),
        words: Vec::new(),
        status,
    };
    let running = Condition::Running;
    let activation = ModeChange {
        at: ms(130),
        from: Mode::Waiting,
        to: Mode::Active,
        cause: "silence(node 1)".to_owned(),
        term: 2,
    };
    let status = json!({ "conflicts": 2, "heartbeat": { "monitor.takeovers": 1 } });
    let answers = (0..20).filter(|tick| !(10..13).contains(tick));
    Outcome {
        scenario: "test".to_owned(),
        world: World::Sim,
        seed: 0,
        duration: ms(200),
        nodes: vec![
            track(
                1,
                vec![(ms(0), running(Mode::Active)), (ms(100), Condition::Dead)],
                Vec::new(),
                Value::Null,
            ),
            track(
                2,
                vec![(ms(0), running(Mode::Waiting)), (ms(130), running(Mode::Active))],
                vec![activation],
                status,
            ),
        ],
        clients: vec![ClientTrack {
            client: "alice".to_owned(),
            program: ProgramKind::UdpEcho,
            every: ms(10),
            requests: answers.map(|tick| (ms(tick * 10), Some(ms(tick * 10)))).collect(),
            connections_lost: vec![ms(105)],
        }],
        faults: Vec::new(),
        leaks: Vec::new(),
        frames_checked: 100,
        overlaps: vec![(ms(50), ms(20))],
    }
}

const HEAD: &str = r#"
about = "test"
duration = "200ms"
tolerance = "25ms"
node = [{ id = 1 }, { id = 2 }]
client = [{ name = "alice", programs = [{ kind = "udp-echo" }] }]
[[expect]]
"#;

/// The verdicts on one expectation, without the one that is always there.
fn verdicts(expectation: &str) -> Vec<Verdict> {
    verdicts_on(&takeover(), expectation)
}

fn verdicts_on(outcome: &Outcome, expectation: &str) -> Vec<Verdict> {
    let scenario = Scenario::parse(&format!("{HEAD}{expectation}"), "test", "test.toml");
    let mut verdicts = judge(&scenario.expect("it is right"), outcome);
    verdicts.remove(0);
    verdicts
}

#[track_caller]
fn holds(expectation: &str) {
    let verdicts = verdicts(expectation);
    assert!(!verdicts.is_empty() && verdicts.iter().all(|verdict| verdict.held), "{verdicts:?}");
}

#[track_caller]
fn fails(expectation: &str, seen: &str) {
    let verdicts = verdicts(expectation);
    let broken: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.held).collect();
    assert_eq!(broken.len(), 1, "{verdicts:?}");
    assert_eq!(broken[0].seen, seen);
    assert!(broken[0].expected.starts_with("line 7: "), "{}", broken[0].expected);
}

#[test]
fn modes_at_a_moment_are_those_from_that_moment_on() {
    holds("at = '99ms'\nactive = [1]\nwaiting = [2]");
    holds("at = '100ms'\nactive = []\ndead = [1]");
    holds("at = '130ms'\nactive = [2]");
    fails("at = '129ms'\nactive = [2]", "node 1 dead, node 2 waiting at 129.0ms");
}

#[test]
fn a_period_is_judged_at_each_change_in_it() {
    holds("to = '100ms'\nactive = [1]");
    holds("from = '130ms'\nactive = [2]");
    fails("to = '101ms'\nactive = [1]", "node 1 dead, node 2 waiting at 100.0ms");
    fails("active = [1]", "node 1 dead, node 2 waiting at 100.0ms");
}

#[test]
fn active_is_exact_and_the_other_lists_are_not() {
    fails("at = '0s'\nactive = [1, 2]", "node 1 active, node 2 waiting at 0us");
    fails("at = '0s'\nfenced = [2]", "node 1 active, node 2 waiting at 0us");
    holds("at = '150ms'\ndead = [1]");
}

#[test]
fn outages_are_held_against_both_bounds() {
    holds("outage_max = '30ms'\noutage_min = '30ms'");
    fails("outage_max = '29ms'", "30.0ms from 90.0ms on");
    fails("outage_min = '31ms'", "30.0ms from 90.0ms on");
    holds("client = 'alice'\nto = '90ms'\noutage_max = '0s'");
}

#[test]
fn on_real_machines_an_outage_may_be_longer_by_the_tolerance() {
    let real = Outcome { world: World::Netns, ..takeover() };
    let held = |max| verdicts_on(&real, &format!("outage_max = '{max}'"))[0].held;
    assert_eq!((held("5ms"), held("4ms")), (true, false), "the tolerance is 25 ms");
}

#[test]
fn losses_are_counted_in_their_period() {
    holds("lost_max = 0");
    fails("connections_lost_max = 0", "1");
    holds("from = '106ms'\nconnections_lost_max = 0");
}

#[test]
fn takeovers_and_overlaps_are_counted_in_their_period() {
    holds("takeovers_min = 1\ntakeovers_max = 1\noverlap_max = '20ms'");
    fails("to = '130ms'\ntakeovers_min = 1", "0");
    fails("takeovers_max = 0", "1");
    fails("overlap_max = '19ms'", "20.0ms");
    holds("from = '60ms'\noverlap_max = '10ms'");
}

#[test]
fn counters_are_found_by_their_path_joined_or_nested() {
    holds("node = 2\ncounter = 'conflicts'\nmin = 2\nmax = 2");
    holds("node = 2\ncounter = 'heartbeat.monitor.takeovers'\nmin = 1");
    fails("node = 2\ncounter = 'conflicts'\nmax = 1", "2");
    fails("node = 2\ncounter = 'conflict'\nmin = 1", "there is no such counter");
    fails("node = 1\ncounter = 'conflicts'\nmin = 1", "the node does not run at the end");
    let nested = json!({ "a": { "b": { "c": 7 } } });
    assert_eq!(count(&nested, "a.b.c"), Some(7));
}

#[test]
fn a_leak_fails_every_scenario_and_so_does_a_run_without_frames() {
    let mut outcome = takeover();
    assert!(silence(&outcome).held);
    outcome.leaks.push("1s: node 2".to_owned());
    assert!(!silence(&outcome).held);
    outcome.leaks.clear();
    outcome.frames_checked = 0;
    assert!(!silence(&outcome).held);
}
