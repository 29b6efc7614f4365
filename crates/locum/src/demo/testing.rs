//! A small play, written down by hand, on which the renderers and the checks are tried.

use std::time::Duration;

use locum_sim::Record;
use locum_stack::FlowsLost;
use locum_types::{Cause, Instant, Mode, NodeId, Protection, ResignReason, Term};

use super::script::{ACTS, Action, Check, Client};
use super::summary::Summary;
use super::timeline::{
    ClientLane, Condition, Copies, Deed, Entry, FrameCounts, Leaks, NodeLane, NodeView, Report,
    Scene, Timeline, What,
};

pub(super) fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

pub(super) fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(super) fn running(mode: Mode) -> NodeView {
    NodeView { condition: Condition::Running(mode), cut: false }
}

pub(super) const DEAD: NodeView = NodeView { condition: Condition::Dead, cut: false };

/// A lane that joins at once and is then what `changes` say, in milliseconds.
fn lane(id: u8, changes: &[(u64, NodeView)]) -> NodeLane {
    let mut lane = NodeLane::new(node(id), running(Mode::Joining));
    for &(millis, view) in changes {
        assert!(lane.note(at(millis), view), "a change changes something");
    }
    lane
}

/// Asks from 40 ms on, is answered at once but for the time between `silence`.
fn client(client: Client, silence: std::ops::Range<u64>) -> ClientLane {
    let mut record = Record::new(client.name());
    for millis in (40..200).step_by(client.every().as_millis() as usize) {
        let sequence = record.sent(at(millis));
        if !silence.contains(&millis) {
            record.answered(at(millis), Some(sequence));
        }
        if client == Client::Tcp && millis == silence.end - 2 {
            record.connection_lost(at(millis));
        }
    }
    ClientLane { client, record }
}

fn deed(millis: u64, action: Action) -> Deed {
    Deed { at: at(millis), action, node: Some(node(1)) }
}

/// Node 1 serves, is killed at 100 ms, and comes back at 150 ms; node 2 takes over after 1 ms.
pub(super) fn timeline() -> Timeline {
    let (active, waiting) = (running(Mode::Active), running(Mode::Waiting));
    let nodes = vec![
        lane(1, &[(30, active), (100, DEAD), (150, running(Mode::Joining)), (160, waiting)]),
        lane(2, &[(30, waiting), (101, active)]),
        lane(3, &[(30, waiting)]),
    ];
    let clients = vec![
        client(Client::Udp, 100..103),
        client(Client::Ping, 100..104),
        client(Client::Tcp, 100..152),
        client(Client::Tcp6, 100..104),
        client(Client::Kv, 100..106),
    ];
    let mut timeline = Timeline { nodes, clients, ..Timeline::default() };
    for (millis, protection) in [
        (30, Some(Protection::Unprotected)),
        (35, Some(Protection::Protected)),
        (100, None),
        (101, Some(Protection::Unprotected)),
        (121, Some(Protection::Protected)),
    ] {
        assert!(timeline.protection.note(at(millis), protection));
    }
    let start = Deed { at: at(40), action: Action::StartClients, node: None };
    let kill = vec![deed(100, Action::Kill), deed(150, Action::Restart)];
    for (act, window, deeds) in [(0, (0, 90), vec![start]), (1, (90, 200), kill)] {
        let scene = Scene {
            act: &ACTS[act],
            from: at(window.0),
            until: at(window.1),
            deeds,
            frames: frames(),
            zombie_frames: 0,
            leaks: Leaks { checked: 1_000, leaked: 0 },
            copies: if act == 0 { Copies::default() } else { copies() },
            outcomes: Vec::new(),
        };
        let judge = |check: &Check| check.judge(&timeline, &scene);
        let outcomes = ACTS[act].checks.iter().map(judge).collect();
        timeline.scenes.push(Scene { outcomes, ..scene });
    }
    timeline
}

pub(super) fn copies() -> Copies {
    let lost = FlowsLost { refused: 1, ..FlowsLost::default() };
    Copies { carried: 3, lost, lag_entries: 12, lag_bytes: 840 }
}

pub(super) fn frames() -> FrameCounts {
    FrameCounts {
        beats: 120,
        questions: 3,
        answers: 3,
        wrong_answers: 0,
        probes: 0,
        announcements_arp: 4,
        announcements_na: 1,
    }
}

pub(super) fn summary() -> Summary {
    Summary::of(&timeline(), Duration::from_millis(201), Duration::from_micros(350))
}

/// One entry of every kind.
pub(super) fn entries() -> Vec<Entry> {
    let timeline = timeline();
    let (one, two) = (node(1), node(2));
    let before = [running(Mode::Active), running(Mode::Waiting), running(Mode::Waiting)];
    let during = [DEAD, running(Mode::Waiting), running(Mode::Waiting)];
    let after = [DEAD, running(Mode::Active), running(Mode::Waiting)];
    let entry = |micros, nodes: [NodeView; 3], what| Entry {
        at: Instant::from_micros(micros),
        nodes: nodes.to_vec(),
        what,
    };
    let cause = Cause::Resigned { peer: one, reason: ResignReason::Crash };
    let changed = What::Changed {
        node: two,
        to: Mode::Active,
        cause: Some(cause),
        term: Some(Term(2)),
        detection: Some(Duration::from_micros(640)),
    };
    let beat = What::Beat { from: two, to: one, mode: Mode::Waiting, term: Term(1), sequence: 9 };
    let cut = NodeView { cut: true, ..running(Mode::Active) };
    let frozen = NodeView { condition: Condition::Frozen, cut: false };
    let fenced =
        What::Changed { node: one, to: Mode::Fenced, cause: None, term: None, detection: None };
    let clients = timeline.reports(&timeline.scenes[1]);
    let report = Report { clients, frames: frames(), copies: copies() };
    let protection = |protection, followers| What::Protection { node: two, protection, followers };
    let silence = Duration::from_micros(4_100);
    let failed = super::check::Outcome {
        promise: "two active at once for no more than 1 ms".to_owned(),
        figure: "12.0 ms".to_owned(),
        held: false,
    };
    vec![
        entry(90_000, before, What::Act { number: 2, act: &ACTS[1] }),
        entry(91_000, before, beat),
        entry(92_000, before, What::Asked { client: Client::Udp }),
        entry(92_100, before, What::Answered { node: one }),
        entry(93_000, before, What::Offered { node: one, to: two }),
        entry(100_000, during, What::Did(deed(100, Action::Kill))),
        entry(100_500, during, What::Resigned { node: one, peers: 2, by_warden: true }),
        entry(100_550, during, What::Probed { node: two }),
        entry(101_000, after, changed),
        entry(101_000, after, What::Announced { node: two, arp: 2, na: 1 }),
        entry(101_000, after, What::Carried { node: two, flows: 3 }),
        entry(101_000, after, protection(Protection::Unprotected, vec![])),
        entry(102_000, after, What::FlowsLost { node: two, lost: copies().lost }),
        entry(104_100, after, What::AnsweredAgain { client: Client::Udp, silence }),
        entry(121_000, after, protection(Protection::Protected, vec![node(3)])),
        entry(150_000, after, What::ConnectionLost { client: Client::Tcp }),
        entry(160_000, [cut, frozen, running(Mode::Fenced)], fenced),
        entry(200_000, after, What::Seen(report)),
        entry(200_000, after, What::Checked(timeline.scenes[1].outcomes[0].clone())),
        entry(200_000, after, What::Checked(failed)),
    ]
}

/// Everything there is to read of the small play.
pub(super) fn read(text: super::text::Text) -> String {
    let body: String = entries().iter().map(|entry| text.entry(entry)).collect();
    text.header("10.77.0.100 and fd77::100") + &body + &summary().render(text)
}
