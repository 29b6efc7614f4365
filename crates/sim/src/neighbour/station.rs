//! What a host says of itself: its addresses, and the frames it builds from them.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv6Packet, Icmpv6Repr, IpAddress, IpCidr, IpProtocol, Ipv4Address, Ipv6Address, Ipv6Packet,
    Ipv6Repr, NdiscNeighborFlags, NdiscRepr,
};

/// Length of an Ethernet header without a tag, in bytes.
pub(crate) const HEADER_LEN: usize = 14;
const ALL_NODES: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A host's own addresses.
#[derive(Clone, Debug)]
pub(super) struct Station {
    pub(super) mac: EthernetAddress,
    addresses: Vec<IpCidr>,
}

impl Station {
    pub(super) fn new(mac: EthernetAddress, addresses: &[IpCidr]) -> Self {
        Station { mac, addresses: addresses.to_vec() }
    }

    /// Whether `address` is one of its own.
    pub(super) fn owns(&self, address: IpAddress) -> bool {
        self.addresses.iter().any(|cidr| cidr.address() == address)
    }

    /// Whether `address` is reached without a router.
    pub(super) fn is_on_link(&self, address: IpAddress) -> bool {
        let link_local = match address {
            IpAddress::Ipv4(_) => false,
            IpAddress::Ipv6(address) => address.is_unicast_link_local(),
        };
        link_local || self.addresses.iter().any(|cidr| cidr.contains_addr(&address))
    }

    /// The station address of a group, or of everybody; `None` for an address of one station.
    pub(super) fn group_mac(&self, address: IpAddress) -> Option<EthernetAddress> {
        match address {
            IpAddress::Ipv4(address) => {
                let everybody = self.addresses.iter().any(|cidr| match cidr {
                    IpCidr::Ipv4(cidr) => cidr.broadcast() == Some(address),
                    IpCidr::Ipv6(_) => false,
                });
                if everybody || address.is_broadcast() {
                    return Some(EthernetAddress::BROADCAST);
                }
                let [_, b, c, d] = address.octets();
                address.is_multicast().then_some(EthernetAddress([1, 0, 0x5e, b & 0x7f, c, d]))
            }
            IpAddress::Ipv6(address) => address.is_multicast().then(|| multicast_mac(address)),
        }
    }

    /// Writes the Ethernet header in front of the IP packet in `frame`.
    pub(super) fn address(&self, frame: &mut [u8], to: EthernetAddress) {
        let ethertype = match frame.get(HEADER_LEN).map(|byte| byte >> 4) {
            Some(6) => EthernetProtocol::Ipv6,
            Some(_) | None => EthernetProtocol::Ipv4,
        };
        header((self.mac, to), ethertype, frame);
    }

    /// Who has `target`? To one station that had it, or to all (`arp_solicit`, `ndisc_solicit`).
    ///
    /// `None` if the host has no address of that family to ask from.
    pub(super) fn solicitation(
        &self,
        target: IpAddress,
        to: Option<EthernetAddress>,
    ) -> Option<Vec<u8>> {
        match (target, self.source_towards(target)?) {
            (IpAddress::Ipv4(target), IpAddress::Ipv4(source)) => {
                let nobody = EthernetAddress::default();
                let to = to.unwrap_or(EthernetAddress::BROADCAST);
                Some(self.arp(ArpOperation::Request, source, (nobody, target), to))
            }
            (IpAddress::Ipv6(target), IpAddress::Ipv6(source)) => {
                let lladdr = Some(self.mac.into());
                let message = NdiscRepr::NeighborSolicit { target_addr: target, lladdr };
                let group = solicited_node(target);
                let (to, destination) = match to {
                    Some(mac) => (mac, target),
                    None => (multicast_mac(group), group),
                };
                let mut frame = ndp((source, destination), message);
                self.address(&mut frame, to);
                Some(frame)
            }
            (IpAddress::Ipv4(_), IpAddress::Ipv6(_)) | (IpAddress::Ipv6(_), IpAddress::Ipv4(_)) => {
                None
            }
        }
    }

    /// `source` is here: an ARP reply to the station `(mac, address)`.
    pub(super) fn arp_reply(
        &self,
        source: Ipv4Address,
        to: (EthernetAddress, Ipv4Address),
    ) -> Vec<u8> {
        self.arp(ArpOperation::Reply, source, to, to.0)
    }

    /// `target` is here: the answer to a solicitation from `to`, without an Ethernet header.
    ///
    /// To one that came to a group it overrides and tells the address, to one that came to this
    /// station neither is needed (`ndisc_recv_ns`).
    pub(super) fn advert(
        &self,
        target: Ipv6Address,
        to: Ipv6Address,
        was_multicast: bool,
    ) -> Vec<u8> {
        let mut flags = NdiscNeighborFlags::SOLICITED;
        if was_multicast {
            flags |= NdiscNeighborFlags::OVERRIDE;
        }
        let lladdr = was_multicast.then(|| self.mac.into());
        ndp((target, to), NdiscRepr::NeighborAdvert { flags, target_addr: target, lladdr })
    }

    /// `target` is taken: the answer to a station that wants it for itself (RFC 4861 §7.2.4).
    pub(super) fn defence(&self, target: Ipv6Address) -> Vec<u8> {
        let (flags, lladdr) = (NdiscNeighborFlags::OVERRIDE, Some(self.mac.into()));
        let message = NdiscRepr::NeighborAdvert { flags, target_addr: target, lladdr };
        ndp((target, ALL_NODES), message)
    }

    /// Its address in the prefix of `target`, else its first one of that family.
    fn source_towards(&self, target: IpAddress) -> Option<IpAddress> {
        let same_prefix = self.addresses.iter().find(|cidr| cidr.contains_addr(&target));
        let mut family =
            self.addresses.iter().filter(|cidr| cidr.address().version() == target.version());
        same_prefix.or_else(|| family.next()).map(IpCidr::address)
    }

    fn arp(
        &self,
        operation: ArpOperation,
        source: Ipv4Address,
        (target_mac, target): (EthernetAddress, Ipv4Address),
        to: EthernetAddress,
    ) -> Vec<u8> {
        let repr = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: self.mac,
            source_protocol_addr: source,
            target_hardware_addr: target_mac,
            target_protocol_addr: target,
        };
        let mut frame = vec![0; HEADER_LEN + repr.buffer_len()];
        header((self.mac, to), EthernetProtocol::Arp, &mut frame);
        repr.emit(&mut ArpPacket::new_unchecked(&mut frame[HEADER_LEN..]));
        frame
    }
}

/// The IP destination of a frame whose Ethernet header may still be blank.
pub(super) fn destination(frame: &[u8]) -> Option<IpAddress> {
    let packet = frame.get(HEADER_LEN..)?;
    match packet.first()? >> 4 {
        4 => packet.get(16..20)?.first_chunk::<4>().map(|&b| Ipv4Address::from(b).into()),
        6 => packet.get(24..40)?.first_chunk::<16>().map(|&b| Ipv6Address::from(b).into()),
        _ => None,
    }
}

/// RFC 4291 §2.7.1.
pub(super) fn solicited_node(address: Ipv6Address) -> Ipv6Address {
    let [.., g, h] = address.segments();
    Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (g & 0xff), h)
}

/// RFC 2464 §7.
fn multicast_mac(group: Ipv6Address) -> EthernetAddress {
    let [.., a, b, c, d] = group.octets();
    EthernetAddress([0x33, 0x33, a, b, c, d])
}

fn header(
    (from, to): (EthernetAddress, EthernetAddress),
    ethertype: EthernetProtocol,
    frame: &mut [u8],
) {
    let mut ethernet = EthernetFrame::new_unchecked(frame);
    ethernet.set_src_addr(from);
    ethernet.set_dst_addr(to);
    ethernet.set_ethertype(ethertype);
}

/// A neighbour discovery message, behind room for an Ethernet header.
fn ndp((source, to): (Ipv6Address, Ipv6Address), message: NdiscRepr<'_>) -> Vec<u8> {
    let message = Icmpv6Repr::Ndisc(message);
    let repr = Ipv6Repr {
        src_addr: source,
        dst_addr: to,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: 255,
    };
    let mut frame = vec![0; HEADER_LEN + repr.buffer_len() + repr.payload_len];
    let mut packet = Ipv6Packet::new_unchecked(&mut frame[HEADER_LEN..]);
    repr.emit(&mut packet);
    let mut body = Icmpv6Packet::new_unchecked(packet.payload_mut());
    message.emit(&source, &to, &mut body, &ChecksumCapabilities::default());
    frame
}
