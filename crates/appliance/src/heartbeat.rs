//! The heartbeat half of a node: the monitor, and the interface through which it hears and speaks.
//!
//! One turn of its loop is `begin_turn`, then everything that was queued, then `end_turn`. Frames and
//! notices may be drained after each call, and should be: a beat that is due leaves first.

use std::collections::VecDeque;
use std::sync::Arc;

use locum_gate::{Identity, NodeGuard, node_mac, probe};
use locum_monitor::{Deadline, Event, Input, Monitor, Output};
use locum_types::{Instant, Mode, ModeCell, NodeId, Succeeded};
use locum_wire::{BEAT_LEN, Beat, Key, RefusalCounters, open, seal};
use smoltcp::wire::IpAddress;

use crate::datagram::{self, BEAT_HOP_LIMIT, End};
use crate::endpoint::Endpoint;
use crate::{NodeConfig, Peer, Seeds};

/// Notices that may wait for the embedding; it drains them at every turn.
const NOTICES_MAX: usize = 256;
/// Probes that may wait: one per service address and turn.
const PROBES_MAX: usize = 32;
/// An ARP probe has 42 bytes, a neighbour solicitation 86.
const PROBE_LEN_MAX: usize = 128;

/// One of a node's links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The link of the service address, and of the beats unless they have their own.
    Service,
    /// The dedicated link of the beats.
    Heartbeat,
}

/// One frame that a warden sends for a dead worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WillFrame {
    /// The link it leaves by.
    pub port: Port,
    /// The whole Ethernet frame.
    pub bytes: Vec<u8>,
}

/// An announcement that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Announcement {
    /// The link is told once more.
    Again,
    /// So it is when a rival has yielded; and clients that spoke to it are made to move.
    Undisputed,
    /// The node has become active. This leaves before the beats that say so: whoever hears from them that it
    /// is relieved must have got everything that switches sent its way before.
    First,
}

/// What the service half must know of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerNews {
    /// It is heard, again or for the first time.
    Up,
    /// It has left, by its own word or by its warden's.
    Left(NodeId),
    /// It has fallen silent: it is dead, or somebody is cut off.
    Silent(NodeId),
}

/// What the heartbeat half tells its embedding.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Something to log, count or hand to hooks.
    Event(Event),
    /// The last will changed: these frames resign for this node if it dies. Empty: there is nothing to resign.
    Will(Vec<WillFrame>),
    /// The shutdown is complete.
    Finished,
}

/// Counters of the heartbeat half, beyond the monitor's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct HeartbeatCounters {
    /// Frames received for the node address.
    pub frames: u64,
    /// Datagrams to the beat port that had crossed a router (hop limit below 255).
    pub hop_limit_refused: u64,
    /// Datagrams refused by the codec, per reason.
    pub refused: RefusalCounters,
    /// Frames that the node guard kept from leaving.
    pub guarded: u64,
    /// Beats that found the socket full.
    pub unsent: u64,
    /// Frames lost for want of room.
    pub frames_dropped: u64,
    /// Notices lost because the embedding did not drain them.
    pub notices_dropped: u64,
}

/// The heartbeat half at one moment.
#[derive(Clone, Debug, serde::Serialize)]
pub struct HeartbeatStatus {
    /// What the monitor knows.
    pub monitor: locum_monitor::Status,
    /// What was received and refused.
    pub counters: HeartbeatCounters,
}

/// The monitor with its own interface and socket.
pub struct HeartbeatHalf {
    identity: Identity,
    key: Key,
    port: u16,
    beat_port: Port,
    peers: Vec<Peer>,
    cell: Arc<ModeCell>,
    monitor: Monitor,
    endpoint: Endpoint,
    guard: NodeGuard,
    probes: VecDeque<Vec<u8>>,
    notices: VecDeque<Notice>,
    announcement_due: Option<Announcement>,
    news: VecDeque<PeerNews>,
    counters: HeartbeatCounters,
}

impl HeartbeatHalf {
    /// A half that has said and heard nothing. Beats use `beat_port`; probes always the service link.
    pub fn new(
        config: &NodeConfig,
        seeds: Seeds,
        beat_port: Port,
        cell: Arc<ModeCell>,
        now: Instant,
    ) -> Self {
        let identity = config.identity.clone();
        HeartbeatHalf {
            monitor: Monitor::new(config.monitor(), seeds.boot, seeds.seed, now),
            endpoint: Endpoint::new(config, seeds.seed, now),
            guard: NodeGuard::new(identity.clone()),
            key: config.key.clone(),
            port: config.port,
            peers: config.peers.clone(),
            identity,
            beat_port,
            cell,
            probes: VecDeque::with_capacity(PROBES_MAX),
            notices: VecDeque::new(),
            announcement_due: None,
            news: VecDeque::new(),
            counters: HeartbeatCounters::default(),
        }
    }

    /// Opens a turn: notices a stall of this node, and queues the beats that are due.
    pub fn begin_turn(&mut self, now: Instant) {
        self.monitor.begin_turn(now);
        self.pump(now);
    }

    /// Takes one frame for the node address, received on `port`.
    pub fn receive(&mut self, now: Instant, port: Port, frame: &[u8]) {
        self.counters.frames += 1;
        if port == Port::Service && probe::answer(&self.identity, frame).is_some() {
            self.handle(now, Input::ProbeAnswered);
            return;
        }
        if port != self.beat_port {
            return;
        }
        match datagram::datagram_to(self.port, frame) {
            Some(beat) if beat.hop_limit != BEAT_HOP_LIMIT => {
                self.counters.hop_limit_refused += 1;
                return;
            }
            Some(beat) if beat.source_mac == self.identity.node_mac() => {
                // A twin's beat, flooded to us; it is not addressed to us, so smoltcp would drop it.
                self.judge(now, beat.payload);
                return;
            }
            Some(_) => {}
            // Whatever else it is, ARP or neighbour discovery perhaps: it must not lead beats astray.
            None => self.endpoint.doubt_neighbours(now),
        }
        self.endpoint.push(now, frame);
        self.hear(now);
    }

    /// Takes one input of the node itself: health, operator, link.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.monitor.handle(now, input);
        self.pump(now);
    }

    /// The interval of this node's beats.
    pub fn interval(&self) -> std::time::Duration {
        self.monitor.interval()
    }

    /// Applies what can change live: priority, peers, intervals, pre-emption.
    pub fn reconfigure(&mut self, now: Instant, config: &NodeConfig) {
        self.peers.clone_from(&config.peers);
        self.endpoint.set_peers(&config.peers, now);
        self.handle(now, Input::Reconfigure(config.monitor()));
    }

    /// Closes a turn: judges the peers, now that everything queued was heard.
    pub fn end_turn(&mut self, now: Instant) {
        self.monitor.end_turn(now);
        self.pump(now);
    }

    /// Hands the oldest frame to transmit to `send`.
    pub fn poll_transmit<R>(&mut self, mut send: impl FnMut(Port, &[u8]) -> R) -> Option<R> {
        loop {
            let guard = &self.guard;
            let mut permitted =
                |port: Port, frame: &[u8]| guard.permits(frame).then(|| send(port, frame));
            let sent = match self.probes.pop_front() {
                Some(frame) => permitted(Port::Service, &frame),
                None => {
                    let port = self.beat_port;
                    self.endpoint.pop_transmit(|frame| permitted(port, frame))?
                }
            };
            match sent {
                Some(result) => return Some(result),
                None => self.counters.guarded += 1,
            }
        }
    }

    /// Whether the service half is to start its announcement burst; asked once.
    pub fn take_announcement(&mut self) -> Option<Announcement> {
        self.announcement_due.take()
    }

    /// What is new of peers, oldest first, for the service half.
    pub fn poll_peer_news(&mut self) -> Option<PeerNews> {
        self.news.pop_front()
    }

    /// The oldest notice for the embedding.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// When the next turn is due at the latest, and why.
    pub fn poll_deadline(&self) -> Option<(Instant, Deadline)> {
        self.monitor.poll_deadline()
    }

    /// The other node that is active, as far as this one knows.
    pub fn active_peer(&self) -> Option<NodeId> {
        self.monitor.active_peer()
    }

    /// Says whether this node is active and hears nobody.
    pub fn set_isolated(&mut self, now: Instant, isolated: bool) {
        if isolated != self.monitor.is_isolated() {
            self.handle(now, Input::Isolated(isolated));
        }
    }

    /// Whether another node has led since this one did.
    pub fn succeeded(&self) -> Succeeded {
        self.monitor.succeeded()
    }

    /// True while this node waits for its successor's first active beat: frames received before that
    /// beat are still this node's to answer.
    pub fn is_handing_over(&self) -> bool {
        self.monitor.is_handing_over()
    }

    /// The state at `now`, for status and metrics.
    pub fn status(&self, now: Instant) -> HeartbeatStatus {
        let mut counters = self.counters.clone();
        counters.frames_dropped = self.endpoint.frames_dropped();
        HeartbeatStatus { monitor: self.monitor.status(now), counters }
    }

    fn announce(&mut self, announcement: Announcement) {
        self.announcement_due = self.announcement_due.max(Some(announcement));
    }

    /// Feeds the monitor with the beats that the socket holds.
    fn hear(&mut self, now: Instant) {
        let mut buffer = [0; BEAT_LEN + 1];
        while let Some(len) = self.endpoint.receive(&mut buffer) {
            self.judge(now, &buffer[..len]);
        }
    }

    /// Believes a datagram, or counts why not.
    fn judge(&mut self, now: Instant, datagram: &[u8]) {
        match open(datagram, &self.key, self.identity.group, self.identity.node) {
            Ok(beat) => self.handle(now, Input::Beat(beat)),
            Err(refusal) => {
                log::trace!("beat refused: {refusal}");
                self.counters.refused.note(refusal);
            }
        }
    }

    /// Carries out what the monitor decided, in its order.
    fn pump(&mut self, now: Instant) {
        while let Some(output) = self.monitor.poll_output() {
            match output {
                Output::Grant(grant) => {
                    let before = self.cell.granted_mode();
                    self.cell.store(grant);
                    if grant.mode == Mode::Active && before != Mode::Active {
                        self.announce(Announcement::First);
                    }
                }
                Output::Beat(beat) => self.send(now, &beat),
                Output::Probe => self.probe(),
                Output::Announce => self.announce(Announcement::Again),
                Output::Prevailed => self.announce(Announcement::Undisputed),
                Output::WillChanged => {
                    let will = self.will();
                    self.notify(Notice::Will(will));
                }
                Output::Event(event) => {
                    self.news.extend(news_of(&event));
                    self.notify(Notice::Event(event));
                }
                Output::Finished => self.notify(Notice::Finished),
            }
        }
        self.endpoint.poll_egress(now);
    }

    fn send(&mut self, now: Instant, beat: &Beat) {
        let Some(to) = self.address_of(beat.to) else { return };
        let mut sealed = [0; BEAT_LEN];
        let len = seal(beat, &self.key, &mut sealed);
        if !self.endpoint.send(now, to, &sealed[..len]) {
            self.counters.unsent += 1;
        }
    }

    fn probe(&mut self) {
        let mut buffer = [0; PROBE_LEN_MAX];
        for cidr in &self.identity.service {
            if self.probes.len() < PROBES_MAX {
                let len = probe::request(&self.identity, cidr.address(), &mut buffer);
                self.probes.push_back(buffer[..len].to_vec());
            }
        }
    }

    /// The frames that resign for this node if it dies without a word.
    fn will(&self) -> Vec<WillFrame> {
        let us =
            End { mac: self.identity.node_mac(), address: self.identity.node_address.address() };
        let frame_for = |beat: &Beat| {
            let mac = node_mac(self.identity.group, beat.to);
            let peer = End { mac, address: self.address_of(beat.to)? };
            let mut sealed = [0; BEAT_LEN];
            let len = seal(beat, &self.key, &mut sealed);
            let bytes = datagram::frame(us, peer, self.port, &sealed[..len])?;
            Some(WillFrame { port: self.beat_port, bytes })
        };
        self.monitor.will().iter().filter_map(frame_for).collect()
    }

    fn address_of(&self, node: NodeId) -> Option<IpAddress> {
        self.peers.iter().find(|peer| peer.id == node).map(|peer| peer.address)
    }

    fn notify(&mut self, notice: Notice) {
        if self.notices.len() == NOTICES_MAX {
            self.counters.notices_dropped += 1;
        } else {
            self.notices.push_back(notice);
        }
    }
}

/// What an event tells of a peer. The embedding asks for all of them after each turn, in which there are few.
fn news_of(event: &Event) -> Option<PeerNews> {
    if let Event::PeerUp { .. } = event {
        return Some(PeerNews::Up);
    }
    let &Event::PeerDown { peer, silent } = event else { return None };
    Some(if silent { PeerNews::Silent(peer) } else { PeerNews::Left(peer) })
}
