//! UDP datagrams as whole frames: recognising beats before smoltcp does, and building the frames of a
//! will.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress, IpProtocol, IpRepr,
    Ipv4Packet, Ipv6Packet, UdpPacket, UdpRepr,
};

/// Beats must not have crossed a router (RFC 9568 §5.1.1.3, RFC 5881 §5).
pub(crate) const BEAT_HOP_LIMIT: u8 = 255;

/// A UDP datagram as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagram<'a> {
    pub(crate) source_mac: EthernetAddress,
    pub(crate) hop_limit: u8,
    pub(crate) payload: &'a [u8],
}

/// The UDP datagram to `port` in a frame; `None` if the frame is anything else.
pub(crate) fn datagram_to(port: u16, frame: &[u8]) -> Option<Datagram<'_>> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let (hop_limit, protocol, payload) = match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            (packet.hop_limit(), packet.next_header(), packet.payload())
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            (packet.hop_limit(), packet.next_header(), packet.payload())
        }
        EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => return None,
    };
    let datagram = UdpPacket::new_checked(payload).ok()?;
    let wanted = protocol == IpProtocol::Udp && datagram.dst_port() == port;
    let source_mac = ethernet.src_addr();
    wanted.then_some(Datagram { source_mac, hop_limit, payload: datagram.payload() })
}

/// One end of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) mac: EthernetAddress,
    pub(crate) address: IpAddress,
}

/// A UDP datagram from and to `port` as an Ethernet frame; `None` if the ends mix address families.
pub(crate) fn frame(source: End, destination: End, port: u16, payload: &[u8]) -> Option<Vec<u8>> {
    if source.address.version() != destination.address.version() {
        return None;
    }
    let udp = UdpRepr { src_port: port, dst_port: port };
    let udp_len = udp.header_len() + payload.len();
    let ip =
        IpRepr::new(source.address, destination.address, IpProtocol::Udp, udp_len, BEAT_HOP_LIMIT);
    let ethernet = EthernetRepr {
        src_addr: source.mac,
        dst_addr: destination.mac,
        ethertype: match source.address {
            IpAddress::Ipv4(_) => EthernetProtocol::Ipv4,
            IpAddress::Ipv6(_) => EthernetProtocol::Ipv6,
        },
    };
    let checksums = ChecksumCapabilities::default();
    let mut bytes = vec![0; ethernet.buffer_len() + ip.header_len() + udp_len];
    let mut outer = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut outer);
    let packet = outer.payload_mut();
    ip.emit(&mut packet[..], &checksums);
    udp.emit(
        &mut UdpPacket::new_unchecked(&mut packet[ip.header_len()..]),
        &source.address,
        &destination.address,
        payload.len(),
        |room| room.copy_from_slice(payload),
        &checksums,
    );
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> [(End, End); 2] {
        let mac = |last| EthernetAddress([2, 0, 0, 0, 0, last]);
        let end = |last, address| End { mac: mac(last), address };
        [
            (end(1, IpAddress::v4(10, 0, 0, 1)), end(2, IpAddress::v4(10, 0, 0, 2))),
            (
                end(1, IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
                end(2, IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
            ),
        ]
    }

    #[test]
    fn a_built_datagram_is_recognised_with_hop_limit_255() {
        for (source, destination) in ends() {
            let bytes = frame(source, destination, 3780, b"beat").expect("one family");
            let expected = Datagram { source_mac: source.mac, hop_limit: 255, payload: b"beat" };
            assert_eq!(datagram_to(3780, &bytes), Some(expected));
            assert_eq!(datagram_to(3781, &bytes), None);
        }
    }

    #[test]
    fn families_do_not_mix() {
        let [(v4, _), (_, v6)] = ends();
        assert_eq!(frame(v4, v6, 3780, b""), None);
    }

    #[test]
    fn truncated_frames_are_not_datagrams() {
        for (source, destination) in ends() {
            let bytes = frame(source, destination, 3780, b"beat").expect("one family");
            for len in 0..bytes.len() {
                assert_eq!(datagram_to(3780, &bytes[..len]), None, "at {len}");
            }
        }
    }
}
