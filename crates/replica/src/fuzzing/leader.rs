//! A leader, and followers that have the key and no manners.

use std::time::Duration;

use locum_stack::log::Entry;
use locum_stack::service::FlowId;
use locum_types::{BootNonce, Instant, LogPosition};

use super::{HISTORY, START, Script, group, key, new_leader, node, sealed};
use crate::record::{ANSWER_LEN, Call, Channel, Greeting};
use crate::{ConnectionId, FromFollower, Leader, LeaderRequest, LogPoint};

const FOLLOWERS: usize = 2;
/// More requests in one turn than there can be reasons for.
const REQUESTS_MAX: usize = 64;

struct World {
    now: Instant,
    leader: Leader,
    /// After each entry, from the start on.
    points: Vec<LogPoint>,
    committed: LogPosition,
    connections: u64,
    peers: [Option<(ConnectionId, Channel)>; FOLLOWERS],
}

/// Carries out a script. Nothing of what followers do keeps the leader from committing for longer than it waits
/// for an entry, makes it go back on what it has committed, or keeps it busy.
pub(super) fn run(mut script: Script<'_>) {
    let mut world = World {
        now: START,
        leader: new_leader(),
        points: vec![LogPoint::start(HISTORY)],
        committed: LogPosition(0),
        connections: 0,
        peers: [None, None],
    };
    while let Some((instruction, argument)) = script.next() {
        let peer = usize::from(instruction >> 4) % FOLLOWERS;
        world.carry_out(instruction & 0x0f, argument, peer, &mut script);
        world.check();
    }
    world.now += Duration::from_millis(30);
    world.leader.tick(world.now);
    let head = world.leader.head().position;
    assert_eq!(world.leader.commit_position(), head, "somebody is waited for and not dropped");
}

impl World {
    fn carry_out(&mut self, instruction: u8, argument: u8, peer: usize, script: &mut Script<'_>) {
        match instruction {
            0 => self.append(&Entry::Tick { port: u16::from(argument) }),
            1 => {
                let bytes = vec![argument; usize::from(argument) * 16 + 1];
                self.append(&Entry::Data { flow: FlowId(1), bytes: &bytes });
            }
            2 => {
                self.now += Duration::from_millis(u64::from(argument));
                self.leader.tick(self.now);
                let deadline = self.leader.poll_deadline();
                assert!(deadline.is_none_or(|(at, _)| at > self.now), "{deadline:?} keeps it busy");
            }
            3 => self.say(peer, script.take(argument)),
            4 => {
                if let Some((connection, _)) = self.peers[peer] {
                    self.leader.receive(self.now, connection, script.take(argument));
                }
            }
            5 => {
                let position = self.points.len().saturating_sub(1 + usize::from(argument));
                let LogPoint { position, digest, .. } = self.points[position];
                self.tell(peer, &FromFollower::Confirm { position, digest, in_sync: None });
            }
            6 => self.transmit(peer, usize::from(argument) * 8),
            7 => self.serve(usize::from(argument)),
            8 => {
                let have = self.points.len().checked_sub(usize::from(argument));
                let have = have.and_then(|position| self.points.get(position).copied());
                self.tell(peer, &FromFollower::Hello { have });
            }
            9 => self.connect(peer, argument),
            10 => {
                if let Some((connection, _)) = self.peers[peer].take() {
                    self.leader.disconnected(self.now, connection);
                }
            }
            _ => {}
        }
    }

    fn append(&mut self, entry: &Entry<'_>) {
        self.leader.append(self.now, self.now, entry);
        self.points.push(self.leader.head());
    }

    fn connect(&mut self, peer: usize, seed: u8) {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let from = node(2 + peer as u8);
        let greeting = Greeting { group: group(), from, to: node(1), boot: BootNonce(2) };
        let call = Call::new(&key(), &greeting, [seed; 32]);
        let (call, bytes) = call.expect("a call can always be made");
        self.leader.connected(self.now, connection, [!seed; 32]);
        self.leader.receive(self.now, connection, &bytes);
        let mut answer = [0; ANSWER_LEN];
        let len = self.leader.poll_transmit(self.now, connection, &mut answer);
        let (channel, _) = call.answered(&answer[..len]).expect("an honest call is answered");
        self.peers[peer] = Some((connection, channel));
    }

    fn tell(&mut self, peer: usize, message: &FromFollower) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.say(peer, &bytes);
    }

    fn say(&mut self, peer: usize, message: &[u8]) {
        if let Some((connection, channel)) = &mut self.peers[peer] {
            let record = sealed(channel, message);
            self.leader.receive(self.now, *connection, &record);
        }
    }

    fn transmit(&mut self, peer: usize, room: usize) {
        if let Some((connection, _)) = self.peers[peer] {
            let mut out = vec![0; room];
            assert!(self.leader.poll_transmit(self.now, connection, &mut out) <= room);
        }
    }

    /// Does what the leader asks for, and offers `len` bytes of each snapshot.
    fn serve(&mut self, len: usize) {
        for count in 0.. {
            assert!(count < REQUESTS_MAX, "requests have no end");
            match self.leader.poll_request() {
                Some(LeaderRequest::Snapshot { follower }) => {
                    let position = self.leader.head().position;
                    let begun = self.leader.begin_snapshot(self.now, follower, position);
                    begun.expect("it was asked for");
                }
                Some(LeaderRequest::StateDigest { position }) => {
                    assert!(
                        self.leader.state_digest(self.now, position, 1),
                        "nothing came between"
                    );
                }
                Some(LeaderRequest::Close { .. }) => {}
                None => break,
            }
        }
        for peer in 0..FOLLOWERS {
            let follower = node(2 + peer as u8);
            let room = self.leader.snapshot_room(follower);
            assert!(self.leader.offer_chunk(follower, &vec![0; len]) <= room);
            if len.is_multiple_of(2) {
                self.leader.end_snapshot(follower);
            }
        }
    }

    fn check(&mut self) {
        let status = self.leader.status();
        assert!(self.committed <= status.committed, "what is committed stays so");
        assert!(status.committed <= status.head.position, "only what there is is committed");
        assert!(status.buffer_bytes <= 2_000 && status.buffer_entries <= 16, "{status:?}");
        self.committed = status.committed;
        while self.leader.poll_event().is_some() {}
    }
}
