//! What an ordinary network says to groups, in the attacker's name.

use std::net::{Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{EthernetAddress, IpAddress, IpProtocol};

use super::build::{ALL_NODES, ethernet, group, group_v4, packet, udp};
use super::neighbours::router_advert;
use super::target::{Aim, Station};

const LLDP: EthernetAddress = EthernetAddress([0x01, 0x80, 0xc2, 0, 0, 0x0e]);
const BRIDGES: EthernetAddress = EthernetAddress([0x01, 0x80, 0xc2, 0, 0, 0]);
const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const MDNS_PORT: u16 = 5353;
const SSDP_PORT: u16 = 1900;
/// The root has the least priority there is, so that every bridge would follow it (IEEE 802.1D §9.3.1).
const CONFIGURATION_BPDU: [u8; 38] = {
    let mut bpdu = [0; 38];
    // Logical link control: spanning tree.
    bpdu[0] = 0x42;
    bpdu[1] = 0x42;
    bpdu[2] = 0x03;
    bpdu
};
/// A query for `_services._dns-sd._udp.local` (RFC 6763 §9), type PTR.
const MDNS_QUERY: &[u8] =
    b"\0\0\0\0\0\x01\0\0\0\0\0\0\x09_services\x07_dns-sd\x04_udp\x05local\0\0\x0c\0\x01";
/// Chassis id, port id, time to live of two minutes, end (IEEE 802.1AB §8.4).
const LLDP_UNIT: [u8; 20] =
    [2, 7, 4, 2, 0xba, 0xd0, 0, 0, 1, 4, 3, 7, b'b', b'1', 6, 2, 0, 120, 0, 0];

/// One frame to a group.
pub(super) fn noise(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let own_v6 = Station { mac: aim.mac, address: aim.link_local().into() };
    let own_v4 = || -> Option<(Station, Ipv4Addr)> {
        let (_, service) =
            aim.victims.services.iter().find_map(|station| match station.address {
                IpAddress::Ipv4(address) => Some((station.mac, address)),
                IpAddress::Ipv6(_) => None,
            })?;
        let address = aim.victims.stranger(service.into(), 0);
        Some((Station { mac: aim.mac, address }, service))
    };
    Some(match aim.variant(10) {
        0 => igmp(own_v4()?.0, ALL_SYSTEMS, &[0x11, 100, 0, 0, 0, 0, 0, 0]),
        // To everybody's surprise, a query of version 3 (RFC 3376 §4.1).
        1 => igmp(own_v4()?.0, ALL_SYSTEMS, &[0x11, 1, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0]),
        2 => {
            let [a, b, c, d] = Ipv4Addr::new(224, 0, 0, 251).octets();
            igmp(own_v4()?.0, Ipv4Addr::new(a, b, c, d), &[0x16, 0, 0, 0, a, b, c, d])
        }
        3 => mld(own_v6, group(ALL_NODES), &query()),
        4 => {
            let routers = group(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16));
            mld(own_v6, routers, &[143, 0, 0, 0, 0, 0, 0, 0])
        }
        5 => ethernet(aim.mac, LLDP, 0x88cc, &LLDP_UNIT),
        6 => ethernet(aim.mac, BRIDGES, CONFIGURATION_BPDU.len() as u16, &CONFIGURATION_BPDU),
        7 => {
            let ends = (own_v4()?.0, group_v4(Ipv4Addr::new(224, 0, 0, 251)));
            udp(ends, (MDNS_PORT, MDNS_PORT), 255, MDNS_QUERY)
        }
        8 => {
            let ends = (own_v6, group(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb)));
            let port = if aim.rng.bool() { MDNS_PORT } else { SSDP_PORT };
            udp(ends, (port, port), 255, MDNS_QUERY)
        }
        _ => router_advert(own_v6, aim.mac),
    })
}

fn igmp(from: Station, to: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    packet((from, group_v4(to)), IpProtocol::Igmp, 1, message.to_vec())
}

/// A general query of version 2 (RFC 3810 §5.1): one second to answer.
fn query() -> [u8; 28] {
    let mut query = [0; 28];
    query[0] = 130;
    query[4..6].copy_from_slice(&1000_u16.to_be_bytes());
    query[24..].copy_from_slice(&[2, 125, 0, 0]);
    query
}

/// Behind a hop-by-hop header with the router alert, as MLD must be (RFC 3810 §5).
fn mld(from: Station, to: Station, message: &[u8]) -> Vec<u8> {
    const ROUTER_ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];
    /// Ethernet and IPv6 headers.
    const BEFORE: usize = 14 + 40;
    let inner = packet((from, to), IpProtocol::Icmpv6, 1, message.to_vec());
    let body = [&ROUTER_ALERT[..], &inner[BEFORE..]].concat();
    packet((from, to), IpProtocol::HopByHop, 1, body)
}
