//! A checker outside the nodes: it reads the wire, and shares no code with the gate it checks.

use locum_gate::{Identity, MacMode};
use locum_types::{Instant, Mode, NodeId};
use smoltcp::wire::{
    ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol, IpAddress, Ipv4Packet, Ipv6Packet,
};

/// Leaks kept for the report; all are counted.
const KEPT_MAX: usize = 16;

/// A frame for the service address from a node that was not active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// When it left.
    pub at: Instant,
    /// The node it left.
    pub node: NodeId,
    /// The mode of that node.
    pub mode: Mode,
    /// What gave it away.
    pub what: &'static str,
    /// The frame.
    pub frame: Vec<u8>,
}

/// Counts frames that speak for the service address from nodes that must be silent.
#[derive(Clone, Debug, Default)]
pub struct LeakChecker {
    checked: u64,
    count: u64,
    first: Vec<Leak>,
}

impl LeakChecker {
    /// Frames looked at.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// Frames that leaked.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them.
    pub fn first(&self) -> &[Leak] {
        &self.first
    }

    pub(crate) fn check(&mut self, at: Instant, identity: &Identity, mode: Mode, frame: &[u8]) {
        self.checked += 1;
        if mode == Mode::Active {
            return;
        }
        let Some(what) = speaks_for_service(identity, frame) else { return };
        self.count += 1;
        if self.first.len() < KEPT_MAX {
            let node = identity.node;
            self.first.push(Leak { at, node, mode, what, frame: frame.to_vec() });
        }
    }
}

/// What makes a frame one of the service address, if anything does.
pub(crate) fn speaks_for_service(identity: &Identity, frame: &[u8]) -> Option<&'static str> {
    let Ok(ethernet) = EthernetFrame::new_checked(frame) else { return Some("not a frame") };
    let is_service =
        |address: IpAddress| identity.service.iter().any(|cidr| cidr.address() == address);
    if identity.mac_mode == MacMode::Virtual && ethernet.src_addr() == identity.service_mac() {
        return Some("virtual MAC as the source");
    }
    match ethernet.ethertype() {
        EthernetProtocol::Arp => {
            let packet = ArpPacket::new_checked(ethernet.payload()).ok()?;
            let ArpRepr::EthernetIpv4 { source_protocol_addr, .. } =
                ArpRepr::parse(&packet).ok()?
            else {
                return None;
            };
            is_service(source_protocol_addr.into()).then_some("ARP from the service address")
        }
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            is_service(packet.src_addr().into()).then_some("IPv4 from the service address")
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            if is_service(packet.src_addr().into()) {
                return Some("IPv6 from the service address");
            }
            // A neighbour advertisement carries its target at octets 8..24 (RFC 4861 §4.4).
            let [136, 0, _, _, _, _, _, _, target @ ..] = packet.payload() else { return None };
            let target: [u8; 16] = *target.first_chunk()?;
            is_service(IpAddress::Ipv6(target.into())).then_some("advertises the service address")
        }
        EthernetProtocol::Unknown(_) => None,
    }
}
