//! What a kernel leaves to the hardware, done here: checksums, and cutting TCP and UDP into segments.
//!
//! A kernel that sends through a virtual cable computes no checksum, and hands over up to 64 KiB as
//! one frame, as nobody looks. Whoever takes such frames elsewhere owes both. What is left to do is
//! told by a `virtio_net_hdr` (virtio 1.2, section 5.1.6). A TAP lets us leave both to the kernel in
//! the same way: [`Deferred`]. Tunnels do not belong here.

use std::num::NonZeroU16;
use std::ops::Range;

use smoltcp::wire::{
    ETHERNET_HEADER_LEN, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet,
    Ipv6Packet, TcpPacket, UdpPacket, checksum,
};

use crate::sys::packet::OffloadHeader;

const NEEDS_CHECKSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCP_V4: u8 = 1;
const GSO_TCP_V6: u8 = 4;
const GSO_UDP: u8 = 5;
/// TCP with explicit congestion notification: CWR belongs to the first segment alone.
const GSO_ECN: u8 = 0x80;
const TCP_HEADER_LEN_MIN: usize = 20;
/// Where a TCP header has its checksum.
const TCP_CHECKSUM: u16 = 16;
const UDP_HEADER_LEN: usize = 8;

/// A frame whose offload header does not fit it, or asks for what is not done here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit;

/// Does what is left to do for `frame` and shows the result, one frame or several, to `each`.
///
/// Several are made in `segment`, one after the other. Returns how many there were.
pub(crate) fn complete(
    header: &OffloadHeader,
    frame: &mut [u8],
    segment: &mut Vec<u8>,
    mut each: impl FnMut(&[u8]),
) -> Result<usize, Unfit> {
    if header.gso_type == GSO_NONE {
        if header.flags & NEEDS_CHECKSUM != 0 {
            fill_checksum(header, frame)?;
        }
        each(frame);
        return Ok(1);
    }
    let plan = Plan::new(header, frame)?;
    let mut count = 0;
    for piece in plan.pieces(frame.len()) {
        plan.make(frame, piece, count, segment)?;
        each(segment);
        count += 1;
    }
    Ok(count)
}

/// Cuts a TCP frame into segments of at most `segment_size` bytes of payload each and fills in their checksums,
/// as a kernel would, and shows them to `each`; what is not TCP is shown as it is. For whoever stands in for a kernel.
pub fn cut(frame: &[u8], segment_size: NonZeroU16, each: impl FnMut(&[u8])) {
    let mut each = each;
    let mut whole = frame.to_vec();
    let cut = Deferred::new(frame, segment_size).and_then(|Deferred { header, pseudo_header }| {
        let field = whole.get_mut(checksum_field(&header)).ok_or(Unfit)?;
        field.copy_from_slice(&pseudo_header.to_be_bytes());
        complete(&header, &mut whole, &mut Vec::new(), &mut each)
    });
    if cut.is_err() {
        each(frame);
    }
}

/// What a TCP frame leaves to the kernel: its checksum, or to be cut and the checksums of the pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deferred {
    pub(crate) header: OffloadHeader,
    /// What stands in for the checksum of TCP: the sum of the pseudo-header (RFC 9293 §3.1).
    pub(crate) pseudo_header: u16,
}

impl Deferred {
    /// For segments of at most `segment_size` bytes of payload each.
    pub(crate) fn new(frame: &[u8], segment_size: NonZeroU16) -> Result<Deferred, Unfit> {
        let IpHeader { source, destination, protocol, payload_start: start, payload_len } =
            IpHeader::of(frame)?;
        // What is padded is not ours: the kernel would take the padding for payload.
        let is_ours = |rest: &&[u8]| protocol == IpProtocol::Tcp && rest.len() == payload_len;
        let segment = frame.get(start..).filter(is_ours).ok_or(Unfit)?;
        let tcp = TcpPacket::new_checked(segment).map_err(|_| Unfit)?;
        let len = u32::try_from(segment.len()).map_err(|_| Unfit)?;
        let is_one = tcp.payload().len() <= usize::from(segment_size.get());
        let header = OffloadHeader {
            flags: NEEDS_CHECKSUM,
            gso_type: match source {
                _ if is_one => GSO_NONE,
                IpAddress::Ipv4(_) => GSO_TCP_V4,
                IpAddress::Ipv6(_) => GSO_TCP_V6,
            },
            header_len: (start + usize::from(tcp.header_len())) as u16,
            gso_size: if is_one { 0 } else { segment_size.get() },
            checksum_start: start as u16,
            checksum_offset: TCP_CHECKSUM,
        };
        let pseudo_header = checksum::pseudo_header(&source, &destination, IpProtocol::Tcp, len);
        Ok(Deferred { header, pseudo_header })
    }
}

/// What the IP header of a frame says.
#[derive(Debug)]
struct IpHeader {
    source: IpAddress,
    destination: IpAddress,
    /// Of what is behind it; IPv6 may have extensions there.
    protocol: IpProtocol,
    /// Where that begins in the frame.
    payload_start: usize,
    payload_len: usize,
}

impl IpHeader {
    fn of(frame: &[u8]) -> Result<IpHeader, Unfit> {
        let ethernet = EthernetFrame::new_checked(frame).map_err(|_| Unfit)?;
        Ok(match ethernet.ethertype() {
            EthernetProtocol::Ipv4 => {
                let ip = Ipv4Packet::new_checked(ethernet.payload()).map_err(|_| Unfit)?;
                IpHeader {
                    source: ip.src_addr().into(),
                    destination: ip.dst_addr().into(),
                    protocol: ip.next_header(),
                    payload_start: ETHERNET_HEADER_LEN + usize::from(ip.header_len()),
                    payload_len: ip.payload().len(),
                }
            }
            EthernetProtocol::Ipv6 => {
                let ip = Ipv6Packet::new_checked(ethernet.payload()).map_err(|_| Unfit)?;
                IpHeader {
                    source: ip.src_addr().into(),
                    destination: ip.dst_addr().into(),
                    protocol: ip.next_header(),
                    payload_start: ETHERNET_HEADER_LEN + ip.header_len(),
                    payload_len: ip.payload().len(),
                }
            }
            EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => return Err(Unfit),
        })
    }
}

/// Where the checksum is in the frame.
pub(crate) fn checksum_field(header: &OffloadHeader) -> Range<usize> {
    let at = usize::from(header.checksum_start) + usize::from(header.checksum_offset);
    at..at + 2
}

/// Fills in one checksum, whose field has the sum of the pseudo-header already.
fn fill_checksum(header: &OffloadHeader, frame: &mut [u8]) -> Result<(), Unfit> {
    let start = usize::from(header.checksum_start);
    let sum = !checksum::data(frame.get(start..).ok_or(Unfit)?);
    // RFC 768: for UDP zero says "no checksum"; for TCP both zeros are the same number.
    let sum = if sum == 0 { u16::MAX } else { sum };
    let field = frame.get_mut(checksum_field(header)).ok_or(Unfit)?;
    field.copy_from_slice(&sum.to_be_bytes());
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
}

/// How a frame is to be cut.
#[derive(Debug)]
struct Plan {
    transport: Transport,
    source: IpAddress,
    destination: IpAddress,
    transport_start: usize,
    payload_start: usize,
    payload_max: usize,
}

impl Plan {
    fn new(header: &OffloadHeader, frame: &[u8]) -> Result<Plan, Unfit> {
        let transport = match header.gso_type & !GSO_ECN {
            GSO_TCP_V4 | GSO_TCP_V6 => Transport::Tcp,
            GSO_UDP => Transport::Udp,
            _ => return Err(Unfit),
        };
        let IpHeader { source, destination, payload_start: minimum, .. } = IpHeader::of(frame)?;
        let transport_start = usize::from(header.checksum_start);
        let rest = frame.get(transport_start..).ok_or(Unfit)?;
        let header_len = match transport {
            Transport::Tcp if rest.len() >= TCP_HEADER_LEN_MIN => {
                usize::from(TcpPacket::new_unchecked(rest).header_len()).max(TCP_HEADER_LEN_MIN)
            }
            Transport::Udp if rest.len() >= UDP_HEADER_LEN => UDP_HEADER_LEN,
            Transport::Tcp | Transport::Udp => return Err(Unfit),
        };
        let payload_max = usize::from(header.gso_size);
        let fits = transport_start >= minimum && payload_max > 0 && header_len < rest.len();
        let payload_start = transport_start + header_len;
        let plan =
            Plan { transport, source, destination, transport_start, payload_start, payload_max };
        if fits { Ok(plan) } else { Err(Unfit) }
    }

    /// Where each piece of the payload is in a frame of `len` bytes.
    fn pieces(&self, len: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let max = self.payload_max;
        (self.payload_start..len).step_by(max).map(move |start| start..(start + max).min(len))
    }

    /// Makes the segment number `index`: the headers, adjusted, and one piece of the payload.
    fn make(
        &self,
        frame: &[u8],
        piece: Range<usize>,
        index: usize,
        segment: &mut Vec<u8>,
    ) -> Result<(), Unfit> {
        let is_last = piece.end == frame.len();
        let offset = piece.start - self.payload_start;
        segment.clear();
        segment.extend_from_slice(frame.get(..self.payload_start).ok_or(Unfit)?);
        segment.extend_from_slice(frame.get(piece).ok_or(Unfit)?);
        let packet = segment.get_mut(ETHERNET_HEADER_LEN..).ok_or(Unfit)?;
        let len = u16::try_from(packet.len()).map_err(|_| Unfit)?;
        match self.source {
            IpAddress::Ipv4(_) => {
                let mut ip = Ipv4Packet::new_unchecked(packet);
                ip.set_total_len(len);
                // RFC 6864 wants them to differ only where DF is not set; the kernel counts always.
                ip.set_ident(ip.ident().wrapping_add(index as u16));
                ip.fill_checksum();
            }
            IpAddress::Ipv6(_) => {
                let mut ip = Ipv6Packet::new_unchecked(packet);
                ip.set_payload_len(len.saturating_sub(ip.header_len() as u16));
            }
        }
        let transport = segment.get_mut(self.transport_start..).ok_or(Unfit)?;
        match self.transport {
            Transport::Tcp => {
                let mut tcp = TcpPacket::new_unchecked(transport);
                tcp.set_seq_number(tcp.seq_number() + offset);
                tcp.set_fin(tcp.fin() && is_last);
                tcp.set_psh(tcp.psh() && is_last);
                tcp.set_cwr(tcp.cwr() && index == 0);
                tcp.fill_checksum(&self.source, &self.destination);
            }
            Transport::Udp => {
                let len = u16::try_from(transport.len()).map_err(|_| Unfit)?;
                let mut udp = UdpPacket::new_unchecked(transport);
                udp.set_len(len);
                udp.fill_checksum(&self.source, &self.destination);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
