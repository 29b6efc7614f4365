//! What is sent by somebody who is no node of the group, or stands between two: refused, counted, and harmless.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::{follower_config, group, key, leader_config, node};
use locum_replica::{
    ConnectionId, DropReason, Follower, FollowerConfig, FollowerRequest, History, Leader,
    LeaderConfig, LeaderEvent, LeaderRequest, LogPoint, Refusal, Stage, Standing,
};
use locum_stack::log::Entry;
use locum_types::{BootNonce, GroupId, Instant, LogPosition};
use locum_wire::Key;

const NOW: Instant = Instant::from_millis(1_000);
const CONNECTION: ConnectionId = ConnectionId(1);

/// A leader and a follower with a connection, and what went over it.
struct Pair {
    leader: Leader,
    follower: Follower,
    to_leader: Vec<Vec<u8>>,
    to_follower: Vec<Vec<u8>>,
}

impl Pair {
    fn new(leader: LeaderConfig, follower: FollowerConfig) -> Self {
        let mut pair = Pair {
            leader: Leader::new(leader, LogPoint::start(History(4))),
            follower: Follower::new(follower, None),
            to_leader: Vec::new(),
            to_follower: Vec::new(),
        };
        pair.leader.connected(NOW, CONNECTION, [1; 32]);
        pair.follower.connected(NOW, node(1), [2; 32]);
        pair
    }

    /// What the follower sends, changed by somebody in between.
    fn up(&mut self, change: impl Fn(&mut Vec<u8>)) {
        let mut bytes = vec![0; 20_000];
        let len = self.follower.poll_transmit(NOW, &mut bytes);
        bytes.truncate(len);
        self.to_leader.push(bytes.clone());
        change(&mut bytes);
        self.leader.receive(NOW, CONNECTION, &bytes);
    }

    /// What the leader sends, changed by somebody in between.
    fn down(&mut self, change: impl Fn(&mut Vec<u8>)) {
        let mut bytes = vec![0; 20_000];
        let len = self.leader.poll_transmit(NOW, CONNECTION, &mut bytes);
        bytes.truncate(len);
        self.to_follower.push(bytes.clone());
        change(&mut bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let taken = self.follower.receive(NOW, rest);
            rest = &rest[taken..];
            while self.follower.poll_output(NOW).is_some() {}
        }
        self.follower.confirm();
    }

    fn snapshot(&mut self) {
        let request = self.leader.poll_request();
        assert_eq!(request, Some(LeaderRequest::Snapshot { follower: node(2) }));
        let head = self.leader.head().position;
        self.leader.begin_snapshot(NOW, node(2), head).unwrap();
        assert_eq!(self.leader.offer_chunk(node(2), b"abc"), 3);
        self.leader.end_snapshot(node(2));
    }

    /// Nobody in between: in sync afterwards.
    fn join(&mut self) {
        for _ in 0..2 {
            self.up(|_| ());
            self.down(|_| ());
        }
        self.snapshot();
        self.down(|_| ());
        self.up(|_| ());
        self.down(|_| ());
        assert!(matches!(self.follower.standing(NOW), Standing::InSync(_)));
        assert!(self.leader.is_protected());
    }

    fn refused_by_leader(&mut self) -> Option<Refusal> {
        let events = std::iter::from_fn(|| self.leader.poll_event());
        let refusals = events.filter_map(|event| match event {
            LeaderEvent::Refused { refusal, .. } => Some(refusal),
            LeaderEvent::Joining { .. }
            | LeaderEvent::InSync { .. }
            | LeaderEvent::Dropped { .. }
            | LeaderEvent::Protected
            | LeaderEvent::Unprotected => None,
        });
        refusals.last()
    }
}

fn pair() -> Pair {
    Pair::new(leader_config(1), follower_config(0, 20))
}

#[test]
fn without_anybody_in_between_a_follower_joins() {
    let mut pair = pair();
    pair.join();
    assert_eq!(pair.leader.status().refused.total(), 0);
    assert_eq!(pair.follower.status(NOW).refused.total(), 0);
}

#[test]
fn another_key_another_group_and_an_unknown_node_are_refused_by_name() {
    let config =
        |group: GroupId, id: u8, key: Key| FollowerConfig::new(group, node(id), BootNonce(20), key);
    let other = GroupId::new(8).unwrap();
    for (config, refusal) in [
        (config(group(), 2, Key::new([1; 32])), Refusal::BadHandshake),
        (config(other, 2, key()), Refusal::WrongGroup(8)),
        (config(group(), 9, key()), Refusal::NotForUs { from: 9, to: 1 }),
    ] {
        let mut pair = Pair::new(leader_config(1), config);
        pair.up(|_| ());
        assert_eq!(pair.refused_by_leader(), Some(refusal));
        assert_eq!(pair.leader.status().refused.total(), 1);
        let request = pair.leader.poll_request();
        assert_eq!(request, Some(LeaderRequest::Close { connection: CONNECTION }));
    }
}

#[test]
fn something_else_that_connects_is_refused_at_its_first_bytes() {
    let mut pair = pair();
    pair.up(|bytes| *bytes = [&b"GET / HTTP/1.1\r\n"[..], &[b'x'; 200]].concat());
    assert_eq!(pair.refused_by_leader(), Some(Refusal::BadGreeting));
}

#[test]
fn a_false_leader_is_refused_and_the_connection_is_to_be_closed() {
    let mut pair = pair();
    pair.up(|_| ());
    pair.down(|bytes| bytes.fill(0));
    let status = pair.follower.status(NOW);
    assert_eq!((status.refused.bad_handshake, status.leader), (1, None));
    assert_eq!(pair.follower.poll_request(), Some(FollowerRequest::Close));
    assert_eq!(pair.follower.poll_request(), None);
    assert_eq!(pair.follower.receive(NOW, &[0; 100]), 100, "the rest is of no interest");
}

#[test]
fn an_altered_record_ends_the_session_and_what_was_held_is_committed() {
    let mut pair = pair();
    pair.join();
    let head = pair.leader.append(NOW, NOW, &Entry::Tick { port: 7 });
    pair.down(|_| ());
    assert!(pair.leader.commit_position() < head);
    pair.up(|bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(pair.leader.commit_position(), head, "nobody is waited for any more");
    assert_eq!(pair.leader.status().refused.bad_seal, 1);
    assert!(!pair.leader.is_protected());
    let dropped = std::iter::from_fn(|| pair.leader.poll_event()).find_map(|event| match event {
        LeaderEvent::Dropped { reason, .. } => Some(reason),
        LeaderEvent::Joining { .. }
        | LeaderEvent::InSync { .. }
        | LeaderEvent::Protected
        | LeaderEvent::Unprotected
        | LeaderEvent::Refused { .. } => None,
    });
    assert_eq!(dropped, Some(DropReason::Refused(Refusal::BadSeal)));
}

#[test]
fn an_altered_entry_is_never_applied() {
    let mut pair = pair();
    pair.join();
    let before = pair.follower.point();
    pair.leader.append(NOW, NOW, &Entry::Tick { port: 7 });
    pair.down(|bytes| bytes[5] ^= 1);
    assert_eq!(pair.follower.point(), before);
    assert_eq!(pair.follower.status(NOW).refused.bad_seal, 1);
}

#[test]
fn a_record_of_an_impossible_length_is_refused_before_it_is_here() {
    let mut pair = pair();
    pair.join();
    pair.leader.receive(NOW, CONNECTION, &[0xff, 0xff]);
    assert_eq!(pair.refused_by_leader(), Some(Refusal::BadLength(0xffff)));
    assert_eq!(pair.follower.receive(NOW, &[0, 3]), 2);
    assert_eq!(pair.follower.status(NOW).refused.bad_length, 1);
}

#[test]
fn a_recorded_session_gets_nowhere_and_displaces_nobody() {
    let mut pair = pair();
    pair.join();
    let recorded = pair.to_leader.concat();
    let replay = ConnectionId(2);
    pair.leader.connected(NOW, replay, [7; 32]);
    pair.leader.receive(NOW, replay, &recorded);
    assert_eq!(pair.refused_by_leader(), Some(Refusal::BadSeal));
    let followers = pair.leader.status().followers;
    assert_eq!(followers.len(), 1);
    assert_eq!(followers[0].stage, Stage::InSync, "the true session goes on");
    // And a leader that was recorded is none to a follower that calls anew.
    let recorded = pair.to_follower.concat();
    pair.follower.connected(NOW, node(1), [8; 32]);
    pair.follower.receive(NOW, &recorded);
    assert_eq!(pair.follower.status(NOW).refused.bad_handshake, 1);
}

#[test]
fn what_a_node_said_is_not_believed_when_it_comes_back() {
    let mut pair = pair();
    pair.join();
    let head = pair.leader.append(NOW, NOW, &Entry::Tick { port: 7 });
    let mut bytes = [0; 20_000];
    let len = pair.leader.poll_transmit(NOW, CONNECTION, &mut bytes);
    assert!(len > 0);
    pair.leader.receive(NOW, CONNECTION, &bytes[..len]);
    assert_eq!(pair.refused_by_leader(), Some(Refusal::BadSeal));
    assert_eq!(pair.leader.commit_position(), head);
}

#[test]
fn strangers_are_let_go_in_time_and_when_there_are_too_many() {
    let config = leader_config(1);
    let mut leader = Leader::new(config.clone(), LogPoint::start(History(4)));
    for id in 0..100 {
        leader.connected(NOW, ConnectionId(id), [id as u8; 32]);
    }
    assert_eq!(leader.status().refused.too_many, 100 - 9, "one follower and eight others");
    leader.tick((NOW + config.hello_within).saturating_sub(Duration::from_nanos(1)));
    assert_eq!(leader.status().refused.too_late, 0);
    leader.tick(NOW + config.hello_within);
    assert_eq!(leader.status().refused.too_late, 9);
    assert_eq!(std::iter::from_fn(|| leader.poll_request()).count(), 100);
    assert_eq!(leader.poll_deadline(), None);
}

#[test]
fn strangers_do_not_push_out_a_follower() {
    let mut pair = pair();
    pair.join();
    for id in 2..100 {
        pair.leader.connected(NOW, ConnectionId(id), [id as u8; 32]);
    }
    assert_eq!(pair.leader.status().followers.len(), 1);
    assert!(pair.leader.is_protected());
}

#[test]
fn a_leader_that_does_not_answer_is_given_up() {
    let config = follower_config(0, 20);
    let mut follower = Follower::new(config.clone(), None);
    follower.connected(NOW, node(1), [3; 32]);
    let (at, _) = follower.poll_deadline().unwrap();
    assert_eq!(at, NOW + config.hello_within);
    follower.tick(at);
    assert_eq!(follower.status(at).refused.too_late, 1);
    assert_eq!(follower.poll_request(), Some(FollowerRequest::Close));
    assert_eq!(follower.poll_deadline(), None);
}

#[test]
fn positions_at_the_end_of_numbers_do_no_harm() {
    let end = LogPoint { position: LogPosition(u64::MAX - 1), ..LogPoint::start(History(4)) };
    let mut leader = Leader::new(leader_config(1), end);
    for _ in 0..3 {
        let head = leader.append(NOW, NOW, &Entry::Tick { port: 7 });
        assert_eq!(head, LogPosition(u64::MAX));
        assert_eq!(leader.commit_position(), head);
    }
}
