//! Learning neighbours from the traffic itself.
//!
//! smoltcp asks for one neighbour a second and holds an answer back until it knows; a hundred clients
//! would trickle back after a takeover. But a server only answers: the frame it answers names the
//! MAC it came from.

use std::time::Duration;

use locum_types::Instant;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv6Packet, Icmpv6Repr, IpAddress, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscNeighborFlags,
    NdiscRepr,
};

use crate::stack::ETHERNET_HEADER;

/// As many as smoltcp's own cache holds.
const PLACES: usize = 1024;
/// smoltcp forgets after 60 s.
const REFRESH_AFTER: Duration = Duration::from_secs(30);
/// smoltcp's cache forgets the oldest for the newest: whoever was introduced this many introductions ago
/// may be the next, since ARP and NDP fill it too.
const DISPLACED_AFTER: u64 = PLACES as u64 / 2;
/// Neighbour discovery is only believed with this hop limit (RFC 4861 §7.1).
const NDP_HOP_LIMIT: u8 = 255;

#[derive(Clone, Copy)]
struct Neighbour {
    address: IpAddress,
    mac: EthernetAddress,
    at: Instant,
    /// Which introduction it was.
    order: u64,
}

/// Whom smoltcp has been told about lately. Two neighbours in one place displace each other, which costs
/// a repeated introduction and nothing else.
pub(crate) struct Neighbours {
    places: Vec<Option<Neighbour>>,
    introductions: u64,
}

impl Neighbours {
    pub(crate) fn new() -> Self {
        Neighbours { places: vec![None; PLACES], introductions: 0 }
    }

    /// Notes where an address was seen; true if smoltcp is to be told.
    pub(crate) fn note(&mut self, now: Instant, address: IpAddress, mac: EthernetAddress) -> bool {
        let introductions = self.introductions;
        let Some(place) = self.places.get_mut(place_of(address)) else { return false };
        let known = place.is_some_and(|known| {
            known.address == address
                && known.mac == mac
                && now - known.at < REFRESH_AFTER
                && introductions - known.order < DISPLACED_AFTER
        });
        if !known {
            self.introductions += 1;
            *place = Some(Neighbour { address, mac, at: now, order: self.introductions });
        }
        !known
    }
}

fn place_of(address: IpAddress) -> usize {
    let bits = match address {
        IpAddress::Ipv4(address) => u64::from(address.to_bits()),
        IpAddress::Ipv6(address) => {
            let bits = address.to_bits();
            (bits >> 64) as u64 ^ bits as u64
        }
    };
    (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % PLACES
}

/// A frame that tells the interface with MAC `us` and address `ours` that `address` is at `mac`: an
/// ARP reply, or a neighbour advertisement. `None` if the addresses are of different families.
pub fn introduction(
    us: EthernetAddress,
    ours: IpAddress,
    mac: EthernetAddress,
    address: IpAddress,
) -> Option<Vec<u8>> {
    match (ours, address) {
        (IpAddress::Ipv4(ours), IpAddress::Ipv4(address)) => {
            let arp = ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Reply,
                source_hardware_addr: mac,
                source_protocol_addr: address,
                target_hardware_addr: us,
                target_protocol_addr: ours,
            };
            let mut frame = ethernet(us, mac, EthernetProtocol::Arp, arp.buffer_len());
            arp.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET_HEADER..]));
            Some(frame)
        }
        (IpAddress::Ipv6(ours), IpAddress::Ipv6(address)) => {
            let advert = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
                flags: NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE,
                target_addr: address,
                lladdr: Some(mac.into()),
            });
            let ip = Ipv6Repr {
                src_addr: address,
                dst_addr: ours,
                next_header: IpProtocol::Icmpv6,
                payload_len: advert.buffer_len(),
                hop_limit: NDP_HOP_LIMIT,
            };
            let len = ip.buffer_len() + advert.buffer_len();
            let mut frame = ethernet(us, mac, EthernetProtocol::Ipv6, len);
            let (head, body) = frame[ETHERNET_HEADER..].split_at_mut(ip.buffer_len());
            ip.emit(&mut Ipv6Packet::new_unchecked(head));
            let checksums = ChecksumCapabilities::default();
            advert.emit(&address, &ours, &mut Icmpv6Packet::new_unchecked(body), &checksums);
            Some(frame)
        }
        (IpAddress::Ipv4(_), IpAddress::Ipv6(_)) | (IpAddress::Ipv6(_), IpAddress::Ipv4(_)) => None,
    }
}

/// A frame with a header and room for a payload.
pub(crate) fn ethernet(
    to: EthernetAddress,
    from: EthernetAddress,
    protocol: EthernetProtocol,
    len: usize,
) -> Vec<u8> {
    let mut bytes = vec![0; ETHERNET_HEADER + len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_dst_addr(to);
    frame.set_src_addr(from);
    frame.set_ethertype(protocol);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_told_once_until_it_moves_or_ages() {
        let mut neighbours = Neighbours::new();
        let (one, two) = (EthernetAddress([2, 0, 0, 0, 0, 1]), EthernetAddress([2, 0, 0, 0, 0, 2]));
        let address = IpAddress::v4(10, 0, 0, 9);
        let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
        assert!(neighbours.note(at(0), address, one));
        assert!(!neighbours.note(at(29), address, one));
        assert!(neighbours.note(at(29), address, two));
        assert!(neighbours.note(at(60), address, two));
    }

    #[test]
    fn a_neighbour_is_told_again_once_others_may_have_displaced_it() {
        let mut neighbours = Neighbours::new();
        let mac = EthernetAddress([2, 0, 0, 0, 0, 1]);
        let now = Instant::from_millis(1);
        let first = IpAddress::v4(10, 0, 0, 1);
        assert!(neighbours.note(now, first, mac));
        let mut told = 0;
        for number in 0..PLACES as u16 {
            let [high, low] = number.to_be_bytes();
            let other = IpAddress::v4(10, 1, high, low);
            if place_of(other) != place_of(first) && neighbours.note(now, other, mac) {
                told += 1;
            }
            let displaced = neighbours.note(now, first, mac);
            assert_eq!(displaced, told == DISPLACED_AFTER, "after {told}");
            if displaced {
                return;
            }
        }
        panic!("never told again");
    }

    #[test]
    fn families_do_not_mix() {
        let mac = EthernetAddress([2, 0, 0, 0, 0, 1]);
        let v6 = IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1);
        assert_eq!(introduction(mac, IpAddress::v4(10, 0, 0, 1), mac, v6), None);
    }
}
