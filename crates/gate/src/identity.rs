//! Who a node is on the wire: its own MAC and address, and the ones it shares with its group.

use locum_types::{GroupId, NodeId};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, Ipv4Address, Ipv6Address};

/// Whose MAC the service address has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MacMode {
    /// One MAC for the whole group: a takeover moves it to another switch port, and clients keep
    /// their ARP entries (RFC 9568 §7.3).
    Virtual,
    /// Each node's own MAC: a takeover has to move the ARP entry of every client.
    Own,
}

impl MacMode {
    /// The word used in the configuration and in status.
    pub const fn name(self) -> &'static str {
        match self {
            MacMode::Virtual => "virtual",
            MacMode::Own => "own",
        }
    }
}

/// The MAC that the nodes of `group` share: `02:4c:6f:GG:GG:00`.
///
/// `02` marks a locally administered unicast address (IEEE 802 §8), `4c:6f` spells "Lo", `GG:GG` is
/// the group. Node ids start at 1, so no [`node_mac`] is ever a virtual one. No interface
/// identifier may be derived from it (RFC 9568 §7.4), and none is.
pub const fn virtual_mac(group: GroupId) -> EthernetAddress {
    mac(group, 0)
}

/// The MAC of one node of `group`: `02:4c:6f:GG:GG:NN`, see [`virtual_mac`].
///
/// That it follows from the ids lets a node tell its group from strangers, and reach a peer that it
/// has not resolved yet.
#[inline]
pub const fn node_mac(group: GroupId, node: NodeId) -> EthernetAddress {
    mac(group, node.get())
}

const fn mac(group: GroupId, last: u8) -> EthernetAddress {
    let [high, low] = group.get().to_be_bytes();
    EthernetAddress([0x02, 0x4c, 0x6f, high, low, last])
}

/// Whom of the group a MAC belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Member {
    /// Whoever is active: the virtual MAC.
    Virtual,
    /// The node with this id.
    Node(NodeId),
}

/// Who a node is, and what its group shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The group.
    pub group: GroupId,
    /// The node.
    pub node: NodeId,
    /// Whose MAC the service addresses have.
    pub mac_mode: MacMode,
    /// The service addresses, with their prefixes.
    pub service: Vec<IpCidr>,
    /// The node's own address, with its prefix.
    pub node_address: IpCidr,
}

impl Identity {
    /// The MAC from which the active node speaks for the service addresses.
    #[inline]
    pub fn service_mac(&self) -> EthernetAddress {
        match self.mac_mode {
            MacMode::Virtual => virtual_mac(self.group),
            MacMode::Own => self.node_mac(),
        }
    }

    /// The node's own MAC.
    pub fn node_mac(&self) -> EthernetAddress {
        node_mac(self.group, self.node)
    }

    /// The MAC that the group shares, whether or not it is in use.
    pub fn virtual_mac(&self) -> EthernetAddress {
        virtual_mac(self.group)
    }

    /// Whether `address` is one that the group shares.
    #[inline]
    pub fn is_service(&self, address: impl Into<IpAddress>) -> bool {
        self.service_cidr(address.into()).is_some()
    }

    /// The service address `address`, with its prefix.
    #[inline]
    pub(crate) fn service_cidr(&self, address: IpAddress) -> Option<&IpCidr> {
        self.service.iter().find(|cidr| cidr.address() == address)
    }

    /// Whether `address` is this node's own.
    pub fn is_node(&self, address: impl Into<IpAddress>) -> bool {
        self.node_address.address() == address.into()
    }

    /// Whom of the group `mac` belongs to; `None` for a stranger.
    pub fn member(&self, mac: EthernetAddress) -> Option<Member> {
        let [.., last] = mac.0;
        if mac == self.virtual_mac() {
            return Some(Member::Virtual);
        }
        let node = NodeId::new(last).ok()?;
        (mac == node_mac(self.group, node)).then_some(Member::Node(node))
    }

    /// The IPv4 service addresses.
    pub fn service_v4(&self) -> impl Iterator<Item = Ipv4Address> {
        self.service.iter().filter_map(|cidr| match cidr.address() {
            IpAddress::Ipv4(address) => Some(address),
            IpAddress::Ipv6(_) => None,
        })
    }

    /// The IPv6 service addresses.
    pub fn service_v6(&self) -> impl Iterator<Item = Ipv6Address> {
        self.service.iter().filter_map(|cidr| match cidr.address() {
            IpAddress::Ipv6(address) => Some(address),
            IpAddress::Ipv4(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::identity;

    #[test]
    fn macs_are_local_unicast_and_never_collide() {
        let group = GroupId::new(0x0102).expect("in range");
        assert_eq!(virtual_mac(group), EthernetAddress([0x02, 0x4c, 0x6f, 1, 2, 0]));
        for id in 1..=254 {
            let mac = node_mac(group, NodeId::new(id).expect("in range"));
            assert!(mac.is_unicast() && mac.is_local());
            assert_ne!(mac, virtual_mac(group));
        }
    }

    #[test]
    fn members_are_recognised_and_strangers_are_not() {
        let identity = identity(MacMode::Virtual);
        let peer = NodeId::new(254).expect("in range");
        assert_eq!(identity.member(identity.virtual_mac()), Some(Member::Virtual));
        assert_eq!(identity.member(node_mac(identity.group, peer)), Some(Member::Node(peer)));
        let other_group = GroupId::new(identity.group.get() + 1).expect("in range");
        assert_eq!(identity.member(virtual_mac(other_group)), None);
        assert_eq!(identity.member(EthernetAddress([0x02, 0x4c, 0x6f, 0, 7, 255])), None);
        assert_eq!(identity.member(EthernetAddress::BROADCAST), None);
    }

    #[test]
    fn the_service_mac_follows_the_mode() {
        let shared = identity(MacMode::Virtual);
        assert_eq!(shared.service_mac(), shared.virtual_mac());
        let own = identity(MacMode::Own);
        assert_eq!(own.service_mac(), own.node_mac());
    }
}
