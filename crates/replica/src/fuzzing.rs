//! Body of the fuzz target `replica`, as a plain function that libFuzzer and the corpus test both call.
//!
//! The first byte of an input says what the rest is given to: the decoders (0), a leader and a follower as what
//! a stranger sends (1), a leader as what a follower with the key does (2), a follower as what a leader with the
//! key does (3).

mod follower;
mod leader;

use locum_types::{BootNonce, GroupId, Instant, NodeId};
use locum_wire::Key;

use crate::record::RECORD_LEN_MAX;
use crate::record::{Channel, SessionKey};
use crate::{
    ConnectionId, Follower, FollowerConfig, FromFollower, FromLeader, History, Item, Leader,
    LeaderConfig, LogPoint, Standing,
};

const KEY: Key = Key::new([0x5a; 32]);
const HISTORY: History = History(1);
const START: Instant = Instant::from_millis(1_000);

/// Any bytes at all from the other end of a connection.
///
/// # Panics
/// When the crate does not keep a promise. That is a defect.
pub fn replica(input: &[u8]) {
    let Some((what, rest)) = input.split_first() else { return };
    match what % 4 {
        0 => decoders(rest),
        1 => stranger(rest),
        2 => leader::run(Script(rest)),
        _ => follower::run(Script(rest)),
    }
}

/// Whatever can be decoded has one encoding.
fn decoders(input: &[u8]) {
    let mut again = Vec::new();
    if let Ok(item) = Item::decode(input) {
        item.encode(&mut again);
        assert_eq!(again, input, "one item has one encoding");
    }
    again.clear();
    if let Ok(message) = FromLeader::decode(input) {
        message.encode(&mut again);
        assert_eq!(again, input, "one message has one encoding");
    }
    again.clear();
    if let Ok(message) = FromFollower::decode(input) {
        message.encode(&mut again);
        assert_eq!(again, input, "one message has one encoding");
    }
}

/// Nobody is believed who has no key.
fn stranger(input: &[u8]) {
    let mut leader = new_leader();
    leader.connected(START, ConnectionId(1), [1; 32]);
    leader.receive(START, ConnectionId(1), input);
    let status = leader.status();
    assert!(status.followers.is_empty() && !status.protected, "a stranger follows");
    let mut follower = new_follower(None);
    follower.connected(START, node(1), [2; 32]);
    assert_eq!(follower.receive(START, input), input.len(), "nothing holds it up");
    assert_eq!(follower.poll_output(START), None, "a stranger leads");
    assert_eq!(follower.standing(START), Standing::Alone);
}

fn group() -> GroupId {
    GroupId::new(7).expect("in range")
}

fn node(id: u8) -> NodeId {
    NodeId::new(id).expect("in range")
}

fn key() -> SessionKey {
    SessionKey::new(&KEY)
}

/// Its bounds are low, so that short inputs reach them.
fn new_leader() -> Leader {
    let config = LeaderConfig {
        buffer_bytes: 2_000,
        buffer_entries: 16,
        snapshot_window: 300,
        state_digest_every: Some(3),
        ..LeaderConfig::new(group(), node(1), BootNonce(1), KEY, vec![node(2), node(3)])
    };
    Leader::new(config, LogPoint::start(HISTORY))
}

fn new_follower(have: Option<LogPoint>) -> Follower {
    Follower::new(FollowerConfig::new(group(), node(2), BootNonce(2), KEY), have)
}

fn sealed(channel: &mut Channel, message: &[u8]) -> Vec<u8> {
    let mut record = vec![0; RECORD_LEN_MAX];
    let len = channel.seal(message, &mut record).expect("a message of a script fits");
    record.truncate(len);
    record
}

/// Instructions: a number, an argument, and for some as many bytes as the argument says.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn next(&mut self) -> Option<(u8, u8)> {
        let (&[instruction, argument], rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some((instruction, argument))
    }

    /// The next bytes, as many as there are.
    fn take(&mut self, len: u8) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(usize::from(len).min(self.0.len()));
        self.0 = rest;
        taken
    }
}
