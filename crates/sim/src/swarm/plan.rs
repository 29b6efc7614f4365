//! What happens in one run: topology, timings and faults, all drawn from one seed.
//!
//! A plan is data. It is drawn before anything runs, so that a fault can be left out without moving
//! any other, which is what shrinking needs.

mod streams;

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use locum_appliance::{Prefer, Replication};
use locum_gate::MacMode;
use locum_link::segment::impair::{Burst, Impairment};
use locum_link::segment::rule::Direction;

use super::draw::{chance, duration, pick};
use crate::{TcpHabits, Weapon};

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// Nodes' ids are their positions, from 1.
    pub nodes: Vec<NodePlan>,
    /// How often nodes beat.
    pub interval: Duration,
    /// After how long a silence a node is dead.
    pub dead_after: Duration,
    /// Pre-emption delay, if there is pre-emption.
    pub preempt: Option<Duration>,
    /// Whose MAC the service address has.
    pub mac_mode: MacMode,
    /// How many switches; the one at each position but the first is joined to the one named here.
    pub trunks: Vec<usize>,
    /// When switches forget silent stations.
    pub ageing: Duration,
    /// The client machines.
    pub clients: Vec<ClientPlan>,
    /// The switch of a machine that means harm, if there is one.
    pub hostile: Option<usize>,
    /// What every cable does to frames, always.
    pub cable: Impairment,
    /// How long anything may break.
    pub safety: Duration,
    /// What breaks, in order of time.
    pub faults: Vec<Fault>,
    /// Nodes that stay dead at the end, by position; the others are the core.
    pub casualties: Vec<usize>,
    /// Whether connections survive a node.
    pub replication: Option<Replication>,
    /// Largest IP packet that nodes and cables take.
    pub mtu: usize,
    /// What the service's sequence numbers begin with, on the first client's first connection; if it opens when it
    /// first may.
    pub service_isn: Option<u32>,
    /// The port of a service that is not replicated, where the others are.
    pub left_out: Option<u16>,
}

/// One node.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// Its rank.
    pub priority: u8,
    /// The switch of its service link.
    pub switch: usize,
    /// The switch of its heartbeat link, if it has its own.
    pub heartbeat: Option<usize>,
    /// What its clock shows at the beginning.
    pub clock: Duration,
    /// How much too fast its clock is, in parts per million.
    pub ppm: i32,
    /// When it is started.
    pub starts_at: Duration,
}

/// One client machine.
#[derive(Clone, Debug)]
pub struct ClientPlan {
    /// Its switch.
    pub switch: usize,
    /// How often its programs ask.
    pub every: Duration,
    /// What runs on it.
    pub programs: Vec<ProgramPlan>,
    /// Whether it heeds no announcements. Drawn only where it need not.
    pub deaf: bool,
    /// Largest IP packet that it takes; its MSS follows from that.
    pub mtu: usize,
    /// What the sequence numbers of its first connection begin with.
    pub isn: Option<u32>,
}

/// A program of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramPlan {
    /// Datagrams to the echo service.
    Udp,
    /// The same at its IPv6 address.
    Udp6,
    /// ICMP echo requests.
    Ping,
    /// ICMPv6 echo requests.
    Ping6,
    /// Requests over a TCP connection.
    Tcp(TcpHabits),
    /// The same at its IPv6 address.
    Tcp6(TcpHabits),
    /// Commands to `kv`.
    Kv(TcpHabits),
}

/// Something that breaks, and is mended again.
#[derive(Clone, Debug)]
pub struct Fault {
    /// From when, counted from the beginning of the run.
    pub at: Duration,
    /// For how long; what has no duration is done once.
    pub lasts: Duration,
    /// What.
    pub kind: FaultKind,
}

/// A cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cable {
    /// Of a node's service link.
    Node(usize),
    /// Of a node's heartbeat link.
    Heartbeat(usize),
    /// Of a client.
    Client(usize),
    /// Between switches.
    Trunk(usize),
}

/// What breaks. Nodes are named by their position.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// SIGKILL, with or without a warden; started again at the end.
    Kill {
        /// The node.
        node: usize,
        /// Whether its warden survives it.
        warden: bool,
    },
    /// SIGTERM; started again at the end.
    Terminate {
        /// The node.
        node: usize,
    },
    /// SIGSTOP, and SIGCONT at the end.
    Freeze {
        /// The node.
        node: usize,
    },
    /// The whole machine stands still, its clock too.
    Suspend {
        /// The node.
        node: usize,
        /// Whether its cards keep what arrives.
        keeps_frames: bool,
    },
    /// A clock jumps forward.
    Jump {
        /// The node.
        node: usize,
        /// By how much.
        by: Duration,
    },
    /// A node waits for its processor.
    Starve {
        /// The node.
        node: usize,
        /// For up to so long, every turn.
        wait_max: Duration,
    },
    /// The service of a node fails, and recovers.
    Sick {
        /// The node.
        node: usize,
    },
    /// An interface goes down, and its node sees it.
    LinkDown {
        /// The node.
        node: usize,
    },
    /// A cable is cut where nobody sees it.
    Cut {
        /// The cable.
        cable: Cable,
        /// Which way; `None`: both.
        way: Option<Direction>,
    },
    /// A cable is a bad one for a while.
    Impair {
        /// The cable.
        cable: Cable,
        /// How bad.
        with: Impairment,
    },
    /// Beats are lost, and nothing else.
    Deafness {
        /// Beats from this node to all others are lost.
        node: usize,
    },
    /// Segments of replication are lost, and nothing else.
    Adrift {
        /// Of the channels of this node.
        node: usize,
    },
    /// The operator asks whoever is active to hand over.
    HandOver,
    /// The machine that means harm sets to work.
    Attack {
        /// With what.
        weapons: Vec<Weapon>,
    },
}

impl Plan {
    /// Draws the plan of a seed.
    pub fn draw(seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed);
        let nodes = *pick(&mut rng, &[2, 2, 2, 3, 3, 4, 5]);
        let interval = Duration::from_millis(*pick(&mut rng, &[1, 2, 5, 10, 10, 10, 20, 50]));
        let dead_after = interval * rng.u32(2..=5);
        let mac_mode = if chance(&mut rng, 0.3) { MacMode::Own } else { MacMode::Virtual };
        let trunks = Self::draw_trunks(&mut rng);
        let switches = trunks.len() + 1;
        let hostile = chance(&mut rng, 0.35).then(|| rng.usize(..switches));
        // On a hub everybody hears everything; that is where repeating it pays.
        let ageing: &[u64] =
            if hostile.is_some() { &[300_000, 0] } else { &[300_000, 300_000, 500, 0] };
        let has_heartbeat_link = chance(&mut rng, 0.15);
        let mut plan = Plan {
            seed,
            nodes: Vec::new(),
            interval,
            dead_after,
            preempt: chance(&mut rng, 0.25).then(|| dead_after * rng.u32(0..10)),
            mac_mode,
            trunks,
            ageing: Duration::from_millis(*pick(&mut rng, ageing)),
            clients: Vec::new(),
            hostile,
            cable: draw_cable(&mut rng, interval, dead_after),
            safety: duration(&mut rng, dead_after * 20, dead_after * 60)
                .clamp(Duration::from_millis(200), Duration::from_secs(3)),
            faults: Vec::new(),
            casualties: Vec::new(),
            replication: None,
            mtu: MTU,
            service_isn: None,
            left_out: None,
        };
        for _ in 0..nodes {
            let node = plan.draw_node(&mut rng, switches);
            plan.nodes.push(node);
        }
        if has_heartbeat_link {
            // A switch of its own, beside the tree.
            let switch = switches;
            plan.nodes.iter_mut().for_each(|node| node.heartbeat = Some(switch));
        }
        for _ in 0..rng.usize(1..=3) {
            let client = plan.draw_client(&mut rng, switches);
            plan.clients.push(client);
        }
        plan.draw_faults(&mut rng);
        plan.casualties = (1..nodes).filter(|_| chance(&mut rng, 0.15)).collect();
        plan.draw_replication();
        plan.draw_variants();
        plan.draw_left_behind();
        plan
    }

    fn draw_trunks(rng: &mut Rng) -> Vec<usize> {
        match rng.u8(..10) {
            0..6 => vec![],
            6..9 => vec![0],
            _ => vec![0, rng.usize(..2)],
        }
    }

    fn draw_node(&self, rng: &mut Rng, switches: usize) -> NodePlan {
        let late = if chance(rng, 0.3) {
            duration(rng, Duration::ZERO, self.dead_after * 8)
        } else {
            Duration::ZERO
        };
        NodePlan {
            priority: *pick(rng, &[100, 100, 100, 1, 50, 150, 200, 254]),
            switch: rng.usize(..switches),
            heartbeat: None,
            clock: Duration::from_micros(rng.u64(..10_000_000_000)),
            ppm: rng.i32(-200..=200),
            starts_at: late,
        }
    }

    fn draw_client(&self, rng: &mut Rng, switches: usize) -> ClientPlan {
        use ProgramPlan::{Ping, Ping6, Tcp, Udp, Udp6};
        let mut programs = vec![*pick(rng, &[Udp, Udp, Udp6, Ping, Ping6])];
        if chance(rng, 0.2) {
            programs.push(Tcp(TcpHabits::default()));
        }
        ClientPlan {
            switch: rng.usize(..switches),
            every: Duration::from_millis(*pick(rng, &[1, 2, 5, 10, 20])),
            programs,
            // Where the MAC moves, or somebody lies about it, a client that does not listen is lost for
            // as long as its cache lasts.
            deaf: self.mac_mode == MacMode::Virtual && self.hostile.is_none() && chance(rng, 0.3),
            mtu: MTU,
            isn: None,
        }
    }

    fn draw_faults(&mut self, rng: &mut Rng) {
        // The group gets time to settle first, mostly: what is broken from the start breaks less.
        let first =
            if chance(rng, 0.8) { self.settling().min(self.safety / 2) } else { Duration::ZERO };
        // Each run has a mix of its own: a few kinds, often, find more than all kinds, rarely.
        let mix: Vec<u8> = (0..rng.usize(1..=4)).map(|_| rng.u8(..KINDS)).collect();
        let count = *pick(rng, &[0, 1, 1, 1, 2, 2, 3, 4, 6, 10, 16]);
        for _ in 0..count {
            let at = duration(rng, first, self.safety);
            let lasts = self.draw_length(rng);
            let kind = *pick(rng, &mix);
            let kind = self.draw_kind(rng, kind);
            self.faults.extend(kind.map(|kind| Fault { at, lasts, kind }));
        }
        if self.hostile.is_some() && chance(rng, 0.5) {
            // All along: what else goes wrong, goes wrong under attack. Spoofed MACs would excuse it.
            let few = (0..rng.usize(1..=3)).map(|_| *pick(rng, &Weapon::ALL));
            let mut weapons: Vec<Weapon> =
                few.filter(|weapon| *weapon != Weapon::MacSpoof).collect();
            if chance(rng, 0.5) {
                // Whoever repeats what was said waits for a death.
                weapons.push(Weapon::BeatReplay);
                let kind = FaultKind::Kill { node: rng.usize(..self.nodes.len()), warden: false };
                let at = duration(rng, first, self.safety);
                self.faults.push(Fault { at, lasts: self.dead_after * 25, kind });
            }
            let kind = FaultKind::Attack { weapons };
            self.faults.push(Fault { at: first / 2, lasts: self.safety, kind });
        }
        self.faults.sort_by_key(|fault| fault.at);
    }

    /// Shorter than detection, around it, or much longer.
    fn draw_length(&self, rng: &mut Rng) -> Duration {
        let dead_after = self.dead_after;
        match rng.u8(..4) {
            0 => duration(rng, Duration::ZERO, dead_after),
            1 => duration(rng, dead_after / 2, dead_after * 3),
            _ => duration(rng, dead_after * 2, dead_after * 30),
        }
    }

    fn draw_kind(&self, rng: &mut Rng, kind: u8) -> Option<FaultKind> {
        let node = rng.usize(..self.nodes.len());
        let way = [None, Some(Direction::Transmit), Some(Direction::Receive)];
        Some(match kind {
            0 | 1 => FaultKind::Kill { node, warden: rng.bool() },
            2 => FaultKind::Terminate { node },
            3 => FaultKind::Freeze { node },
            4 => FaultKind::Suspend { node, keeps_frames: rng.bool() },
            5 => FaultKind::Jump { node, by: duration(rng, Duration::ZERO, self.dead_after * 50) },
            6 => FaultKind::Starve {
                node,
                wait_max: duration(rng, self.interval / 4, self.dead_after * 2),
            },
            7 => FaultKind::Sick { node },
            8 => FaultKind::LinkDown { node },
            9 | 10 => FaultKind::Cut { cable: self.draw_cable_of(rng), way: *pick(rng, &way) },
            11 => {
                FaultKind::Impair { cable: self.draw_cable_of(rng), with: self.draw_bad_cable(rng) }
            }
            12 => FaultKind::Deafness { node },
            13..=15 => FaultKind::HandOver,
            _ => {
                self.hostile?;
                let weapons = Weapon::ALL.iter().copied().filter(|_| chance(rng, 0.4)).collect();
                FaultKind::Attack { weapons }
            }
        })
    }

    fn draw_cable_of(&self, rng: &mut Rng) -> Cable {
        let node = rng.usize(..self.nodes.len());
        match rng.u8(..6) {
            0 => Cable::Client(rng.usize(..self.clients.len())),
            1 | 2 if !self.trunks.is_empty() => Cable::Trunk(rng.usize(..self.trunks.len())),
            3 if self.nodes[node].heartbeat.is_some() => Cable::Heartbeat(node),
            _ => Cable::Node(node),
        }
    }

    fn draw_bad_cable(&self, rng: &mut Rng) -> Impairment {
        let mut bad = self.cable.clone();
        for _ in 0..rng.usize(1..=3) {
            match rng.u8(..7) {
                0 => bad.loss = rng.f64() * 0.6,
                1 => {
                    bad.burst = Some(Burst {
                        enter: rng.f64() * 0.1,
                        leave: 0.02 + rng.f64() * 0.3,
                        loss: 0.5 + rng.f64() * 0.5,
                    });
                }
                2 => bad.latency = duration(rng, Duration::ZERO, self.dead_after * 2),
                3 => bad.jitter = duration(rng, Duration::ZERO, self.dead_after * 2),
                4 => {
                    bad.reorder = rng.f64() * 0.5;
                    bad.reorder_by = duration(rng, Duration::ZERO, self.dead_after);
                }
                5 => bad.corrupt = rng.f64() * 0.3,
                _ => {
                    bad.bandwidth = Some(rng.u64(1_000_000..10_000_000));
                    bad.queue = Some(rng.usize(2_000..20_000));
                }
            }
        }
        bad.duplicate = if chance(rng, 0.3) { rng.f64() * 0.5 } else { bad.duplicate };
        bad
    }

    /// How long after its last disturbance a node may still be unsettled: detection can take four
    /// times `dead_after` where beats came irregularly, listening as long again, and 100 ms at least.
    pub fn settling(&self) -> Duration {
        let jittery = self.one_way() * 4 + self.interval * 4;
        Duration::from_millis(150) + self.dead_after * 16 + jittery
    }

    /// Whether no clock jumps or stands still.
    pub fn keeps_time(&self) -> bool {
        let bends = |fault: &Fault| {
            matches!(fault.kind, FaultKind::Jump { .. } | FaultKind::Suspend { .. })
        };
        !self.faults.iter().any(bends)
    }

    /// Whether only whole copies are served.
    pub fn prefers_consistency(&self) -> bool {
        self.replication.is_some_and(|with| with.prefer == Prefer::Consistency)
    }

    /// How long a frame is on its way between any two stations at most, without faults.
    pub fn one_way(&self) -> Duration {
        let hops = 2 + 2 * self.trunks.len() as u32;
        (self.cable.latency + self.cable.jitter + self.cable.reorder_by) * hops
    }

    /// Whether frames come in the order in which they were sent, and once.
    pub fn keeps_order(&self) -> bool {
        let cable = &self.cable;
        cable.jitter.is_zero() && cable.reorder == 0.0 && cable.duplicate == 0.0
    }

    /// Whether a change that was asked for may lose nothing: whatever a switch sent to the old node comes
    /// before the word that it is relieved. Not where the clients' MAC changes, where cables change the
    /// order, or where the beats go by a shorter way.
    pub fn changes_without_loss(&self) -> bool {
        let follows = self.mac_mode == MacMode::Virtual || self.one_way().is_zero();
        let same_way = self.nodes.iter().all(|node| node.heartbeat.is_none());
        let even =
            self.trunks.is_empty() && self.cable.jitter.is_zero() && self.cable.bandwidth.is_none();
        follows && self.cable.reorder == 0.0 && (same_way || even)
    }
}

/// Of Ethernet.
const MTU: usize = 1500;

/// How many kinds [`Plan::draw_kind`] knows.
const KINDS: u8 = 17;

/// What is normal: a little latency and jitter, now and then a frame twice or out of order.
fn draw_cable(rng: &mut Rng, interval: Duration, dead_after: Duration) -> Impairment {
    let mut cable = Impairment::default();
    if chance(rng, 0.5) {
        return cable;
    }
    cable.latency = duration(rng, Duration::ZERO, dead_after / 40);
    if chance(rng, 0.5) {
        cable.jitter = duration(rng, Duration::ZERO, interval / 20);
    }
    if chance(rng, 0.3) {
        cable.duplicate = rng.f64() * 0.05;
    }
    if chance(rng, 0.3) {
        cable.reorder = rng.f64() * 0.05;
        cable.reorder_by = duration(rng, Duration::ZERO, interval / 20);
    }
    cable
}

impl fmt::Display for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cable::Node(index) => write!(f, "cable of node {}", index + 1),
            Cable::Heartbeat(index) => write!(f, "heartbeat cable of node {}", index + 1),
            Cable::Client(index) => write!(f, "cable of client {index}"),
            Cable::Trunk(index) => write!(f, "trunk {index}"),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Kill { node, warden: true } => {
                write!(f, "kill node {}, its warden speaks", node + 1)
            }
            FaultKind::Kill { node, warden: false } => {
                write!(f, "kill node {} and its warden", node + 1)
            }
            FaultKind::Terminate { node } => write!(f, "terminate node {}", node + 1),
            FaultKind::Freeze { node } => write!(f, "freeze node {}", node + 1),
            FaultKind::Suspend { node, keeps_frames } => {
                write!(
                    f,
                    "suspend node {}{}",
                    node + 1,
                    if *keeps_frames { "" } else { ", its frames are lost" }
                )
            }
            FaultKind::Jump { node, by } => write!(f, "clock of node {} jumps by {by:?}", node + 1),
            FaultKind::Starve { node, wait_max } => {
                write!(f, "node {} waits up to {wait_max:?} for its processor", node + 1)
            }
            FaultKind::Sick { node } => write!(f, "service of node {} fails", node + 1),
            FaultKind::LinkDown { node } => write!(f, "link of node {} goes down", node + 1),
            FaultKind::Cut { cable, way: None } => write!(f, "cut {cable}"),
            FaultKind::Cut { cable, way: Some(way) } => write!(f, "cut {cable}, {way:?} only"),
            FaultKind::Impair { cable, with } => write!(f, "impair {cable}: {with:?}"),
            FaultKind::Deafness { node } => write!(f, "beats of node {} are lost", node + 1),
            FaultKind::Adrift { node } => write!(f, "replication of node {} is lost", node + 1),
            FaultKind::HandOver => write!(f, "operator asks for a hand-over"),
            FaultKind::Attack { weapons } => write!(f, "attack with {weapons:?}"),
        }
    }
}
