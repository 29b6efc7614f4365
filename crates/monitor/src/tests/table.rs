//! The table of transitions, and that the documents draw the same one.

use std::collections::BTreeSet;

use locum_types::{Cause, Mode, ResignReason};

use super::solo::node;
use super::worlds::live_through_anything;
use crate::{Event, TRANSITIONS, Transition, is_legal};

/// One cause of each kind.
fn causes() -> [Cause; 11] {
    let (peer, reason) = (node(2), ResignReason::Crash);
    [
        Cause::Joined,
        Cause::NoActive,
        Cause::Silence { peer },
        Cause::Resigned { peer, reason },
        Cause::Resigning { reason },
        Cause::Rival { peer },
        Cause::Stall,
        Cause::LinkDown,
        Cause::Heard,
        Cause::Alone,
        Cause::DuplicateId,
    ]
}

fn legal_between(from: Mode, to: Mode) -> Vec<&'static str> {
    let all = causes().into_iter();
    all.filter(|cause| is_legal(from, to, cause)).map(|cause| cause.name()).collect()
}

#[test]
fn only_a_waiting_node_becomes_active() {
    for from in [Mode::Joining, Mode::Active, Mode::Fenced] {
        assert_eq!(legal_between(from, Mode::Active), Vec::<&str>::new(), "{from}");
    }
    assert_eq!(legal_between(Mode::Waiting, Mode::Active), ["no-active", "silence", "resigned"]);
}

#[test]
fn no_mode_follows_itself() {
    for mode in Mode::ALL {
        assert!(legal_between(mode, mode).is_empty(), "{mode}");
    }
}

#[test]
fn every_cause_and_every_mode_is_in_the_table() {
    for cause in causes() {
        let used = TRANSITIONS.iter().any(|row| row.causes.contains(&cause.name()));
        assert!(used, "{cause} changes nothing");
    }
    for mode in Mode::ALL {
        assert!(TRANSITIONS.iter().any(|row| row.from == mode), "no way out of {mode}");
    }
}

#[test]
fn every_word_in_the_table_is_the_name_of_a_cause() {
    for row in TRANSITIONS {
        for word in row.causes {
            assert!(causes().iter().any(|cause| cause.name() == *word), "{word}");
        }
    }
}

#[test]
fn the_page_about_the_monitor_has_the_same_table() {
    let page = include_str!("../../../../docs/MONITOR.md");
    let cells = |line: &str| -> Vec<String> {
        line.split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    let mut rows = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        if let [_, from, to, causes, when, _] = cells(line).as_slice() {
            rows.push([from, to, causes, when].map(String::clone));
        }
    }
    let row = |row: &Transition| {
        [row.from.to_string(), row.to.to_string(), row.causes.join(", "), row.when.to_owned()]
    };
    assert_eq!(rows, TRANSITIONS.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn the_page_about_the_monitor_draws_the_same_chart() {
    let page = include_str!("../../../../docs/MONITOR.md");
    let arrows: Vec<&str> = page
        .lines()
        .map(str::trim)
        .filter(|line| line.contains(" --> ") && !line.starts_with("[*]"))
        .collect();
    let arrow =
        |row: &Transition| format!("{} --> {}: {}", row.from, row.to, row.causes.join(", "));
    assert_eq!(arrows, TRANSITIONS.iter().map(arrow).collect::<Vec<_>>());
}

/// No row is there for nothing: random worlds reach them all, and the worlds' nodes are told of
/// twins besides.
#[test]
fn every_row_of_the_table_is_reached() {
    let mut missing: BTreeSet<(Mode, Mode, &str)> = TRANSITIONS
        .iter()
        .flat_map(|row| row.causes.iter().map(|&cause| (row.from, row.to, cause)))
        .collect();
    for seed in 0..500 {
        for (_, _, event) in live_through_anything(seed).events {
            if let Event::ModeChanged { from, to, cause, .. } = event {
                missing.remove(&(from, to, cause.name()));
            }
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("never reached: {missing:?}");
}
