//! What a client's SYNs offer: its stack words them all alike, the stacks of the world do not.

use smoltcp::wire::{IpAddress, Ipv4Packet, Ipv6Packet, TcpOption, TcpPacket};

/// In place of an option that is not offered.
const TCP_NOP: u8 = 1;
const TCP_HEADER_LEN: usize = 20;
/// Behind an option's kind and length.
const OPTION_VALUE: usize = 2;

/// What the SYNs of a program offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Whether selective acknowledgements are permitted (RFC 2018).
    pub sack: bool,
    /// How its window is scaled.
    pub scale: WindowScale,
}

/// How a window is scaled (RFC 7323 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowScale {
    /// As the size of the buffer wants it.
    OfBuffer,
    /// The option is not offered: a window has at most 65 535 bytes.
    Absent,
    /// By so many bits, at most 14, whatever the buffer.
    Bits(u8),
}

impl Default for Dialect {
    /// As smoltcp speaks.
    fn default() -> Self {
        Dialect { sack: true, scale: WindowScale::OfBuffer }
    }
}

impl Dialect {
    /// Words an IP packet of a socket with a receive buffer of `buffer` bytes, if it is a segment from `port`.
    pub(super) fn word(self, port: u16, buffer: usize, packet: &mut [u8]) {
        if self == Dialect::default() {
            return;
        }
        let Some((start, from, to)) = ends(packet) else { return };
        let Ok(segment) = TcpPacket::new_checked(&packet[start..]) else { return };
        if segment.src_port() != port {
            return;
        }
        let (is_syn, window) = (segment.syn(), segment.window_len());
        let options = start + TCP_HEADER_LEN..start + usize::from(segment.header_len());
        match (is_syn, self.scale) {
            (true, _) => self.offer(&mut packet[options]),
            (false, WindowScale::Bits(bits)) => {
                let window = usize::from(window) << bits_of(buffer) >> bits;
                TcpPacket::new_unchecked(&mut packet[start..])
                    .set_window_len(u16::try_from(window).unwrap_or(u16::MAX));
            }
            (false, WindowScale::OfBuffer | WindowScale::Absent) => return,
        }
        TcpPacket::new_unchecked(&mut packet[start..]).fill_checksum(&from, &to);
    }

    /// Leaves of a SYN's options what is offered.
    fn offer(self, mut options: &mut [u8]) {
        while let Ok((rest, option)) = TcpOption::parse(options) {
            let len = options.len() - rest.len();
            let is_scale = matches!(option, TcpOption::WindowScale(_));
            let is_sack = matches!(option, TcpOption::SackPermitted);
            let (this, rest) = options.split_at_mut(len);
            match self.scale {
                WindowScale::Absent if is_scale => this.fill(TCP_NOP),
                WindowScale::Bits(bits) if is_scale => this[OPTION_VALUE] = bits,
                WindowScale::Absent | WindowScale::Bits(_) | WindowScale::OfBuffer => {}
            }
            if is_sack && !self.sack {
                this.fill(TCP_NOP);
            }
            options = rest;
        }
    }
}

/// By how many bits smoltcp scales the window of a buffer.
fn bits_of(buffer: usize) -> u32 {
    (usize::BITS - buffer.leading_zeros()).saturating_sub(u16::BITS)
}

/// Where TCP begins in an IP packet as smoltcp makes them, and whose it is.
fn ends(packet: &[u8]) -> Option<(usize, IpAddress, IpAddress)> {
    const TCP: u8 = 6;
    match packet.first()? >> 4 {
        4 => {
            let ip = Ipv4Packet::new_checked(packet).ok()?;
            let is_tcp = u8::from(ip.next_header()) == TCP;
            let start = usize::from(ip.header_len());
            is_tcp.then(|| (start, ip.src_addr().into(), ip.dst_addr().into()))
        }
        6 => {
            let ip = Ipv6Packet::new_checked(packet).ok()?;
            let is_tcp = u8::from(ip.next_header()) == TCP;
            is_tcp.then(|| (ip.header_len(), ip.src_addr().into(), ip.dst_addr().into()))
        }
        _ => None,
    }
}
