//! Building the few frames that the gate and the probes send themselves.
//!
//! Every frame fits [`FRAME_LEN_MAX`]; the functions return how much of it they filled. Nothing
//! here asks whether the frame may leave: that is the policy's business.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Address, Ipv6Address, Ipv6Packet,
    Ipv6Repr, NdiscNeighborFlags, NdiscRepr,
};

use crate::frame::solicited_node;

/// Room for the longest frame built here: a multicast listener report of 90 bytes.
pub(crate) const FRAME_LEN_MAX: usize = 96;
pub(crate) type Buffer = [u8; FRAME_LEN_MAX];

pub(crate) const ALL_NODES: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Where multicast listener reports go (RFC 3810 §5.2.14).
const ALL_MLDV2_ROUTERS: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
const NO_MAC: EthernetAddress = EthernetAddress([0; 6]);

/// An ARP packet from `mac`, sent to the station `destination`.
pub(crate) fn arp(
    operation: ArpOperation,
    (mac, sender): (EthernetAddress, Ipv4Address),
    (target_mac, target): (EthernetAddress, Ipv4Address),
    destination: EthernetAddress,
    buffer: &mut Buffer,
) -> usize {
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: mac,
        source_protocol_addr: sender,
        target_hardware_addr: target_mac,
        target_protocol_addr: target,
    };
    let payload = ethernet((mac, destination), EthernetProtocol::Arp, buffer);
    repr.emit(&mut ArpPacket::new_unchecked(payload));
    EthernetFrame::<&[u8]>::buffer_len(repr.buffer_len())
}

/// Who has `target`? From `mac`, which has no address yet: an ARP probe (RFC 5227 §2.1).
pub(crate) fn arp_probe(mac: EthernetAddress, target: Ipv4Address, buffer: &mut Buffer) -> usize {
    let nobody = Ipv4Address::UNSPECIFIED;
    let everyone = EthernetAddress::BROADCAST;
    arp(ArpOperation::Request, (mac, nobody), (NO_MAC, target), everyone, buffer)
}

/// `address` is at `mac`: gratuitous ARP as a request (RFC 5227 §2.3).
pub(crate) fn announcement_request(
    mac: EthernetAddress,
    address: Ipv4Address,
    buffer: &mut Buffer,
) -> usize {
    let everyone = EthernetAddress::BROADCAST;
    arp(ArpOperation::Request, (mac, address), (NO_MAC, address), everyone, buffer)
}

/// `address` is at `mac`: gratuitous ARP as a reply, with both hardware addresses set (RFC 5944
/// §4.6).
pub(crate) fn announcement_reply(
    mac: EthernetAddress,
    address: Ipv4Address,
    buffer: &mut Buffer,
) -> usize {
    let everyone = EthernetAddress::BROADCAST;
    arp(ArpOperation::Reply, (mac, address), (mac, address), everyone, buffer)
}

/// A neighbour advertisement of `address` at `mac`: a host's (R = 0), overriding (RFC 4861 §7.2.4).
///
/// To [`ALL_NODES`] it is unsolicited (S = 0), to anyone else it answers (S = 1).
pub(crate) fn advert(
    (mac, address): (EthernetAddress, Ipv6Address),
    (to_mac, to): (EthernetAddress, Ipv6Address),
    buffer: &mut Buffer,
) -> usize {
    let mut flags = NdiscNeighborFlags::OVERRIDE;
    if !to.is_multicast() {
        flags |= NdiscNeighborFlags::SOLICITED;
    }
    let message =
        NdiscRepr::NeighborAdvert { flags, target_addr: address, lladdr: Some(mac.into()) };
    ndp((mac, address), (to_mac, to), message, buffer)
}

/// A neighbour solicitation for `target`; from `::` it must not carry a link-layer address (RFC
/// 4861 §4.3).
pub(crate) fn solicit(
    (mac, source): (EthernetAddress, Ipv6Address),
    target: Ipv6Address,
    buffer: &mut Buffer,
) -> usize {
    let group = solicited_node(target);
    let lladdr = (!source.is_unspecified()).then(|| mac.into());
    let message = NdiscRepr::NeighborSolicit { target_addr: target, lladdr };
    ndp((mac, source), (multicast_mac(group), group), message, buffer)
}

fn ndp(
    (mac, source): (EthernetAddress, Ipv6Address),
    (to_mac, to): (EthernetAddress, Ipv6Address),
    message: NdiscRepr<'_>,
    buffer: &mut Buffer,
) -> usize {
    let message = Icmpv6Repr::Ndisc(message);
    let repr = Ipv6Repr {
        src_addr: source,
        dst_addr: to,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: 255,
    };
    let payload = ethernet((mac, to_mac), EthernetProtocol::Ipv6, buffer);
    let mut packet = Ipv6Packet::new_unchecked(payload);
    repr.emit(&mut packet);
    let mut body = Icmpv6Packet::new_unchecked(packet.payload_mut());
    message.emit(&source, &to, &mut body, &ChecksumCapabilities::default());
    EthernetFrame::<&[u8]>::buffer_len(repr.buffer_len() + repr.payload_len)
}

/// A multicast listener report that joins `group` (RFC 3810 §5.2), from `source`: a link-local
/// address, or `::` if there is none, which snooping switches hear all the same (RFC 3590).
///
/// Built byte by byte: smoltcp's own report says "include nothing" where it should say "exclude
/// nothing".
pub(crate) fn join(
    (mac, source): (EthernetAddress, Ipv6Address),
    group: Ipv6Address,
    buffer: &mut Buffer,
) -> usize {
    /// Hop-by-hop header: router alert for MLD (RFC 2711 §2.1), then two bytes of padding.
    const ROUTER_ALERT: [u8; 8] = [IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0];
    const IPPROTO_ICMPV6: u8 = 58;
    /// Type 143, code, checksum, reserved, one record: change to exclude mode, no sources.
    const REPORT: [u8; 12] = [143, 0, 0, 0, 0, 0, 0, 1, CHANGE_TO_EXCLUDE_MODE, 0, 0, 0];
    let mut report = [0; REPORT.len() + 16];
    let (head, tail) = report.split_at_mut(REPORT.len());
    head.copy_from_slice(&REPORT);
    tail.copy_from_slice(&group.octets());
    Icmpv6Packet::new_unchecked(&mut report[..]).fill_checksum(&source, &ALL_MLDV2_ROUTERS);

    let repr = Ipv6Repr {
        src_addr: source,
        dst_addr: ALL_MLDV2_ROUTERS,
        next_header: IpProtocol::HopByHop,
        payload_len: ROUTER_ALERT.len() + report.len(),
        hop_limit: 1,
    };
    let to_mac = multicast_mac(ALL_MLDV2_ROUTERS);
    let payload = ethernet((mac, to_mac), EthernetProtocol::Ipv6, buffer);
    let mut packet = Ipv6Packet::new_unchecked(payload);
    repr.emit(&mut packet);
    let (head, tail) = packet.payload_mut().split_at_mut(ROUTER_ALERT.len());
    head.copy_from_slice(&ROUTER_ALERT);
    tail.copy_from_slice(&report);
    EthernetFrame::<&[u8]>::buffer_len(repr.buffer_len() + repr.payload_len)
}

/// The record type by which a listener joins a group (RFC 3810 §5.2.12).
pub(crate) const CHANGE_TO_EXCLUDE_MODE: u8 = 4;

/// The Ethernet address of an IPv6 multicast group (RFC 2464 §7).
pub(crate) fn multicast_mac(group: Ipv6Address) -> EthernetAddress {
    let [.., a, b, c, d] = group.octets();
    EthernetAddress([0x33, 0x33, a, b, c, d])
}

fn ethernet(
    (source, destination): (EthernetAddress, EthernetAddress),
    ethertype: EthernetProtocol,
    buffer: &mut Buffer,
) -> &mut [u8] {
    buffer.fill(0);
    let repr = EthernetRepr { src_addr: source, dst_addr: destination, ethertype };
    let (header, payload) = buffer.split_at_mut(repr.buffer_len());
    repr.emit(&mut EthernetFrame::new_unchecked(header));
    payload
}

#[cfg(test)]
mod tests;
