//! What the tests of this crate share: a laboratory group, and the frames of the stations around
//! it.

use std::sync::Arc;
use std::time::Duration;

use locum_types::{Grant, GroupId, Instant, Mode, ModeCell, NodeId, Term};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4Packet,
    Icmpv4Repr, IpAddress, IpCidr, IpProtocol, IpRepr, Ipv4Address, Ipv4Cidr, Ipv6Address,
    Ipv6Cidr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};

use crate::craft::{self, Buffer, FRAME_LEN_MAX};
use crate::frame::View;
use crate::{Identity, MacMode, node_mac};

pub(crate) const SIP: Ipv4Address = Ipv4Address::new(10, 77, 0, 100);
pub(crate) const SIP6: Ipv6Address = Ipv6Address::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100);
pub(crate) const NODE: Ipv4Address = Ipv4Address::new(10, 77, 0, 11);
pub(crate) const NODE6: Ipv6Address = Ipv6Address::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x11);
pub(crate) const CLIENT: Ipv4Address = Ipv4Address::new(10, 77, 0, 200);
pub(crate) const CLIENT6: Ipv6Address = Ipv6Address::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x200);
pub(crate) const CLIENT_MAC: EthernetAddress = EthernetAddress([0x02, 0xc1, 0x1e, 0, 0, 1]);
pub(crate) const NOBODY: Ipv4Address = Ipv4Address::UNSPECIFIED;
pub(crate) const BROADCAST: EthernetAddress = EthernetAddress::BROADCAST;
pub(crate) const SILENT: [Mode; 3] = [Mode::Joining, Mode::Waiting, Mode::Fenced];
pub(crate) const MAC_MODES: [MacMode; 2] = [MacMode::Virtual, MacMode::Own];

/// Node 1 of group 7.
pub(crate) fn identity(mac_mode: MacMode) -> Identity {
    Identity {
        group: GroupId::new(7).expect("in range"),
        node: NodeId::new(1).expect("in range"),
        mac_mode,
        service: vec![IpCidr::Ipv4(Ipv4Cidr::new(SIP, 24)), IpCidr::Ipv6(Ipv6Cidr::new(SIP6, 64))],
        node_address: IpCidr::Ipv4(Ipv4Cidr::new(NODE, 24)),
    }
}

/// Node 1 with an IPv6 node address.
pub(crate) fn identity_v6(mac_mode: MacMode) -> Identity {
    Identity { node_address: IpCidr::Ipv6(Ipv6Cidr::new(NODE6, 64)), ..identity(mac_mode) }
}

pub(crate) fn peer_mac() -> EthernetAddress {
    node_mac(identity(MacMode::Virtual).group, NodeId::new(2).expect("in range"))
}

/// A cell in `mode`; active until `LEASE`.
pub(crate) fn cell(mode: Mode) -> Arc<ModeCell> {
    let cell = Arc::new(ModeCell::new());
    grant(&cell, mode, 1);
    cell
}

/// The end of the lease of every active cell here.
pub(crate) const LEASE: Instant = Instant::from_millis(1_000_000);

pub(crate) fn grant(cell: &ModeCell, mode: Mode, term: u64) {
    cell.store(Grant { mode, term: Term(term), lease: LEASE });
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The frame that `build` writes.
pub(crate) fn crafted(build: impl FnOnce(&mut Buffer) -> usize) -> Vec<u8> {
    let mut buffer = [0; FRAME_LEN_MAX];
    let len = build(&mut buffer);
    buffer[..len].to_vec()
}

pub(crate) fn view(frame: &[u8]) -> View {
    View::parse(frame)
}

/// Broadcast ARP: who has `target`? Tell `sender` at `mac`.
pub(crate) fn arp_request(
    mac: EthernetAddress,
    sender: Ipv4Address,
    target: Ipv4Address,
) -> Vec<u8> {
    let nobody = EthernetAddress([0; 6]);
    let request = ArpOperation::Request;
    crafted(|buffer| craft::arp(request, (mac, sender), (nobody, target), BROADCAST, buffer))
}

/// Unicast ARP: `sender` is at `mac`.
pub(crate) fn arp_reply(
    (mac, sender): (EthernetAddress, Ipv4Address),
    (to, target): (EthernetAddress, Ipv4Address),
) -> Vec<u8> {
    crafted(|buffer| craft::arp(ArpOperation::Reply, (mac, sender), (to, target), to, buffer))
}

pub(crate) fn solicitation(
    mac: EthernetAddress,
    source: Ipv6Address,
    target: Ipv6Address,
) -> Vec<u8> {
    crafted(|buffer| craft::solicit((mac, source), target, buffer))
}

/// A solicitation without the link-layer option, unicast to `to`, as neighbour unreachability
/// detection sends it.
pub(crate) fn bare_solicitation(to: EthernetAddress, target: Ipv6Address) -> Vec<u8> {
    let mut frame = solicitation(CLIENT_MAC, CLIENT6, target);
    frame.truncate(frame.len() - 8);
    frame[..6].copy_from_slice(&to.0);
    frame[19] -= 8;
    frame[38..54].copy_from_slice(&target.octets());
    refresh_icmpv6_checksum(&mut frame);
    frame
}

pub(crate) fn advert_to_all(mac: EthernetAddress, address: Ipv6Address) -> Vec<u8> {
    let everyone = (craft::multicast_mac(craft::ALL_NODES), craft::ALL_NODES);
    crafted(|buffer| craft::advert((mac, address), everyone, buffer))
}

pub(crate) fn refresh_icmpv6_checksum(frame: &mut [u8]) {
    use smoltcp::wire::{Icmpv6Packet, Ipv6Packet};
    let mut packet = Ipv6Packet::new_unchecked(&mut frame[14..]);
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    Icmpv6Packet::new_unchecked(packet.payload_mut()).fill_checksum(&source, &destination);
}

/// One station: a MAC and an IP address.
pub(crate) type Station = (EthernetAddress, IpAddress);

pub(crate) fn client() -> Station {
    (CLIENT_MAC, CLIENT.into())
}

pub(crate) fn client6() -> Station {
    (CLIENT_MAC, CLIENT6.into())
}

pub(crate) fn service(identity: &Identity) -> Station {
    (identity.service_mac(), SIP.into())
}

pub(crate) fn service6(identity: &Identity) -> Station {
    (identity.service_mac(), SIP6.into())
}

pub(crate) fn ip_frame(
    (from_mac, from): Station,
    (to_mac, to): Station,
    protocol: IpProtocol,
    len: usize,
    fill: impl FnOnce(&mut [u8], &ChecksumCapabilities),
) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let ip = IpRepr::new(from, to, protocol, len, 64);
    let ethertype = match from {
        IpAddress::Ipv4(_) => EthernetProtocol::Ipv4,
        IpAddress::Ipv6(_) => EthernetProtocol::Ipv6,
    };
    let ethernet = EthernetRepr { src_addr: from_mac, dst_addr: to_mac, ethertype };
    let mut frame = vec![0; 14 + ip.header_len() + len];
    ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
    ip.emit(&mut frame[14..], &checksums);
    fill(&mut frame[14 + ip.header_len()..], &checksums);
    frame
}

pub(crate) fn tcp(from: Station, to: Station, control: TcpControl, ack: bool) -> Vec<u8> {
    let repr = TcpRepr {
        src_port: 40_000,
        dst_port: 7,
        control,
        seq_number: TcpSeqNumber(1_000),
        ack_number: ack.then_some(TcpSeqNumber(2_000)),
        window_len: 1_000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    ip_frame(from, to, IpProtocol::Tcp, repr.buffer_len(), |room, checksums| {
        repr.emit(&mut TcpPacket::new_unchecked(room), &from.1, &to.1, checksums);
    })
}

pub(crate) fn syn(from: Station, to: Station) -> Vec<u8> {
    tcp(from, to, TcpControl::Syn, false)
}

pub(crate) fn udp(from: Station, to: Station, payload: &[u8]) -> Vec<u8> {
    let repr = UdpRepr { src_port: 40_000, dst_port: 7 };
    ip_frame(from, to, IpProtocol::Udp, repr.header_len() + payload.len(), |room, checksums| {
        let mut packet = UdpPacket::new_unchecked(room);
        let copy = |room: &mut [u8]| room.copy_from_slice(payload);
        repr.emit(&mut packet, &from.1, &to.1, payload.len(), copy, checksums);
    })
}

pub(crate) fn ping(from: Station, to: Station) -> Vec<u8> {
    let repr = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 1, data: b"ping" };
    ip_frame(from, to, IpProtocol::Icmp, repr.buffer_len(), |room, checksums| {
        repr.emit(&mut Icmpv4Packet::new_unchecked(room), checksums);
    })
}

pub(crate) fn ping6(from: Station, to: Station) -> Vec<u8> {
    let mut frame = ip_frame(from, to, IpProtocol::Icmpv6, 12, |room, _| {
        room.copy_from_slice(&[128, 0, 0, 0, 0, 1, 0, 1, b'p', b'i', b'n', b'g']);
    });
    refresh_icmpv6_checksum(&mut frame);
    frame
}

/// A general query by a router (RFC 3810 §5.1), behind a hop-by-hop header.
pub(crate) fn mld_query() -> Vec<u8> {
    let router = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let to = (craft::multicast_mac(craft::ALL_NODES), craft::ALL_NODES.into());
    let mut frame =
        ip_frame((CLIENT_MAC, router.into()), to, IpProtocol::HopByHop, 8 + 28, |room, _| {
            room[..8].copy_from_slice(&[58, 0, 5, 2, 0, 0, 1, 0]);
            room[8] = 130;
        });
    let checksum = {
        use smoltcp::wire::Icmpv6Packet;
        let mut message = frame[62..].to_vec();
        Icmpv6Packet::new_unchecked(&mut message[..]).fill_checksum(&router, &craft::ALL_NODES);
        [message[2], message[3]]
    };
    frame[64..66].copy_from_slice(&checksum);
    frame
}

/// `frame` behind VLAN tags with these protocol identifiers.
pub(crate) fn tagged(frame: &[u8], tpids: &[u16]) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    for tpid in tpids {
        out.extend_from_slice(&tpid.to_be_bytes());
        out.extend_from_slice(&[0, 42]);
    }
    out.extend_from_slice(&frame[12..]);
    out
}

/// What clients, neighbours and routers send to and around a service address, one of each.
pub(crate) fn traffic(identity: &Identity) -> Vec<Vec<u8>> {
    let (v4, v6) = (service(identity), service6(identity));
    let mut fragment = udp(client(), v4, b"part");
    fragment[20] |= 0x20;
    vec![
        arp_request(CLIENT_MAC, CLIENT, SIP),
        arp_request(CLIENT_MAC, NOBODY, SIP),
        arp_request(CLIENT_MAC, CLIENT, NODE),
        arp_request(CLIENT_MAC, SIP, SIP),
        arp_reply((CLIENT_MAC, CLIENT), (identity.service_mac(), SIP)),
        solicitation(CLIENT_MAC, CLIENT6, SIP6),
        solicitation(CLIENT_MAC, Ipv6Address::UNSPECIFIED, SIP6),
        bare_solicitation(identity.service_mac(), SIP6),
        advert_to_all(CLIENT_MAC, SIP6),
        syn(client(), v4),
        syn(client6(), v6),
        tcp(client(), v4, TcpControl::None, true),
        tcp(client(), v4, TcpControl::Rst, false),
        udp(client(), v4, b"hello"),
        udp(client6(), v6, b"hello"),
        ping(client(), v4),
        ping6(client6(), v6),
        mld_query(),
        fragment,
        tagged(&syn(client(), v4), &[0x8100]),
        ip_frame(client(), v4, IpProtocol::Unknown(132), 12, |_, _| ()),
        [&BROADCAST.0[..], &CLIENT_MAC.0, &[0x88, 0xcc, 1, 2, 3]].concat(),
    ]
}
