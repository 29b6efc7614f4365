//! The node address on the link: the heartbeat half's own smoltcp Interface and UDP socket.
//!
//! Its MAC and address are the node's own, never the group's, so a waiting node is reachable and its
//! beats never teach a switch where the virtual MAC is.

use locum_gate::{FrameQueue, Identity};
use locum_types::Instant;
use smoltcp::iface::{Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::udp;
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::datagram::BEAT_HOP_LIMIT;
use crate::interface::{INTRODUCE_EVERY, introductions, node_interface};
use crate::{NodeConfig, Peer};

/// Datagrams each way that may wait for one turn of the loop: 15 peers at a few beats each.
const DATAGRAMS_MAX: usize = 64;
const DATAGRAM_LEN_MAX: usize = 256;
/// Frames each way that may wait for one turn of the loop.
const FRAMES_MAX: usize = 256;

pub(crate) struct Endpoint {
    identity: Identity,
    peers: Vec<Peer>,
    port: u16,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    frames: FrameQueue,
    introduce_at: Instant,
}

impl Endpoint {
    pub(crate) fn new(config: &NodeConfig, seed: u64, now: Instant) -> Self {
        let identity = config.identity.clone();
        let mut frames = FrameQueue::new(config.mtu, FRAMES_MAX);
        let interface = node_interface(&identity, seed, &mut frames, now);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(beat_socket(identity.node_address.address(), config.port));
        Endpoint {
            identity,
            peers: config.peers.clone(),
            port: config.port,
            interface,
            sockets,
            socket,
            frames,
            introduce_at: now,
        }
    }

    pub(crate) fn set_peers(&mut self, peers: &[Peer], now: Instant) {
        self.peers = peers.to_vec();
        self.introduce_at = now;
    }

    /// Puts a datagram into the socket; false if it is full.
    pub(crate) fn send(&mut self, now: Instant, to: IpAddress, payload: &[u8]) -> bool {
        self.introduce_peers(now);
        let endpoint = IpEndpoint::new(to, self.port);
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.socket);
        socket.send_slice(payload, endpoint).is_ok()
    }

    /// Takes the oldest datagram out of the socket into `buffer`. One that does not fit counts as long
    /// as the buffer: give it one byte more than the longest datagram that is wanted.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.socket);
        match socket.recv_slice(buffer) {
            Ok((len, _)) => Some(len),
            Err(udp::RecvError::Truncated) => Some(buffer.len()),
            Err(udp::RecvError::Exhausted) => None,
        }
    }

    /// Lets the interface see a received frame; false if there was no room for it.
    pub(crate) fn push(&mut self, now: Instant, frame: &[u8]) -> bool {
        let queued = self.frames.push(frame);
        self.interface.poll_ingress_single(now.into(), &mut self.frames, &mut self.sockets);
        queued
    }

    /// Sends what the socket and the interface have to say.
    pub(crate) fn poll_egress(&mut self, now: Instant) {
        self.interface.poll_maintenance(now.into());
        for _ in 0..DATAGRAMS_MAX {
            let result =
                self.interface.poll_egress(now.into(), &mut self.frames, &mut self.sockets);
            if matches!(result, PollResult::None) {
                break;
            }
        }
    }

    pub(crate) fn pop_transmit<R>(&mut self, send: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.frames.pop_transmit(send)
    }

    /// Frames lost for want of room, both ways.
    pub(crate) fn frames_dropped(&self) -> u64 {
        let counters = self.frames.counters();
        counters.rx_full + counters.rx_oversize + counters.tx_full
    }

    /// Has the peers introduced again before the next beat: a stranger may have said that one of them is
    /// elsewhere, or filled the cache.
    pub(crate) fn doubt_neighbours(&mut self, now: Instant) {
        self.introduce_at = now;
    }

    /// Fills the neighbour cache with the peers.
    fn introduce_peers(&mut self, now: Instant) {
        if now < self.introduce_at {
            return;
        }
        self.introduce_at = now + INTRODUCE_EVERY;
        for frame in introductions(&self.identity, &self.peers) {
            self.push(now, &frame);
        }
    }
}

fn beat_socket(address: IpAddress, port: u16) -> udp::Socket<'static> {
    let buffer = || {
        udp::PacketBuffer::new(
            vec![udp::PacketMetadata::EMPTY; DATAGRAMS_MAX],
            vec![0; DATAGRAMS_MAX * DATAGRAM_LEN_MAX],
        )
    };
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.set_hop_limit(Some(BEAT_HOP_LIMIT));
    socket.bind((address, port)).expect("a fresh socket binds to any non-zero port");
    socket
}
