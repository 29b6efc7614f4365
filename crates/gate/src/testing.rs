//! What the tests of this crate share: a laboratory identity, and frames of clients.

use locum_types::{GroupId, NodeId};
use smoltcp::wire::{IpCidr, Ipv4Address, Ipv4Cidr, Ipv6Address, Ipv6Cidr};

use crate::{Identity, MacMode};

pub(crate) const SIP: Ipv4Address = Ipv4Address::new(10, 77, 0, 100);
pub(crate) const SIP6: Ipv6Address = Ipv6Address::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100);
pub(crate) const NODE: Ipv4Address = Ipv4Address::new(10, 77, 0, 11);

pub(crate) fn identity(mac_mode: MacMode) -> Identity {
    Identity {
        group: GroupId::new(7).expect("in range"),
        node: NodeId::new(1).expect("in range"),
        mac_mode,
        service: vec![IpCidr::Ipv4(Ipv4Cidr::new(SIP, 24)), IpCidr::Ipv6(Ipv6Cidr::new(SIP6, 64))],
        node_address: IpCidr::Ipv4(Ipv4Cidr::new(NODE, 24)),
    }
}
