//! One monitor against anything that could be said to it, in any order: what must hold after every step.

use std::time::Duration;

use locum_types::{BootNonce, Grant, Health, Instant, Mode, ResignReason, Term};
use locum_wire::{Beat, Intent, TimestampEcho};
use proptest::prelude::*;

use super::solo::{BOOT, Puppet, config, node, priority};
use crate::{Event, Input, Monitor, Output, is_legal};

/// Outputs of one call: a change of mode, another one right after it, and a reply or two.
const OUTPUTS_MAX: usize = 64;

#[derive(Clone, Debug)]
enum Op {
    /// A turn after some time, with whatever was said meanwhile.
    Turn { after: Duration, heard: Vec<Heard> },
    /// As many turns, each at its deadline.
    Deadlines(u8),
}

impl Op {
    fn be_brief(&mut self) {
        let Op::Turn { heard, .. } = self else { return };
        for heard in heard {
            if let Heard::Beat(beat) = heard {
                beat.dead_after = beat.dead_after.min(Duration::from_secs(1));
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Heard {
    Beat(Box<Beat>),
    Other(Input),
}

fn intents() -> impl Strategy<Value = Intent> {
    let reasons = (1..=5u8).prop_map(|code| ResignReason::from_code(code).expect("1 to 5 exist"));
    prop_oneof![
        6 => Just(Intent::None),
        1 => reasons.clone().prop_map(Intent::Resign),
        1 => reasons.prop_map(Intent::Offer),
        1 => Just(Intent::Request),
    ]
}

fn modes() -> impl Strategy<Value = Mode> {
    (0..4u8).prop_map(|code| Mode::from_code(code).expect("0 to 3 exist"))
}

fn healths() -> impl Strategy<Value = Health> {
    (0..3u8).prop_map(|code| Health::from_code(code).expect("0 to 2 exist"))
}

/// Beats that have the group's key on them, and are otherwise as strange as the wire allows. Node 1
/// is the monitor itself, node 5 is not configured.
fn beats() -> impl Strategy<Value = Beat> {
    let who = (
        1..=5u8,
        0..3u64,
        prop_oneof![4 => Just(Some(BOOT)), 1 => Just(None),
        1 => Just(Some(BootNonce(1)))],
    );
    let what = (modes(), healths(), 1..=254u8, intents());
    let sequence = prop_oneof![8 => 1..200u64, 1 => Just(u64::MAX), 1 => any::<u64>()];
    let term = prop_oneof![8 => 0..20u64, 1 => Just(u64::MAX), 1 => any::<u64>()];
    let times = prop_oneof![
        6 => Just((10_000, 30_000)),
        1 => (1..5_000u64).prop_map(|us| (us, us * 2)),
        1 => Just((4_000_000_000, 4_200_000_000)),
    ];
    let echo = proptest::option::of((any::<u32>(), any::<u32>()));
    (who, what, sequence, term, times, any::<u32>(), echo).prop_map(
        |((id, boot, echo), (mode, health, rank, intent), sequence, term, times, heard, back)| {
            Beat {
                from: node(id),
                to: node(if id == 1 { 2 } else { 1 }),
                boot: BootNonce(u64::from(id) * 100 + boot),
                echo,
                sequence: sequence.max(1),
                term: Term(term),
                mode,
                health,
                priority: priority(rank),
                interval: Duration::from_micros(times.0),
                dead_after: Duration::from_micros(times.1),
                heard,
                heard_age_us: (heard != 0).then_some(heard),
                timestamp: heard.rotate_left(7),
                timestamp_echo: back
                    .map(|(timestamp, held_us)| TimestampEcho { timestamp, held_us }),
                intent,
                ..Puppet::new(2).beat
            }
        },
    )
}

fn inputs() -> impl Strategy<Value = Input> {
    let reloaded = (1..=254u8, 1..100u64, 2..5u32, any::<bool>()).prop_map(
        |(rank, interval_ms, times, preempt)| {
            let mut config = config(1, &[2, 3, 4]);
            config.priority = priority(rank);
            config.interval = Duration::from_millis(interval_ms);
            config.dead_after = config.interval * times;
            config.preempt = preempt.then_some(Duration::from_millis(50));
            if interval_ms % 7 == 0 {
                config.peers.pop();
            }
            Input::Reconfigure(config)
        },
    );
    prop_oneof![
        4 => Just(Input::ProbeAnswered),
        2 => healths().prop_map(Input::Health),
        2 => proptest::option::of(1..=5u8)
            .prop_map(|to| Input::Handover { to: to.map(node) }),
        2 => any::<bool>().prop_map(|up| Input::Link { up }),
        1 => Just(Input::Rival),
        1 => reloaded,
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let after = prop_oneof![
        4 => 0..12_000u64,
        2 => 0..60_000u64,
        1 => 0..2_000_000u64,
    ];
    let heard = prop_oneof![
        5 => beats().prop_map(|beat| Heard::Beat(Box::new(beat))),
        2 => inputs().prop_map(Heard::Other),
    ];
    let turn = (after.prop_map(Duration::from_micros), proptest::collection::vec(heard, 0..4))
        .prop_map(|(after, heard)| Op::Turn { after, heard });
    let op = prop_oneof![4 => turn, 3 => (1..12u8).prop_map(Op::Deadlines)];
    // One in a while ends, with anything after it.
    let end = (1..=5u8, 0..200usize)
        .prop_map(|(code, at)| (ResignReason::from_code(code).expect("1 to 5 exist"), at));
    (proptest::collection::vec(op, 1..100), end).prop_map(|(mut ops, (reason, at))| {
        if at < ops.len() {
            let heard = vec![Heard::Other(Input::Shutdown(reason))];
            ops.insert(at, Op::Turn { after: Duration::ZERO, heard });
        }
        ops
    })
}

/// The monitor, and what is known of it from what it put out.
struct Watched {
    monitor: Monitor,
    now: Instant,
    mode: Mode,
    term: Term,
    grant: Option<Grant>,
    will: Vec<Beat>,
    outputs: Vec<Output>,
    is_finished: bool,
}

impl Watched {
    fn new() -> Self {
        let now = Instant::from_millis(77);
        let mut config = config(1, &[2, 3, 4]);
        config.preempt = Some(Duration::from_millis(100));
        Watched {
            monitor: Monitor::new(config, BOOT, 5, now),
            now,
            mode: Mode::Joining,
            term: Term(0),
            grant: None,
            will: Vec::new(),
            outputs: Vec::new(),
            is_finished: false,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Turn { after, heard } => {
                self.now += *after;
                self.turn(heard);
            }
            Op::Deadlines(turns) => {
                for _ in 0..*turns {
                    let Some((at, _)) = self.monitor.poll_deadline() else { return };
                    self.now = self.now.max(at);
                    self.turn(&[]);
                }
            }
        }
    }

    fn turn(&mut self, heard: &[Heard]) {
        self.monitor.begin_turn(self.now);
        self.watch();
        for heard in heard {
            let input = match heard {
                Heard::Beat(beat) => Input::Beat(**beat),
                Heard::Other(input) => input.clone(),
            };
            self.monitor.handle(self.now, input);
            self.watch();
        }
        self.monitor.end_turn(self.now);
        self.watch();
        match self.monitor.poll_deadline() {
            Some((at, why)) => assert!(at > self.now, "{why:?} is still due after a turn"),
            None => assert!(self.is_finished, "a monitor that goes on wants a next turn"),
        }
    }

    /// Checks what one call put out.
    fn watch(&mut self) {
        let outputs: Vec<Output> = std::iter::from_fn(|| self.monitor.poll_output()).collect();
        assert!(outputs.len() <= OUTPUTS_MAX, "{} outputs of one call", outputs.len());
        for output in &outputs {
            assert!(!self.is_finished, "{output:?} after the end");
            self.check(output);
        }
        self.outputs.extend(outputs);
        let status = self.monitor.status(self.now);
        assert_eq!(status.mode, self.mode, "the mode changed without an event");
        assert_eq!(status.mode == Mode::Active, self.granted() == Mode::Active);
        assert!(status.term >= self.term, "the term went back");
        self.term = status.term;
        assert!(self.will.is_empty() || self.mode == Mode::Active);
        assert_eq!(self.monitor.will(), self.will, "the will changed in silence");
    }

    fn granted(&self) -> Mode {
        self.grant.map_or(Mode::Joining, |grant| grant.mode)
    }

    fn check(&mut self, output: &Output) {
        match output {
            Output::Grant(grant) => {
                let longest = Duration::from_millis(100) * 4;
                assert!(grant.lease <= self.now + longest, "a lease without end");
                self.grant = Some(*grant);
            }
            // The mode cell is up to date before anything that follows from it.
            Output::Beat(beat) => {
                assert_eq!(beat.mode, self.granted(), "a beat ahead of its grant");
                assert_ne!(beat.from, beat.to);
                assert!(beat.sequence > 0 && beat.sequence < u64::MAX);
            }
            Output::Announce | Output::Prevailed => assert_eq!(self.granted(), Mode::Active),
            Output::Probe => {
                assert!(matches!(self.granted(), Mode::Waiting | Mode::Fenced));
            }
            Output::Event(Event::ModeChanged { from, to, cause, term, .. }) => {
                assert_eq!(*from, self.mode);
                assert!(is_legal(*from, *to, cause), "{from} -> {to} by {cause}");
                if *to == Mode::Active {
                    assert!(*term > self.term || term.0 == u64::MAX, "no new term");
                }
                self.mode = *to;
            }
            Output::WillChanged => self.will = self.monitor.will(),
            Output::Event(_) => {}
            Output::Finished => self.is_finished = true,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_to_a_monitor_its_invariants_hold(ops in ops()) {
        let mut watched = Watched::new();
        ops.iter().for_each(|op| watched.apply(op));
    }

    #[test]
    fn two_monitors_that_were_told_the_same_say_the_same(ops in ops()) {
        let (mut one, mut other) = (Watched::new(), Watched::new());
        ops.iter().for_each(|op| one.apply(op));
        ops.iter().for_each(|op| other.apply(op));
        prop_assert_eq!(one.outputs, other.outputs);
    }

    /// Whatever was said before: in silence a healthy node with a link ends up active, alone.
    #[test]
    fn a_healthy_node_left_alone_becomes_active(mut ops in ops()) {
        // A peer may ask to be waited for for an hour; that is its right, but not of interest here.
        ops.iter_mut().for_each(Op::be_brief);
        let mut watched = Watched::new();
        ops.iter().for_each(|op| watched.apply(op));
        let calm = vec![
            Heard::Other(Input::Reconfigure(config(1, &[2, 3, 4]))),
            Heard::Other(Input::Health(Health::Ok)),
            Heard::Other(Input::Link { up: true }),
        ];
        watched.apply(&Op::Turn { after: Duration::ZERO, heard: calm });
        for _ in 0..3_000 {
            watched.apply(&Op::Deadlines(1));
        }
        prop_assert!(watched.is_finished || watched.mode == Mode::Active);
    }
}
