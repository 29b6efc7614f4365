//! Telling frames apart from outside, by their bytes alone.

/// Where the payload of a UDP datagram over IPv4 without options begins in a frame.
const UDP_PAYLOAD: usize = 42;
/// The port of beats in every laboratory.
const BEAT_PORT: [u8; 2] = 3780_u16.to_be_bytes();

/// The payload of a datagram to the port of beats, over IPv4.
pub(crate) fn beat_payload(frame: &[u8]) -> Option<&[u8]> {
    let [0x08, 0x00, 0x45, ..] = frame.get(12..)? else { return None };
    let is_udp = frame.get(23) == Some(&17);
    let is_beat = is_udp && frame.get(36..38) == Some(&BEAT_PORT);
    frame.get(UDP_PAYLOAD..).filter(|_| is_beat)
}

/// Who sent a TCP segment, and where it stands in both streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpNumbers {
    /// The source port.
    pub(crate) port: u16,
    /// The sequence number.
    pub(crate) sequence: u32,
    /// The acknowledgement number.
    pub(crate) ack: u32,
}

/// The numbers of a TCP segment, over IPv4 or IPv6 without options.
pub(crate) fn tcp_numbers(frame: &[u8]) -> Option<TcpNumbers> {
    let &[a, b, _, _, rest @ ..] = tcp_header(frame)?;
    let [sequence, ack] =
        [rest.first_chunk()?, rest.last_chunk()?].map(|it| u32::from_be_bytes(*it));
    Some(TcpNumbers { port: u16::from_be_bytes([a, b]), sequence, ack })
}

/// Whether a frame is a TCP segment from or to this port.
pub(crate) fn is_tcp_of(frame: &[u8], port: u16) -> bool {
    let port = port.to_be_bytes();
    tcp_header(frame).is_some_and(|&[a, b, c, d, ..]| [a, b] == port || [c, d] == port)
}

/// A TCP header up to the acknowledgement number.
fn tcp_header(frame: &[u8]) -> Option<&[u8; 12]> {
    let (protocol, at) = match frame.get(12..)? {
        [0x08, 0x00, 0x45, ..] => (frame.get(23)?, 34),
        [0x86, 0xdd, ..] => (frame.get(20)?, 54),
        _ => return None,
    };
    frame.get(at..)?.first_chunk().filter(|_| *protocol == 6)
}
