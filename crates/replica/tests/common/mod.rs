//! A leader and its followers, over pipes that split, delay, stall and break.

#![allow(clippy::unwrap_used, dead_code, reason = "tests; each file uses a part of it")]

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use locum_replica::{
    ConnectionId, Follower, FollowerConfig, FollowerEvent, FollowerRequest, History, Leader,
    LeaderConfig, LeaderEvent, LeaderRequest, LogPoint, Output, Stage, Standing, encode_entry,
};
use locum_stack::log::Entry;
use locum_stack::service::FlowId;
use locum_types::{BootNonce, GroupId, Instant, LogPosition, NodeId};
use locum_wire::Key;

/// How many bytes a pipe holds: a receive window.
const PIPE: usize = 48 * 1024;

pub(crate) const TURN: Duration = Duration::from_millis(1);

pub(crate) fn group() -> GroupId {
    GroupId::new(7).unwrap()
}

pub(crate) fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(crate) fn key() -> Key {
    Key::new([9; 32])
}

pub(crate) fn leader_config(followers: usize) -> LeaderConfig {
    let followers = (0..followers).map(|index| node(2 + index as u8)).collect();
    LeaderConfig {
        buffer_bytes: 256 * 1024,
        buffer_entries: 4096,
        snapshot_window: 8 * 1024,
        state_digest_every: Some(5),
        join_stall: Duration::from_millis(300),
        ..LeaderConfig::new(group(), node(1), BootNonce(100), key(), followers)
    }
}

pub(crate) fn follower_config(index: usize, boot: u64) -> FollowerConfig {
    FollowerConfig::new(group(), node(2 + index as u8), BootNonce(boot), key())
}

/// What a node would know by applying the log: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State(pub(crate) Vec<Vec<u8>>);

impl State {
    /// Its bytes, after one that makes sure that there are some.
    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = vec![0xa5];
        for entry in &self.0 {
            bytes.extend((entry.len() as u32).to_be_bytes());
            bytes.extend(entry);
        }
        bytes
    }

    fn restore(bytes: &[u8]) -> Self {
        let mut rest = bytes.strip_prefix(&[0xa5]).expect("it begins as it should");
        let mut entries = Vec::new();
        while let Some((len, tail)) = rest.split_first_chunk::<4>() {
            let (entry, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
            entries.push(entry.to_vec());
            rest = tail;
        }
        State(entries)
    }

    fn digest(&self) -> u64 {
        let mut digest = 0u64;
        for byte in self.0.iter().flatten() {
            digest = digest.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte);
        }
        digest
    }
}

pub(crate) struct Node {
    id: NodeId,
    pub(crate) follower: Follower,
    pub(crate) state: State,
    pub(crate) connection: Option<ConnectionId>,
    /// It neither reads nor writes.
    pub(crate) stalled: bool,
    /// It may not connect.
    pub(crate) kept_out: bool,
    /// Its next state digest is wrong.
    pub(crate) miscounts: bool,
    pub(crate) events: Vec<FollowerEvent>,
    pub(crate) to_leader: VecDeque<u8>,
    pub(crate) to_follower: VecDeque<u8>,
    restoring: Vec<u8>,
    /// What it is given a snapshot from, and how much of that was offered.
    snapshot: (Vec<u8>, usize),
    pub(crate) snapshots: usize,
}

impl Node {
    fn new(config: FollowerConfig, have: Option<LogPoint>, state: State) -> Self {
        Node {
            id: config.node,
            follower: Follower::new(config, have),
            state,
            connection: None,
            stalled: false,
            kept_out: false,
            miscounts: false,
            events: Vec::new(),
            to_leader: VecDeque::new(),
            to_follower: VecDeque::new(),
            restoring: Vec::new(),
            snapshot: (Vec::new(), 0),
            snapshots: 0,
        }
    }

    pub(crate) fn standing(&self, now: Instant) -> Standing {
        self.follower.standing(now)
    }

    /// Takes all of `bytes`, and does what comes of it.
    pub(crate) fn receive(&mut self, now: Instant, mut bytes: &[u8]) {
        loop {
            bytes = &bytes[self.follower.receive(now, bytes)..];
            let mut check = None;
            match self.follower.poll_output(now) {
                Some(Output::Apply { time, position, entry }) => {
                    let mut encoded = Vec::new();
                    encode_entry(&mut encoded, time, &entry);
                    self.state.0.push(encoded);
                    assert_eq!(position.0, self.state.0.len() as u64, "in order, and once");
                }
                Some(Output::SnapshotBegin { .. }) => {
                    self.state = State::default();
                    self.restoring.clear();
                    self.snapshots += 1;
                }
                Some(Output::SnapshotChunk { bytes }) => self.restoring.extend_from_slice(bytes),
                Some(Output::SnapshotEnd { position }) => {
                    self.state = State::restore(&self.restoring);
                    assert_eq!(position.0, self.state.0.len() as u64);
                }
                Some(Output::CheckState { position }) => check = Some(position),
                None if bytes.is_empty() => return,
                None => {}
            }
            if let Some(position) = check {
                let wrong = u64::from(std::mem::take(&mut self.miscounts));
                self.follower.state_digest(now, position, self.state.digest() ^ wrong);
            }
        }
    }
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) rng: Rng,
    pub(crate) leader: Leader,
    pub(crate) config: LeaderConfig,
    pub(crate) state: State,
    pub(crate) nodes: Vec<Node>,
    pub(crate) events: Vec<LeaderEvent>,
    connections: u64,
    /// What was committed at the last look.
    committed: LogPosition,
}

impl World {
    pub(crate) fn new(config: LeaderConfig, seed: u64) -> Self {
        let nodes = (0..config.followers.len())
            .map(|index| Node::new(follower_config(index, 200), None, State::default()))
            .collect();
        World {
            now: Instant::from_millis(1_000),
            rng: Rng::with_seed(seed),
            leader: Leader::new(config.clone(), LogPoint::start(History(seed))),
            config,
            state: State::default(),
            nodes,
            events: Vec::new(),
            connections: 0,
            committed: LogPosition(0),
        }
    }

    /// Appends an entry with `len` bytes of data.
    pub(crate) fn append(&mut self, len: usize) -> LogPosition {
        let bytes: Vec<u8> = (0..len.max(1)).map(|_| self.rng.u8(..)).collect();
        let entry = Entry::Data { flow: FlowId(self.rng.u64(..1000)), bytes: &bytes };
        let mut encoded = Vec::new();
        encode_entry(&mut encoded, self.now, &entry);
        self.state.0.push(encoded);
        let position = self.leader.append(self.now, self.now, &entry);
        assert_eq!(position.0, self.state.0.len() as u64);
        position
    }

    /// Appends `count` entries with `len` bytes of data each.
    pub(crate) fn append_many(&mut self, count: usize, len: usize) {
        for _ in 0..count {
            self.append(len);
        }
    }

    pub(crate) fn connect(&mut self, index: usize) {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let entropy = |rng: &mut Rng| std::array::from_fn(|_| rng.u8(..));
        let node = &mut self.nodes[index];
        node.to_leader.clear();
        node.to_follower.clear();
        node.connection = Some(connection);
        node.follower.connected(self.now, self.config.node, entropy(&mut self.rng));
        self.leader.connected(self.now, connection, entropy(&mut self.rng));
    }

    /// The connection breaks; both ends see it.
    pub(crate) fn cut(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if let Some(connection) = node.connection.take() {
            node.follower.disconnected(self.now);
            self.leader.disconnected(self.now, connection);
        }
    }

    /// The node loses everything, and starts anew.
    pub(crate) fn restart(&mut self, index: usize) {
        self.cut(index);
        let boot = self.rng.u64(..);
        self.nodes[index] = Node::new(follower_config(index, boot), None, State::default());
    }

    /// The leader dies. Node `index` keeps its place in the list of followers, and is what the dead one was:
    /// the new leader goes on from what that follower had.
    pub(crate) fn take_over(&mut self, index: usize) {
        (0..self.nodes.len()).for_each(|node| self.cut(node));
        let point = self.nodes[index].follower.point().expect("it has a log");
        self.config.boot = BootNonce(self.rng.u64(..));
        self.leader = Leader::new(self.config.clone(), point);
        assert!(self.committed <= point.position, "the successor lacks what was committed");
        let old = std::mem::replace(&mut self.state, self.nodes[index].state.clone());
        self.nodes[index] = Node::new(follower_config(index, self.rng.u64(..)), None, old);
    }

    /// Whatever fits the pipes, in pieces of any size.
    pub(crate) fn turn(&mut self) {
        self.now += TURN;
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            if node.connection.is_none() && !node.stalled && !node.kept_out {
                self.connect(index);
            }
            self.carry_to_follower(index);
            self.carry_to_leader(index);
        }
        self.leader.tick(self.now);
        self.serve_requests();
        self.events.extend(std::iter::from_fn(|| self.leader.poll_event()));
        self.check();
    }

    fn carry_to_follower(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if let Some(connection) = node.connection {
            let room = (PIPE - node.to_follower.len()).min(self.rng.usize(1..40_000));
            let mut buffer = vec![0; room];
            let len = self.leader.poll_transmit(now, connection, &mut buffer);
            node.to_follower.extend(&buffer[..len]);
        }
        if !node.stalled {
            let len = self.rng.usize(..=node.to_follower.len());
            let bytes: Vec<u8> = node.to_follower.drain(..len).collect();
            for piece in bytes.chunks(self.rng.usize(1..20_000)) {
                node.receive(now, piece);
            }
            node.follower.confirm();
            node.follower.tick(now);
        }
        node.events.extend(std::iter::from_fn(|| node.follower.poll_event()));
    }

    fn carry_to_leader(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        let Some(connection) = node.connection.filter(|_| !node.stalled) else { return };
        let mut buffer = vec![0; self.rng.usize(1..200)];
        let len = node.follower.poll_transmit(now, &mut buffer);
        node.to_leader.extend(&buffer[..len]);
        let len = self.rng.usize(..=node.to_leader.len());
        let bytes: Vec<u8> = node.to_leader.drain(..len).collect();
        self.leader.receive(now, connection, &bytes);
        if node.follower.poll_request() == Some(FollowerRequest::Close) {
            let rest: Vec<u8> = node.to_leader.drain(..).collect();
            self.leader.receive(now, connection, &rest);
            self.cut(index);
        }
    }

    fn serve_requests(&mut self) {
        while let Some(request) = self.leader.poll_request() {
            match request {
                LeaderRequest::Snapshot { follower } => {
                    let bytes = self.state.snapshot();
                    let position = self.leader.head().position;
                    self.leader
                        .begin_snapshot(self.now, follower, position)
                        .expect("it was asked for");
                    self.nodes[usize::from(follower.get()) - 2].snapshot = (bytes, 0);
                }
                LeaderRequest::StateDigest { position } => {
                    assert!(self.leader.state_digest(self.now, position, self.state.digest()));
                }
                LeaderRequest::Close { connection } => self.closed(connection),
            }
        }
        for node in &mut self.nodes {
            let (bytes, offered) = &mut node.snapshot;
            *offered += self.leader.offer_chunk(node.id, &bytes[*offered..]);
            if *offered == bytes.len() {
                self.leader.end_snapshot(node.id);
            }
        }
    }

    /// The leader closes: the rest still arrives, then the end.
    fn closed(&mut self, connection: ConnectionId) {
        let now = self.now;
        let Some(node) = self.nodes.iter_mut().find(|node| node.connection == Some(connection))
        else {
            return;
        };
        let bytes: Vec<u8> = node.to_follower.drain(..).collect();
        node.connection = None;
        if !node.stalled {
            node.receive(now, &bytes);
        }
        node.follower.disconnected(now);
    }

    pub(crate) fn turns(&mut self, count: usize) {
        (0..count).for_each(|_| self.turn());
    }

    pub(crate) fn stage(&self, index: usize) -> Option<Stage> {
        let followers = self.leader.status().followers;
        followers.iter().find(|one| one.follower == node(2 + index as u8)).map(|one| one.stage)
    }

    /// What must hold at all times.
    pub(crate) fn check(&mut self) {
        let status = self.leader.status();
        assert!(self.committed <= status.committed, "what is committed stays so");
        self.committed = status.committed;
        assert!(status.committed <= status.head.position);
        assert!(status.buffer_bytes <= self.config.buffer_bytes);
        assert!(status.buffer_entries <= self.config.buffer_entries);
        for one in status.followers.iter().filter(|one| one.stage == Stage::InSync) {
            assert!(status.committed <= one.confirmed, "{status:?}");
            let node = &self.nodes[usize::from(one.follower.get()) - 2];
            let applied = node.state.0.len() as u64;
            assert!(one.confirmed.0 <= applied, "only what is applied is confirmed");
            assert_eq!(node.state.0[..], self.state.0[..applied as usize], "a prefix, no other");
        }
        let in_sync = status.followers.iter().any(|one| one.stage == Stage::InSync);
        assert_eq!(status.protected, in_sync);
    }

    /// With nothing in the way everybody comes to be in sync and to have everything.
    pub(crate) fn settle(&mut self) {
        for node in &mut self.nodes {
            node.stalled = false;
            node.kept_out = false;
        }
        for _ in 0..5_000 {
            self.turn();
            let all = (0..self.nodes.len()).all(|index| {
                self.stage(index) == Some(Stage::InSync)
                    && self.nodes[index].state == self.state
                    && matches!(self.nodes[index].standing(self.now), Standing::InSync(_))
            });
            if all && self.leader.commit_position() == self.leader.head().position {
                return;
            }
        }
        panic!("not in sync after 5 s: {:?}", self.leader.status());
    }
}
