//! Programs whose requests are single packets: UDP echo and ping, of both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use locum_lab::{SERVICE_V4, SERVICE_V6};
use rustix::event::PollFlags;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, ipproto, socket_with};

use super::{Conversation, Record};
use crate::netns::ECHO_PORT;

/// Type, code, checksum, identifier and sequence of an echo message (RFC 792, RFC 4443 §4.1).
const ICMP_HEADER: usize = 8;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;

/// A connected socket; what is sent by it is `header` and the number of the request.
pub(super) struct Datagrams {
    socket: UdpSocket,
    header: Vec<u8>,
}

impl Datagrams {
    /// Datagrams to the echo service.
    pub(super) fn udp_v4() -> Result<Datagrams> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("bind UDP")?;
        Datagrams::connect(socket, SERVICE_V4.into(), ECHO_PORT, Vec::new())
    }

    /// Datagrams to the echo service at its IPv6 address.
    pub(super) fn udp_v6() -> Result<Datagrams> {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).context("bind UDP")?;
        Datagrams::connect(socket, SERVICE_V6.into(), ECHO_PORT, Vec::new())
    }

    /// ICMP echo requests.
    pub(super) fn ping_v4() -> Result<Datagrams> {
        let socket = ping_socket(AddressFamily::INET, ipproto::ICMP)?;
        Datagrams::connect(socket, SERVICE_V4.into(), 0, echo_header(ECHO_REQUEST))
    }

    /// ICMPv6 echo requests.
    pub(super) fn ping_v6() -> Result<Datagrams> {
        let socket = ping_socket(AddressFamily::INET6, ipproto::ICMPV6)?;
        Datagrams::connect(socket, SERVICE_V6.into(), 0, echo_header(ECHO_REQUEST_V6))
    }

    fn connect(socket: UdpSocket, target: IpAddr, port: u16, header: Vec<u8>) -> Result<Datagrams> {
        let target = SocketAddr::from((target, port));
        socket.connect(target).with_context(|| format!("connect to {target}"))?;
        socket.set_nonblocking(true)?;
        Ok(Datagrams { socket, header })
    }
}

/// A socket by which the kernel pings: it sets identifier and checksum, and hands up the answers alone.
fn ping_socket(family: AddressFamily, protocol: Protocol) -> Result<UdpSocket> {
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(protocol));
    Ok(UdpSocket::from(socket.context("open a ping socket")?))
}

fn echo_header(kind: u8) -> Vec<u8> {
    let mut header = vec![0; ICMP_HEADER];
    header[0] = kind;
    header
}

impl Conversation for Datagrams {
    fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        Some((self.socket.as_fd(), PollFlags::IN))
    }

    fn hear(&mut self, now: u64, record: &mut Record) {
        let mut buffer = [0; 64];
        // An error is an empty socket, or ICMP of a node that is going down: no answer, as any other.
        while let Ok(len) = self.socket.recv(&mut buffer) {
            let payload = buffer.get(self.header.len()..len);
            if let Some(sequence) = payload.and_then(<[u8]>::first_chunk) {
                record.note_answer(now, u64::from_be_bytes(*sequence));
            }
        }
    }

    fn ask(&mut self, now: u64, record: &mut Record) {
        let sequence = record.note_request(now).to_be_bytes();
        if let [.., high, low] = &mut self.header[..] {
            // The kernel does not look at it, but people with a capture do.
            [*high, *low] = [sequence[6], sequence[7]];
        }
        // Unreachable, or no buffer: a request without an answer, as any other.
        let _ = self.socket.send(&[&self.header, sequence.as_slice()].concat());
    }
}
