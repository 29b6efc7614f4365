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

/// The source port of a TCP segment, over IPv4 or IPv6 without options.
pub(crate) fn tcp_source_port(frame: &[u8]) -> Option<u16> {
    let (protocol, at) = match frame.get(12..)? {
        [0x08, 0x00, 0x45, ..] => (frame.get(23)?, 34),
        [0x86, 0xdd, ..] => (frame.get(20)?, 54),
        _ => return None,
    };
    let port = frame.get(at..at + 2)?.first_chunk()?;
    (*protocol == 6).then(|| u16::from_be_bytes(*port))
}
