//! The service half of a node: the stack behind its gate, between two queues of frames.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use locum_gate::frame::speaks_of_neighbours;
use locum_gate::{
    FrameQueue, Gate, GateCounters, Identity, QueueCounters, Sighting, node_mac, relay,
};
use locum_replica::Generation;
use locum_stack::{AddServiceError, Stack};
use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Health, Instant, LogPosition, Mode, ModeCell, NodeId, Succeeded};

use crate::isolation::Isolation;
use crate::replication::{LogCopy, ReplicationStatus, Replicator};
use crate::{Announcement, NodeConfig, PeerNews, Seeds, ServicePort};

/// Frames each way that may wait for one turn: a burst of 512 full frames is 6 ms of gigabit Ethernet.
const FRAMES_MAX: usize = 512;
/// A node that gives its place away waits no longer than this for its followers to have everything: it could not
/// beat meanwhile.
const DRAIN_MAX: Duration = Duration::from_millis(5);
/// Where the source address stands in an Ethernet header.
const ETHERNET_SOURCE: std::ops::Range<usize> = 6..12;

/// The service half at one moment.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ServiceStatus {
    /// How well the services are.
    pub health: Health,
    /// What the gate passed, answered and suppressed, per reason.
    pub gate: GateCounters,
    /// Frames lost between link and stack.
    pub queue: QueueCounters,
    /// Received frames that wait until there is room for answers.
    pub frames_waiting: u64,
    /// Frames that were ready to leave when the lease had run out.
    pub fenced_frames: u64,
    /// Received frames that were not answered here, but kept for a successor.
    pub frames_left: u64,
    /// Frames that were left to the successor in planned changes.
    pub frames_relayed: u64,
    /// Frames that a former active node had left, and that were given to the stack here.
    pub frames_taken_over: u64,
    /// Flows and drops of the stack.
    pub stack: locum_stack::Status,
    /// Whether and how it is replicated.
    pub replication: Option<ReplicationStatus>,
}

/// The stack, its services, and the gate through which all their frames pass.
pub struct ServiceHalf {
    stack: Stack<Gate<FrameQueue>>,
    cell: Arc<ModeCell>,
    /// The activation the flows belong to: the low bits of its term.
    serving: Option<u16>,
    fenced_frames: u64,
    frames_left: u64,
    frames_relayed: u64,
    frames_taken_over: u64,
    identity: Identity,
    mtu: usize,
    leaving: bool,
    /// While leaving: received frames are left for the successor.
    relaying: bool,
    /// The in-sync set that it had when it began to leave.
    left_with: Generation,
    /// Until then what is said waits for followers, before the successor may begin.
    drain_until: Option<Instant>,
    drain_max: Duration,
    /// Received frames that wait for a successor to be known, and those made of them that wait to leave.
    inherited: VecDeque<Vec<u8>>,
    relayed: VecDeque<Vec<u8>>,
    replicator: Option<Replicator>,
    isolation: Isolation,
    /// Frames have come since the last poll.
    heard: bool,
    /// When the last poll began.
    turn_began: Instant,
    /// Frames that wait for entries: how many of all frames ever queued, and up to which entry.
    holds: VecDeque<(u64, LogPosition)>,
    /// Frames that were taken from the queue, ever.
    taken: u64,
}

impl ServiceHalf {
    /// A half that serves nobody until the cell says that the node is active.
    pub fn new(
        config: &NodeConfig,
        seeds: Seeds,
        services: Vec<ServicePort>,
        cell: Arc<ModeCell>,
        now: Instant,
    ) -> Result<Self, AddServiceError> {
        let queue = FrameQueue::new(config.mtu, FRAMES_MAX);
        let gate = Gate::new(queue, config.identity.clone(), Arc::clone(&cell));
        let mut stack = Stack::new(config.stack(seeds), gate, now);
        for ServicePort { port, service, replicate } in services {
            stack.add_service(port, service)?;
            if !replicate {
                stack.leave_out(port);
            }
        }
        let replicator = config.replication.as_ref();
        Ok(ServiceHalf {
            stack,
            cell,
            serving: None,
            fenced_frames: 0,
            frames_left: 0,
            frames_relayed: 0,
            frames_taken_over: 0,
            identity: config.identity.clone(),
            mtu: config.mtu,
            leaving: false,
            relaying: false,
            left_with: Generation::default(),
            drain_until: None,
            drain_max: DRAIN_MAX.min(config.dead_after / 4),
            inherited: VecDeque::new(),
            relayed: VecDeque::new(),
            replicator: replicator.map(|with| Replicator::new(config, with, seeds, now)),
            isolation: Isolation::new(config.dead_after, now),
            heard: false,
            turn_began: now,
            holds: VecDeque::new(),
            taken: 0,
        })
    }

    /// Queues a frame received for the service; false if it was dropped for want of room.
    pub fn push(&mut self, frame: &[u8]) -> bool {
        self.stack.device_mut().inner_mut().push(frame)
    }

    /// A frame was received on the service link, for whomever.
    pub fn note_frame(&mut self) {
        self.heard = true;
    }

    /// Whether the next poll takes one of them: there is room for an answer.
    pub fn is_ready(&self) -> bool {
        self.stack.device().inner().is_ready()
    }

    /// Starts the announcement burst, again.
    pub fn announce(&mut self, now: Instant, announcement: Announcement) {
        self.stack.device_mut().announce(now);
        if announcement == Announcement::Undisputed {
            self.stack.nudge_clients();
        }
    }

    /// Says whether this node is handing over. Its frames bear the node's own MAC as their Ethernet source: after
    /// its successor's announcement a late answer must not teach a switch that the virtual MAC is still here, and it
    /// announces nothing. It serves on; but if followers have a copy of everything, then what comes from now on is
    /// theirs: it is kept, and relayed to the successor.
    pub fn set_leaving(&mut self, now: Instant, leaving: bool) {
        let begins = leaving && !self.leaving;
        self.leaving = leaving && !sabotaged(Sabotage::LateVoice);
        self.stack.device_mut().hold_announcements(self.leaving);
        let copied = self.replicator.as_ref().filter(|replicator| replicator.is_protected());
        if let Some(replicator) = copied.filter(|_| begins) {
            self.relaying = true;
            self.left_with = replicator.generation();
            self.drain_until = Some(now + self.drain_max);
        }
    }

    /// Whether received frames are left for the successor.
    pub fn is_relaying(&self) -> bool {
        self.relaying
    }

    /// Whether a node that is leaving has something to say yet before its successor may begin.
    pub fn is_draining(&self, now: Instant) -> bool {
        self.drains_until().is_some_and(|until| now < until)
    }

    fn drains_until(&self) -> Option<Instant> {
        self.drain_until.filter(|_| self.stack.device().inner().tx_len() != 0)
    }

    /// Does a bounded amount of work; true if there is more to do at once.
    pub fn poll(&mut self, now: Instant) -> bool {
        self.turn_began = now;
        self.follow_mode(now);
        if std::mem::take(&mut self.heard) {
            self.isolation.hear(now);
        }
        self.isolation.tick(now);
        self.stack.forbear(self.isolation.doubts());
        if let Some(replicator) = &mut self.replicator {
            replicator.receive(now, &mut self.stack);
        }
        self.relay_frames();
        // When nobody took the place, what was kept is to be answered here after all.
        self.relaying &= self.leaving;
        self.drain_until = self.drain_until.filter(|&until| self.relaying && now < until);
        self.stack.device_mut().poll(now);
        let more = !self.relaying && self.work(now);
        if let Some(replicator) = &mut self.replicator {
            replicator.send(now, &mut self.stack);
            self.hold_frames();
        }
        more
    }

    /// Lets the stack work, as far as there is room for what it has to say.
    fn work(&mut self, now: Instant) -> bool {
        let more = self.stack.poll(now);
        if !self.is_stuffed() {
            return more;
        }
        self.hear_neighbours(now);
        false
    }

    /// Takes what neighbours ask, and answers, past all that waits: a node whose answers wait is taken for dead.
    fn hear_neighbours(&mut self, now: Instant) {
        self.stack.device_mut().inner_mut().set_neighbours_only(true);
        while self.stack.take_frames(now) {}
        self.stack.device_mut().inner_mut().set_neighbours_only(false);
    }

    /// Says how long the last poll took, by the clock of the embedding.
    pub fn note_turn(&mut self, took: Duration) {
        if let Some(replicator) = &mut self.replicator {
            replicator.note_turn(self.turn_began, took, &mut self.stack);
        }
    }

    /// Whether neither stack nor gate can say more before a frame has left, which may wait for a follower, but for answers
    /// to neighbours: to ask them again before that is no use.
    fn is_stuffed(&self) -> bool {
        self.stack.device().inner().is_tx_full()
    }

    /// Queues a frame received for the replication channels; false if it was dropped for want of room.
    pub fn push_replication(&mut self, frame: &[u8]) -> bool {
        self.replicator.as_mut().is_some_and(|replicator| replicator.push(frame))
    }

    /// Queues a frame that a former active node got for the service; false if it was dropped.
    pub fn push_relayed(&mut self, frame: &[u8]) -> bool {
        let mut restored = Vec::with_capacity(frame.len());
        if !relay::restore(&self.identity, frame, &mut restored) {
            return false;
        }
        self.frames_taken_over += 1;
        self.push(&restored)
    }

    /// Makes frames for the successor of those that were kept, once it is known.
    fn relay_frames(&mut self) {
        let active = self.replicator.as_ref().and_then(Replicator::active);
        let Some(to) = active.filter(|_| !self.inherited.is_empty()) else { return };
        let to = node_mac(self.identity.group, to);
        for frame in self.inherited.drain(..) {
            let mut out = Vec::with_capacity(frame.len());
            if relay::relay(&self.identity, to, self.mtu, &frame, &mut out) {
                self.frames_relayed += 1;
                self.relayed.push_back(out);
            }
        }
    }

    /// Says who is active, if it is another node: that one is followed.
    pub fn set_active(&mut self, now: Instant, active: Option<NodeId>) {
        if let Some(replicator) = &mut self.replicator {
            replicator.set_active(now, active);
        }
    }

    /// Says whether another node has led since this one did.
    pub fn set_succeeded(&mut self, now: Instant, succeeded: Succeeded) {
        if let Some(replicator) = &mut self.replicator {
            replicator.set_succeeded(now, succeeded);
        }
    }

    /// Says what became of a peer: no frame waits for one that is not heard.
    pub fn hear_of_peer(&mut self, now: Instant, news: PeerNews) {
        let peer = match news {
            PeerNews::Up => return self.isolation.meet_peer(),
            PeerNews::Left(peer) => peer,
            PeerNews::Silent(peer) => {
                self.isolation.lose_peer(now);
                peer
            }
        };
        if let Some(replicator) = &mut self.replicator {
            replicator.peer_down(now, peer, &mut self.stack);
        }
    }

    /// How far this node's copy of the log reaches, as far as that counts in an election.
    pub fn position(&self) -> LogPosition {
        self.replicator.as_ref().map_or(LogPosition::default(), Replicator::position)
    }

    /// From when on that copy is not known to be whole, unless it is said anew.
    pub fn position_until(&self) -> Option<Instant> {
        self.replicator.as_ref().and_then(Replicator::position_until)
    }

    /// The copy of the log that this node has, if it replicates.
    pub fn copy(&self) -> Option<LogCopy> {
        self.replicator.as_ref().map(|replicator| replicator.copy(&self.stack))
    }

    /// The stack, for checkers.
    pub fn stack_mut(&mut self) -> &mut Stack<Gate<FrameQueue>> {
        &mut self.stack
    }

    /// Hands the oldest frame for other nodes to `send`: those that are relayed, then those of the channels. If
    /// [`Replication::segmentation`](crate::Replication::segmentation) promises it, the link is to cut a long one
    /// into segments of so many bytes.
    pub fn poll_replication<R>(
        &mut self,
        mut send: impl FnMut(&[u8], Option<NonZeroU16>) -> R,
    ) -> Option<R> {
        if let Some(frame) = self.relayed.pop_front() {
            return Some(send(&frame, None));
        }
        self.replicator.as_mut()?.poll_transmit(send)
    }

    /// Frames that were queued in this poll wait for everything that was appended in it.
    fn hold_frames(&mut self) {
        let queued = self.taken + self.stack.device().inner().tx_len() as u64;
        let position = self.stack.position();
        if self.holds.back().is_none_or(|&(frames, _)| frames < queued) && queued > self.taken {
            self.holds.push_back((queued, position));
        }
    }

    /// Whether the oldest frame waits for an entry that not everybody has who is waited for.
    fn is_held(&mut self) -> bool {
        let Some(replicator) = &self.replicator else { return false };
        while self.holds.front().is_some_and(|&(frames, _)| frames <= self.taken) {
            self.holds.pop_front();
        }
        if self.relaying
            && (!replicator.is_protected() || replicator.generation() != self.left_with)
        {
            // The follower that left may be the successor, active already without what this frame is about.
            return true;
        }
        if sabotaged(Sabotage::OutputUnheld) {
            return false;
        }
        let committed = replicator.committed(&mut self.stack);
        let needed = self.holds.front().map(|&(_, position)| position);
        needed.is_some_and(|needed| committed.is_some_and(|committed| needed > committed))
    }

    /// Hands the oldest frame to transmit to `send`.
    ///
    /// `now` must be read after [`ServiceHalf::poll`] returned: had the process been stopped in between,
    /// the lease would have run out, and the frame must not leave any more.
    pub fn poll_transmit<R>(&mut self, now: Instant, send: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let held = self.is_held();
        let queue = self.stack.device_mut().inner_mut();
        let hushed = self.leaving && sabotaged(Sabotage::SilentHandover);
        if self.cell.mode_at(now) != Mode::Active || hushed {
            while queue.pop_transmit(|_| ()).is_some() {
                self.fenced_frames += 1;
                self.taken += 1;
            }
            return None;
        }
        let source = self.leaving.then_some(self.identity.node_mac());
        let send = |frame: &mut [u8]| {
            if let (Some(mac), Some(field)) = (source, frame.get_mut(ETHERNET_SOURCE)) {
                field.copy_from_slice(mac.as_bytes());
            }
            send(frame)
        };
        // What speaks of neighbours depends on no entry. What overtakes counts as if it had been first: those that it has
        // overtaken may wait longer, never less.
        let sent = if self.isolation.is_isolated(now) {
            queue.pop_transmit_where(|it| speaks_of_neighbours(it) && is_unicast(it), send)
        } else if held && sabotaged(Sabotage::ProbeAnswersHeld) {
            None
        } else if held && sabotaged(Sabotage::AckUnheld) {
            queue.pop_transmit_where(|it| speaks_of_neighbours(it) || is_bare_ack(it), send)
        } else if held {
            queue.pop_transmit_where(speaks_of_neighbours, send)
        } else {
            queue.pop_transmit_mut(send)
        };
        self.taken += u64::from(sent.is_some());
        sent
    }

    /// What the gate saw others claim.
    pub fn poll_sighting(&mut self) -> Option<Sighting> {
        self.stack.device_mut().poll_sighting()
    }

    /// When the next poll is due at the latest, and why.
    pub fn poll_deadline(&self) -> Option<(Instant, &'static str)> {
        // The stack left them when the transmit queue was full; now there is room again.
        if self.is_ready() && !self.relaying {
            return Some((Instant::ZERO, "frames to take"));
        }
        let can_speak = !self.is_stuffed();
        let gate = self.stack.device().poll_deadline().filter(|_| can_speak);
        let replication = self.replicator.as_ref().and_then(Replicator::poll_deadline);
        let drained = self.drains_until().map(|until| (until, "followers to have everything"));
        let stack = self.stack.poll_deadline().filter(|_| can_speak && !self.relaying);
        let link = self.isolation.deadline(self.turn_began).map(|at| (at, "word from the link"));
        let deadlines = [stack, gate, replication, drained, link];
        deadlines.into_iter().flatten().min_by_key(|&(at, _)| at)
    }

    /// Whether this node is active for nobody: it hears no one since its peer fell silent.
    pub fn is_isolated(&self, now: Instant) -> bool {
        self.serving.is_some() && self.isolation.is_isolated(now)
    }

    /// How well the services are.
    pub fn health(&self) -> Health {
        self.stack.health()
    }

    /// The state, for status and metrics.
    pub fn status(&self) -> ServiceStatus {
        let gate = self.stack.device();
        ServiceStatus {
            health: self.stack.health(),
            gate: gate.counters().clone(),
            queue: gate.inner().counters(),
            frames_waiting: gate.inner().rx_len() as u64,
            fenced_frames: self.fenced_frames,
            frames_left: self.frames_left,
            frames_relayed: self.frames_relayed,
            frames_taken_over: self.frames_taken_over,
            stack: self.stack.status(),
            replication: self.replicator.as_ref().map(|replicator| {
                let held = gate.inner().tx_len() as u64;
                replicator.status(&self.stack, held)
            }),
        }
    }

    /// Flows belong to one activation: when it has ended they are forgotten without a word, for they
    /// are the successor's now, or lost.
    fn follow_mode(&mut self, now: Instant) {
        let active = self.cell.granted_mode() == Mode::Active;
        let serving = active.then(|| self.cell.term_tag());
        if self.serving == serving {
            return;
        }
        if self.serving.is_some() {
            match &mut self.replicator {
                Some(replicator) => replicator.retire(now, &mut self.stack),
                None => self.stack.abandon(now),
            }
            let queue = self.stack.device_mut().inner_mut();
            if std::mem::take(&mut self.relaying) {
                while let Some(frame) = queue.pop_received(<[u8]>::to_vec) {
                    self.frames_left += 1;
                    self.inherited.push_back(frame);
                }
            }
            queue.clear();
            self.holds.clear();
            self.taken = 0;
        }
        if serving.is_some() {
            self.inherited.clear();
            self.relayed.clear();
            self.isolation.activate(now);
        }
        if let Some(replicator) = self.replicator.as_mut().filter(|_| serving.is_some()) {
            replicator.lead(now, &mut self.stack);
        }
        self.serving = serving;
    }
}

/// Whether a frame is for one station: an answer, then, and no announcement.
fn is_unicast(frame: &[u8]) -> bool {
    frame.first().is_some_and(|byte| byte & 1 == 0)
}

/// Whether a frame is a TCP segment over IPv4 that says nothing but that bytes have come: for
/// [`Sabotage::AckUnheld`] alone.
fn is_bare_ack(frame: &[u8]) -> bool {
    const ETHERTYPE: std::ops::Range<usize> = 12..14;
    const PROTOCOL: usize = 23;
    const FLAGS: usize = 47;
    const LEN: usize = 54;
    let is_tcp = frame.get(ETHERTYPE) == Some(&[0x08, 0x00]) && frame.get(PROTOCOL) == Some(&6);
    is_tcp && frame.len() == LEN && frame.get(FLAGS) == Some(&0x10)
}
