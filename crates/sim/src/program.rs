//! Programs that run on a client machine and keep a record of what they saw.

use std::time::Duration;

use locum_types::Instant;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{icmp, tcp, udp};
use smoltcp::storage::{PacketBuffer, PacketMetadata};
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress, IpEndpoint};

use crate::record::Record;

const PACKETS_MAX: usize = 64;
const PACKET_LEN_MAX: usize = 128;
/// A TCP request, or SYN, that saw no answer for this long is given up, and the connection with it.
const TCP_PATIENCE: Duration = Duration::from_secs(3);
const TCP_BUFFER: usize = 4096;
/// Length of a TCP request and of its echo, in bytes.
const TCP_REQUEST: usize = 64;

/// One program: sends a request every so often, and records which were answered when.
pub struct Program {
    kind: Kind,
    target: IpAddress,
    every: Duration,
    next_at: Instant,
    record: Record,
}

enum Kind {
    Ping { socket: SocketHandle, ident: u16 },
    UdpEcho { socket: SocketHandle, port: u16 },
    TcpEcho { socket: SocketHandle, port: u16, local_port: u16, connection: Connection },
}

/// What a TCP program does with its one connection.
#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    /// The request that awaits its echo, and how many bytes of it came back.
    pending: Option<(u64, usize)>,
    sent_at: Instant,
    was_open: bool,
}

impl Program {
    /// `ping` of either family.
    pub fn ping(
        sockets: &mut SocketSet<'static>,
        target: IpAddress,
        every: Duration,
        ident: u16,
        start: Instant,
    ) -> Self {
        let mut socket = icmp::Socket::new(packet_buffer(), packet_buffer());
        socket.bind(icmp::Endpoint::Ident(ident)).expect("a fresh socket binds");
        let kind = Kind::Ping { socket: sockets.add(socket), ident };
        Program { kind, target, every, next_at: start, record: Record::new("ping") }
    }

    /// Datagrams to an echo port.
    pub fn udp_echo(
        sockets: &mut SocketSet<'static>,
        target: IpAddress,
        port: u16,
        local_port: u16,
        every: Duration,
        start: Instant,
    ) -> Self {
        let mut socket = udp::Socket::new(packet_buffer(), packet_buffer());
        socket.bind(local_port).expect("a fresh socket binds to any non-zero port");
        let kind = Kind::UdpEcho { socket: sockets.add(socket), port };
        Program { kind, target, every, next_at: start, record: Record::new("udp echo") }
    }

    /// Requests on one TCP connection to an echo port; a lost connection is opened again.
    pub fn tcp_echo(
        sockets: &mut SocketSet<'static>,
        target: IpAddress,
        port: u16,
        local_port: u16,
        every: Duration,
        start: Instant,
    ) -> Self {
        let buffer = || tcp::SocketBuffer::new(vec![0; TCP_BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        let socket = sockets.add(socket);
        let connection = Connection::default();
        let kind = Kind::TcpEcho { socket, port, local_port, connection };
        Program { kind, target, every, next_at: start, record: Record::new("tcp echo") }
    }

    /// What the program saw.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Whether it talks over a connection.
    pub fn has_connection(&self) -> bool {
        matches!(self.kind, Kind::TcpEcho { .. })
    }

    /// Whom it talks to.
    pub fn target(&self) -> IpAddress {
        self.target
    }

    /// When it wants its next turn.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        Some(self.next_at)
    }

    /// Reads the answers that came, and sends the request that is due.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        interface: &mut Interface,
        sockets: &mut SocketSet<'static>,
    ) {
        let due = now >= self.next_at;
        if due {
            self.next_at += self.every;
        }
        let (target, record) = (self.target, &mut self.record);
        match &mut self.kind {
            Kind::Ping { socket, ident } => {
                let socket = sockets.get_mut::<icmp::Socket<'_>>(*socket);
                hear_pings(now, target, socket, record);
                if due && let Some(source) = interface.get_source_address(&target) {
                    send_ping(now, source, target, *ident, socket, record);
                }
            }
            Kind::UdpEcho { socket, port } => {
                let socket = sockets.get_mut::<udp::Socket<'_>>(*socket);
                while let Ok((bytes, _)) = socket.recv() {
                    record.answered(now, sequence_of(bytes));
                }
                if due {
                    let sequence = record.sent(now);
                    // A full socket is a lost datagram, and the record will say so.
                    let _ =
                        socket.send_slice(&sequence.to_be_bytes(), IpEndpoint::new(target, *port));
                }
            }
            Kind::TcpEcho { socket, port, local_port, connection } => {
                let socket = sockets.get_mut::<tcp::Socket<'_>>(*socket);
                connection.hear(now, socket, record);
                if due {
                    let remote = IpEndpoint::new(target, *port);
                    connection.send(now, socket, interface, remote, local_port, record);
                }
            }
        }
    }
}

impl Connection {
    fn hear(&mut self, now: Instant, socket: &mut tcp::Socket<'static>, record: &mut Record) {
        while let Ok(len) = socket.recv(|bytes| (bytes.len(), bytes.len())) {
            if len == 0 {
                break;
            }
            let Some((sequence, got)) = self.pending else { continue };
            let got = got + len;
            self.pending = (got < TCP_REQUEST).then_some((sequence, got));
            if got >= TCP_REQUEST {
                record.answered(now, Some(sequence));
            }
        }
        if self.was_open && !socket.is_active() {
            self.was_open = false;
            self.pending = None;
            record.connection_lost(now);
        }
    }

    fn send(
        &mut self,
        now: Instant,
        socket: &mut tcp::Socket<'static>,
        interface: &mut Interface,
        remote: IpEndpoint,
        local_port: &mut u16,
        record: &mut Record,
    ) {
        let waits = self.pending.is_some() || self.was_open && !socket.can_send();
        if waits && now - self.sent_at > TCP_PATIENCE {
            socket.abort();
            return;
        }
        if !socket.is_open() {
            *local_port = local_port.checked_add(1).unwrap_or(49152);
            self.was_open = socket.connect(interface.context(), remote, *local_port).is_ok();
            self.sent_at = now;
        }
        if socket.can_send() && self.pending.is_none() {
            let sequence = record.sent(now);
            let mut request = [0; TCP_REQUEST];
            request[..8].copy_from_slice(&sequence.to_be_bytes());
            if socket.send_slice(&request).is_ok() {
                self.pending = Some((sequence, 0));
                self.sent_at = now;
            }
        }
    }
}

fn packet_buffer<H: Clone>() -> PacketBuffer<'static, H> {
    let metadata = vec![PacketMetadata::EMPTY; PACKETS_MAX];
    PacketBuffer::new(metadata, vec![0; PACKETS_MAX * PACKET_LEN_MAX])
}

fn sequence_of(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

fn hear_pings(
    now: Instant,
    target: IpAddress,
    socket: &mut icmp::Socket<'static>,
    record: &mut Record,
) {
    let checksums = ChecksumCapabilities::ignored();
    while let Ok((bytes, from)) = socket.recv() {
        if from != target {
            continue;
        }
        let data = match from {
            IpAddress::Ipv4(_) => match Icmpv4Packet::new_checked(bytes)
                .and_then(|packet| Icmpv4Repr::parse(&packet, &checksums))
            {
                Ok(Icmpv4Repr::EchoReply { data, .. }) => data,
                Ok(_) | Err(_) => continue,
            },
            // The reply's echo data follows type, code, checksum, ident and sequence (RFC 4443 §4.2).
            IpAddress::Ipv6(_) => match bytes {
                [129, 0, _, _, _, _, _, _, data @ ..] => data,
                _ => continue,
            },
        };
        record.answered(now, sequence_of(data));
    }
}

fn send_ping(
    now: Instant,
    source: IpAddress,
    target: IpAddress,
    ident: u16,
    socket: &mut icmp::Socket<'static>,
    record: &mut Record,
) {
    let checksums = ChecksumCapabilities::default();
    let sequence = record.sent(now);
    let data = sequence.to_be_bytes();
    let seq_no = sequence as u16;
    match (source, target) {
        (_, IpAddress::Ipv4(_)) => {
            let request = Icmpv4Repr::EchoRequest { ident, seq_no, data: &data };
            if let Ok(room) = socket.send(request.buffer_len(), target) {
                request.emit(&mut Icmpv4Packet::new_unchecked(room), &checksums);
            }
        }
        (IpAddress::Ipv6(from), IpAddress::Ipv6(to)) => {
            let request = Icmpv6Repr::EchoRequest { ident, seq_no, data: &data };
            if let Ok(room) = socket.send(request.buffer_len(), target) {
                request.emit(&from, &to, &mut Icmpv6Packet::new_unchecked(room), &checksums);
            }
        }
        (IpAddress::Ipv4(_), IpAddress::Ipv6(_)) => {}
    }
}
