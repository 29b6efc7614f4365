//! Replication in a node: whom it follows or who follows it, and which frames wait for that.
//!
//! What belongs here: the roles, and how they change with the mode. What does not: the log and its sessions
//! (`locum-replica`), what entries mean (`locum-stack`), and who is active (`locum-monitor`).

mod status;

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use locum_replica::{
    ConnectionId, Follower, FollowerConfig, FollowerEvent, FollowerRequest, Generation, History,
    Leader, LeaderConfig, LeaderEvent, LeaderRequest, LogPoint, Output, Standing,
};
use locum_stack::{FrozenStack, Stack, Succession};

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Instant, LogPosition, NodeId, Protection, Succeeded};
use sha2::{Digest, Sha256};
use smoltcp::phy::Device;

use crate::channels::{Change, Channels};
use crate::{NodeConfig, Prefer, Replication, Seeds};

pub use status::{LogCopy, ReplicationCounters, ReplicationStatus};

/// A follower that its leader has not answered for so many detection times is stale.
const TRUST: u32 = 5;
/// A leader that dies has said within so many detection times that this node is in sync: one for the silence that gives it
/// away, and the interval of its keep-alives.
const ASSURED: u32 = 2;
/// What of a snapshot is written out at a time: some ten microseconds, between which clients are served.
const SNAPSHOT_PART: usize = 64 * 1024;

/// A snapshot on its way to a follower.
struct Outgoing {
    frozen: FrozenStack,
    /// What of it was written and not offered yet.
    part: Vec<u8>,
    has_more: bool,
}

impl Outgoing {
    /// Offers a part of the snapshot for `follower`, if there is room for it; returns whether there is more to be
    /// offered.
    fn offer(&mut self, follower: NodeId, leader: &mut Leader) -> bool {
        if self.part.is_empty() && self.has_more && leader.snapshot_room(follower) > 0 {
            self.has_more = self.frozen.write(SNAPSHOT_PART, &mut self.part);
        }
        let taken = leader.offer_chunk(follower, &self.part);
        self.part.drain(..taken);
        let is_whole = self.part.is_empty() && !self.has_more;
        if is_whole {
            leader.end_snapshot(follower);
        }
        !is_whole
    }
}

enum Role {
    /// The leader is the journal of the stack.
    Leading,
    Following(Box<Follower>),
}

/// The replication half of a node.
pub(crate) struct Replicator {
    leader: LeaderConfig,
    follower: FollowerConfig,
    channels: Channels,
    role: Role,
    /// The active node, as far as is known.
    active: Option<NodeId>,
    /// The last one that was known.
    led_by: Option<NodeId>,
    /// The connection to it.
    connection: Option<ConnectionId>,
    /// What has come of a snapshot.
    incoming: Vec<u8>,
    outgoing: BTreeMap<NodeId, Outgoing>,
    /// What nobody else knows, and how often it was used.
    secret: [u8; 32],
    drawn: u64,
    deadline: Option<Instant>,
    buffer: Vec<u8>,
    position: LogPosition,
    generation: Generation,
    protection: Protection,
    /// Whether another has led since this node did.
    succeeded: Succeeded,
    /// While leading: when it was last at work, and until when others may have been ready to lead in its place then.
    led_at: Instant,
    heirs_until: Instant,
    /// It led by itself for so long that nobody else had a whole copy.
    was_alone: bool,
    /// Since when this node has been getting a copy.
    joining_since: Option<Instant>,
    /// This turn worked on a snapshot for a follower.
    gives_snapshot: bool,
    /// The longest such turn since none was under way.
    pause: Duration,
    /// Without those of a leader that still leads.
    counters: ReplicationCounters,
}

impl Replicator {
    pub(crate) fn new(config: &NodeConfig, with: &Replication, seeds: Seeds, now: Instant) -> Self {
        let identity = &config.identity;
        let (group, node, key) = (identity.group, identity.node, config.key.clone());
        let followers = config.peers.iter().map(|peer| peer.id).collect();
        let trust_for = config.dead_after * TRUST;
        let leader = LeaderConfig {
            dead_after: config.dead_after,
            wait_for_trust: (with.prefer == Prefer::Consistency).then_some(trust_for),
            keep_alive: config.dead_after / 2,
            buffer_bytes: with.buffer,
            buffer_entries: with.buffer / 128,
            state_digest_every: Some(with.compare_every),
            ..LeaderConfig::new(group, node, seeds.boot, key.clone(), followers)
        };
        let follower =
            FollowerConfig { trust_for, ..FollowerConfig::new(group, node, seeds.boot, key) };
        let secret = Sha256::new()
            .chain_update(b"locum replication")
            .chain_update(seeds.isn_key)
            .chain_update(seeds.seed.to_le_bytes())
            .chain_update(seeds.boot.0.to_le_bytes());
        Replicator {
            role: Role::Following(Box::new(Follower::new(follower.clone(), None))),
            leader,
            follower,
            channels: Channels::new(config, with, seeds.seed, now),
            active: None,
            led_by: None,
            connection: None,
            incoming: Vec::new(),
            outgoing: BTreeMap::new(),
            secret: secret.finalize().into(),
            drawn: 0,
            deadline: None,
            buffer: Vec::new(),
            position: LogPosition::default(),
            generation: Generation::default(),
            protection: Protection::Alone,
            succeeded: Succeeded::Maybe,
            led_at: now,
            heirs_until: now,
            was_alone: false,
            joining_since: None,
            gives_snapshot: false,
            pause: Duration::ZERO,
            counters: ReplicationCounters::default(),
        }
    }

    /// Says who is active, if it is another node.
    pub(crate) fn set_active(&mut self, now: Instant, active: Option<NodeId>) {
        if std::mem::replace(&mut self.active, active) == active {
            return;
        }
        let successor = active.filter(|_| self.led_by != active);
        self.led_by = active.or(self.led_by);
        if let Role::Following(follower) = &mut self.role {
            follower.disconnected(now);
            if successor.is_some() && !sabotaged(Sabotage::SuccessorIgnored) {
                follower.superseded(now);
            }
            self.connection = None;
            self.channels.restart(false);
        }
    }

    /// Says whether another has led since this node did: if nobody has, its copy is as whole as it was.
    pub(crate) fn set_succeeded(&mut self, now: Instant, succeeded: Succeeded) {
        let is_news = std::mem::replace(&mut self.succeeded, succeeded) != succeeded;
        if let Role::Following(follower) = &mut self.role
            && is_news
        {
            let is_certain = match succeeded {
                Succeeded::Maybe => false,
                // Then no life that is over had a whole copy.
                Succeeded::OnlyByTheDead => self.was_alone,
                Succeeded::No => true,
            };
            follower.set_unsucceeded(now, is_certain);
        }
    }

    /// This node has become active.
    pub(crate) fn lead<D: Device>(&mut self, now: Instant, stack: &mut Stack<D>) {
        let Role::Following(follower) = &self.role else { return };
        let standing = follower.standing(now);
        let set = follower.generation();
        let assured = follower.assured_at();
        let (start, set, heirs_until) = match standing {
            Standing::InSync(point) => {
                self.succeed(now, assured, stack.succeed());
                // So may be those who were in sync with the same leader, for as long as they take themselves for that.
                let is_sole = assured.is_none() && self.was_alone;
                let trust_for = if is_sole { Duration::ZERO } else { self.follower.trust_for };
                (point, set, now + trust_for)
            }
            Standing::Stale(point) if sabotaged(Sabotage::StaleTrusted) => {
                stack.succeed();
                (point, set, now)
            }
            // What it has may be old: clients must not be answered from it.
            Standing::Alone | Standing::Joining | Standing::Stale(_) => {
                let lost = stack.begin_history(now);
                if !matches!(standing, Standing::Alone) {
                    self.counters.takeovers_without_copy += 1;
                    let protection = worth(standing);
                    log::warn!(
                        "replication: takes over without a whole copy ({protection}), {lost}"
                    );
                }
                (LogPoint::start(History(self.draw_number())), Generation::default(), now)
            }
        };
        // Whoever led before was in nobody's set.
        let former = self.led_by.filter(|_| assured.is_some());
        let others = self.leader.followers.iter().copied();
        let others = others.filter(|&node| heirs_until > now && Some(node) != former);
        let leader = Leader::new(self.leader.clone(), start).succeeding(set).beside(now, others);
        stack.set_journal(Some(Box::new(leader)));
        self.role = Role::Leading;
        self.led_at = now;
        self.heirs_until = heirs_until;
        self.joining_since = None;
        self.connection = None;
        self.outgoing.clear();
        self.channels.restart(true);
    }

    /// Counts what goes on, with a copy that was whole when the former leader last said so.
    fn succeed(&mut self, now: Instant, assured: Option<Instant>, succession: Succession) {
        let Succession { carried, left_out } = succession;
        self.counters.flows_carried += carried as u64;
        let age = assured.map_or(Duration::ZERO, |at| now - at);
        if age <= self.leader.dead_after * ASSURED {
            log::info!(
                "replication: takes over with everything, {carried} connections go on, {left_out} are left out"
            );
        } else {
            self.counters.takeovers_on_trust += 1;
            log::warn!(
                "replication: takes over on trust, in sync {} ms ago, {carried} connections go on, \
                 {left_out} are left out",
                age.as_millis()
            );
        }
    }

    /// This node is active no more: it goes on as a follower, from where it stands.
    pub(crate) fn retire<D: Device>(&mut self, now: Instant, stack: &mut Stack<D>) {
        let leader = stack.journal::<Leader>().map(Leader::status);
        if let Some(leader) = &leader {
            self.counters.add(&leader.counters);
        }
        let head = leader.map(|leader| leader.head);
        let set = stack.journal::<Leader>().map_or(Generation::default(), Leader::generation);
        stack.set_journal(None);
        stack.retire(now);
        // What time has passed since it was last at work tells nothing: others may have taken over in that.
        self.was_alone = self.heirs_until <= self.led_at;
        self.succeeded = Succeeded::Maybe;
        let follower = Follower::new(self.follower.clone(), head).keeping(set);
        self.role = Role::Following(Box::new(follower));
        self.connection = None;
        self.outgoing.clear();
        self.channels.restart(false);
    }

    /// The copy of the log that this node has.
    pub(crate) fn copy<D: Device>(&self, stack: &Stack<D>) -> LogCopy {
        let leader = stack.journal::<Leader>();
        let point = match &self.role {
            Role::Leading => leader.map(Leader::head),
            Role::Following(follower) => follower.point(),
        };
        let followers = leader.map(|leader| leader.in_sync().collect()).unwrap_or_default();
        let left = leader.map(Leader::commit_position);
        LogCopy { protection: self.protection, point, followers, left }
    }

    /// Whether this node is active and others have everything that has left.
    pub(crate) fn is_protected(&self) -> bool {
        self.protection == Protection::Protected
    }

    /// The number of the in-sync set.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// The active node, if it is another one.
    pub(crate) fn active(&self) -> Option<NodeId> {
        self.active
    }

    /// A peer is dead, as far as the monitor knows: nothing waits for it.
    pub(crate) fn peer_down<D: Device>(
        &mut self,
        now: Instant,
        peer: NodeId,
        stack: &mut Stack<D>,
    ) {
        if let Some(leader) = stack.journal_mut::<Leader>() {
            leader.lost(now, peer);
        }
    }

    /// Queues a received frame.
    pub(crate) fn push(&mut self, frame: &[u8]) -> bool {
        self.channels.push(frame)
    }

    /// Takes what has come, and applies it.
    pub(crate) fn receive<D: Device>(&mut self, now: Instant, stack: &mut Stack<D>) {
        if let (Role::Following(_), None, Some(active)) = (&self.role, self.connection, self.active)
        {
            self.channels.connect(now, active);
        }
        for change in self.channels.receive(now) {
            self.note(now, change, stack);
        }
        for connection in self.channels.connections() {
            let mut bytes = std::mem::take(&mut self.buffer);
            bytes.clear();
            self.channels.read(connection, &mut bytes);
            if !bytes.is_empty() {
                self.take(now, connection, &bytes, stack);
            }
            self.buffer = bytes;
        }
    }

    fn note<D: Device>(&mut self, now: Instant, change: Change, stack: &mut Stack<D>) {
        let entropy = self.draw();
        match (change, &mut self.role) {
            (Change::Up(connection), Role::Leading) => {
                if let Some(leader) = stack.journal_mut::<Leader>() {
                    leader.connected(now, connection, entropy);
                }
            }
            (Change::Down(connection), Role::Leading) => {
                if let Some(leader) = stack.journal_mut::<Leader>() {
                    leader.disconnected(now, connection);
                }
            }
            (Change::Up(connection), Role::Following(follower)) => match self.active {
                Some(active) => {
                    self.connection = Some(connection);
                    follower.connected(now, active, entropy);
                }
                None => self.channels.abort(connection),
            },
            (Change::Down(connection), Role::Following(follower)) => {
                if self.connection == Some(connection) {
                    self.connection = None;
                    follower.disconnected(now);
                }
            }
        }
    }

    fn take<D: Device>(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        mut bytes: &[u8],
        stack: &mut Stack<D>,
    ) {
        let follower = match &mut self.role {
            Role::Leading => {
                if let Some(leader) = stack.journal_mut::<Leader>() {
                    leader.receive(now, connection, bytes);
                }
                return;
            }
            Role::Following(_) if self.connection != Some(connection) => return,
            Role::Following(follower) => follower,
        };
        let mut fits = true;
        while !bytes.is_empty() && fits {
            let taken = follower.receive(now, bytes);
            bytes = &bytes[taken..];
            while let Some(output) = follower.poll_output(now) {
                if let Output::CheckState { position } = output {
                    self.counters.states_compared += 1;
                    follower.state_digest(now, position, state_digest(position, stack));
                    continue;
                }
                fits &= apply(now, &output, &mut self.incoming, stack, &mut self.counters);
            }
        }
        follower.confirm();
        if !fits {
            // This copy is worthless: another one is asked for.
            self.counters.copies_lost += 1;
            **follower = Follower::new(self.follower.clone(), None);
            self.channels.abort(connection);
            self.channels.rest(now);
        }
    }

    /// Sends what there is to say.
    pub(crate) fn send<D: Device>(&mut self, now: Instant, stack: &mut Stack<D>) {
        match &mut self.role {
            Role::Leading => self.send_leading(now, stack),
            Role::Following(follower) => {
                follower.tick(now);
                while let Some(event) = follower.poll_event() {
                    let has_diverged = matches!(event, FollowerEvent::Diverged { .. });
                    self.counters.copies_diverged += u64::from(has_diverged);
                    log_follower(&event);
                }
                if let Some(FollowerRequest::Close) = follower.poll_request()
                    && let Some(connection) = self.connection
                {
                    self.channels.abort(connection);
                }
                if let Some(connection) = self.connection {
                    self.channels.write(connection, |room| follower.poll_transmit(now, room));
                }
                self.deadline = follower.poll_deadline().map(|(at, _)| at);
                self.generation = follower.generation();
                self.protection = worth(follower.standing(now));
                self.time_join(now);
            }
        }
        self.position = stack.position();
        let sockets = self.channels.send(now);
        self.deadline = self.deadline.into_iter().chain(sockets).min();
    }

    /// Takes the time from the first connection to the leader until this node is in sync.
    fn time_join(&mut self, now: Instant) {
        if self.protection != Protection::InSync {
            if self.connection.is_some() {
                self.joining_since.get_or_insert(now);
            }
        } else if let Some(since) = self.joining_since.take() {
            self.counters.join_us = micros(now - since);
            log::info!("replication: in sync after {} ms", (now - since).as_millis());
        }
    }

    /// Takes the time of a turn, which the embedding has measured. Followers need as long for what was appended in it; and
    /// if it worked on a snapshot, no client was served for so long.
    pub(crate) fn note_turn<D: Device>(
        &mut self,
        began: Instant,
        took: Duration,
        stack: &mut Stack<D>,
    ) {
        if let Some(leader) = stack.journal_mut::<Leader>() {
            leader.note_turn(began, took);
        }
        if !std::mem::take(&mut self.gives_snapshot) {
            return;
        }
        self.pause = self.pause.max(took);
        let max = &mut self.counters.snapshot_pause_max_us;
        *max = micros(took).max(*max);
        if self.outgoing.is_empty() {
            let pause = micros(std::mem::take(&mut self.pause));
            log::info!("replication: snapshots are given, no client waited longer than {pause} µs");
        }
    }

    fn send_leading<D: Device>(&mut self, now: Instant, stack: &mut Stack<D>) {
        let Some(leader) = stack.journal_mut::<Leader>() else { return };
        leader.tick(now);
        while let Some(request) = stack.journal_mut::<Leader>().and_then(Leader::poll_request) {
            match request {
                LeaderRequest::Snapshot { follower } => self.begin_snapshot(now, follower, stack),
                LeaderRequest::Close { connection } => self.channels.close(connection),
                LeaderRequest::StateDigest { position } => {
                    let digest = state_digest(position, stack);
                    if let Some(leader) = stack.journal_mut::<Leader>() {
                        leader.state_digest(now, position, digest);
                    }
                }
            }
        }
        self.gives_snapshot = !self.outgoing.is_empty();
        let Some(leader) = stack.journal_mut::<Leader>() else { return };
        self.outgoing.retain(|&follower, outgoing| {
            leader.has_snapshot(follower) && outgoing.offer(follower, leader)
        });
        for connection in self.channels.connections() {
            self.channels.write(connection, |room| leader.poll_transmit(now, connection, room));
        }
        while let Some(event) = leader.poll_event() {
            log_leader(&event);
        }
        self.deadline = leader.poll_deadline().map(|(at, _)| at);
        self.generation = leader.generation();
        let protected = leader.is_protected();
        self.protection = if protected { Protection::Protected } else { Protection::Unprotected };
        self.led_at = now;
        if protected {
            self.heirs_until = now + self.follower.trust_for;
        }
    }

    fn begin_snapshot<D: Device>(&mut self, now: Instant, to: NodeId, stack: &mut Stack<D>) {
        let frozen = stack.freeze(now);
        let Some(leader) = stack.journal_mut::<Leader>() else { return };
        match leader.begin_snapshot(now, to, frozen.position()) {
            Ok(()) => {
                self.counters.snapshots_made += 1;
                let outgoing = Outgoing { frozen, part: Vec::new(), has_more: true };
                self.outgoing.insert(to, outgoing);
            }
            Err(why) => log::warn!("no snapshot for node {to}: {why}"),
        }
    }

    /// The last entry on which a frame that leaves may depend; `None`: any.
    pub(crate) fn committed<D: Device>(&self, stack: &mut Stack<D>) -> Option<LogPosition> {
        stack.journal_mut::<Leader>().map(|leader| leader.commit_position())
    }

    /// What this node's copy is worth in an election.
    pub(crate) fn position(&self) -> LogPosition {
        if matches!(self.role, Role::Leading) && self.position == LogPosition::default() {
            return LogPosition::NOTHING_YET;
        }
        match self.protection {
            Protection::Protected | Protection::Unprotected | Protection::InSync => {
                LogPosition::complete(self.generation.0)
            }
            Protection::Stale if sabotaged(Sabotage::StaleElected) => LogPosition(u64::MAX),
            // 0 is for whoever never had one.
            Protection::Stale => LogPosition(self.position.0.max(1)),
            Protection::Joining => LogPosition::NOT_WHOLE,
            Protection::Alone => LogPosition::default(),
        }
    }

    /// From when on its copy is not known to be whole, unless that is said anew.
    pub(crate) fn position_until(&self) -> Option<Instant> {
        match &self.role {
            Role::Leading => None,
            Role::Following(follower) => follower.trusted_until(),
        }
    }

    /// The state, for status and metrics; `frames_held` is the embedding's.
    pub(crate) fn status<D: Device>(
        &self,
        stack: &Stack<D>,
        frames_held: u64,
    ) -> ReplicationStatus {
        let mut counters = self.counters;
        counters.frames_of_strangers = self.channels.strangers();
        let leader = stack.journal::<Leader>().map(Leader::status);
        if let Some(leader) = &leader {
            counters.add(&leader.counters);
        }
        ReplicationStatus {
            protection: self.protection,
            position: self.position,
            followers: leader.map(|leader| leader.followers).unwrap_or_default(),
            frames_held,
            counters,
        }
    }

    pub(crate) fn poll_transmit<R>(
        &mut self,
        send: impl FnMut(&[u8], Option<NonZeroU16>) -> R,
    ) -> Option<R> {
        self.channels.poll_transmit(send)
    }

    pub(crate) fn poll_deadline(&self) -> Option<(Instant, &'static str)> {
        self.deadline.map(|at| (at, "replication"))
    }

    fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let hash = Sha256::new().chain_update(self.secret);
        hash.chain_update(self.drawn.to_le_bytes()).finalize().into()
    }

    fn draw_number(&mut self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.draw();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// What a follower's copy is worth.
const fn worth(standing: Standing) -> Protection {
    match standing {
        Standing::Alone => Protection::Alone,
        Standing::Joining => Protection::Joining,
        Standing::InSync(_) => Protection::InSync,
        Standing::Stale(_) => Protection::Stale,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The digest of a part of the services' state at a position; which part depends on it.
fn state_digest<D: Device>(position: LogPosition, stack: &Stack<D>) -> u64 {
    let number = locum_replica::digest(&position.0.to_le_bytes());
    locum_replica::digest(&stack.state_part(number))
}

/// Does what a follower is told; false if it does not fit what was done before.
fn apply<D: Device>(
    now: Instant,
    output: &Output<'_>,
    incoming: &mut Vec<u8>,
    stack: &mut Stack<D>,
    counters: &mut ReplicationCounters,
) -> bool {
    match *output {
        Output::Apply { time, position, entry } => {
            counters.entries_applied += 1;
            if sabotaged(Sabotage::EntryTwice) {
                let _ = stack.apply(now, time, position, &entry);
            }
            let applied = stack.apply(now, time, position, &entry);
            applied.inspect_err(|why| log::error!("this node's copy is lost: {why}")).is_ok()
        }
        Output::SnapshotBegin { .. } => {
            incoming.clear();
            true
        }
        Output::SnapshotChunk { bytes } => {
            incoming.extend_from_slice(bytes);
            true
        }
        Output::SnapshotEnd { .. } => {
            let restored = stack.restore_snapshot(now, incoming);
            incoming.clear();
            incoming.shrink_to(64 * 1024);
            counters.snapshots_restored += u64::from(restored.is_ok());
            restored.inspect_err(|why| log::error!("a snapshot is of no use: {why}")).is_ok()
        }
        // Asked for by the caller, who has the follower.
        Output::CheckState { .. } => true,
    }
}

fn log_leader(event: &LeaderEvent) {
    log::info!("replication: {event:?}");
}

fn log_follower(event: &FollowerEvent) {
    log::info!("replication: {event:?}");
}
