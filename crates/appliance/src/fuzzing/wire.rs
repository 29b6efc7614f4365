//! The wire, read without a line of the gate's or smoltcp's code: what they get wrong alike must show.

use smoltcp::wire::{EthernetAddress, IpAddress};

use super::stage::address;

const ARP: [u8; 2] = [0x08, 0x06];
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const TCP: u8 = 6;
const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// What makes a frame one that speaks for the service, if anything does. `shared` is the MAC of the
/// group, if it has one.
pub(super) fn speaks_for_service(
    shared: Option<EthernetAddress>,
    frame: &[u8],
) -> Option<&'static str> {
    let is_service = |bytes: Option<&[u8]>, is_v6: bool| match address(is_v6, 0) {
        IpAddress::Ipv4(service) => bytes == Some(&service.octets()[..]),
        IpAddress::Ipv6(service) => bytes == Some(&service.octets()[..]),
    };
    if shared.is_some_and(|mac| frame.get(6..12) == Some(mac.as_bytes())) {
        return Some("the shared MAC as the source");
    }
    let Some(ethertype) = frame.get(12..14) else { return Some("not a frame") };
    if ethertype == ARP && is_service(frame.get(28..32), false) {
        return Some("ARP from the service address");
    }
    if ethertype == IPV4 && is_service(frame.get(26..30), false) {
        return Some("IPv4 from the service address");
    }
    if ethertype == IPV6 && is_service(frame.get(22..38), true) {
        return Some("IPv6 from the service address");
    }
    let advertises = ethertype == IPV6
        && frame.get(20) == Some(&ICMPV6)
        && frame.get(54) == Some(&NEIGHBOUR_ADVERTISEMENT)
        && is_service(frame.get(62..78), true);
    advertises.then_some("advertises the service address")
}

/// Whether a frame is an ARP reply that says where the service address is.
pub(super) fn answers_arp(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&ARP)
        && frame.get(20..22) == Some(&[0, 2])
        && speaks_for_service(None, frame).is_some()
}

/// A TCP segment to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) is_v6: bool,
    pub(super) client_port: u16,
    /// The service's next sequence number.
    pub(super) service_next: u32,
    /// The client's next sequence number, by the service's account.
    pub(super) client_next: Option<u32>,
    pub(super) payload_len: u32,
}

/// The TCP segment in a frame that the service sent, without IP options.
pub(super) fn segment(frame: &[u8]) -> Option<Segment> {
    let ethertype = frame.get(12..14)?;
    let (is_v6, protocol, header, end) = if ethertype == IPV4 {
        let total = u16::from_be_bytes(*frame.get(16..18)?.first_chunk()?);
        (false, frame.get(23)?, 34, 14 + usize::from(total))
    } else if ethertype == IPV6 {
        let len = u16::from_be_bytes(*frame.get(18..20)?.first_chunk()?);
        (true, frame.get(20)?, 54, 54 + usize::from(len))
    } else {
        return None;
    };
    let tcp = frame.get(header..end).filter(|_| *protocol == TCP)?;
    let word = |at: usize| Some(u32::from_be_bytes(*tcp.get(at..at + 4)?.first_chunk()?));
    let (offset, flags) = (usize::from(tcp.get(12)? >> 4) * 4, *tcp.get(13)?);
    let payload_len = u32::try_from(tcp.len().checked_sub(offset)?).ok()?;
    let (fin, syn, ack) = (flags & 1, flags >> 1 & 1, flags >> 4 & 1);
    let sequence = word(4)?.wrapping_add(payload_len);
    Some(Segment {
        is_v6,
        client_port: u16::from_be_bytes(*tcp.get(2..4)?.first_chunk()?),
        service_next: sequence.wrapping_add(u32::from(fin) + u32::from(syn)),
        client_next: if ack == 1 { Some(word(8)?) } else { None },
        payload_len,
    })
}
