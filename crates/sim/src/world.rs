//! The world: one segment, the nodes and hosts plugged into it, one clock, and the faults.
//!
//! Everything that happens is caused by a frame, a deadline or a call; between two of them the world
//! stands still. [`World::step`] does all that is due at the present instant, [`World::next_event`]
//! says when something is due again.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use locum_appliance::{Node, NodeConfig, NodeStatus, Notice, Port, Seeds, WillFrame};
use locum_link::segment::rule::Direction;
use locum_link::segment::{self, PortId, Segment};
use locum_monitor::{Event, Input};
use locum_types::{BootNonce, Instant, Mode, NodeId, ResignReason};

use crate::{Host, Lan, LeakChecker};

/// Frames that the network card of a frozen node holds, as a TAP's queue of 500 does.
const BACKLOG_MAX: usize = 500;
/// Rounds of frames and answers at one instant; more is a storm, and a bug.
const ROUNDS_MAX: usize = 10_000;
/// What a warden needs to notice that its worker is gone.
const WARDEN_DELAY: Duration = Duration::from_micros(500);

/// A node of the world, in the order they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeIndex(pub usize);

/// A host of the world, in the order they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// Whether a node's process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It runs.
    Running,
    /// It is stopped, and its frames pile up (SIGSTOP).
    Frozen,
    /// It is gone.
    Dead,
}

/// Something that happened, for timelines.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldEvent {
    /// When.
    pub at: Instant,
    /// The node it happened to.
    pub node: NodeId,
    /// What.
    pub kind: WorldEventKind,
}

/// What happened to a node.
#[derive(Clone, Debug, PartialEq)]
pub enum WorldEventKind {
    /// The node reported it.
    Reported(Event),
    /// The world did it: killed, frozen, cut and so on.
    Fault(&'static str),
}

/// One node's machine: its cable, its card, its process.
struct Slot {
    config: NodeConfig,
    port: PortId,
    process: Option<Process>,
    /// Frames that wait in the card of a frozen node.
    backlog: VecDeque<Vec<u8>>,
}

/// A running or frozen process, and the will it left with its warden.
struct Process {
    node: Node,
    frozen: bool,
    will: Vec<WillFrame>,
}

/// A deterministic world.
pub struct World {
    now: Instant,
    rng: Rng,
    segment: Segment,
    slots: Vec<Slot>,
    hosts: Vec<(Host, PortId)>,
    /// Wills on their way out of a warden.
    wills: VecDeque<(Instant, NodeIndex, Vec<WillFrame>)>,
    events: Vec<WorldEvent>,
    leaks: LeakChecker,
    overlaps: Overlaps,
}

impl World {
    /// An empty world at time zero. The same seed and the same calls give the same world.
    pub fn new(seed: u64) -> Self {
        World {
            now: Instant::ZERO,
            rng: Rng::with_seed(seed),
            segment: Segment::new(segment::Config::default()),
            slots: Vec::new(),
            hosts: Vec::new(),
            wills: VecDeque::new(),
            events: Vec::new(),
            leaks: LeakChecker::default(),
            overlaps: Overlaps::default(),
        }
    }

    /// A world with the nodes of `lan`, all starting now.
    pub fn with_nodes(seed: u64, lan: &Lan) -> Self {
        let mut world = World::new(seed);
        for id in 1..=lan.nodes {
            world.add_node(lan.node(id));
        }
        world
    }

    /// Plugs in a node and starts it.
    pub fn add_node(&mut self, config: NodeConfig) -> NodeIndex {
        let port = self.segment.add_port();
        self.slots.push(Slot { config, port, process: None, backlog: VecDeque::new() });
        let index = NodeIndex(self.slots.len() - 1);
        self.start(index);
        index
    }

    /// Plugs in a host.
    pub fn add_host(&mut self, host: Host) -> HostId {
        let port = self.segment.add_port();
        self.hosts.push((host, port));
        HostId(self.hosts.len() - 1)
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// When something is due next; `None` if nothing ever is.
    pub fn next_event(&mut self) -> Option<Instant> {
        let now = self.now;
        let nodes = self.slots.iter().filter_map(Slot::running).filter_map(Node::poll_deadline);
        let nodes = nodes.map(|(at, _)| at).min();
        let hosts = self.hosts.iter_mut().filter_map(|(host, _)| host.poll_deadline(now)).min();
        let wills = self.wills.front().map(|&(at, _, _)| at);
        let frames = self.segment.next_delivery();
        let next = [nodes, hosts, wills, frames].into_iter().flatten().min();
        next.map(|at| at.max(now))
    }

    /// Lets time pass until `end`, event by event.
    pub fn run_until(&mut self, end: Instant) {
        let mut stuck = 0;
        self.step();
        while let Some(at) = self.next_event().filter(|&at| at <= end) {
            stuck = if at == self.now { stuck + 1 } else { 0 };
            assert!(stuck < ROUNDS_MAX, "the world does not come to rest at {at}");
            self.now = at;
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Lets `duration` pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Lets time pass until `condition` holds, for at most `limit`; false if it never did.
    pub fn run_until_holds(
        &mut self,
        limit: Duration,
        mut condition: impl FnMut(&World) -> bool,
    ) -> bool {
        let end = self.now + limit;
        self.step();
        while !condition(self) {
            let Some(at) = self.next_event().filter(|&at| at <= end) else { return false };
            self.now = at;
            self.step();
        }
        true
    }

    /// Does everything that is due now, answers to answers included.
    pub fn step(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.round();
            if self.segment.ports().all(|port| self.segment.rx_len(port) == 0) {
                return;
            }
        }
        panic!("the world does not come to rest at {}", self.now);
    }

    /// Gives everybody one turn.
    fn round(&mut self) {
        self.segment.poll(self.now);
        self.send_wills();
        for index in 0..self.slots.len() {
            self.turn_node(NodeIndex(index));
        }
        for index in 0..self.hosts.len() {
            self.turn_host(index);
        }
        let active = self.slots.iter().filter(|slot| slot.mode_at(self.now) == Some(Mode::Active));
        self.overlaps.note(self.now, active.count());
    }

    /// Starts a node that is not running, with a new boot nonce.
    pub fn start(&mut self, index: NodeIndex) {
        let slot = &mut self.slots[index.0];
        if slot.process.is_some() {
            return;
        }
        let seeds = Seeds {
            boot: BootNonce(self.rng.u64(1..)),
            seed: self.rng.u64(..),
            isn_key: self.rng.u128(..).to_ne_bytes(),
        };
        let node = Node::new(&slot.config, seeds, Port::Service, Lan::services(), self.now)
            .expect("the laboratory's services do not share ports");
        slot.process = Some(Process { node, frozen: false, will: Vec::new() });
        slot.backlog.clear();
        self.note_fault(index, "started");
    }

    /// SIGKILL. If the node has a warden, its will is sent a moment later.
    pub fn kill(&mut self, index: NodeIndex, warden: bool) {
        let Some(process) = self.slots[index.0].process.take() else { return };
        self.slots[index.0].backlog.clear();
        if warden && !process.will.is_empty() {
            self.wills.push_back((self.now + WARDEN_DELAY, index, process.will));
        }
        self.note_fault(index, "killed");
    }

    /// SIGSTOP: the process stands still, its frames pile up.
    pub fn freeze(&mut self, index: NodeIndex) {
        if let Some(process) = &mut self.slots[index.0].process {
            process.frozen = true;
            self.note_fault(index, "frozen");
        }
    }

    /// SIGCONT.
    pub fn thaw(&mut self, index: NodeIndex) {
        if let Some(process) = &mut self.slots[index.0].process {
            process.frozen = false;
            self.note_fault(index, "thawed");
        }
    }

    /// Pulls the cable out, somewhere the node cannot see it.
    pub fn cut(&mut self, index: NodeIndex) {
        self.cut_one_way(index, Direction::Transmit, true);
        self.cut_one_way(index, Direction::Receive, true);
        self.note_fault(index, "link cut");
    }

    /// Puts the cable back.
    pub fn heal(&mut self, index: NodeIndex) {
        self.cut_one_way(index, Direction::Transmit, false);
        self.cut_one_way(index, Direction::Receive, false);
        self.note_fault(index, "link healed");
    }

    /// Cuts, or mends, one direction of a node's cable.
    pub fn cut_one_way(&mut self, index: NodeIndex, direction: Direction, cut: bool) {
        self.segment.set_cut(self.slots[index.0].port, direction, cut);
    }

    /// Takes the node's interface down or up; the node sees it.
    pub fn set_link(&mut self, index: NodeIndex, up: bool) {
        self.segment.set_up(self.slots[index.0].port, up);
        self.note_fault(index, if up { "link up" } else { "link down" });
        self.tell(index, Input::Link { up });
    }

    /// SIGTERM: the node hands over, or resigns, and ends.
    pub fn shut_down(&mut self, index: NodeIndex) {
        self.note_fault(index, "terminated");
        self.tell(index, Input::Shutdown(ResignReason::Shutdown));
    }

    /// The operator's hand-over.
    pub fn hand_over(&mut self, index: NodeIndex, to: Option<NodeId>) {
        self.note_fault(index, "hand-over asked");
        self.tell(index, Input::Handover { to });
    }

    /// Any input of the node itself.
    pub fn tell(&mut self, index: NodeIndex, input: Input) {
        let now = self.now;
        if let Some(process) =
            self.slots[index.0].process.as_mut().filter(|process| !process.frozen)
        {
            process.node.handle(now, input);
            self.drain_node(index);
        }
    }

    /// The segment, for latencies, rules and observers.
    pub fn segment_mut(&mut self) -> &mut Segment {
        &mut self.segment
    }

    /// The port a node is plugged into.
    pub fn port_of(&self, index: NodeIndex) -> PortId {
        self.slots[index.0].port
    }

    /// The port a host is plugged into.
    pub fn port_of_host(&self, id: HostId) -> PortId {
        self.hosts[id.0].1
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        (0..self.slots.len()).map(NodeIndex)
    }

    /// A node's id.
    pub fn id_of(&self, index: NodeIndex) -> NodeId {
        self.slots[index.0].config.identity.node
    }

    /// Whether a node's process runs.
    pub fn state(&self, index: NodeIndex) -> NodeState {
        match &self.slots[index.0].process {
            None => NodeState::Dead,
            Some(process) if process.frozen => NodeState::Frozen,
            Some(_) => NodeState::Running,
        }
    }

    /// The mode of a node that is not dead.
    pub fn mode(&self, index: NodeIndex) -> Option<Mode> {
        self.slots[index.0].mode_at(self.now)
    }

    /// The nodes that run and are active.
    pub fn active(&self) -> Vec<NodeIndex> {
        let active = |index: &NodeIndex| {
            self.state(*index) == NodeState::Running && self.mode(*index) == Some(Mode::Active)
        };
        self.nodes().filter(active).collect()
    }

    /// The state of a node that is not dead.
    pub fn status(&self, index: NodeIndex) -> Option<NodeStatus> {
        self.slots[index.0].process.as_ref().map(|process| process.node.status(self.now))
    }

    /// A host.
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.0].0
    }

    /// A host, to start programs on.
    pub fn host_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[id.0].0
    }

    /// Everything that happened to the nodes so far.
    pub fn events(&self) -> &[WorldEvent] {
        &self.events
    }

    /// Frames for the service address from nodes that were not active.
    pub fn leaks(&self) -> &LeakChecker {
        &self.leaks
    }

    /// How long, in all, more than one node was active, and the longest single time.
    pub fn overlap(&self) -> (Duration, Duration) {
        (self.overlaps.total, self.overlaps.longest)
    }

    fn turn_node(&mut self, index: NodeIndex) {
        let (now, slot) = (self.now, &mut self.slots[index.0]);
        let Some(process) = &mut slot.process else {
            while self.segment.recv(slot.port, |_| ()).is_some() {}
            return;
        };
        if process.frozen {
            let backlog = &mut slot.backlog;
            while self.segment.recv(slot.port, |frame| keep(backlog, frame)).is_some() {}
            return;
        }
        let node = &mut process.node;
        let mut due = node.poll_deadline().is_some_and(|(at, _)| at <= now);
        while let Some(frame) = slot.backlog.pop_front() {
            node.receive(Port::Service, &frame);
            due = true;
        }
        while self.segment.recv(slot.port, |frame| node.receive(Port::Service, frame)).is_some() {
            due = true;
        }
        for _ in 0..ROUNDS_MAX {
            let Some(process) = self.slots[index.0].process.as_mut().filter(|_| due) else {
                return;
            };
            due = process.node.turn(now);
            self.drain_node(index);
        }
        panic!("node {index:?} does not come to rest at {now}");
    }

    /// Takes out of a node what it has to send and to tell.
    fn drain_node(&mut self, index: NodeIndex) {
        let (now, slot) = (self.now, &mut self.slots[index.0]);
        let Some(process) = &mut slot.process else { return };
        let (segment, leaks, port) = (&mut self.segment, &mut self.leaks, slot.port);
        let mode = process.node.mode_at(now);
        let identity = &slot.config.identity;
        while process
            .node
            .poll_transmit(now, |_, frame| {
                leaks.check(now, identity, mode, frame);
                segment.send(now, port, frame);
            })
            .is_some()
        {}
        let mut finished = false;
        while let Some(notice) = process.node.poll_notice() {
            match notice {
                Notice::Event(event) => {
                    let kind = WorldEventKind::Reported(event);
                    self.events.push(WorldEvent { at: now, node: identity.node, kind });
                }
                Notice::Will(will) => process.will = will,
                Notice::Finished => finished = true,
            }
        }
        if finished {
            slot.process = None;
            self.note_fault(index, "exited");
        }
    }

    fn turn_host(&mut self, index: usize) {
        let (now, (host, port)) = (self.now, &mut self.hosts[index]);
        while self.segment.recv(*port, |frame| host.receive(now, frame)).is_some() {}
        host.turn(now);
        let segment = &mut self.segment;
        while host.poll_transmit(|frame| segment.send(now, *port, frame)).is_some() {}
    }

    fn send_wills(&mut self) {
        while self.wills.front().is_some_and(|&(at, _, _)| at <= self.now) {
            let Some((_, index, will)) = self.wills.pop_front() else { return };
            for frame in will {
                self.segment.send(self.now, self.slots[index.0].port, &frame.bytes);
            }
        }
    }

    fn note_fault(&mut self, index: NodeIndex, what: &'static str) {
        let (at, node) = (self.now, self.id_of(index));
        self.events.push(WorldEvent { at, node, kind: WorldEventKind::Fault(what) });
    }
}

impl Slot {
    fn running(&self) -> Option<&Node> {
        self.process.as_ref().filter(|process| !process.frozen).map(|process| &process.node)
    }

    fn mode_at(&self, now: Instant) -> Option<Mode> {
        self.process.as_ref().map(|process| process.node.mode_at(now))
    }
}

/// As a network card does: what finds no room is lost.
fn keep(backlog: &mut VecDeque<Vec<u8>>, frame: &[u8]) {
    if backlog.len() < BACKLOG_MAX {
        backlog.push_back(frame.to_vec());
    }
}

/// Times with more than one active node.
#[derive(Clone, Copy, Debug, Default)]
struct Overlaps {
    since: Option<Instant>,
    last: Option<Instant>,
    total: Duration,
    longest: Duration,
}

impl Overlaps {
    fn note(&mut self, now: Instant, active: usize) {
        if let (Some(since), Some(last)) = (self.since, self.last) {
            self.total += now - last;
            self.longest = self.longest.max(now - since);
        }
        if active > 1 {
            self.since = self.since.or(Some(now));
            self.last = Some(now);
        } else {
            self.since = None;
            self.last = None;
        }
    }
}
