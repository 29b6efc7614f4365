//! The world: the network, the machines and hosts plugged into it, one clock, and the faults.
//!
//! Everything that happens is caused by a frame, a deadline or a call; between two of them the world
//! stands still. [`World::step`] does all that is due at the present instant, [`World::next_event`]
//! says when something is due again.

mod faults;
mod run;
mod sight;

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use locum_appliance::{LogCopy, NodeConfig, NodeStatus, WillFrame};
use locum_link::segment::{self, Segment};
use locum_monitor::Event;
use locum_stack::FlowImage;
use locum_types::{Instant, Mode, NodeId};

use self::sight::{Overlaps, TraceHash, Watcher};
pub use self::sight::{Sight, Station};
use crate::clock::MachineClock;
use crate::fabric::{Fabric, Jack, SwitchId, TrunkId};
use crate::machine::{Cpu, Machine, Stage};
use crate::{Host, Hostile, Lan, LeakChecker};

/// A node of the world, in the order they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub usize);

/// A host of the world, in the order they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// A hostile machine of the world, in the order they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostileId(pub usize);

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

/// A machine that is no node, and its cable.
struct Plugged<M> {
    machine: M,
    jack: Jack,
    /// When it wants its next turn.
    deadline: Option<Instant>,
}

/// A deterministic world.
pub struct World {
    now: Instant,
    rng: Rng,
    fabric: Fabric,
    machines: Vec<Machine>,
    hosts: Vec<Plugged<Host>>,
    hostiles: Vec<Plugged<Hostile>>,
    /// Wills on their way out of a warden.
    wills: VecDeque<(Instant, NodeIndex, Vec<WillFrame>)>,
    events: Vec<WorldEvent>,
    leaks: LeakChecker,
    overlaps: Overlaps,
    trace: TraceHash,
    watchers: Vec<Watcher>,
    /// What all nodes choose sequence numbers by, if not each by its own.
    isn_key: Option<[u8; 16]>,
    /// The port of a service that is not replicated.
    left_out: Option<u16>,
}

impl World {
    /// The switch that every world has.
    pub const SWITCH: SwitchId = SwitchId(0);

    /// A world at time zero with one switch. The same seed and the same calls give the same world.
    pub fn new(seed: u64) -> Self {
        World::on(seed, segment::Config::default())
    }

    /// The same, with a first switch of this kind.
    pub fn on(seed: u64, switch: segment::Config) -> Self {
        let mut fabric = Fabric::default();
        fabric.add_switch(switch);
        World {
            now: Instant::ZERO,
            rng: Rng::with_seed(seed),
            fabric,
            machines: Vec::new(),
            hosts: Vec::new(),
            hostiles: Vec::new(),
            wills: VecDeque::new(),
            events: Vec::new(),
            leaks: LeakChecker::default(),
            overlaps: Overlaps::default(),
            trace: TraceHash::default(),
            watchers: Vec::new(),
            isn_key: None,
            left_out: None,
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

    /// Adds a switch.
    pub fn add_switch(&mut self, config: segment::Config) -> SwitchId {
        self.fabric.add_switch(config)
    }

    /// Joins two switches by a cable. Switches must form a tree.
    ///
    /// # Panics
    /// When it is one and the same switch.
    pub fn join(&mut self, a: SwitchId, b: SwitchId) -> TrunkId {
        self.fabric.join(a, b)
    }

    /// Plugs a node into the first switch and starts it.
    pub fn add_node(&mut self, config: NodeConfig) -> NodeIndex {
        let index = self.add_machine(config, Self::SWITCH, None);
        self.start(index);
        index
    }

    /// Plugs in a node's machine, with a second cable for beats if `heartbeat` names a switch. Its
    /// process is not started.
    pub fn add_machine(
        &mut self,
        config: NodeConfig,
        service: SwitchId,
        heartbeat: Option<SwitchId>,
    ) -> NodeIndex {
        let service = self.fabric.add_jack(service);
        let heartbeat = heartbeat.map(|switch| self.fabric.add_jack(switch));
        let cpu = Cpu::new(self.rng.u64(..));
        self.machines.push(Machine::new(config, (service, heartbeat), cpu));
        NodeIndex(self.machines.len() - 1)
    }

    /// Plugs a host into the first switch.
    pub fn add_host(&mut self, host: Host) -> HostId {
        self.add_host_at(Self::SWITCH, host)
    }

    /// Plugs in a host.
    pub fn add_host_at(&mut self, switch: SwitchId, host: Host) -> HostId {
        let jack = self.fabric.add_jack(switch);
        self.hosts.push(Plugged { machine: host, jack, deadline: Some(Instant::ZERO) });
        HostId(self.hosts.len() - 1)
    }

    /// Plugs in a hostile machine.
    pub fn add_hostile_at(&mut self, switch: SwitchId, hostile: Hostile) -> HostileId {
        let jack = self.fabric.add_jack(switch);
        self.hostiles.push(Plugged { machine: hostile, jack, deadline: Some(Instant::ZERO) });
        HostileId(self.hostiles.len() - 1)
    }

    /// Shows `watcher` every frame that a station sends, in order.
    pub fn watch(&mut self, watcher: impl FnMut(&Sight<'_>) + 'static) {
        self.watchers.push(Box::new(watcher));
    }

    /// From now on nodes that start choose initial sequence numbers by this key (RFC 6528), not by one that is drawn.
    pub fn fix_isn_key(&mut self, key: [u8; 16]) {
        self.isn_key = Some(key);
    }

    /// On nodes that start from now on the service on `port` is left out of the log.
    pub fn leave_out(&mut self, port: u16) {
        self.left_out = Some(port);
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The first switch, for rules and observers.
    pub fn segment_mut(&mut self) -> &mut Segment {
        self.fabric.switch_mut(Self::SWITCH)
    }

    /// A switch, for rules and observers.
    pub fn switch_mut(&mut self, switch: SwitchId) -> &mut Segment {
        self.fabric.switch_mut(switch)
    }

    /// A switch.
    pub fn switch(&self, switch: SwitchId) -> &Segment {
        self.fabric.switch(switch)
    }

    /// The two ends of a trunk.
    pub fn trunk(&self, trunk: TrunkId) -> [Jack; 2] {
        self.fabric.trunk(trunk)
    }

    /// Where the cable of a node's service link is plugged in.
    pub fn jack_of(&self, index: NodeIndex) -> Jack {
        self.machines[index.0].service
    }

    /// Where the cable of a node's dedicated heartbeat link is plugged in, if it has one.
    pub fn heartbeat_jack_of(&self, index: NodeIndex) -> Option<Jack> {
        self.machines[index.0].heartbeat
    }

    /// Where a host's cable is plugged in.
    pub fn jack_of_host(&self, id: HostId) -> Jack {
        self.hosts[id.0].jack
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        (0..self.machines.len()).map(NodeIndex)
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.hosts.len()).map(HostId)
    }

    /// A node's id.
    pub fn id_of(&self, index: NodeIndex) -> NodeId {
        self.machines[index.0].config.identity.node
    }

    /// A node's configuration.
    pub fn config_of(&self, index: NodeIndex) -> &NodeConfig {
        &self.machines[index.0].config
    }

    /// The clock of a node's machine.
    pub fn clock_of(&self, index: NodeIndex) -> MachineClock {
        self.machines[index.0].clock
    }

    /// Whether a node's process runs.
    pub fn state(&self, index: NodeIndex) -> NodeState {
        let machine = &self.machines[index.0];
        match (&machine.process, machine.runs()) {
            (None, _) => NodeState::Dead,
            (Some(_), true) => NodeState::Running,
            (Some(_), false) => NodeState::Frozen,
        }
    }

    /// The mode of a node that is not dead.
    pub fn mode(&self, index: NodeIndex) -> Option<Mode> {
        self.machines[index.0].mode_at(self.now)
    }

    /// The nodes that run and are active.
    pub fn active(&self) -> Vec<NodeIndex> {
        let active = |index: &NodeIndex| {
            self.state(*index) == NodeState::Running && self.mode(*index) == Some(Mode::Active)
        };
        self.nodes().filter(active).collect()
    }

    /// The state of a node that is not dead; instants in it are of its machine's clock.
    pub fn status(&self, index: NodeIndex) -> Option<NodeStatus> {
        let machine = &self.machines[index.0];
        let local = machine.clock.at(self.now);
        machine.process.as_ref().map(|process| process.node.status(local))
    }

    /// The copy of the log that a node has, if it is not dead, and replicates.
    pub fn copy(&self, index: NodeIndex) -> Option<LogCopy> {
        self.machines[index.0].process.as_ref()?.node.copy()
    }

    /// Whether a node has done something that it did not come to tell yet: it lost the processor.
    pub fn is_interrupted(&self, index: NodeIndex) -> bool {
        let process = self.machines[index.0].process.as_ref();
        process.is_some_and(|process| matches!(process.stage, Stage::Interrupted(_)))
    }

    /// The connections and the services of a node that is not dead.
    pub fn node_state(&mut self, index: NodeIndex) -> Option<(Vec<FlowImage>, Vec<u8>)> {
        self.machines[index.0].process.as_mut().map(|process| process.node.state())
    }

    /// When a node that is not dead wants its next turn, by its machine's clock, and why.
    pub fn deadline(&self, index: NodeIndex) -> Option<(Instant, &'static str)> {
        self.machines[index.0].process.as_ref()?.node.poll_deadline()
    }

    /// Frames given to a node's process since it started.
    pub fn delivered(&self, index: NodeIndex) -> u64 {
        self.machines[index.0].delivered()
    }

    /// A host.
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.0].machine
    }

    /// A host, to start programs on.
    pub fn host_mut(&mut self, id: HostId) -> &mut Host {
        let plugged = &mut self.hosts[id.0];
        plugged.deadline = Some(Instant::ZERO);
        &mut plugged.machine
    }

    /// A hostile machine, to give it weapons.
    pub fn hostile_mut(&mut self, id: HostileId) -> &mut Hostile {
        let plugged = &mut self.hostiles[id.0];
        plugged.deadline = Some(Instant::ZERO);
        &mut plugged.machine
    }

    /// Where a hostile machine's cable is plugged in.
    pub fn jack_of_hostile(&self, id: HostileId) -> Jack {
        self.hostiles[id.0].jack
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
        (self.overlaps.total(), self.overlaps.longest())
    }

    /// A number that stands for every frame sent so far, by whom and when: equal runs, equal numbers.
    pub fn trace_hash(&self) -> u64 {
        self.trace.value()
    }
}
