//! Frames that make no sense: random, broken on the way, or legal and never seen in practice.

use std::net::Ipv6Addr;

use smoltcp::wire::{EthernetAddress, IpAddress, IpProtocol};

use super::FRAME_LEN_MAX;
use super::build::{
    ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, HEADER_LEN, ethernet, ndp, packet, refresh_ipv4,
    solicited_node, udp,
};
use super::target::{Aim, Station};
use crate::ECHO_PORT;

/// Where fields of an IPv4 header are in a frame.
const IPV4_FIRST: usize = HEADER_LEN;
const IPV4_LENGTH: usize = HEADER_LEN + 2;
const IPV4_FRAGMENT: usize = HEADER_LEN + 6;
const IPV4_SOURCE: usize = HEADER_LEN + 12;
const IPV6_LENGTH: usize = HEADER_LEN + 4;
const MORE_FRAGMENTS: u16 = 0x2000;
/// The furthest that a fragment can lie: with data behind it, it ends beyond 64 KiB.
const LAST_OFFSET: u16 = 0x1fff;

/// One frame that makes no sense.
pub(super) fn garbage(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    match aim.variant(15) {
        0 => Some(noise(aim)),
        1 => Some(unknown_ethertype(aim)),
        2 => recorded(aim).map(|frame| cut(aim, frame)),
        3 => recorded(aim).map(|frame| flip(aim, frame)),
        4 => recorded(aim).map(|frame| tag(aim, &frame)),
        5 => ipv4_fragment(aim, MORE_FRAGMENTS),
        6 => ipv4_fragment(aim, LAST_OFFSET),
        7 => ipv4_options(aim),
        8 => ipv4_length(aim),
        9 => ipv4_source(aim),
        10 => ipv6_extensions(aim),
        11 => ipv6_fragment(aim),
        12 => ipv6_length(aim),
        13 => Some(broken_arp(aim)),
        _ => broken_ndp(aim),
    }
}

/// Any bytes, often behind an Ethernet header that gets them in.
fn noise(aim: &mut Aim<'_>) -> Vec<u8> {
    let len = aim.rng.usize(..=FRAME_LEN_MAX - HEADER_LEN);
    let bytes = aim.bytes(len);
    let to = aim.service().mac;
    match aim.rng.u8(..4) {
        // With its group bit set, the source is not one that a switch could learn.
        0 => bytes.into_iter().enumerate().map(|(at, byte)| byte | u8::from(at == 6)).collect(),
        1 => ethernet(aim.mac, to, ETHERTYPE_IPV4, &bytes),
        2 => ethernet(aim.mac, to, ETHERTYPE_IPV6, &bytes),
        _ => ethernet(aim.mac, EthernetAddress::BROADCAST, aim.rng.u16(0x600..), &bytes),
    }
}

fn unknown_ethertype(aim: &mut Aim<'_>) -> Vec<u8> {
    let len = aim.rng.usize(..64);
    let (bytes, to) = (aim.bytes(len), aim.service().mac);
    // Up to 1500 it is a length (IEEE 802.3 §3.2.6).
    ethernet(aim.mac, to, aim.rng.u16(..), &bytes)
}

fn recorded(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    aim.rng.choice(&aim.memory.frames).cloned()
}

fn cut(aim: &mut Aim<'_>, mut frame: Vec<u8>) -> Vec<u8> {
    frame.truncate(aim.rng.usize(..=frame.len()));
    frame
}

/// No two flips in one column of the words that a checksum adds up (RFC 1071): they might cancel out, and nobody could
/// tell the frame from a true one.
fn flip(aim: &mut Aim<'_>, mut frame: Vec<u8>) -> Vec<u8> {
    let mut flipped = [0_u8; 2];
    for _ in 0..=aim.rng.u8(..4) {
        let at = aim.rng.usize(..frame.len());
        let bit = 1 << aim.rng.u8(..8);
        frame[at] ^= bit & !flipped[at % 2];
        flipped[at % 2] |= bit;
    }
    frame
}

/// Behind one VLAN tag or two (IEEE 802.1Q §9.6).
fn tag(aim: &mut Aim<'_>, frame: &[u8]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    let mut tagged = addresses.to_vec();
    for _ in 0..=aim.rng.u8(..2) {
        let tpid = [0x8100_u16, 0x88a8][aim.rng.usize(..2)];
        tagged.extend_from_slice(&tpid.to_be_bytes());
        tagged.extend_from_slice(&aim.rng.u16(..0x1000).to_be_bytes());
    }
    tagged.extend_from_slice(rest);
    tagged
}

/// A datagram to the echo service over IPv4, to be spoiled.
fn datagram_v4(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let (mac, address) = aim.service_v4()?;
    let service = Station { mac, address: address.into() };
    let ends = (aim.stranger(service.address), service);
    let payload = aim.bytes(24);
    Some(udp(ends, (aim.rng.u16(1024..), ECHO_PORT), 64, &payload))
}

/// The flags and the offset as given (RFC 791 §3.1).
fn ipv4_fragment(aim: &mut Aim<'_>, fragment: u16) -> Option<Vec<u8>> {
    let mut frame = datagram_v4(aim)?;
    frame[IPV4_FRAGMENT..][..2].copy_from_slice(&fragment.to_be_bytes());
    refresh_ipv4(&mut frame);
    Some(frame)
}

/// Options that fill the header, and whose lengths lead nowhere.
fn ipv4_options(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let mut frame = datagram_v4(aim)?;
    let words = aim.rng.u8(1..=10);
    let mut options = aim.bytes(usize::from(words) * 4);
    // Record route, of length 0 or 255.
    options[..2].copy_from_slice(&[7, [0, 255][aim.rng.usize(..2)]]);
    frame[IPV4_FIRST] += words;
    let at = HEADER_LEN + 20;
    frame.splice(at..at, options);
    let len = u16::try_from(frame.len() - HEADER_LEN).unwrap_or(u16::MAX);
    frame[IPV4_LENGTH..][..2].copy_from_slice(&len.to_be_bytes());
    refresh_ipv4(&mut frame);
    Some(frame)
}

/// A header, or a packet, of another length than what is there.
fn ipv4_length(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let mut frame = datagram_v4(aim)?;
    if aim.rng.bool() {
        frame[IPV4_FIRST] = 0x40 | aim.rng.u8(..16);
    } else {
        frame[IPV4_LENGTH..][..2].copy_from_slice(&aim.rng.u16(..).to_be_bytes());
    }
    // The header may be too short for it; then that is what is wrong.
    refresh_ipv4(&mut frame);
    Some(frame)
}

/// From where nobody can be: the service itself, a group, everybody, this host, nowhere.
fn ipv4_source(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let mut frame = datagram_v4(aim)?;
    let (_, service) = aim.service_v4()?;
    let sources = [service.octets(), [224, 0, 0, 1], [255; 4], [127, 0, 0, 1], [0; 4]];
    frame[IPV4_SOURCE..][..4].copy_from_slice(&sources[aim.rng.usize(..sources.len())]);
    refresh_ipv4(&mut frame);
    Some(frame)
}

fn ends_v6(aim: &mut Aim<'_>) -> Option<(Station, Station)> {
    let (mac, address) = aim.service_v6()?;
    let service = Station { mac, address: address.into() };
    Some((aim.stranger(service.address), service))
}

/// A chain of extension headers, some of which say that they are longer than the packet (RFC 8200 §4).
fn ipv6_extensions(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    const KINDS: [u8; 4] = [0, 43, 60, 135];
    let ends = ends_v6(aim)?;
    let first = KINDS[aim.rng.usize(..KINDS.len())];
    let mut chain = Vec::new();
    for _ in 0..aim.rng.u8(1..12) {
        let next = KINDS[aim.rng.usize(..KINDS.len())];
        let len = if aim.rng.u8(..8) == 0 { 255 } else { 0 };
        chain.extend_from_slice(&[next, len, 1, 4, 0, 0, 0, 0]);
    }
    // 59: nothing follows.
    let last = chain.len() - 8;
    chain[last] = [59, 58, 6, 17][aim.rng.usize(..4)];
    Some(packet(ends, IpProtocol::Unknown(first), 64, chain).into_iter().collect())
}

/// RFC 8200 §4.5: the first, the last, or one that is the whole packet (RFC 6946).
fn ipv6_fragment(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let ends = ends_v6(aim)?;
    let [high, low] = [0x0001_u16, 0xfff8, 0x0000][aim.rng.usize(..3)].to_be_bytes();
    let mut body = vec![17, 0, high, low, 0, 0, 0, 1];
    body.extend(aim.bytes(24));
    Some(packet(ends, IpProtocol::Ipv6Frag, 64, body))
}

fn ipv6_length(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let ends = ends_v6(aim)?;
    let payload = aim.bytes(24);
    let mut frame = udp(ends, (aim.rng.u16(1024..), ECHO_PORT), 64, &payload);
    frame[IPV6_LENGTH..][..2].copy_from_slice(&aim.rng.u16(..).to_be_bytes());
    Some(frame)
}

/// ARP of other hardware, with other lengths, of unknown operations, or cut short.
fn broken_arp(aim: &mut Aim<'_>) -> Vec<u8> {
    let mut payload = vec![0, 1, 8, 0, 6, 4, 0, 1];
    let rest = aim.rng.usize(..=24);
    payload.extend(aim.bytes(rest));
    // All but a length of its own may be wrong: four bytes of sender must not become an address.
    match aim.rng.u8(..3) {
        0 => payload[1] = 6,
        1 => payload[4] = 8,
        _ => payload[7] = aim.rng.u8(3..),
    }
    ethernet(aim.mac, EthernetAddress::BROADCAST, ETHERTYPE_ARP, &payload)
}

/// Neighbour solicitations with options of length 0 or beyond the end, with a code, or too short.
fn broken_ndp(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let (_, service) = aim.service_v6()?;
    let from = aim.stranger(service.into());
    let mut message = vec![ndp::SOLICIT, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&target(aim, service).octets());
    let len = [0, 2, 255][aim.rng.usize(..3)];
    message.extend_from_slice(&[ndp::SOURCE_MAC, len, 2, 0xba, 0xd0, 0, 0, 0]);
    match aim.rng.u8(..3) {
        0 => message[1] = 1,
        1 => message.truncate(aim.rng.usize(8..24)),
        _ => {}
    }
    let to = solicited_node(service);
    Some(packet((from, to), IpProtocol::Icmpv6, 255, message))
}

fn target(aim: &mut Aim<'_>, service: Ipv6Addr) -> Ipv6Addr {
    match aim.stranger(service.into()).address {
        IpAddress::Ipv6(stranger) if aim.rng.bool() => stranger,
        IpAddress::Ipv6(_) | IpAddress::Ipv4(_) => service,
    }
}
