//! One monitor on a virtual clock, and puppets that say to it whatever a test wants.

use std::time::Duration;

use locum_types::{
    BootNonce, Cause, Grant, GroupId, Health, Instant, LogPosition, Mode, NodeId, Priority, Term,
};
use locum_wire::{Beat, Intent};

use crate::{Config, Event, Input, Monitor, Output};

pub(super) const INTERVAL: Duration = Duration::from_millis(10);
pub(super) const DEAD_AFTER: Duration = Duration::from_millis(30);
/// The boot of the monitor under test.
pub(super) const BOOT: BootNonce = BootNonce(0xb001);

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn node(id: u8) -> NodeId {
    NodeId::new(id).expect("tests use ids in range")
}

pub(super) fn priority(value: u8) -> Priority {
    Priority::new(value).expect("tests use priorities in range")
}

/// Node `id` in a group with `peers`, all with the default times and priority 100.
pub(super) fn config(id: u8, peers: &[u8]) -> Config {
    Config {
        group: GroupId::new(1).expect("1 is in range"),
        node: node(id),
        priority: priority(100),
        peers: peers.iter().map(|&peer| node(peer)).collect(),
        interval: INTERVAL,
        dead_after: DEAD_AFTER,
        preempt: None,
        complete_only: false,
    }
}

/// A node whose beats the test writes.
pub(super) struct Puppet {
    /// The next beat; whatever is set here is said.
    pub(super) beat: Beat,
}

impl Puppet {
    /// A waiting node of priority 100 that already knows the monitor's boot.
    pub(super) fn new(id: u8) -> Self {
        Puppet {
            beat: Beat {
                group: GroupId::new(1).expect("1 is in range"),
                from: node(id),
                to: node(1),
                boot: BootNonce(u64::from(id)),
                echo: Some(BOOT),
                sequence: 0,
                term: Term(0),
                mode: Mode::Waiting,
                health: Health::Ok,
                priority: priority(100),
                position: LogPosition(0),
                isolated: false,
                interval: INTERVAL,
                dead_after: DEAD_AFTER,
                heard: 1,
                heard_age_us: Some(0),
                timestamp: 0,
                timestamp_echo: None,
                intent: Intent::None,
            },
        }
    }

    pub(super) fn active(id: u8, term: u64) -> Self {
        let mut puppet = Puppet::new(id);
        (puppet.beat.mode, puppet.beat.term) = (Mode::Active, Term(term));
        puppet
    }

    /// The next beat.
    pub(super) fn speak(&mut self) -> Beat {
        self.beat.sequence += 1;
        self.beat
    }

    /// The next beat, with an intent that it has only once.
    pub(super) fn say(&mut self, intent: Intent) -> Beat {
        Beat { intent, ..self.speak() }
    }
}

/// A monitor and its clock. Everything it put out since the last `take` is kept.
pub(super) struct Solo {
    pub(super) monitor: Monitor,
    pub(super) now: Instant,
    pub(super) outputs: Vec<Output>,
}

impl Solo {
    /// Node 1 with the given peers, just started.
    pub(super) fn new(peers: &[u8]) -> Self {
        Solo::with(config(1, peers))
    }

    pub(super) fn with(config: Config) -> Self {
        // Not zero: nothing may depend on the epoch of the clock.
        let now = Instant::from_millis(1_000_000);
        let mut solo =
            Solo { monitor: Monitor::new(config, BOOT, 7, now), now, outputs: Vec::new() };
        solo.turn([]);
        solo
    }

    /// Waiting behind node 2, which is active in term 5.
    pub(super) fn behind(config: Config) -> (Self, Puppet) {
        let mut solo = Solo::with(config);
        let mut active = Puppet::active(2, 5);
        solo.run_with(ms(100), &mut [&mut active]);
        assert_eq!(solo.mode(), Mode::Waiting);
        solo.take();
        (solo, active)
    }

    /// Active in term 1, with a waiting node 2 (and others) in sight.
    pub(super) fn active(config: Config, waiting: &mut [&mut Puppet]) -> Self {
        let mut solo = Solo::with(config);
        solo.run_until_mode(Mode::Active);
        solo.run_with(ms(100), waiting);
        assert_eq!(solo.mode(), Mode::Active);
        solo.take();
        solo
    }

    pub(super) fn mode(&self) -> Mode {
        self.monitor.status(self.now).mode
    }

    pub(super) fn term(&self) -> Term {
        self.monitor.status(self.now).term
    }

    /// One whole turn.
    pub(super) fn turn(&mut self, inputs: impl IntoIterator<Item = Input>) {
        self.monitor.begin_turn(self.now);
        for input in inputs {
            self.monitor.handle(self.now, input);
        }
        self.monitor.end_turn(self.now);
        self.outputs.extend(std::iter::from_fn(|| self.monitor.poll_output()));
    }

    pub(super) fn hear(&mut self, beat: Beat) {
        self.turn([Input::Beat(beat)]);
    }

    /// Time passes; the monitor is run at its deadlines.
    pub(super) fn run(&mut self, time: Duration) {
        self.run_with(time, &mut []);
    }

    /// The same with puppets that beat at their interval, from now on.
    pub(super) fn run_with(&mut self, time: Duration, puppets: &mut [&mut Puppet]) {
        let end = self.now + time;
        let mut beat_at = self.now;
        while self.now < end {
            let due = self.monitor.poll_deadline().map_or(end, |(at, _)| at);
            if !puppets.is_empty() && beat_at <= due.min(end) {
                self.now = self.now.max(beat_at);
                beat_at += INTERVAL;
                let beats: Vec<_> =
                    puppets.iter_mut().map(|puppet| Input::Beat(puppet.speak())).collect();
                self.turn(beats);
            } else if due <= end {
                self.now = self.now.max(due);
                self.turn([]);
                self.assert_progress();
            } else {
                self.now = end;
            }
        }
    }

    /// After a turn nothing is due any more.
    pub(super) fn assert_progress(&self) {
        if let Some((at, why)) = self.monitor.poll_deadline() {
            assert!(at > self.now, "{why:?} is still due after a turn");
        }
    }

    /// Lets time pass in silence until the mode is `mode`.
    pub(super) fn run_until_mode(&mut self, mode: Mode) {
        for _ in 0..1_000 {
            if self.mode() == mode {
                return;
            }
            let (at, _) = self.monitor.poll_deadline().expect("the monitor is not finished");
            self.now = self.now.max(at);
            self.turn([]);
        }
        panic!("the mode is {} and never {mode}", self.mode());
    }

    /// This node does not run for a time.
    pub(super) fn freeze(&mut self, time: Duration) {
        self.now += time;
    }

    pub(super) fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    pub(super) fn beats(&self) -> Vec<Beat> {
        beats(&self.outputs)
    }

    pub(super) fn events(&self) -> Vec<Event> {
        let event = |output: &Output| {
            let Output::Event(event) = *output else { return None };
            Some(event)
        };
        self.outputs.iter().filter_map(event).collect()
    }

    pub(super) fn grants(&self) -> Vec<Grant> {
        let grant = |output: &Output| {
            let Output::Grant(grant) = *output else { return None };
            Some(grant)
        };
        self.outputs.iter().filter_map(grant).collect()
    }

    pub(super) fn count(&self, output: &Output) -> usize {
        self.outputs.iter().filter(|one| *one == output).count()
    }

    /// The changes of mode among the outputs.
    pub(super) fn changes(&self) -> Vec<(Mode, Mode, Cause)> {
        let change = |event: Event| {
            let Event::ModeChanged { from, to, cause, .. } = event else { return None };
            Some((from, to, cause))
        };
        self.events().into_iter().filter_map(change).collect()
    }
}

pub(super) fn beats(outputs: &[Output]) -> Vec<Beat> {
    let beat = |output: &Output| {
        let Output::Beat(beat) = *output else { return None };
        Some(beat)
    };
    outputs.iter().filter_map(beat).collect()
}
