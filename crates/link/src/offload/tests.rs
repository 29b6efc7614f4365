use smoltcp::wire::{IpProtocol, Ipv4Address, Ipv6Address, TcpSeqNumber};

use super::*;

const TCP_START_V4: usize = 34;
const TCP_START_V6: usize = 54;
const PAYLOAD: usize = 250;

fn payload() -> Vec<u8> {
    (0..PAYLOAD).map(|i| i as u8).collect()
}

/// A TCP frame, its checksum as a kernel leaves it, with FIN, PSH and CWR set.
fn tcp_frame(source: IpAddress, destination: IpAddress) -> Vec<u8> {
    let is_v4 = matches!(source, IpAddress::Ipv4(_));
    let start = if is_v4 { TCP_START_V4 } else { TCP_START_V6 };
    let mut frame = vec![0; start + 20];
    frame.extend(payload());
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_ethertype(if is_v4 { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 });
    match (source, destination) {
        (IpAddress::Ipv4(source), IpAddress::Ipv4(destination)) => {
            let mut ip = Ipv4Packet::new_unchecked(ethernet.payload_mut());
            ip.set_version(4);
            ip.set_header_len(20);
            ip.set_total_len((40 + PAYLOAD) as u16);
            ip.set_ident(u16::MAX);
            ip.set_next_header(IpProtocol::Tcp);
            ip.set_src_addr(source);
            ip.set_dst_addr(destination);
        }
        (IpAddress::Ipv6(source), IpAddress::Ipv6(destination)) => {
            let mut ip = Ipv6Packet::new_unchecked(ethernet.payload_mut());
            ip.set_version(6);
            ip.set_payload_len((20 + PAYLOAD) as u16);
            ip.set_next_header(IpProtocol::Tcp);
            ip.set_src_addr(source);
            ip.set_dst_addr(destination);
        }
        _ => unreachable!("both of one family"),
    }
    let mut tcp = TcpPacket::new_unchecked(&mut frame[start..]);
    tcp.set_header_len(20);
    tcp.set_seq_number(TcpSeqNumber(1_000));
    tcp.set_fin(true);
    tcp.set_psh(true);
    tcp.set_cwr(true);
    frame
}

fn v4() -> (IpAddress, IpAddress) {
    (Ipv4Address::new(10, 0, 0, 1).into(), Ipv4Address::new(10, 0, 0, 2).into())
}

fn v6() -> (IpAddress, IpAddress) {
    let address = |last| Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into();
    (address(1), address(2))
}

fn cut(header: &OffloadHeader, frame: &mut [u8]) -> Result<Vec<Vec<u8>>, Unfit> {
    let mut seen = Vec::new();
    let count = complete(header, frame, &mut Vec::new(), |frame| seen.push(frame.to_vec()))?;
    assert_eq!(count, seen.len());
    Ok(seen)
}

fn tcp_header(gso_type: u8, start: usize) -> OffloadHeader {
    OffloadHeader {
        flags: NEEDS_CHECKSUM,
        gso_type,
        gso_size: 100,
        checksum_start: start as u16,
        checksum_offset: 16,
        ..OffloadHeader::default()
    }
}

#[test]
fn a_frame_without_debts_is_shown_as_it_is() {
    let mut frame = tcp_frame(v4().0, v4().1);
    let before = frame.clone();
    assert_eq!(cut(&OffloadHeader::default(), &mut frame), Ok(vec![before]));
}

#[test]
fn a_checksum_that_was_left_out_is_filled_in() {
    let (source, destination) = v4();
    let mut frame = tcp_frame(source, destination);
    let len = (20 + PAYLOAD) as u16;
    let pseudo = [&[10, 0, 0, 1, 10, 0, 0, 2, 0, 6][..], &len.to_be_bytes()].concat();
    TcpPacket::new_unchecked(&mut frame[TCP_START_V4..]).set_checksum(checksum::data(&pseudo));
    let header = OffloadHeader { gso_type: GSO_NONE, ..tcp_header(GSO_NONE, TCP_START_V4) };
    let seen = cut(&header, &mut frame).expect("a whole frame");
    let tcp = TcpPacket::new_unchecked(&seen[0][TCP_START_V4..]);
    assert!(tcp.verify_checksum(&source, &destination));
}

#[test]
fn a_large_tcp_frame_becomes_segments_with_whole_headers() {
    for ((source, destination), gso_type, start) in
        [(v4(), GSO_TCP_V4 | GSO_ECN, TCP_START_V4), (v6(), GSO_TCP_V6, TCP_START_V6)]
    {
        let mut frame = tcp_frame(source, destination);
        let seen = cut(&tcp_header(gso_type, start), &mut frame).expect("a whole frame");
        let lens: Vec<usize> = seen.iter().map(|segment| segment.len() - start - 20).collect();
        assert_eq!(lens, [100, 100, 50]);
        let mut joined = Vec::new();
        for (index, segment) in seen.iter().enumerate() {
            let tcp = TcpPacket::new_checked(&segment[start..]).expect("whole");
            assert!(tcp.verify_checksum(&source, &destination), "{source} {index}");
            assert_eq!(tcp.seq_number(), TcpSeqNumber(1_000) + index * 100);
            assert_eq!((tcp.fin(), tcp.psh(), tcp.cwr()), (index == 2, index == 2, index == 0));
            joined.extend_from_slice(tcp.payload());
            let packet = &segment[ETHERNET_HEADER_LEN..];
            match source {
                IpAddress::Ipv4(_) => {
                    let ip = Ipv4Packet::new_checked(packet).expect("whole");
                    assert!(ip.verify_checksum());
                    assert_eq!(usize::from(ip.total_len()), packet.len());
                    assert_eq!(ip.ident(), u16::MAX.wrapping_add(index as u16));
                }
                IpAddress::Ipv6(_) => {
                    let ip = Ipv6Packet::new_checked(packet).expect("whole");
                    assert_eq!(usize::from(ip.payload_len()) + 40, packet.len());
                }
            }
        }
        assert_eq!(joined, payload());
    }
}

#[test]
fn a_large_udp_frame_becomes_datagrams() {
    let (source, destination) = v6();
    let mut frame = tcp_frame(source, destination);
    // The header shrinks from 20 bytes to 8: the other 12 are payload now.
    let header = OffloadHeader { checksum_offset: 6, ..tcp_header(GSO_UDP, TCP_START_V6) };
    let seen = cut(&header, &mut frame).expect("a whole frame");
    let lens: Vec<usize> = seen
        .iter()
        .map(|datagram| {
            let udp = UdpPacket::new_checked(&datagram[TCP_START_V6..]).expect("whole");
            assert!(udp.verify_checksum(&source, &destination));
            udp.payload().len()
        })
        .collect();
    assert_eq!(lens, [100, 100, 62]);
}

#[test]
fn headers_that_do_not_fit_their_frame_are_refused() {
    let (source, destination) = v4();
    let good = tcp_header(GSO_TCP_V4, TCP_START_V4);
    let bad = [
        OffloadHeader { gso_size: 0, ..good },
        OffloadHeader { checksum_start: 20, ..good },
        OffloadHeader { checksum_start: u16::MAX, ..good },
        OffloadHeader { checksum_start: 280, ..good },
        OffloadHeader { gso_type: 3, ..good },
        OffloadHeader { gso_type: GSO_NONE, checksum_start: u16::MAX, ..good },
        OffloadHeader { gso_type: GSO_NONE, checksum_offset: u16::MAX, ..good },
    ];
    for header in bad {
        let mut frame = tcp_frame(source, destination);
        assert_eq!(cut(&header, &mut frame), Err(Unfit), "{header:?}");
    }
    let mut arp = tcp_frame(source, destination);
    EthernetFrame::new_unchecked(&mut arp).set_ethertype(EthernetProtocol::Arp);
    assert_eq!(cut(&good, &mut arp), Err(Unfit));
}

/// The segments of a frame, each with the payload that it carries; every checksum is right.
fn segments(frame: &[u8], start: usize, ends: (IpAddress, IpAddress), size: u16) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    super::cut(frame, NonZeroU16::new(size).expect("not 0"), |segment| {
        let tcp = TcpPacket::new_checked(&segment[start..]).expect("whole");
        assert!(tcp.verify_checksum(&ends.0, &ends.1));
        seen.push(tcp.payload().to_vec());
    });
    seen
}

#[test]
fn a_tcp_frame_is_cut_as_a_kernel_would() {
    for (ends, start) in [(v4(), TCP_START_V4), (v6(), TCP_START_V6)] {
        let frame = tcp_frame(ends.0, ends.1);
        let seen = segments(&frame, start, ends, 100);
        assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(seen.concat(), payload());
        let whole = segments(&frame, start, ends, PAYLOAD as u16);
        assert_eq!(whole, [payload()], "its checksum is all that is left to do");
    }
}

#[test]
fn what_is_not_tcp_is_left_alone() {
    let mut arp = tcp_frame(v4().0, v4().1);
    EthernetFrame::new_unchecked(&mut arp).set_ethertype(EthernetProtocol::Arp);
    for frame in [&arp[..], &arp[..20], &[]] {
        let mut seen = Vec::new();
        super::cut(frame, NonZeroU16::MIN, |frame| seen.push(frame.to_vec()));
        assert_eq!(seen, [frame]);
    }
}
