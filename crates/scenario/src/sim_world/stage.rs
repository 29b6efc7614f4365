//! The world of a scenario, with the names that its steps use.

use std::collections::BTreeMap;
use std::time::Duration;

use locum_gate::MacMode;
use locum_link::segment;
use locum_sim::{
    ECHO_PORT, Host, HostId, Hostile, HostileId, Jack, Lan, NodeIndex, Program, SwitchId, World,
};
use locum_types::Mode;
use smoltcp::wire::{EthernetAddress, IpAddress};

use crate::model::{self, Mac, ProgramKind, Scenario, Step};
use crate::outcome::ClientTrack;

const FIRST_LOCAL_PORT: u16 = 40_000;

/// A cable, by what is plugged into it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cable {
    Node(NodeIndex),
    /// A client's or hostile machine's.
    Machine(Jack),
    /// Between two switches: where it is plugged into each.
    Trunk([Jack; 2]),
}

/// A program of a client: its host, and its number there.
struct Playing {
    host: HostId,
    index: usize,
    client: String,
    kind: ProgramKind,
    every: Duration,
}

/// The world, and who is who in it.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) nodes: Vec<(u8, NodeIndex)>,
    pub(super) cables: BTreeMap<String, Cable>,
    pub(super) hostiles: BTreeMap<String, HostileId>,
    hosts: Vec<HostId>,
    playing: Vec<Playing>,
}

impl Stage {
    /// Builds the world. Nothing runs yet.
    pub(super) fn build(scenario: &Scenario, seed: u64) -> Stage {
        let mut stage = Stage {
            world: World::new(seed),
            nodes: Vec::new(),
            cables: BTreeMap::new(),
            hostiles: BTreeMap::new(),
            hosts: Vec::new(),
            playing: Vec::new(),
        };
        let switches = stage.add_switches(scenario);
        stage.add_nodes(scenario, &switches);
        stage.add_clients(scenario, &switches, seed);
        stage.add_hostiles(scenario, &switches, seed);
        stage
    }

    fn add_switches(&mut self, scenario: &Scenario) -> Switches {
        let config = |segment: &model::Segment| {
            let ageing = segment.ageing.map(|ageing| ageing.0);
            let usual = segment::Config::default();
            segment::Config { ageing: ageing.unwrap_or(usual.ageing), ..usual }
        };
        let mut switches = Switches::default();
        for segment in scenario.segments.iter().map(|segment| segment.get_ref()) {
            let id = self.world.add_switch(config(segment));
            switches.0.push((segment.name.clone(), id));
        }
        for trunk in scenario.trunks.iter().map(|trunk| trunk.get_ref()) {
            let [a, b] = trunk.between.each_ref().map(|name| switches.find(Some(name)));
            let id = self.world.join(a, b);
            self.cables.insert(trunk.name.clone(), Cable::Trunk(self.world.trunk(id)));
        }
        switches
    }

    fn add_nodes(&mut self, scenario: &Scenario, switches: &Switches) {
        let nodes: Vec<&model::Node> = scenario.nodes.iter().map(|node| node.get_ref()).collect();
        let group = &scenario.group;
        let mut lan = Lan {
            nodes: nodes.iter().map(|node| node.id).max().unwrap_or_default(),
            interval: group.interval(),
            dead_after: group.dead_after(),
            preempt: group.preempt_delay.map(|delay| delay.0),
            replication: group.replicate().then_some(Lan::REPLICATION),
            mac_mode: match group.mac {
                Mac::Virtual => MacMode::Virtual,
                Mac::Own => MacMode::Own,
            },
            ..Lan::default()
        };
        lan.priorities = vec![model::PRIORITY; usize::from(lan.nodes)];
        for node in &nodes {
            lan.priorities[usize::from(node.id) - 1] = node.priority.unwrap_or(model::PRIORITY);
        }
        for node in &nodes {
            let mut config = lan.node(node.id);
            config.peers.retain(|peer| nodes.iter().any(|node| node.id == peer.id.get()));
            let switch = switches.find(node.segment.as_ref());
            let index = self.world.add_machine(config, switch, None);
            self.nodes.push((node.id, index));
            self.cables.insert(format!("node{}", node.id), Cable::Node(index));
        }
        self.nodes.sort_unstable();
    }

    fn add_clients(&mut self, scenario: &Scenario, switches: &Switches, seed: u64) {
        let clients = scenario.clients.iter().map(|client| client.get_ref());
        for (number, client) in (1..).zip(clients) {
            let addresses = Lan::client_addresses(number);
            let mac = Lan::client_mac(number);
            let now = self.world.now();
            let seed = seed ^ u64::from(number);
            let host = Host::new(&client.name, mac, &addresses, seed, now);
            let id = self.world.add_host_at(switches.find(client.segment.as_ref()), host);
            let cable = Cable::Machine(self.world.jack_of_host(id));
            self.cables.insert(client.name.clone(), cable);
            self.hosts.push(id);
        }
    }

    fn add_hostiles(&mut self, scenario: &Scenario, switches: &Switches, seed: u64) {
        let identities = self.world.nodes().map(|node| self.world.config_of(node).identity.clone());
        let identities: Vec<_> = identities.collect();
        let hostiles = scenario.hostiles.iter().map(|hostile| hostile.get_ref());
        for (number, hostile) in (1..).zip(hostiles) {
            let mac = EthernetAddress([0x02, 0xbd, 0, 0, 0, number]);
            let seed = seed.rotate_left(32) ^ u64::from(number);
            let machine = Hostile::new(mac, &identities, seed);
            let switch = switches.find(hostile.segment.as_ref());
            let id = self.world.add_hostile_at(switch, machine);
            let cable = Cable::Machine(self.world.jack_of_hostile(id));
            self.cables.insert(hostile.name.clone(), cable);
            self.hostiles.insert(hostile.name.clone(), id);
        }
    }

    /// Starts every node that runs from the beginning.
    pub(super) fn start_nodes(&mut self, scenario: &Scenario) {
        for node in scenario.nodes.iter().map(|node| node.get_ref()).filter(|node| node.starts) {
            if let Some(index) = self.node(node.id) {
                self.world.start(index);
            }
        }
    }

    /// Starts what runs on the clients, each a little after the other.
    pub(super) fn start_programs(&mut self, scenario: &Scenario) {
        let hosts = self.hosts.clone();
        let clients = scenario.clients.iter().map(|client| client.get_ref());
        for (client, host) in clients.zip(hosts) {
            for program in &client.programs {
                let number = self.playing.len() as u16;
                let start = self.world.now() + Duration::from_micros(137) * u32::from(number);
                let (kind, every) = (program.kind, program.every());
                let local_port = FIRST_LOCAL_PORT + number;
                let (v4, v6) = (IpAddress::Ipv4(Lan::SERVICE_V4), IpAddress::Ipv6(Lan::SERVICE_V6));
                let index = self.world.host_mut(host).run(|sockets| match kind {
                    ProgramKind::UdpEcho => {
                        Program::udp_echo(sockets, v4, ECHO_PORT, local_port, every, start)
                    }
                    ProgramKind::UdpEcho6 => {
                        Program::udp_echo(sockets, v6, ECHO_PORT, local_port, every, start)
                    }
                    ProgramKind::TcpEcho => {
                        Program::tcp_echo(sockets, v4, ECHO_PORT, local_port, every, start)
                    }
                    ProgramKind::Ping => Program::ping(sockets, v4, every, number, start),
                    ProgramKind::Ping6 => Program::ping(sockets, v6, every, number, start),
                });
                let client = client.name.clone();
                self.playing.push(Playing { host, index, client, kind, every });
            }
        }
    }

    /// Whether every node that runs has joined, and one of them is active.
    pub(super) fn has_joined(&self) -> bool {
        let joins = |&(_, node): &(u8, NodeIndex)| self.world.mode(node) == Some(Mode::Joining);
        self.world.active().len() == 1 && !self.nodes.iter().any(joins)
    }

    /// Whether every program of every client was answered.
    pub(super) fn is_answered(&self) -> bool {
        let answered = |playing: &Playing| self.record(playing).answered_count() > 0;
        self.has_joined() && self.playing.iter().all(answered)
    }

    /// The modes of all nodes, for messages.
    pub(super) fn modes(&self) -> String {
        let mode = |&(id, node): &(u8, NodeIndex)| match self.world.mode(node) {
            Some(mode) => format!("node {id} is {mode}"),
            None => format!("node {id} does not run"),
        };
        self.nodes.iter().map(mode).collect::<Vec<String>>().join(", ")
    }

    pub(super) fn node(&self, id: u8) -> Option<NodeIndex> {
        self.nodes.iter().find(|(other, _)| *other == id).map(|&(_, index)| index)
    }

    /// The node that a step is done to: by name, as the owner of the cable, or as the active one.
    pub(super) fn subject(&self, step: &Step) -> Option<u8> {
        let cable = step.link.as_ref().and_then(|link| self.cables.get(link));
        let index = match (cable, step.action) {
            (Some(Cable::Node(index)), _) => Some(*index),
            (None, model::Action::HandOver) => self.world.active().first().copied(),
            (Some(Cable::Machine(_) | Cable::Trunk(_)) | None, _) => None,
        };
        let id = |index| self.nodes.iter().find(|(_, other)| *other == index).map(|&(id, _)| id);
        step.node.or_else(|| index.and_then(id))
    }

    fn record(&self, playing: &Playing) -> &locum_sim::Record {
        self.world.host(playing.host).programs()[playing.index].record()
    }

    /// What the programs saw; times are counted from `start`.
    pub(super) fn client_tracks(&self, start: locum_types::Instant) -> Vec<ClientTrack> {
        let track = |playing: &Playing| {
            let record = self.record(playing);
            let requests = record.requests().iter().filter(|request| request.sent_at >= start);
            let lost = record.connections_lost().iter().filter(|&&at| at >= start);
            ClientTrack {
                client: playing.client.clone(),
                program: playing.kind,
                every: playing.every,
                requests: requests
                    .map(|request| {
                        let answered = request.answered_at.map(|at| at - start);
                        (request.sent_at - start, answered)
                    })
                    .collect(),
                connections_lost: lost.map(|&at| at - start).collect(),
            }
        };
        self.playing.iter().map(track).collect()
    }
}

/// The switches by name. The world's own first switch is not among them.
#[derive(Default)]
struct Switches(Vec<(String, SwitchId)>);

impl Switches {
    /// The switch of that name; the first without one.
    fn find(&self, name: Option<&String>) -> SwitchId {
        let found = match name {
            Some(name) => self.0.iter().find(|(other, _)| other == name),
            None => self.0.first(),
        };
        found.map_or(World::SWITCH, |&(_, id)| id)
    }
}
