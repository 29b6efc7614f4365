//! Whom a hostile machine attacks, and in whose name.

use std::net::{Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use locum_gate::{Identity, virtual_mac};
use locum_types::{GroupId, NodeId};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use super::memory::Memory;

/// IPv4 addresses in whose name the attacker speaks.
const STRANGERS_V4: u16 = 64;
/// IPv6 ones: more than fit any neighbour cache.
const STRANGERS_V6: u16 = 4096;
/// How many of either family hold TCP dialogues; no other weapon speaks for those.
pub(super) const TALKERS: u16 = 16;
/// The first octets of MACs that nobody has.
const STRANGE_MACS: [u8; 4] = [0x02, 0xba, 0xd0, 0x00];
/// The last octet of a MAC that looks like one of the group, and should be nobody's.
const LOOKALIKE: u8 = 238;

/// One end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Station {
    pub(super) mac: EthernetAddress,
    pub(super) address: IpAddress,
}

/// The group under attack.
#[derive(Clone, Debug)]
pub(super) struct Victims {
    /// The service addresses, at the MACs that may answer for them.
    pub(super) services: Vec<Station>,
    /// The nodes.
    pub(super) nodes: Vec<Station>,
    pub(super) ids: Vec<NodeId>,
    pub(super) group: GroupId,
    strangers_v4: Vec<Ipv4Addr>,
    strangers_v6: Ipv6Addr,
}

impl Victims {
    /// # Panics
    /// When there is no victim, or none has a service address.
    pub(super) fn new(identities: &[Identity]) -> Self {
        let first = identities.first().expect("somebody to attack");
        let mut services = Vec::new();
        for identity in identities {
            for cidr in &identity.service {
                let station = Station { mac: identity.service_mac(), address: cidr.address() };
                if !services.contains(&station) {
                    services.push(station);
                }
            }
        }
        assert!(!services.is_empty(), "a service address to attack");
        let node = |identity: &Identity| Station {
            mac: identity.node_mac(),
            address: identity.node_address.address(),
        };
        let nodes: Vec<Station> = identities.iter().map(node).collect();
        let is_taken =
            |address: IpAddress| services.iter().chain(&nodes).any(|one| one.address == address);
        Victims {
            strangers_v4: strangers_v4(&first.service, is_taken),
            strangers_v6: strangers_v6(&first.service),
            ids: identities.iter().map(|identity| identity.node).collect(),
            group: first.group,
            services,
            nodes,
        }
    }

    /// Whether `mac` is a node's, or the one they share.
    pub(super) fn is_member(&self, mac: EthernetAddress) -> bool {
        mac == virtual_mac(self.group) || self.nodes.iter().any(|node| node.mac == mac)
    }

    /// A MAC of the group's pattern.
    pub(super) fn lookalike(&self) -> EthernetAddress {
        let [a, b, c, d, e, _] = virtual_mac(self.group).0;
        EthernetAddress([a, b, c, d, e, LOOKALIKE])
    }

    /// An address near `service`, of its family, that no victim has.
    pub(super) fn stranger(&self, service: IpAddress, number: u16) -> IpAddress {
        match service {
            IpAddress::Ipv4(_) => {
                let index = usize::from(number) % self.strangers_v4.len();
                IpAddress::Ipv4(self.strangers_v4[index])
            }
            IpAddress::Ipv6(_) => {
                let base = u128::from(self.strangers_v6);
                let address = base.wrapping_add(u128::from(number % STRANGERS_V6));
                IpAddress::Ipv6(address.into())
            }
        }
    }
}

/// A MAC that nobody has.
pub(super) const fn strange_mac(number: u16) -> EthernetAddress {
    let [a, b, c, d] = STRANGE_MACS;
    let [_, last] = number.to_be_bytes();
    EthernetAddress([a, b, c, d, 1, last])
}

/// Whether `mac` is one that nobody has.
pub(super) fn is_strange(mac: EthernetAddress) -> bool {
    mac.0.starts_with(&STRANGE_MACS)
}

/// The first ones of the service's subnet from ten after the service address; clients live elsewhere.
fn strangers_v4(service: &[IpCidr], is_taken: impl Fn(IpAddress) -> bool) -> Vec<Ipv4Addr> {
    let subnet = service.iter().find_map(|cidr| match cidr {
        IpCidr::Ipv4(cidr) => Some(*cidr),
        IpCidr::Ipv6(_) => None,
    });
    let near = subnet.into_iter().flat_map(|subnet| {
        let first = u32::from(subnet.address()).wrapping_add(10);
        (0..u32::from(STRANGERS_V4))
            .map(move |number| Ipv4Addr::from(first.wrapping_add(number)))
            .filter(move |address| subnet.contains_addr(address))
    });
    let mut strangers: Vec<_> = near.filter(|&address| !is_taken(address.into())).collect();
    if strangers.is_empty() {
        // A subnet without room: documentation addresses (RFC 5737), from beyond a router.
        strangers.extend((1..=64).map(|last| Ipv4Addr::new(192, 0, 2, last)));
    }
    strangers
}

fn strangers_v6(service: &[IpCidr]) -> Ipv6Addr {
    let first = service.iter().find_map(|cidr| match cidr.address() {
        IpAddress::Ipv6(address) => Some(address),
        IpAddress::Ipv4(_) => None,
    });
    let base = first.map_or(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), |address| address);
    Ipv6Addr::from(u128::from(base).wrapping_add(0x1000))
}

/// Everything that one shot depends on.
pub(super) struct Aim<'a> {
    /// The attacker's own MAC.
    pub(super) mac: EthernetAddress,
    pub(super) victims: &'a Victims,
    pub(super) memory: &'a Memory,
    pub(super) rng: &'a mut Rng,
    /// How often the weapon was used before.
    pub(super) shot: u64,
}

impl Aim<'_> {
    /// The variant whose turn it is, of `count`; all have the same share.
    pub(super) fn variant(&self, count: u64) -> u64 {
        self.shot % count
    }

    /// A service address, where it may be found.
    pub(super) fn service(&mut self) -> Station {
        self.victims.services[self.rng.usize(..self.victims.services.len())]
    }

    /// A service address of IPv4, if there is one.
    pub(super) fn service_v4(&mut self) -> Option<(EthernetAddress, Ipv4Addr)> {
        let of_family = |station: &Station| match station.address {
            IpAddress::Ipv4(address) => Some((station.mac, address)),
            IpAddress::Ipv6(_) => None,
        };
        let all: Vec<_> = self.victims.services.iter().filter_map(of_family).collect();
        self.rng.choice(all)
    }

    /// A service address of IPv6, if there is one.
    pub(super) fn service_v6(&mut self) -> Option<(EthernetAddress, Ipv6Addr)> {
        let of_family = |station: &Station| match station.address {
            IpAddress::Ipv6(address) => Some((station.mac, address)),
            IpAddress::Ipv4(_) => None,
        };
        let all: Vec<_> = self.victims.services.iter().filter_map(of_family).collect();
        self.rng.choice(all)
    }

    /// A node, where it is.
    pub(super) fn node(&mut self) -> Station {
        self.victims.nodes[self.rng.usize(..self.victims.nodes.len())]
    }

    /// Somebody who does not exist, near `service`, reached through the attacker.
    pub(super) fn stranger(&mut self, service: IpAddress) -> Station {
        let count = match service {
            IpAddress::Ipv4(_) => STRANGERS_V4,
            IpAddress::Ipv6(_) => STRANGERS_V6,
        };
        let number = self.rng.u16(TALKERS..count);
        Station { mac: self.mac, address: self.victims.stranger(service, number) }
    }

    /// A stranger as the source, a service address as the destination.
    pub(super) fn towards_service(&mut self) -> (Station, Station) {
        let service = self.service();
        (self.stranger(service.address), service)
    }

    /// `len` random bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.rng.fill(&mut bytes);
        bytes
    }

    /// The attacker's link-local address.
    pub(super) fn link_local(&self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.mac.0.map(u16::from);
        Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f)
    }
}
