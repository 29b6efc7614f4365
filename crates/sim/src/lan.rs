//! The usual laboratory: a group of nodes on one LAN, their addresses, and clients beside them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use locum_appliance::{NodeConfig, Peer, Prefer, Replication, ServicePort};
use locum_gate::{Identity, MacMode};
use locum_services::ServiceConfig;
use locum_types::{GroupId, NodeId, Priority};
use locum_wire::Key;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, Ipv4Cidr, Ipv6Cidr};

/// The UDP and TCP port of the echo service in the laboratory (RFC 862).
pub const ECHO_PORT: u16 = 7;
/// The port of the service `kv`.
pub const KV_PORT: u16 = 6379;

/// How a laboratory group is set up. Change the fields, then ask for each node's configuration.
#[derive(Clone, Debug)]
pub struct Lan {
    /// The group's id.
    pub group: u16,
    /// How many nodes it has.
    pub nodes: u8,
    /// The priority of each node, by id from 1; missing ones get 100.
    pub priorities: Vec<u8>,
    /// How often nodes beat.
    pub interval: Duration,
    /// After how long a silence a node is dead.
    pub dead_after: Duration,
    /// Pre-emption delay, if any.
    pub preempt: Option<Duration>,
    /// Whose MAC the service address has.
    pub mac_mode: MacMode,
    /// Whether connections survive a node.
    pub replication: Option<Replication>,
    /// Largest IP packet of its nodes.
    pub mtu: usize,
}

impl Default for Lan {
    fn default() -> Self {
        Lan {
            group: 7,
            nodes: 2,
            priorities: vec![200],
            interval: Duration::from_millis(10),
            dead_after: Duration::from_millis(30),
            preempt: None,
            mac_mode: MacMode::Virtual,
            replication: None,
            mtu: 1500,
        }
    }
}

impl Lan {
    /// Replication as a laboratory needs it.
    pub const REPLICATION: Replication = Replication {
        port: 3_781,
        buffer: 1 << 20,
        prefer: Prefer::Availability,
        compare_every: 100,
        segmentation: true,
    };
    /// The IPv4 service address.
    pub const SERVICE_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
    /// The IPv6 service address.
    pub const SERVICE_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100);

    /// The node address of node `id`.
    pub fn node_address(id: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, 10 + id)
    }

    /// The addresses of client `index`, of both families.
    pub fn client_addresses(index: u8) -> [IpCidr; 2] {
        [
            v4(Ipv4Addr::new(10, 77, 0, 200 + index)),
            v6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x200 + u16::from(index))),
        ]
    }

    /// The MAC of client `index`.
    pub fn client_mac(index: u8) -> EthernetAddress {
        EthernetAddress([0x02, 0xc1, 0x1e, 0x00, 0x00, index])
    }

    /// The configuration of node `id`, from 1.
    pub fn node(&self, id: u8) -> NodeConfig {
        let node_id = |id| NodeId::new(id).expect("laboratory ids are in range");
        let priority = self.priorities.get(usize::from(id) - 1).copied().unwrap_or(100);
        let peers = (1..=self.nodes).filter(|&peer| peer != id);
        NodeConfig {
            identity: Identity {
                group: GroupId::new(self.group).expect("laboratory ids are in range"),
                node: node_id(id),
                mac_mode: self.mac_mode,
                service: vec![v4(Self::SERVICE_V4), v6(Self::SERVICE_V6)],
                node_address: v4(Self::node_address(id)),
            },
            peers: peers
                .map(|peer| Peer {
                    id: node_id(peer),
                    address: IpAddress::Ipv4(Self::node_address(peer)),
                })
                .collect(),
            key: Key::new([0x10; 32]),
            port: 3780,
            priority: Priority::new(priority).expect("laboratory priorities are in range"),
            interval: self.interval,
            dead_after: self.dead_after,
            preempt: self.preempt,
            gateways: Vec::new(),
            limits: locum_stack::Limits::default(),
            mtu: self.mtu,
            replication: self.replication,
        }
    }

    /// The services of a laboratory node.
    pub fn services() -> Vec<ServicePort> {
        let echo = ServiceConfig::Echo.build().expect("echo needs nothing");
        let kv = ServiceConfig::Kv { memory_limit: None }.build().expect("kv needs nothing");
        vec![
            ServicePort { port: ECHO_PORT, service: echo, replicate: true },
            ServicePort { port: KV_PORT, service: kv, replicate: true },
        ]
    }
}

fn v4(address: Ipv4Addr) -> IpCidr {
    IpCidr::Ipv4(Ipv4Cidr::new(address, 24))
}

fn v6(address: Ipv6Addr) -> IpCidr {
    IpCidr::Ipv6(Ipv6Cidr::new(address, 64))
}
