//! A run made by hand: three nodes, two takeovers, a zombie, three programs.

use std::time::Duration;

use locum_types::Mode;

use crate::model::{ProgramKind, Scenario, World};
use crate::outcome::{
    ClientTrack, Condition, Fault, ModeChange, NodeTrack, Outcome, Verdict, Word,
};

const BEAT: Duration = ms(10);

/// A time in milliseconds.
pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// The file that goes with it.
pub(crate) fn scenario() -> Scenario {
    let text = "about = \"The active node dies, its successor freezes; clients notice neither for \
                longer than <b>40 ms</b> & nobody else.\"\n\
                duration = \"10s\"\nnode = [{ id = 1 }, { id = 2 }, { id = 3 }]\n";
    toml::from_str(text).expect("the sample is a scenario")
}

/// Node 1 is killed at 2 s and starts again at 4 s; node 2 freezes from 6 s to 6.5 s.
pub(crate) fn outcome() -> Outcome {
    use Condition::{Dead, Frozen, Running};
    let running = |at: u64, mode| (ms(at), Running(mode));
    let one = [
        running(0, Mode::Active),
        (ms(2_000), Dead),
        running(4_000, Mode::Joining),
        running(4_030, Mode::Waiting),
    ];
    let two = [
        running(0, Mode::Waiting),
        running(2_031, Mode::Active),
        (ms(6_000), Frozen),
        running(6_500, Mode::Fenced),
        running(6_511, Mode::Waiting),
    ];
    let three = [running(0, Mode::Waiting), running(6_029, Mode::Active)];
    let died = "peer died: silent for 30 ms";
    let nodes = vec![
        node(1, &one, vec![change(4_030, (Mode::Joining, Mode::Waiting), "in step", 2)]),
        node(
            2,
            &two,
            vec![
                change(2_031, (Mode::Waiting, Mode::Active), died, 2),
                change(6_500, (Mode::Active, Mode::Fenced), "paused for 500 ms", 2),
                change(6_511, (Mode::Fenced, Mode::Waiting), "heard a higher term", 3),
            ],
        ),
        node(3, &three, vec![change(6_029, (Mode::Waiting, Mode::Active), died, 3)]),
    ];
    Outcome {
        scenario: "kill-then-freeze".to_owned(),
        world: World::Sim,
        seed: 7,
        duration: ms(10_000),
        nodes,
        clients: vec![
            client("alice", ProgramKind::UdpEcho, ms(10), &[(2_000, 2_032), (6_000, 6_030)]),
            client("alice", ProgramKind::TcpEcho, ms(20), &[(2_000, 2_048), (6_000, 6_041)]),
            client("bob", ProgramKind::Ping, ms(10), &[(2_000, 2_032), (6_000, 6_030)]),
        ],
        faults: vec![
            fault(2_000, "kill node 1", Some(1)),
            fault(4_000, "start node 1", Some(1)),
            fault(6_000, "freeze node 2", Some(2)),
            fault(6_500, "thaw node 2", Some(2)),
            fault(8_000, "cut uplink (tx)", None),
            fault(8_005, "heal uplink (tx)", None),
        ],
        leaks: Vec::new(),
        frames_checked: 34_112,
        overlaps: vec![],
    }
}

/// All held but one.
pub(crate) fn verdicts() -> Vec<Verdict> {
    let verdict = |expected: &str, held, seen: &str| Verdict {
        expected: expected.to_owned(),
        held,
        seen: seen.to_owned(),
    };
    vec![
        verdict("line 31: node 2 alone is active from 2.1 s to 5.9 s", true, "node 2"),
        verdict("line 36: alice is silent for 40 ms at most", true, "32.0 ms at 2.0000 s"),
        verdict("line 41: alice tcp-echo loses no request", true, "0 lost"),
        verdict("line 47: one takeover at most", false, "2 takeovers"),
    ]
}

pub(crate) fn fault(at: u64, what: &str, node: Option<u8>) -> Fault {
    Fault { at: ms(at), what: what.to_owned(), node }
}

fn change(at: u64, (from, to): (Mode, Mode), cause: &str, term: u64) -> ModeChange {
    ModeChange { at: ms(at), from, to, cause: cause.to_owned(), term }
}

/// A node that beats while it runs, announces when it becomes active, and answers then.
fn node(id: u8, conditions: &[(Duration, Condition)], changes: Vec<ModeChange>) -> NodeTrack {
    let end = ms(10_000);
    let ends = conditions.iter().skip(1).map(|&(at, _)| at).chain([end]);
    let (mut beats, mut words) = (Vec::new(), Vec::new());
    for (&(from, condition), until) in conditions.iter().zip(ends) {
        match condition {
            Condition::Dead | Condition::Frozen => continue,
            Condition::Running(Mode::Active) => {
                let after =
                    [0, 2, 20, 100, 1_000].map(|after| (from + ms(after), Word::Announcement));
                words.extend(after);
                words.push((from + ms(35), Word::Answer));
                words.extend((1..5).map(|n| (from + ms(n * 731), Word::Answer)));
            }
            Condition::Running(Mode::Fenced) => words.push((from + ms(1), Word::Probe)),
            Condition::Running(Mode::Joining | Mode::Waiting) => {}
        }
        beats.extend(every(BEAT, from + us(u64::from(id) * 1_700), until));
    }
    NodeTrack {
        id,
        conditions: conditions.to_vec(),
        changes,
        beats,
        words,
        status: serde_json::Value::Null,
    }
}

/// A program that is not answered within the gaps; TCP's requests then wait for their end.
fn client(name: &str, program: ProgramKind, period: Duration, gaps: &[(u64, u64)]) -> ClientTrack {
    let gap = |sent: Duration| {
        gaps.iter().find(|&&(from, until)| sent >= ms(from) && sent < ms(until)).map(|&(_, to)| to)
    };
    let requests = every(period, us(3_300), ms(10_000)).map(|sent| {
        let answer = match (gap(sent), program) {
            (None, _) => Some(sent + us(420)),
            (Some(until), ProgramKind::TcpEcho) => Some(ms(until) + us(600)),
            (
                Some(_),
                ProgramKind::UdpEcho
                | ProgramKind::UdpEcho6
                | ProgramKind::Ping
                | ProgramKind::Ping6,
            ) => None,
        };
        (sent, answer)
    });
    let connections_lost = match program {
        ProgramKind::TcpEcho => vec![ms(6_041)],
        ProgramKind::UdpEcho | ProgramKind::UdpEcho6 | ProgramKind::Ping | ProgramKind::Ping6 => {
            Vec::new()
        }
    };
    ClientTrack {
        client: name.to_owned(),
        program,
        every: period,
        requests: requests.collect(),
        connections_lost,
    }
}

fn every(period: Duration, from: Duration, until: Duration) -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(from), move |&at| Some(at + period))
        .take_while(move |&at| at < until)
}
