//! Reading recorded frames: just enough of Ethernet, ARP, IP and NDP to see who a frame speaks for.
//!
//! Written on its own and not with the project's other parsers, so that one mistake in a gate cannot
//! hide in the oracle too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A MAC address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A frame: whose MAC address sent it, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The Ethernet source.
    pub source: Mac,
    /// The Ethernet destination.
    pub destination: Mac,
    /// What it carries.
    pub content: Content,
}

/// What a frame carries, as far as it tells who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// ARP for IPv4.
    Arp {
        /// 1 asks, 2 answers.
        operation: u16,
        /// Who says so.
        sender: Ipv4Addr,
        /// The MAC address that it says it has.
        sender_mac: Mac,
        /// Whom it asks for or answers.
        target: Ipv4Addr,
    },
    /// A neighbour advertisement.
    NeighbourAdvertisement {
        /// The address it comes from.
        source: Ipv6Addr,
        /// The address it speaks for.
        target: Ipv6Addr,
    },
    /// A neighbour solicitation.
    NeighbourSolicitation {
        /// The address it comes from.
        source: Ipv6Addr,
        /// The address it asks for.
        target: Ipv6Addr,
    },
    /// Any other IP packet.
    Ip {
        /// Where it comes from.
        source: IpAddr,
        /// Where it goes.
        destination: IpAddr,
        /// The protocol, behind hop-by-hop options.
        protocol: u8,
        /// Source and destination port of UDP and TCP, type of ICMP with a 0.
        ports: (u16, u16),
    },
    /// Neither ARP nor IP, or too short to be what it says it is.
    Other {
        /// The EtherType.
        ethertype: u16,
    },
}

const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN_TAGS: [u16; 2] = [0x8100, 0x88a8];
const HOP_BY_HOP: u8 = 0;
const ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// Reads a frame; `None` when it is shorter than an Ethernet header.
pub fn parse(frame: &[u8]) -> Option<Parsed> {
    let destination = Mac(take(frame, 0)?);
    let source = Mac(take(frame, 6)?);
    let mut at = 12;
    let mut ethertype = word(frame, at)?;
    while VLAN_TAGS.contains(&ethertype) {
        at += 4;
        ethertype = word(frame, at)?;
    }
    let payload = frame.get(at + 2..)?;
    let content = match ethertype {
        ARP => parse_arp(payload),
        IPV4 => parse_ipv4(payload),
        IPV6 => parse_ipv6(payload),
        _ => None,
    };
    Some(Parsed { source, destination, content: content.unwrap_or(Content::Other { ethertype }) })
}

fn parse_arp(packet: &[u8]) -> Option<Content> {
    Some(Content::Arp {
        operation: word(packet, 6)?,
        sender_mac: Mac(take(packet, 8)?),
        sender: Ipv4Addr::from(take::<4>(packet, 14)?),
        target: Ipv4Addr::from(take::<4>(packet, 24)?),
    })
}

fn parse_ipv4(packet: &[u8]) -> Option<Content> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let protocol = *packet.get(9)?;
    Some(Content::Ip {
        source: Ipv4Addr::from(take::<4>(packet, 12)?).into(),
        destination: Ipv4Addr::from(take::<4>(packet, 16)?).into(),
        protocol,
        ports: ports(protocol, packet.get(header..)?),
    })
}

fn parse_ipv6(packet: &[u8]) -> Option<Content> {
    let source = Ipv6Addr::from(take::<16>(packet, 8)?);
    let destination = Ipv6Addr::from(take::<16>(packet, 24)?);
    let mut protocol = *packet.get(6)?;
    let mut payload = packet.get(40..)?;
    if protocol == HOP_BY_HOP {
        protocol = *payload.first()?;
        payload = payload.get(8 + usize::from(*payload.get(1)?) * 8..)?;
    }
    let kind = payload.first().copied().filter(|_| protocol == ICMPV6);
    if let Some(kind @ (NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT)) = kind {
        let target = Ipv6Addr::from(take::<16>(payload, 8)?);
        return Some(match kind {
            NEIGHBOUR_SOLICITATION => Content::NeighbourSolicitation { source, target },
            _ => Content::NeighbourAdvertisement { source, target },
        });
    }
    Some(Content::Ip {
        source: source.into(),
        destination: destination.into(),
        protocol,
        ports: ports(protocol, payload),
    })
}

fn ports(protocol: u8, payload: &[u8]) -> (u16, u16) {
    match protocol {
        1 | ICMPV6 => (payload.first().map_or(0, |&kind| u16::from(kind)), 0),
        _ => (word(payload, 0).unwrap_or(0), word(payload, 2).unwrap_or(0)),
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    take(bytes, at).map(u16::from_be_bytes)
}

/// One line, in the manner of tcpdump.
impl fmt::Display for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {} ", self.source, self.destination)?;
        match self.content {
            Content::Arp { operation: 1, sender, target, .. } => {
                write!(f, "arp who-has {target} tell {sender}")
            }
            Content::Arp { sender, sender_mac, target, .. } => {
                write!(f, "arp {sender} is-at {sender_mac} to {target}")
            }
            Content::NeighbourSolicitation { source, target } => {
                write!(f, "ns {target} from {source}")
            }
            Content::NeighbourAdvertisement { source, target } => {
                write!(f, "na {target} from {source}")
            }
            Content::Ip { source, destination, protocol, ports: (from, to) } => {
                write!(f, "ip {source}:{from} > {destination}:{to} protocol {protocol}")
            }
            Content::Other { ethertype } => write!(f, "ethertype {ethertype:#06x}"),
        }
    }
}
