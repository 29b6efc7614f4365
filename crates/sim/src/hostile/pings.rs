//! Echo requests: many, of any size, to groups and in the name of others.

use std::net::{Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{EthernetAddress, IpAddress, IpProtocol};

use super::build::{ALL_NODES, group, group_v4, packet};
use super::target::{Aim, Station};
use super::{FRAME_LEN_MAX, MTU};

const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// Octets before the data of an echo request in a frame of IPv4.
const OVERHEAD_V4: usize = 14 + 20 + 8;

/// One echo request.
pub(super) fn ping(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let (stranger, service) = aim.towards_service();
    let small = aim.rng.usize(..64);
    Some(match aim.variant(7) {
        0 | 1 => echo(aim, (stranger, service), small),
        2 => echo(aim, (stranger, service), MTU - 48),
        3 => {
            let (mac, address) = aim.service_v4()?;
            let service = Station { mac, address: address.into() };
            let ends = (aim.stranger(service.address), service);
            // The longest frame there is: four octets beyond the largest packet.
            echo(aim, ends, FRAME_LEN_MAX - OVERHEAD_V4)
        }
        4 => {
            let ends = (stranger, everybody(aim, stranger.address));
            echo(aim, ends, small)
        }
        5 => {
            let node = aim.node();
            let ends = (aim.stranger(node.address), node);
            echo(aim, ends, small)
        }
        // As if a node, or a group, had asked: the answers would go there.
        _ => {
            let (mac, address) = aim.service_v4()?;
            let node = aim.node().address;
            let from = if aim.rng.bool() { node } else { ALL_SYSTEMS.into() };
            let IpAddress::Ipv4(_) = from else { return None };
            let ends =
                (Station { mac: aim.mac, address: from }, Station { mac, address: address.into() });
            echo(aim, ends, small)
        }
    })
}

/// Every host of the link, by a group or by broadcast.
fn everybody(aim: &mut Aim<'_>, family: IpAddress) -> Station {
    match family {
        IpAddress::Ipv4(_) if aim.rng.bool() => group_v4(ALL_SYSTEMS),
        IpAddress::Ipv4(_) => {
            let address = Ipv4Addr::BROADCAST.into();
            Station { mac: EthernetAddress::BROADCAST, address }
        }
        IpAddress::Ipv6(_) if aim.rng.bool() => group(ALL_NODES),
        IpAddress::Ipv6(_) => group(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2)),
    }
}

fn echo(aim: &mut Aim<'_>, ends: (Station, Station), len: usize) -> Vec<u8> {
    let (kind, protocol) = match ends.0.address {
        IpAddress::Ipv4(_) => (8, IpProtocol::Icmp),
        IpAddress::Ipv6(_) => (128, IpProtocol::Icmpv6),
    };
    let mut message = vec![kind, 0, 0, 0];
    message.extend_from_slice(&aim.rng.u32(..).to_be_bytes());
    message.extend(aim.bytes(len));
    packet(ends, protocol, 64, message)
}
