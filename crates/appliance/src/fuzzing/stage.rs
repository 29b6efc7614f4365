//! Who takes part: the nodes as configured, and the names of everybody's addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use locum_gate::{Identity, MacMode, node_mac, virtual_mac};
use locum_types::{BootNonce, GroupId, NodeId, Priority};
use locum_wire::Key;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use crate::{NodeConfig, Peer, Port, Seeds};

/// The UDP port of beats.
pub(super) const BEAT_PORT: u16 = 3780;
pub(super) const INTERVAL: Duration = Duration::from_millis(200);
pub(super) const DEAD_AFTER: Duration = Duration::from_millis(400);

/// Flows and buffers are few and small, so that a short input reaches their limits.
const FLOWS_MAX: usize = 6;
const HALF_OPEN_MAX: usize = 3;
const BUFFER: usize = 2_048;

/// What the first byte of an input decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    pub(super) is_pair: bool,
    pub(super) mac_mode: MacMode,
    node_address_is_v6: bool,
    pub(super) beat_port: Port,
    preempt: bool,
    second_is_better: bool,
    /// Whether everything is mended in the end, and has to be well then.
    pub(super) ends_well: bool,
}

impl Stage {
    /// From bit 0 on: two nodes; own MACs; IPv6 node addresses; a dedicated heartbeat link;
    /// pre-emption; node 2 has the higher priority; all is mended in the end.
    pub(super) fn new(byte: u8) -> Self {
        let bit = |index: u8| byte >> index & 1 == 1;
        Stage {
            is_pair: bit(0),
            mac_mode: if bit(1) { MacMode::Own } else { MacMode::Virtual },
            node_address_is_v6: bit(2),
            beat_port: if bit(3) { Port::Heartbeat } else { Port::Service },
            preempt: bit(4),
            second_is_better: bit(5),
            ends_well: bit(6),
        }
    }

    /// The configuration of node `id`, 1 or 2.
    pub(super) fn config(&self, id: u8) -> NodeConfig {
        let other = 3 - id;
        let better = if self.second_is_better { 2 } else { 1 };
        let priority = if id == better { 150 } else { 100 };
        NodeConfig {
            identity: Identity {
                group: group(),
                node: node(id),
                mac_mode: self.mac_mode,
                service: vec![self.cidr(false, 0), self.cidr(true, 0)],
                node_address: self.cidr(self.node_address_is_v6, id),
            },
            peers: vec![Peer { id: node(other), address: self.node_address(other) }],
            key: key(),
            port: BEAT_PORT,
            priority: Priority::new(priority).expect("in range"),
            interval: INTERVAL,
            dead_after: DEAD_AFTER,
            preempt: self.preempt.then_some(Duration::from_millis(800)),
            gateways: vec![address(false, 4), address(true, 4)],
            limits: locum_stack::Limits {
                flows_max: FLOWS_MAX,
                half_open_max: HALF_OPEN_MAX,
                rx_buffer: BUFFER,
                tx_buffer: BUFFER,
                half_open: Duration::from_secs(1),
                idle: Duration::from_secs(8),
                keep_alive: Some(Duration::from_secs(2)),
                unanswered: Duration::from_secs(4),
                fin_wait: Duration::from_secs(2),
                datagrams_max: 4,
                ..locum_stack::Limits::default()
            },
            mtu: 1500,
            replication: None,
        }
    }

    /// What node `id` draws at random in its `life`, from 0.
    pub(super) fn seeds(&self, id: u8, life: u64) -> Seeds {
        Seeds { boot: boot(id, life), seed: u64::from(id) + 16 * life, isn_key: [id; 16] }
    }

    pub(super) fn node_address(&self, id: u8) -> IpAddress {
        address(self.node_address_is_v6, id)
    }

    fn cidr(&self, is_v6: bool, code: u8) -> IpCidr {
        IpCidr::new(address(is_v6, code), if is_v6 { 64 } else { 24 })
    }

    /// The MAC with a code: 0 the service's, 1 and 2 the nodes' own, 3 and 4 of strangers, 5 none, 6
    /// broadcast, 7 the solicited-node group of the service address.
    pub(super) fn mac(&self, code: u8) -> EthernetAddress {
        match code & 7 {
            0 if self.mac_mode == MacMode::Virtual => virtual_mac(group()),
            0 | 1 => node_mac(group(), node(1)),
            2 => node_mac(group(), node(2)),
            5 => EthernetAddress([0; 6]),
            6 => EthernetAddress::BROADCAST,
            7 => EthernetAddress([0x33, 0x33, 0xff, 0, 0x01, 0x00]),
            stranger => EthernetAddress([0x02, 0xc1, 0x1e, 0, 0, stranger]),
        }
    }
}

/// The address with a code: 0 the service's, 1 and 2 the nodes', 3 a client's, 4 the gateway's, 5 none,
/// 6 everybody's, 7 one beyond the gateway.
pub(super) fn address(is_v6: bool, code: u8) -> IpAddress {
    let code = code & 7;
    let v4 = |[a, b, c, d]: [u8; 4]| IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    let v6 = |head: u16, tail: u16| IpAddr::V6(Ipv6Addr::new(head, 0, 0, 0, 0, 0, 0, tail));
    let address = match (is_v6, code) {
        (false, 0) => v4([10, 77, 0, 100]),
        (false, 5) => v4([0; 4]),
        (false, 6) => v4([255; 4]),
        (false, 7) => v4([192, 0, 2, 1]),
        (false, code) => v4([10, 77, 0, 10 + code]),
        (true, 0) => v6(0xfd77, 0x100),
        (true, 5) => v6(0, 0),
        (true, 6) => v6(0xff02, 1),
        (true, 7) => v6(0x2001, 1),
        (true, code) => v6(0xfd77, 0x10 + u16::from(code)),
    };
    address.into()
}

/// Tells the lives of a node apart.
pub(super) fn boot(id: u8, life: u64) -> BootNonce {
    BootNonce((u64::from(id) << 32) | (life + 1))
}

pub(super) fn group() -> GroupId {
    GroupId::new(7).expect("in range")
}

pub(super) fn node(id: u8) -> NodeId {
    NodeId::new(id).expect("in range")
}

pub(super) fn key() -> Key {
    Key::new([7; 32])
}
