//! A follower, and a leader that has the key and no manners.

use std::time::Duration;

use locum_types::{BootNonce, Instant, LogPosition};

use super::{HISTORY, START, Script, group, key, new_follower, node, sealed};
use crate::record::{self, CALL_LEN, Channel};
use crate::{Follower, LogPoint, Output};

/// How many bytes a message of zeros has for each that an instruction takes: to get to long items.
const MULTIPLE: usize = 64;

struct World {
    now: Instant,
    follower: Follower,
    channel: Option<Channel>,
    /// What was applied last; `None`: nothing that the log could go on from.
    applied: Option<LogPosition>,
    /// The snapshot that is under way.
    restoring: Option<LogPosition>,
}

/// Carries out a script. Whatever a leader says, entries are given in order and without a gap, after the snapshot
/// that they follow, of which no more is given than was announced.
pub(super) fn run(mut script: Script<'_>) {
    let start = LogPoint::start(HISTORY);
    let mut world = World {
        now: START,
        follower: new_follower(Some(start)),
        channel: None,
        applied: Some(start.position),
        restoring: None,
    };
    world.connect(0);
    while let Some((instruction, argument)) = script.next() {
        match instruction % 6 {
            0 => world.say(script.take(argument)),
            1 => {
                let mut message = script.take(2).to_vec();
                message.resize(message.len() + usize::from(argument) * MULTIPLE, 0);
                world.say(&message);
            }
            2 => world.receive(script.take(argument)),
            3 => {
                world.now += Duration::from_millis(u64::from(argument));
                world.follower.tick(world.now);
                let deadline = world.follower.poll_deadline();
                assert!(deadline.is_none_or(|(at, _)| at > world.now), "{deadline:?}");
            }
            4 => {
                let mut out = vec![0; usize::from(argument)];
                assert!(world.follower.poll_transmit(world.now, &mut out) <= out.len());
            }
            _ => world.connect(argument),
        }
        while world.follower.poll_event().is_some() {}
    }
}

impl World {
    fn connect(&mut self, seed: u8) {
        self.follower.connected(self.now, node(1), [seed; 32]);
        let mut call = [0; CALL_LEN];
        let len = self.follower.poll_transmit(self.now, &mut call);
        let identity = (group(), node(1), BootNonce(1));
        let answered = record::answer(&key(), identity, &call[..len], [!seed; 32]);
        let (_, channel, answer) = answered.expect("a follower calls as it should");
        self.channel = Some(channel);
        self.receive(&answer);
    }

    fn say(&mut self, message: &[u8]) {
        if let Some(channel) = &mut self.channel {
            let record = sealed(channel, message);
            self.receive(&record);
        }
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        loop {
            let taken = self.follower.receive(self.now, bytes);
            bytes = &bytes[taken..];
            let mut given = 0;
            while self.carry_out() {
                given += 1;
            }
            assert!(taken > 0 || given > 0 || bytes.is_empty(), "it is stuck");
            if bytes.is_empty() {
                break;
            }
        }
        self.follower.confirm();
        match self.follower.point() {
            Some(point) => assert_eq!(Some(point.position), self.applied, "nothing was left out"),
            // Half a snapshot, or another state than the leader's.
            None => self.applied = None,
        }
    }

    /// Does what the follower says next, if it says something.
    fn carry_out(&mut self) -> bool {
        match self.follower.poll_output(self.now) {
            Some(Output::Apply { position, .. }) => {
                let expected = self.applied.map(LogPosition::next);
                assert_eq!(Some(position), expected, "a gap, or an entry twice");
                self.applied = Some(position);
            }
            Some(Output::SnapshotBegin { position }) => {
                self.applied = None;
                self.restoring = Some(position);
            }
            Some(Output::SnapshotChunk { bytes }) => {
                assert!(self.restoring.is_some() && !bytes.is_empty(), "bytes of a snapshot");
            }
            Some(Output::SnapshotEnd { position }) => {
                assert_eq!(self.restoring.take(), Some(position), "it was begun");
                self.applied = Some(position);
            }
            Some(Output::CheckState { position }) => {
                assert_eq!(Some(position), self.applied, "of the state as it is");
                // Every other state is another one than the leader's.
                self.follower.state_digest(self.now, position, position.0 % 2);
            }
            None => return false,
        }
        true
    }
}
