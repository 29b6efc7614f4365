//! From a plan to a world: builds it, breaks it, mends it.

use std::collections::BTreeSet;
use std::time::Duration;

use locum_link::segment;
use locum_link::segment::rule::Direction;
use locum_monitor::Input;
use locum_types::{Health, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpEndpoint};

use super::plan::{Cable, ClientPlan, Fault, FaultKind, Plan, ProgramPlan};
use crate::neighbour::Habits;
use crate::{
    Arsenal, ECHO_PORT, Host, HostId, HostSettings, Hostile, HostileId, Jack, KV_PORT, Lan,
    MachineClock, NodeIndex, Program, SwitchId, TrunkId, Weapon, World,
};

/// A world that follows a plan.
pub(super) struct Stage<'a> {
    plan: &'a Plan,
    pub(super) world: World,
    trunks: Vec<TrunkId>,
    pub(super) clients: Vec<HostId>,
    hostile: Option<HostileId>,
    /// The faults in force, by their position in the plan.
    in_force: BTreeSet<usize>,
    /// What is to come: when, which fault, and whether it begins.
    timeline: Vec<(Instant, Cue)>,
    next: usize,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cue {
    Start(usize),
    Begin(usize),
    End(usize),
}

impl<'a> Stage<'a> {
    pub(super) fn new(plan: &'a Plan, skip: &[usize]) -> Self {
        let lan = lan(plan);
        let config =
            segment::Config { ageing: plan.ageing, mtu: plan.mtu, ..segment::Config::default() };
        let mut world = World::on(plan.seed, config);
        let mut trunks = Vec::new();
        for (index, &to) in plan.trunks.iter().enumerate() {
            let switch = world.add_switch(config);
            debug_assert_eq!(switch, SwitchId(index + 1));
            trunks.push(world.join(switch, SwitchId(to)));
        }
        if plan.nodes.iter().any(|node| node.heartbeat.is_some()) {
            world.add_switch(config);
        }
        if let Some(port) = plan.left_out {
            world.leave_out(port);
        }
        let clock = clock_for_isn(plan);
        if clock.is_some() {
            world.fix_isn_key(isn_key(plan));
        }
        for (index, node) in plan.nodes.iter().enumerate() {
            let config = lan.node(index as u8 + 1);
            let heartbeat = node.heartbeat.map(SwitchId);
            let index = world.add_machine(config, SwitchId(node.switch), heartbeat);
            let local = Instant::ZERO + clock.unwrap_or(node.clock);
            world.set_clock(index, MachineClock::new(Instant::ZERO, local, node.ppm));
        }
        let clients =
            (0..plan.clients.len()).map(|index| add_client(&mut world, plan, index)).collect();
        let hostile = plan.hostile.map(|switch| add_hostile(&mut world, plan, switch));
        let mut stage = Stage {
            plan,
            world,
            trunks,
            clients,
            hostile,
            in_force: BTreeSet::new(),
            timeline: timeline(plan, skip),
            next: 0,
        };
        stage.set_cables();
        stage
    }

    /// When something is to be done next.
    pub(super) fn next_cue(&self) -> Option<Instant> {
        self.timeline.get(self.next).map(|&(at, _)| at)
    }

    /// The next thing that is due now.
    pub(super) fn next_due(&mut self) -> Option<Cue> {
        let &(at, cue) = self.timeline.get(self.next)?;
        let due = at <= self.world.now();
        self.next += usize::from(due);
        due.then_some(cue)
    }

    /// Does it.
    pub(super) fn play(&mut self, cue: Cue) {
        match cue {
            Cue::Start(node) => self.world.start(NodeIndex(node)),
            Cue::Begin(fault) => self.begin(fault),
            Cue::End(fault) => self.end(fault),
        }
    }

    /// Mends everything.
    pub(super) fn heal(&mut self) {
        self.next = self.timeline.len();
        for fault in std::mem::take(&mut self.in_force) {
            self.unmake(&self.plan.faults[fault]);
        }
    }

    /// Brings the core back, and leaves the casualties dead.
    pub(super) fn gather(&mut self) {
        for index in self.world.nodes() {
            if self.plan.casualties.contains(&index.0) {
                self.world.kill(index, false);
            } else {
                self.world.start(index);
            }
        }
    }

    fn begin(&mut self, index: usize) {
        let fault = &self.plan.faults[index];
        self.in_force.insert(index);
        let world = &mut self.world;
        match &fault.kind {
            FaultKind::Kill { node, warden } => world.kill(NodeIndex(*node), *warden),
            FaultKind::Terminate { node } => world.shut_down(NodeIndex(*node)),
            FaultKind::Freeze { node } => world.freeze(NodeIndex(*node)),
            FaultKind::Suspend { node, .. } => world.suspend(NodeIndex(*node)),
            FaultKind::Jump { node, by } => world.jump_clock(NodeIndex(*node), *by),
            FaultKind::Starve { node, wait_max } => world.starve(NodeIndex(*node), *wait_max),
            FaultKind::Sick { node } => world.tell(NodeIndex(*node), Input::Health(Health::Failed)),
            FaultKind::LinkDown { node } => world.set_link(NodeIndex(*node), false),
            FaultKind::Cut { .. } | FaultKind::Impair { .. } | FaultKind::Deafness { .. } => {
                self.set_cables()
            }
            FaultKind::Adrift { node } => world.lose_replication(NodeIndex(*node), true),
            FaultKind::HandOver => {
                if let Some(&active) = world.active().first() {
                    world.hand_over(active, None);
                }
            }
            FaultKind::Attack { .. } => self.attack(),
        }
    }

    fn end(&mut self, index: usize) {
        if self.in_force.remove(&index) {
            self.unmake(&self.plan.faults[index]);
        }
    }

    /// Ends a fault, unless another one of its kind holds its victim too.
    fn unmake(&mut self, fault: &Fault) {
        let held = |node: usize, stage: &Self| stage.holds(node, &fault.kind);
        match &fault.kind {
            FaultKind::Kill { node, .. } | FaultKind::Terminate { node } if !held(*node, self) => {
                self.world.start(NodeIndex(*node));
            }
            FaultKind::Freeze { node } if !held(*node, self) => self.world.thaw(NodeIndex(*node)),
            FaultKind::Suspend { node, keeps_frames } if !held(*node, self) => {
                self.world.resume(NodeIndex(*node), *keeps_frames);
            }
            FaultKind::Starve { node, .. } if !held(*node, self) => {
                self.world.starve(NodeIndex(*node), Duration::ZERO);
            }
            FaultKind::Sick { node } if !held(*node, self) => {
                self.world.tell(NodeIndex(*node), Input::Health(Health::Ok));
            }
            FaultKind::LinkDown { node } if !held(*node, self) => {
                self.world.set_link(NodeIndex(*node), true);
            }
            FaultKind::Cut { .. } | FaultKind::Impair { .. } | FaultKind::Deafness { .. } => {
                self.set_cables()
            }
            FaultKind::Adrift { node } if !held(*node, self) => {
                self.world.lose_replication(NodeIndex(*node), false);
            }
            FaultKind::Attack { .. } => self.attack(),
            FaultKind::Kill { .. }
            | FaultKind::Terminate { .. }
            | FaultKind::Freeze { .. }
            | FaultKind::Suspend { .. }
            | FaultKind::Starve { .. }
            | FaultKind::Sick { .. }
            | FaultKind::LinkDown { .. }
            | FaultKind::Adrift { .. }
            | FaultKind::Jump { .. }
            | FaultKind::HandOver => {}
        }
    }

    /// Whether another fault that is in force has the same effect on a node.
    fn holds(&self, node: usize, kind: &FaultKind) -> bool {
        self.in_force.iter().any(|&index| {
            let other = &self.plan.faults[index].kind;
            effect(other).is_some_and(|effect_of_other| {
                effect(kind).is_some_and(|ours| ours == effect_of_other && ours.1 == node)
            })
        })
    }

    /// Arms the hostile machine with the weapons of all attacks in force.
    fn attack(&mut self) {
        let Some(hostile) = self.hostile else { return };
        let mut in_use: Vec<Weapon> = Vec::new();
        for &index in &self.in_force {
            if let FaultKind::Attack { weapons } = &self.plan.faults[index].kind {
                in_use.extend(weapons);
            }
        }
        let arsenal = Arsenal::of(&in_use, self.plan.interval);
        let now = self.world.now();
        self.world.hostile_mut(hostile).set_arsenal(now, &arsenal);
    }

    /// Sets every cable to what the plan and the faults in force say.
    fn set_cables(&mut self) {
        let plan = self.plan;
        let nodes = (0..plan.nodes.len()).map(Cable::Node);
        let heartbeats = (0..plan.nodes.len()).filter(|&node| plan.nodes[node].heartbeat.is_some());
        let clients = (0..plan.clients.len()).map(Cable::Client);
        let trunks = (0..plan.trunks.len()).map(Cable::Trunk);
        for cable in nodes.chain(heartbeats.map(Cable::Heartbeat)).chain(clients).chain(trunks) {
            self.set_cable(cable);
        }
        self.set_deafness();
    }

    fn set_cable(&mut self, cable: Cable) {
        let Some(jack) = self.jack(cable) else { return };
        let mut with = &self.plan.cable;
        let mut cut = [false; 2];
        for &index in &self.in_force {
            let kind = &self.plan.faults[index].kind;
            if let FaultKind::Impair { cable: other, with: bad } = kind
                && *other == cable
            {
                with = bad;
            }
            if let FaultKind::Cut { cable: other, way } = kind
                && *other == cable
            {
                cut[0] |= *way != Some(Direction::Receive);
                cut[1] |= *way != Some(Direction::Transmit);
            }
        }
        for (direction, cut) in [Direction::Transmit, Direction::Receive].into_iter().zip(cut) {
            self.world.cut_jack_one_way(jack, direction, cut);
            self.world.impair(jack, direction, with.clone());
        }
    }

    fn jack(&self, cable: Cable) -> Option<Jack> {
        match cable {
            Cable::Node(node) => Some(self.world.jack_of(NodeIndex(node))),
            Cable::Heartbeat(node) => self.world.heartbeat_jack_of(NodeIndex(node)),
            Cable::Client(client) => {
                self.clients.get(client).map(|&id| self.world.jack_of_host(id))
            }
            Cable::Trunk(trunk) => self.trunks.get(trunk).map(|&id| self.world.trunk(id)[0]),
        }
    }

    /// Drops the beats of the nodes that are not to be heard.
    fn set_deafness(&mut self) {
        for node in 0..self.plan.nodes.len() {
            let mute = self.in_force.iter().any(|&index| {
                matches!(self.plan.faults[index].kind, FaultKind::Deafness { node: other } if other == node)
            });
            self.world.mute_beats(NodeIndex(node), mute);
        }
    }
}

/// What holds a node down: faults with the same word release it together.
fn effect(kind: &FaultKind) -> Option<(&'static str, usize)> {
    match kind {
        FaultKind::Kill { node, .. } | FaultKind::Terminate { node } => Some(("dead", *node)),
        FaultKind::Freeze { node } => Some(("frozen", *node)),
        FaultKind::Suspend { node, .. } => Some(("suspended", *node)),
        FaultKind::Starve { node, .. } => Some(("starved", *node)),
        FaultKind::Sick { node } => Some(("sick", *node)),
        FaultKind::LinkDown { node } => Some(("link", *node)),
        FaultKind::Adrift { node } => Some(("adrift", *node)),
        FaultKind::Jump { .. }
        | FaultKind::Cut { .. }
        | FaultKind::Impair { .. }
        | FaultKind::Deafness { .. }
        | FaultKind::HandOver
        | FaultKind::Attack { .. } => None,
    }
}

fn timeline(plan: &Plan, skip: &[usize]) -> Vec<(Instant, Cue)> {
    let starts =
        plan.nodes.iter().enumerate().map(|(index, node)| (node.starts_at, Cue::Start(index)));
    let faults = plan.faults.iter().enumerate().filter(|(index, _)| !skip.contains(index));
    let faults = faults.flat_map(|(index, fault)| {
        [(fault.at, Cue::Begin(index)), (fault.at + fault.lasts, Cue::End(index))]
    });
    let mut cues: Vec<_> =
        starts.chain(faults).map(|(at, cue)| (Instant::ZERO + at, cue)).collect();
    cues.sort();
    cues
}

fn lan(plan: &Plan) -> Lan {
    Lan {
        nodes: plan.nodes.len() as u8,
        priorities: plan.nodes.iter().map(|node| node.priority).collect(),
        interval: plan.interval,
        dead_after: plan.dead_after,
        preempt: plan.preempt,
        mac_mode: plan.mac_mode,
        replication: plan.replication,
        mtu: plan.mtu,
        ..Lan::default()
    }
}

fn add_client(world: &mut World, plan: &Plan, index: usize) -> HostId {
    let ClientPlan { switch, every, programs, deaf, mtu, isn } = &plan.clients[index];
    let number = index as u8;
    let habits = Habits { ignores_gratuitous: *deaf, ..Habits::default() };
    let seed = isn.map_or(plan.seed ^ u64::from(number), locum_stack::isn::seed_for);
    let settings = HostSettings { habits, mtu: *mtu, seed };
    let now = world.now();
    let mac = Lan::client_mac(number);
    let addresses = Lan::client_addresses(number);
    let mut host = Host::with_settings(&format!("client {index}"), mac, &addresses, settings, now);
    let v4 = IpAddress::Ipv4(Lan::SERVICE_V4);
    let v6 = IpAddress::Ipv6(Lan::SERVICE_V6);
    for (position, program) in programs.iter().enumerate() {
        let (every, port) = (*every, local_port(position));
        let ident = position as u16;
        host.run(|sockets| match program {
            ProgramPlan::Udp => Program::udp_echo(sockets, v4, ECHO_PORT, port, every, now),
            ProgramPlan::Udp6 => Program::udp_echo(sockets, v6, ECHO_PORT, port, every, now),
            ProgramPlan::Ping => Program::ping(sockets, v4, every, ident, now),
            ProgramPlan::Ping6 => Program::ping(sockets, v6, every, ident, now),
            ProgramPlan::Tcp(habits) => {
                let to = IpEndpoint::new(v4, ECHO_PORT);
                Program::tcp_stream(sockets, to, port, *habits, every, now)
            }
            ProgramPlan::Tcp6(habits) => {
                let to = IpEndpoint::new(v6, ECHO_PORT);
                Program::tcp_stream(sockets, to, port, *habits, every, now)
            }
            ProgramPlan::Kv(habits) => {
                let to = IpEndpoint::new(v4, KV_PORT);
                let name = u64::from(number) * 8 + position as u64;
                let who = (name, plan.seed ^ name << 48);
                Program::kv(sockets, to, port, *habits, who, (every, now))
            }
        });
    }
    world.add_host_at(SwitchId(*switch), host)
}

/// The port before the first one of a client's program.
fn local_port(position: usize) -> u16 {
    40_000 + 5_000 * position as u16
}

fn isn_key(plan: &Plan) -> [u8; 16] {
    (u128::from(plan.seed) << 64 | 0x10c0).to_ne_bytes()
}

/// What all clocks must show at the beginning, for the service to draw the number that the plan wants about when the
/// group has settled: the number grows with the time (RFC 6528 §3).
fn clock_for_isn(plan: &Plan) -> Option<Duration> {
    let wanted = plan.service_isn?;
    let programs = plan.clients.first()?.programs.iter().enumerate();
    let (position, service) =
        programs.into_iter().find_map(|(position, program)| match program {
            ProgramPlan::Tcp(_) => Some((position, std::net::IpAddr::V4(Lan::SERVICE_V4))),
            ProgramPlan::Tcp6(_) => Some((position, std::net::IpAddr::V6(Lan::SERVICE_V6))),
            ProgramPlan::Udp
            | ProgramPlan::Udp6
            | ProgramPlan::Ping
            | ProgramPlan::Ping6
            | ProgramPlan::Kv(_) => None,
        })?;
    let addresses = Lan::client_addresses(0).map(|cidr| std::net::IpAddr::from(cidr.address()));
    let address = addresses.into_iter().find(|address| address.is_ipv4() == service.is_ipv4())?;
    let tuple = locum_stack::Tuple {
        remote: (address, local_port(position) + 1).into(),
        local: (service, ECHO_PORT).into(),
    };
    let at_zero = locum_stack::isn::choose(&isn_key(plan), &tuple, Instant::ZERO);
    let ticks = wanted.wrapping_sub(at_zero).wrapping_sub((plan.settling().as_micros() / 4) as u32);
    Some(Duration::from_micros(u64::from(ticks) * 4))
}

fn add_hostile(world: &mut World, plan: &Plan, switch: usize) -> HostileId {
    let identities: Vec<_> =
        world.nodes().map(|index| world.config_of(index).identity.clone()).collect();
    let mac = EthernetAddress([0x02, 0xba, 0xd0, 0, 0, 1]);
    let hostile = Hostile::new(mac, &identities, plan.seed);
    world.add_hostile_at(SwitchId(switch), hostile)
}
