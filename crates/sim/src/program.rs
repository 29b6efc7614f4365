//! Programs that run on a client machine and keep a record of what they saw.

mod dialect;
mod kv;
mod tcp;

use std::time::Duration;

use locum_types::Instant;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{icmp, tcp as smol_tcp, udp};
use smoltcp::storage::{PacketBuffer, PacketMetadata};
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress, IpEndpoint};

use crate::record::Record;
pub use dialect::{Dialect, WindowScale};
use kv::Keys;
pub use kv::{Asked, KEYS};
use tcp::TcpClient;
pub use tcp::TcpHabits;

/// What a node has held back comes all at once.
const PACKETS_MAX: usize = 512;
const PACKET_LEN_MAX: usize = 128;

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
    Tcp { socket: SocketHandle, port: u16, client: Box<TcpClient> },
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

    /// Requests on one TCP connection to an echo port, one at a time; a lost connection is opened again.
    pub fn tcp_echo(
        sockets: &mut SocketSet<'static>,
        target: IpAddress,
        port: u16,
        local_port: u16,
        every: Duration,
        start: Instant,
    ) -> Self {
        let remote = IpEndpoint::new(target, port);
        Program::tcp_stream(sockets, remote, local_port, TcpHabits::default(), every, start)
    }

    /// The same, with habits of its own.
    pub fn tcp_stream(
        sockets: &mut SocketSet<'static>,
        remote: IpEndpoint,
        local_port: u16,
        habits: TcpHabits,
        every: Duration,
        start: Instant,
    ) -> Self {
        let client = TcpClient::new(habits, local_port, None);
        Program::tcp(sockets, remote, client, Record::new("tcp echo"), habits, (every, start))
    }

    /// Commands to the service `kv`, drawn from a seed; values bear the client's name.
    pub fn kv(
        sockets: &mut SocketSet<'static>,
        remote: IpEndpoint,
        local_port: u16,
        habits: TcpHabits,
        (name, seed): (u64, u64),
        (every, start): (Duration, Instant),
    ) -> Self {
        let client = TcpClient::new(habits, local_port, Some(Keys::new(name, seed)));
        Program::tcp(sockets, remote, client, Record::new("kv"), habits, (every, start))
    }

    fn tcp(
        sockets: &mut SocketSet<'static>,
        remote: IpEndpoint,
        client: TcpClient,
        record: Record,
        habits: TcpHabits,
        (every, start): (Duration, Instant),
    ) -> Self {
        let socket = sockets.add(habits.socket());
        let kind = Kind::Tcp { socket, port: remote.port, client: Box::new(client) };
        Program { kind, target: remote.addr, every, next_at: start, record }
    }

    /// What a client of `kv` has asked, and was told.
    pub fn asked(&self) -> &[Asked] {
        match &self.kind {
            Kind::Tcp { client, .. } => client.asked(),
            Kind::Ping { .. } | Kind::UdpEcho { .. } => &[],
        }
    }

    /// What the program saw.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Whether it talks over a connection.
    pub fn has_connection(&self) -> bool {
        self.connects_to().is_some()
    }

    /// The port that it talks to over a connection.
    pub fn connects_to(&self) -> Option<u16> {
        match self.kind {
            Kind::Tcp { port, .. } => Some(port),
            Kind::Ping { .. } | Kind::UdpEcho { .. } => None,
        }
    }

    /// Whom it talks to.
    pub fn target(&self) -> IpAddress {
        self.target
    }

    /// Words an IP packet that leaves the machine as this program's connection would, if it is one of its.
    pub(crate) fn word(&self, packet: &mut [u8]) {
        match &self.kind {
            Kind::Tcp { client, .. } => client.word(packet),
            Kind::Ping { .. } | Kind::UdpEcho { .. } => {}
        }
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
            Kind::Tcp { socket, port, client } => {
                let socket = sockets.get_mut::<smol_tcp::Socket<'_>>(*socket);
                client.hear(now, socket, record);
                if due {
                    let remote = IpEndpoint::new(target, *port);
                    client.send(now, socket, interface, remote, record);
                }
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
