//! A group of monitors on one virtual clock and a network of one-way links.
//!
//! Beats travel over the links; probes and their answers over the LAN, which can be cut apart from
//! them. Nodes freeze, die and come back; what is sent to a frozen node waits for it.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use locum_types::{BootNonce, Grant, Instant, Mode, ModeCell, NodeId};
use locum_wire::Beat;

use super::solo::{ms, node};
use crate::{Config, Event, Input, Monitor, Output};

/// What a one-way link does to a beat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) delay: Duration,
    /// Up to this much more, drawn anew for each beat: reorders.
    pub(super) jitter: Duration,
    /// Share of beats lost, in percent.
    pub(super) loss: u8,
    /// Share of beats that arrive twice, in percent.
    pub(super) duplicate: u8,
    pub(super) cut: bool,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            delay: Duration::from_micros(200),
            jitter: Duration::ZERO,
            loss: 0,
            duplicate: 0,
            cut: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Frozen,
    Dead,
}

pub(super) struct Member {
    pub(super) config: Config,
    pub(super) monitor: Monitor,
    cell: ModeCell,
    grant: Option<Grant>,
    life: Life,
    inbox: Vec<Input>,
    will: Vec<Beat>,
}

/// N monitors and the world between them.
pub(super) struct Group {
    pub(super) now: Instant,
    pub(super) members: BTreeMap<NodeId, Member>,
    pub(super) links: BTreeMap<(NodeId, NodeId), Link>,
    /// One-way cuts for probes and answers.
    pub(super) lan_cut: Vec<(NodeId, NodeId)>,
    pub(super) events: Vec<(Instant, NodeId, Event)>,
    pub(super) announcements: Vec<(Instant, NodeId)>,
    /// Every beat that was delivered, for replays.
    pub(super) recorded: Vec<Beat>,
    in_flight: BTreeMap<(Instant, u64), (NodeId, Input)>,
    sent: u64,
    boots: u64,
    pub(super) rng: Rng,
    /// Since when two nodes speak for the service address at once.
    overlap_since: Option<Instant>,
    pub(super) longest_overlap: Duration,
    /// The same of two nodes with perfect links between them.
    heard_overlaps: BTreeMap<(NodeId, NodeId), Instant>,
    pub(super) longest_heard_overlap: Duration,
}

impl Group {
    /// Nodes 1 to `size`, started together.
    pub(super) fn new(size: u8, seed: u64) -> Self {
        Group::with(size, seed, |_| {})
    }

    /// The same, each configuration adjusted.
    pub(super) fn with(size: u8, seed: u64, adjust: impl Fn(&mut Config)) -> Self {
        let ids: Vec<u8> = (1..=size).collect();
        let mut group = Group {
            now: Instant::from_millis(5_000),
            members: BTreeMap::new(),
            links: BTreeMap::new(),
            lan_cut: Vec::new(),
            events: Vec::new(),
            announcements: Vec::new(),
            recorded: Vec::new(),
            in_flight: BTreeMap::new(),
            sent: 0,
            boots: seed << 16,
            rng: Rng::with_seed(seed),
            overlap_since: None,
            longest_overlap: Duration::ZERO,
            heard_overlaps: BTreeMap::new(),
            longest_heard_overlap: Duration::ZERO,
        };
        for &id in &ids {
            let peers: Vec<u8> = ids.iter().copied().filter(|&peer| peer != id).collect();
            let mut config = super::solo::config(id, &peers);
            adjust(&mut config);
            for &peer in &peers {
                group.links.insert((node(id), node(peer)), Link::default());
            }
            let member = group.born(config);
            group.members.insert(node(id), member);
        }
        group
    }

    fn born(&mut self, config: Config) -> Member {
        self.boots += 1;
        let monitor =
            Monitor::new(config.clone(), BootNonce(self.boots), self.rng.u64(..), self.now);
        Member {
            config,
            monitor,
            cell: ModeCell::new(),
            grant: None,
            life: Life::Running,
            inbox: Vec::new(),
            will: Vec::new(),
        }
    }

    pub(super) fn member(&self, id: u8) -> &Member {
        &self.members[&node(id)]
    }

    pub(super) fn mode(&self, id: u8) -> Mode {
        self.member(id).monitor.status(self.now).mode
    }

    /// The nodes whose gate is open right now.
    pub(super) fn speaking(&self) -> Vec<NodeId> {
        let open = |member: &Member| {
            member.life == Life::Running && member.cell.mode_at(self.now) == Mode::Active
        };
        self.members.iter().filter(|(_, member)| open(member)).map(|(&id, _)| id).collect()
    }

    /// Stops at the beginning of nothing: SIGKILL, without a will.
    pub(super) fn kill(&mut self, id: u8) {
        let member = self.members.get_mut(&node(id)).expect("the node exists");
        member.life = Life::Dead;
        member.inbox.clear();
    }

    /// The same with a warden that sends the will.
    pub(super) fn crash(&mut self, id: u8) {
        self.kill(id);
        for beat in self.member(id).will.clone() {
            self.transmit(beat);
        }
    }

    pub(super) fn is_dead(&self, id: u8) -> bool {
        self.member(id).life == Life::Dead
    }

    /// A new life of a node.
    pub(super) fn restart(&mut self, id: u8) {
        let config = self.member(id).config.clone();
        let member = self.born(config);
        self.members.insert(node(id), member);
    }

    pub(super) fn freeze(&mut self, id: u8) {
        let member = self.members.get_mut(&node(id)).expect("the node exists");
        if member.life == Life::Running {
            member.life = Life::Frozen;
        }
    }

    /// The node runs on where it was stopped, with everything that was sent to it queued.
    pub(super) fn thaw(&mut self, id: u8) {
        let member = self.members.get_mut(&node(id)).expect("the node exists");
        if member.life == Life::Frozen {
            member.life = Life::Running;
            self.turn(node(id));
        }
    }

    /// Tells a node something.
    pub(super) fn tell(&mut self, id: u8, input: Input) {
        self.members.get_mut(&node(id)).expect("the node exists").inbox.push(input);
        self.turn(node(id));
    }

    pub(super) fn link(&mut self, from: u8, to: u8) -> &mut Link {
        self.links.get_mut(&(node(from), node(to))).expect("the link exists")
    }

    /// Beats, probes and answers between two sets of nodes are lost, both ways.
    pub(super) fn partition(&mut self, left: &[u8], right: &[u8]) {
        for (&a, &b) in left.iter().flat_map(|a| right.iter().map(move |b| (a, b))) {
            self.link(a, b).cut = true;
            self.link(b, a).cut = true;
            self.lan_cut.extend([(node(a), node(b)), (node(b), node(a))]);
        }
    }

    pub(super) fn heal(&mut self) {
        self.links.values_mut().for_each(|link| *link = Link::default());
        self.lan_cut.clear();
    }

    /// Sends a recorded or forged beat into the network.
    pub(super) fn inject(&mut self, beat: Beat) {
        self.deliver_at(self.now + Duration::from_micros(50), beat.to, Input::Beat(beat));
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.next().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
        self.note_overlap();
    }

    pub(super) fn run_ms(&mut self, millis: u64) {
        self.run(Duration::from_millis(millis));
    }

    fn next(&self) -> Option<Instant> {
        let running = self.members.values().filter(|member| member.life == Life::Running);
        let deadlines = running.filter_map(|member| Some(member.monitor.poll_deadline()?.0));
        let arrival = self.in_flight.keys().next().map(|&(at, _)| at);
        deadlines.chain(arrival).min()
    }

    fn step(&mut self) {
        while let Some(entry) = self.in_flight.first_entry().filter(|e| e.key().0 <= self.now) {
            let (to, input) = entry.remove();
            if let Some(member) = self.members.get_mut(&to).filter(|m| m.life != Life::Dead) {
                member.inbox.push(input);
            }
        }
        let ids: Vec<NodeId> = self.members.keys().copied().collect();
        for id in ids {
            let member = &self.members[&id];
            let due = member.monitor.poll_deadline().is_some_and(|(at, _)| at <= self.now);
            if member.life == Life::Running && (due || !member.inbox.is_empty()) {
                self.turn(id);
            }
        }
        self.note_overlap();
    }

    fn turn(&mut self, id: NodeId) {
        let now = self.now;
        let Some(member) = self.members.get_mut(&id).filter(|m| m.life == Life::Running) else {
            return;
        };
        let mut outputs = Vec::new();
        let mut drain =
            |monitor: &mut Monitor| outputs.extend(std::iter::from_fn(|| monitor.poll_output()));
        member.monitor.begin_turn(now);
        drain(&mut member.monitor);
        for input in std::mem::take(&mut member.inbox) {
            member.monitor.handle(now, input);
            drain(&mut member.monitor);
        }
        member.monitor.end_turn(now);
        drain(&mut member.monitor);
        if let Some((at, why)) = member.monitor.poll_deadline() {
            assert!(at > now, "node {id}: {why:?} is still due after a turn");
        }
        for output in outputs {
            self.carry_out(id, output);
        }
    }

    fn carry_out(&mut self, id: NodeId, output: Output) {
        let Some(member) = self.members.get_mut(&id) else { return };
        match output {
            Output::Grant(grant) => {
                member.grant = Some(grant);
                member.cell.store(grant);
            }
            Output::Beat(beat) => self.transmit(beat),
            Output::Probe => self.probe(id),
            Output::Announce => {
                let open = member.cell.mode_at(self.now) == Mode::Active;
                assert!(open, "node {id} announces with its gate closed");
                self.announcements.push((self.now, id));
            }
            Output::Prevailed => {}
            Output::WillChanged => member.will = member.monitor.will(),
            Output::Event(event) => self.events.push((self.now, id, event)),
            Output::Finished => member.life = Life::Dead,
        }
    }

    fn transmit(&mut self, beat: Beat) {
        let Some(&link) = self.links.get(&(beat.from, beat.to)) else { return };
        if link.cut || self.rng.u8(..100) < link.loss {
            return;
        }
        self.recorded.push(beat);
        let copies = if self.rng.u8(..100) < link.duplicate { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = link.jitter.as_nanos() as u64;
            let at = self.now + link.delay + Duration::from_nanos(self.rng.u64(..=jitter));
            self.deliver_at(at, beat.to, Input::Beat(beat));
        }
    }

    /// Whoever's gate is open answers from the loop that serves clients.
    fn probe(&mut self, from: NodeId) {
        let reached = |a: NodeId, b: NodeId| !self.lan_cut.contains(&(a, b));
        let answered = self
            .speaking()
            .into_iter()
            .any(|to| to != from && reached(from, to) && reached(to, from));
        if answered {
            self.deliver_at(self.now + Duration::from_micros(400), from, Input::ProbeAnswered);
        }
    }

    fn deliver_at(&mut self, at: Instant, to: NodeId, input: Input) {
        self.sent += 1;
        self.in_flight.insert((at, self.sent), (to, input));
    }

    fn note_overlap(&mut self) {
        let speaking = self.speaking();
        if speaking.len() < 2 {
            self.overlap_since = None;
            self.heard_overlaps.clear();
            return;
        }
        let since = *self.overlap_since.get_or_insert(self.now);
        self.longest_overlap = self.longest_overlap.max(self.now - since);
        let pairs = speaking.iter().flat_map(|&a| speaking.iter().map(move |&b| (a, b)));
        let perfect = |from: NodeId, to: NodeId| {
            let link = self.links[&(from, to)];
            !link.cut && link.loss == 0 && link.jitter.is_zero() && link.delay < ms(1)
        };
        let heard: Vec<_> =
            pairs.filter(|&(a, b)| a < b && perfect(a, b) && perfect(b, a)).collect();
        self.heard_overlaps.retain(|pair, _| heard.contains(pair));
        for pair in heard {
            let since = *self.heard_overlaps.entry(pair).or_insert(self.now);
            self.longest_heard_overlap = self.longest_heard_overlap.max(self.now - since);
        }
    }

    /// All events, one a line, for messages.
    pub(super) fn story(&self) -> String {
        self.events.iter().map(|(at, id, event)| format!("{at} node {id}: {event:?}\n")).collect()
    }

    /// The changes of mode since the start, for messages and comparisons.
    pub(super) fn changes(&self) -> Vec<(NodeId, Mode, Mode)> {
        let change = |&(_, id, event): &(Instant, NodeId, Event)| {
            let Event::ModeChanged { from, to, .. } = event else { return None };
            Some((id, from, to))
        };
        self.events.iter().filter_map(change).collect()
    }

    /// Asserts that the group has exactly one active node and all others wait; returns it.
    pub(super) fn settled(&self) -> u8 {
        let running = self.members.iter().filter(|(_, member)| member.life == Life::Running);
        let modes: Vec<(u8, Mode)> =
            running.map(|(id, member)| (id.get(), member.monitor.status(self.now).mode)).collect();
        let of = |mode: Mode| modes.iter().filter(|&&(_, other)| other == mode).count();
        assert!(
            of(Mode::Active) == 1 && of(Mode::Waiting) == modes.len() - 1,
            "not settled at {}: {modes:?}\n{}",
            self.now,
            self.story()
        );
        modes.iter().find(|&&(_, mode)| mode == Mode::Active).map_or(0, |&(id, _)| id)
    }
}
