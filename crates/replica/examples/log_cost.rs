//! What an entry costs: `cargo run --release -p locum-replica --example log_cost`.
//!
//! One core does both ends: append, seal, open, decode, confirm.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures and prints"
)]

use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

use locum_replica::{
    ConnectionId, Follower, FollowerConfig, History, Leader, LeaderConfig, LeaderRequest, LogPoint,
    Output,
};
use locum_stack::log::Entry;
use locum_stack::service::FlowId;
use locum_types::{BootNonce, GroupId, Instant, NodeId};
use locum_wire::Key;

const CONNECTION: ConnectionId = ConnectionId(1);
const NOW: Instant = Instant::from_millis(1);

struct Pair {
    leader: Leader,
    follower: Follower,
    buffer: Vec<u8>,
}

/// Time spent by each end.
#[derive(Default)]
struct Cost {
    append: Duration,
    seal: Duration,
    open: Duration,
    confirm: Duration,
}

impl Pair {
    /// A leader with a follower in sync.
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let (group, active, waiting) = (GroupId::new(1)?, NodeId::new(1)?, NodeId::new(2)?);
        let key = Key::new([7; 32]);
        let config = LeaderConfig::new(group, active, BootNonce(1), key.clone(), vec![waiting]);
        let config = LeaderConfig { state_digest_every: None, ..config };
        let follower = FollowerConfig::new(group, waiting, BootNonce(2), key);
        let mut pair = Pair {
            leader: Leader::new(config, LogPoint::start(History(1))),
            follower: Follower::new(follower, None),
            buffer: vec![0; 256 * 1024],
        };
        pair.leader.connected(NOW, CONNECTION, [1; 32]);
        pair.follower.connected(NOW, active, [2; 32]);
        while !pair.leader.is_protected() {
            if let Some(LeaderRequest::Snapshot { follower }) = pair.leader.poll_request() {
                pair.leader.begin_snapshot(NOW, follower, pair.leader.head().position)?;
                pair.leader.end_snapshot(follower);
            }
            pair.carry(&mut Cost::default());
        }
        Ok(pair)
    }

    /// Everything that was appended to the follower, and what it says to that back.
    fn carry(&mut self, cost: &mut Cost) {
        loop {
            let begun = Clock::now();
            let len = self.leader.poll_transmit(NOW, CONNECTION, &mut self.buffer);
            let sealed = Clock::now();
            let mut bytes = &self.buffer[..len];
            loop {
                bytes = &bytes[self.follower.receive(NOW, bytes)..];
                let mut is_idle = true;
                while let Some(output) = self.follower.poll_output(NOW) {
                    is_idle = false;
                    if let Output::Apply { entry, .. } = output {
                        black_box(entry);
                    }
                }
                if is_idle && bytes.is_empty() {
                    break;
                }
            }
            let opened = Clock::now();
            self.follower.confirm();
            let answer = self.follower.poll_transmit(NOW, &mut self.buffer);
            self.leader.receive(NOW, CONNECTION, &self.buffer[..answer]);
            cost.seal += sealed - begun;
            cost.open += opened - sealed;
            cost.confirm += opened.elapsed();
            if len == 0 && answer == 0 {
                return;
            }
        }
    }

    fn measure(&mut self, len: usize, batch: usize) {
        let bytes = vec![0x5a; len];
        let entry = Entry::Data { flow: FlowId(12_345), bytes: &bytes };
        let rounds = (400_000_000 / (len + 400)).div_ceil(batch);
        let mut cost = Cost::default();
        for round in 0..rounds as u64 {
            let begun = Clock::now();
            for _ in 0..batch {
                self.leader.append(NOW, Instant::from_micros(round), &entry);
            }
            cost.append += begun.elapsed();
            self.carry(&mut cost);
        }
        assert_eq!(self.leader.commit_position(), self.leader.head().position);
        let entries = (rounds * batch) as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e9 / entries;
        let rate = |time: Duration| len as f64 * entries / time.as_secs_f64() / 1e6;
        let leader = cost.append + cost.seal;
        let total = leader + cost.open + cost.confirm;
        println!(
            "{len:6} bytes x {batch:3} a turn: append {:6.0} + seal {:6.0} + open {:6.0} + confirm {:5.0} \
             = {:6.0} ns an entry; leader {:5.0} MB/s, follower {:5.0} MB/s, both on one core {:5.0} MB/s",
            each(cost.append),
            each(cost.seal),
            each(cost.open),
            each(cost.confirm),
            each(total),
            rate(leader),
            rate(cost.open),
            rate(total),
        );
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut pair = Pair::new()?;
    for (len, batch) in
        [(100, 1), (100, 10), (100, 100), (1_460, 1), (1_460, 32), (16_384, 1), (16_384, 8)]
    {
        pair.measure(len, batch);
    }
    Ok(())
}
