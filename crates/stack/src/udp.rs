//! The UDP side of a service: one socket per port, in a set of its own.

use std::net::SocketAddr;
use std::time::Duration;

use locum_types::Instant;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp;
use smoltcp::wire::IpEndpoint;

use crate::parse::socket_addr;

/// A datagram as large as Ethernet carries.
const DATAGRAM_LEN_MAX: usize = 1_500;
/// How long datagrams wait for a neighbour to answer: smoltcp asks once a second.
const STUCK_MAX: Duration = Duration::from_millis(2_500);

pub(crate) struct UdpPort {
    pub(crate) set: SocketSet<'static>,
    handle: SocketHandle,
    port: u16,
    /// Datagrams that wait to be sent; smoltcp counts bytes, of which some datagrams have none.
    waiting: u64,
    /// Since when the first of them waits for its neighbour.
    stuck_since: Option<Instant>,
}

/// The ends of a received datagram.
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

impl UdpPort {
    /// Listens on `port` with room for `datagrams` each way; `None` for port 0.
    pub(crate) fn new(port: u16, datagrams: usize) -> Option<Self> {
        let buffer = || {
            udp::PacketBuffer::new(
                vec![udp::PacketMetadata::EMPTY; datagrams],
                vec![0; datagrams * DATAGRAM_LEN_MAX],
            )
        };
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).ok()?;
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(socket);
        Some(UdpPort { set, handle, port, waiting: 0, stuck_since: None })
    }

    /// Whether datagrams wait to be sent.
    pub(crate) fn has_output(&self) -> bool {
        self.waiting > 0
    }

    /// The first that waited has left.
    pub(crate) fn note_sent(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.stuck_since = None;
    }

    /// The first that waits has no neighbour to go to. If that lasts, all that wait give way, lest one client
    /// that is gone holds up all others; returns how many did.
    pub(crate) fn note_stuck(&mut self, now: Instant) -> u64 {
        if now - *self.stuck_since.get_or_insert(now) < STUCK_MAX {
            return 0;
        }
        let socket = self.set.get_mut::<udp::Socket<'_>>(self.handle);
        socket.close();
        // It was bound to this port before.
        let _ = socket.bind(self.port);
        self.stuck_since = None;
        std::mem::take(&mut self.waiting)
    }

    /// Takes the oldest datagram; its payload replaces what is in `payload`.
    pub(crate) fn receive(&mut self, payload: &mut Vec<u8>) -> Option<Ends> {
        let socket = self.set.get_mut::<udp::Socket<'_>>(self.handle);
        loop {
            let (bytes, metadata) = socket.recv().ok()?;
            // smoltcp always knows the address a datagram was sent to.
            let Some(local) = metadata.local_address else { continue };
            payload.clear();
            payload.extend_from_slice(bytes);
            let remote = socket_addr(metadata.endpoint.addr, metadata.endpoint.port);
            return Some(Ends { local: socket_addr(local, self.port), remote });
        }
    }

    /// Queues a datagram; false if it does not fit.
    pub(crate) fn send(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
        mtu: usize,
    ) -> bool {
        // Without fragmentation smoltcp would drop it later, unseen.
        let headers = if remote.is_ipv4() { 20 + 8 } else { 40 + 8 };
        if bytes.len() + headers > mtu {
            return false;
        }
        let mut metadata = udp::UdpMetadata::from(IpEndpoint::from(remote));
        metadata.local_address = Some(local.ip().into());
        let socket = self.set.get_mut::<udp::Socket<'_>>(self.handle);
        let queued = socket.send_slice(bytes, metadata).is_ok();
        self.waiting += u64::from(queued);
        queued
    }
}
