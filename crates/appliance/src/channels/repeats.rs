//! Duplicate acknowledgements that smoltcp would not count.
//!
//! smoltcp sends a lost segment again after three duplicate acknowledgements, but any data that comes between them starts
//! its count anew. Here both ends speak all the time, so a lost segment would wait for the timer, a second at least. So
//! duplicates are counted here, and when there are three of them smoltcp is shown three in a row.

use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
};

/// How many duplicates mean that a segment is lost (RFC 5681 §3.2); and when the repetition may be lost as well.
const ENOUGH: [u32; 3] = [3, 12, 48];

/// What one end of a connection acknowledged last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    ports: (u16, u16),
    ack: u32,
    duplicates: u32,
}

/// The connections that were heard lately.
#[derive(Debug)]
pub(super) struct Repeats {
    heard: Vec<Heard>,
    most: usize,
}

impl Repeats {
    /// For so many connections at once.
    pub(super) const fn new(most: usize) -> Self {
        Repeats { heard: Vec::new(), most }
    }

    /// Notes a received frame; true if smoltcp should see it three times more.
    pub(super) fn note(&mut self, frame: &[u8]) -> bool {
        let Some(segment) = tcp(frame) else { return false };
        let is_pure =
            segment.payload().is_empty() && !(segment.syn() || segment.fin() || segment.rst());
        let ports = (segment.src_port(), segment.dst_port());
        let ack = segment.ack_number().0 as u32;
        let Some(index) = self.heard.iter().position(|heard| heard.ports == ports) else {
            if self.heard.len() == self.most {
                self.heard.remove(0);
            }
            self.heard.push(Heard { ports, ack, duplicates: 0 });
            return false;
        };
        let heard = &mut self.heard[index];
        if heard.ack != ack {
            *heard = Heard { ports, ack, duplicates: 0 };
            return false;
        }
        heard.duplicates = heard.duplicates.saturating_add(u32::from(is_pure));
        is_pure && ENOUGH.contains(&heard.duplicates)
    }
}

/// The TCP segment in a frame.
fn tcp(frame: &[u8]) -> Option<TcpPacket<&[u8]>> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let payload = match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            (packet.next_header() == IpProtocol::Tcp).then(|| packet.payload())?
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            (packet.next_header() == IpProtocol::Tcp).then(|| packet.payload())?
        }
        EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => return None,
    };
    TcpPacket::new_checked(payload).ok()
}

#[cfg(test)]
mod tests {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        EthernetAddress, EthernetRepr, IpAddress, Ipv4Address, Ipv4Repr, TcpControl, TcpRepr,
        TcpSeqNumber,
    };

    use super::*;

    fn frame(ack: i32, control: TcpControl, payload: &[u8]) -> Vec<u8> {
        let (from, to) = (Ipv4Address::new(10, 77, 0, 11), Ipv4Address::new(10, 77, 0, 12));
        let checksums = ChecksumCapabilities::default();
        let tcp = TcpRepr {
            src_port: 50_000,
            dst_port: 3_781,
            control,
            seq_number: TcpSeqNumber(1),
            ack_number: Some(TcpSeqNumber(ack)),
            window_len: 1_000,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let ip = Ipv4Repr {
            src_addr: from,
            dst_addr: to,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let ethernet = EthernetRepr {
            src_addr: EthernetAddress([2; 6]),
            dst_addr: EthernetAddress([4; 6]),
            ethertype: EthernetProtocol::Ipv4,
        };
        let mut bytes = vec![0; 14 + ip.buffer_len() + tcp.buffer_len()];
        ethernet.emit(&mut EthernetFrame::new_unchecked(&mut bytes[..]));
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut bytes[14..]), &checksums);
        let mut segment = TcpPacket::new_unchecked(&mut bytes[34..]);
        tcp.emit(&mut segment, &IpAddress::Ipv4(from), &IpAddress::Ipv4(to), &checksums);
        bytes
    }

    #[test]
    fn the_third_duplicate_counts_whatever_comes_between() {
        let mut repeats = Repeats::new(2);
        let (ack, data) = (frame(7, TcpControl::None, b""), frame(7, TcpControl::Psh, b"data"));
        assert!(!repeats.note(&data), "the first time");
        for _ in 0..2 {
            assert!(!repeats.note(&ack));
            assert!(!repeats.note(&data));
        }
        assert!(repeats.note(&ack));
        assert!(!repeats.note(&ack), "once is enough, for a while");
    }

    #[test]
    fn progress_starts_anew_and_other_segments_do_not_count() {
        let mut repeats = Repeats::new(2);
        for ack in 0..10 {
            assert!(!repeats.note(&frame(ack, TcpControl::None, b"")));
            assert!(!repeats.note(&frame(ack, TcpControl::Fin, b"")));
            assert!(!repeats.note(&frame(ack, TcpControl::None, b"")));
        }
        assert!(!repeats.note(b"no frame"));
    }
}
