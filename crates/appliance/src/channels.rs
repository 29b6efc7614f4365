//! The byte streams between this node and its peers: TCP connections between node addresses, on an interface
//! of their own. What flows in them is `locum-replica`'s, and so is the question who is at the other end.
//!
//! The active node listens; each of the others connects to it.

mod repeats;

use std::num::NonZeroU16;
use std::time::Duration;

use locum_gate::frame::{Body, View};
use locum_gate::{FrameQueue, Identity, NodeGuard, node_mac};
use locum_replica::ConnectionId;
use locum_types::{Instant, NodeId};
use smoltcp::iface::{Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

use crate::interface::{INTRODUCE_EVERY, introductions, node_interface};
use crate::{NodeConfig, Peer, Replication};
use repeats::Repeats;

/// Beyond this smoltcp mistakes its own window for a larger one, which a stranger could turn into a panic.
const BUFFER_LEN: usize = 65_535;
/// Frames each way that may wait for one turn: some windows of full frames.
const FRAMES_MAX: usize = 256;
/// Whoever acknowledges nothing for this long is gone.
const UNHEARD_MAX: Duration = Duration::from_secs(2);
/// smoltcp takes a segment for lost when it has seen so many duplicates in a row.
const SHOWN_AGAIN: usize = 3;
/// A peer that refuses a connection does not lead yet, or no more: it is asked again after this time.
const CONNECT_EVERY: Duration = Duration::from_millis(2);
/// Whoever could not use what a peer told it asks again after this time: the same may come of it.
const REST: Duration = Duration::from_millis(250);
/// Local ports of connections go round from here.
const FIRST_PORT: u16 = 49_152;

struct Channel {
    handle: SocketHandle,
    /// Its number, while it is established.
    connection: Option<ConnectionId>,
}

/// What became of a connection since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is established.
    Up(ConnectionId),
    /// It is gone.
    Down(ConnectionId),
}

/// All connections of this node.
pub(crate) struct Channels {
    identity: Identity,
    peers: Vec<Peer>,
    port: u16,
    interface: Interface,
    sockets: SocketSet<'static>,
    frames: FrameQueue,
    guard: NodeGuard,
    repeats: Repeats,
    strangers: u64,
    channels: Vec<Channel>,
    listening: bool,
    connections: u64,
    next_port: u16,
    introduce_at: Instant,
    /// Whoever refused a connection is not asked again before.
    connect_again_at: Instant,
}

impl Channels {
    pub(crate) fn new(config: &NodeConfig, with: &Replication, seed: u64, now: Instant) -> Self {
        let identity = config.identity.clone();
        let frames = FrameQueue::new(config.mtu, FRAMES_MAX);
        let mut frames = if with.segmentation { frames.with_segmentation() } else { frames };
        let interface = node_interface(&identity, seed, &mut frames, now);
        let mut sockets = SocketSet::new(Vec::new());
        // One more than peers: one may be on its way out while its peer is back already.
        let count = config.peers.len() + 1;
        let free = |_| Channel { handle: sockets.add(socket()), connection: None };
        let channels = (0..count).map(free).collect();
        Channels {
            guard: NodeGuard::new(identity.clone()),
            repeats: Repeats::new(2 * count),
            strangers: 0,
            identity,
            peers: config.peers.clone(),
            port: with.port,
            interface,
            sockets,
            frames,
            channels,
            listening: false,
            connections: 0,
            next_port: FIRST_PORT + (seed % 8_192) as u16,
            introduce_at: now,
            connect_again_at: now,
        }
    }

    /// Resets every connection; from now on peers may connect, or not.
    pub(crate) fn restart(&mut self, listening: bool) {
        self.listening = listening;
        self.connect_again_at = Instant::ZERO;
        for index in 0..self.channels.len() {
            self.socket(index).abort();
            self.channels[index].connection = None;
        }
    }

    /// Connects to nobody for a while.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.connect_again_at = now + REST;
    }

    /// Connects to a peer, unless a connection is there or under way.
    pub(crate) fn connect(&mut self, now: Instant, to: NodeId) {
        self.introduce_peers(now);
        let Some(channel) = self.channels.first() else { return };
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(channel.handle);
        let peer = self.peers.iter().find(|peer| peer.id == to);
        let is_free = is_at_rest(socket) && now >= self.connect_again_at;
        let Some(peer) = peer.filter(|_| is_free) else { return };
        self.connect_again_at = now + CONNECT_EVERY;
        let remote = IpEndpoint::new(peer.address, self.port);
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        // The socket is closed, and both ends are whole.
        let _ = socket.connect(self.interface.context(), remote, self.next_port);
    }

    /// Queues a received frame; false if there was no room for it.
    pub(crate) fn push(&mut self, frame: &[u8]) -> bool {
        if !self.is_from_peer(frame) {
            self.strangers += 1;
            return false;
        }
        let again = if self.repeats.note(frame) { SHOWN_AGAIN } else { 0 };
        (0..=again).all(|_| self.frames.push(frame))
    }

    /// Frames of others than peers.
    pub(crate) const fn strangers(&self) -> u64 {
        self.strangers
    }

    /// Strangers get no answer: connections are few, and a SYN takes one.
    fn is_from_peer(&self, frame: &[u8]) -> bool {
        let view = View::parse(frame);
        let Body::Ip(ip) = view.body else { return false };
        let mac = |peer: &Peer| node_mac(self.identity.group, peer.id);
        self.peers.iter().any(|peer| peer.address == ip.source && mac(peer) == view.source)
    }

    /// Looks at everything received; tells what became of connections.
    pub(crate) fn receive(&mut self, now: Instant) -> Vec<Change> {
        self.introduce_peers(now);
        self.interface.poll_maintenance(now.into());
        loop {
            let device = &mut self.frames;
            let taken = self.interface.poll_ingress_single(now.into(), device, &mut self.sockets);
            if matches!(taken, PollIngressSingleResult::None) {
                break;
            }
        }
        let mut changes = Vec::new();
        for index in 0..self.channels.len() {
            self.look_at(index, &mut changes);
        }
        changes
    }

    fn look_at(&mut self, index: usize, changes: &mut Vec<Change>) {
        let socket = self.socket(index);
        let is_last_word = socket.state() == tcp::State::CloseWait && socket.can_recv();
        if socket.state() == tcp::State::CloseWait && !is_last_word {
            // Nobody half-closes here: whoever is done is gone.
            socket.abort();
        }
        let established = socket.state() == tcp::State::Established || is_last_word;
        let is_at_rest = is_at_rest(socket);
        match (self.channels[index].connection, established) {
            (None, true) => {
                self.connections += 1;
                let connection = ConnectionId(self.connections);
                self.channels[index].connection = Some(connection);
                changes.push(Change::Up(connection));
            }
            (Some(connection), false) => {
                self.channels[index].connection = None;
                changes.push(Change::Down(connection));
            }
            (None, false) | (Some(_), true) => {}
        }
        if self.listening && is_at_rest {
            let own = self.identity.node_address.address();
            let endpoint = IpListenEndpoint { addr: Some(own), port: self.port };
            // A closed socket listens on any port but 0.
            let _ = self.socket(index).listen(endpoint);
        }
    }

    /// The connections that are established.
    pub(crate) fn connections(&self) -> Vec<ConnectionId> {
        self.channels.iter().filter_map(|channel| channel.connection).collect()
    }

    /// Appends what came over a connection to `bytes`.
    pub(crate) fn read(&mut self, connection: ConnectionId, bytes: &mut Vec<u8>) {
        let Some(socket) = self.find(connection) else { return };
        while socket.can_recv() {
            let read = socket.recv(|received| {
                bytes.extend_from_slice(received);
                (received.len(), received.len())
            });
            if read.is_err() {
                return;
            }
        }
    }

    /// Lets `fill` write to a connection as long as there is room and it has something to say.
    pub(crate) fn write(
        &mut self,
        connection: ConnectionId,
        mut fill: impl FnMut(&mut [u8]) -> usize,
    ) {
        let Some(socket) = self.find(connection) else { return };
        while socket.can_send() {
            let written = socket.send(|room| {
                let len = fill(room);
                (len, len)
            });
            if written.unwrap_or(0) == 0 {
                return;
            }
        }
    }

    /// Ends a connection at once.
    pub(crate) fn abort(&mut self, connection: ConnectionId) {
        if let Some(socket) = self.find(connection) {
            socket.abort();
        }
    }

    /// Ends a connection once everything is said.
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        if let Some(socket) = self.find(connection) {
            socket.close();
        }
    }

    /// Sends what sockets have to say; returns when there will be more.
    pub(crate) fn send(&mut self, now: Instant) -> Option<Instant> {
        for _ in 0..FRAMES_MAX {
            let result =
                self.interface.poll_egress(now.into(), &mut self.frames, &mut self.sockets);
            if matches!(result, PollResult::None) {
                break;
            }
        }
        let sockets = self.interface.poll_at(now.into(), &self.sockets).map(Instant::from);
        let again = Some(self.connect_again_at).filter(|&at| at > now && !self.listening);
        sockets.into_iter().chain(again).min()
    }

    /// Hands the oldest frame to transmit to `send`, and into what segments the link is to cut it.
    pub(crate) fn poll_transmit<R>(
        &mut self,
        mut send: impl FnMut(&[u8], Option<NonZeroU16>) -> R,
    ) -> Option<R> {
        loop {
            let guard = &self.guard;
            let sent = self.frames.pop_transmit_uncut(|frame, segment_size| {
                guard.permits(frame).then(|| send(frame, segment_size))
            })?;
            if sent.is_some() {
                return sent;
            }
        }
    }

    fn socket(&mut self, index: usize) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.channels[index].handle)
    }

    fn find(&mut self, connection: ConnectionId) -> Option<&mut tcp::Socket<'static>> {
        let is_it = |channel: &&Channel| channel.connection == Some(connection);
        let handle = self.channels.iter().find(is_it)?.handle;
        Some(self.sockets.get_mut(handle))
    }

    /// Fills the neighbour cache with the peers, whose MACs follow from their ids.
    fn introduce_peers(&mut self, now: Instant) {
        if now < self.introduce_at {
            return;
        }
        self.introduce_at = now + INTRODUCE_EVERY;
        for frame in introductions(&self.identity, &self.peers) {
            self.frames.push(&frame);
        }
    }
}

/// Whether a socket can be used anew. Until its RST is sent it cannot: the peer would go on in the belief that nothing has
/// happened (swarm, seed 12004843).
fn is_at_rest(socket: &tcp::Socket<'_>) -> bool {
    !socket.is_open() && socket.remote_endpoint().is_none()
}

fn socket() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER_LEN]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    // An entry waits for nothing.
    socket.set_nagle_enabled(false);
    // Nor for a congestion window that a lost burst has shut: no more than 64 KiB are on their way, on one link.
    socket.set_congestion_control(tcp::CongestionControl::None);
    socket.set_ack_delay(None);
    socket.set_timeout(Some(UNHEARD_MAX.into()));
    socket
}
