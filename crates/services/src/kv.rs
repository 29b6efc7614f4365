//! `kv`: keys and values in memory, for clients of Redis (RESP2 and RESP3).
//!
//! What belongs here: the connections, and who takes a turn when. Commands are rows of one table (`table`)
//! that name their handlers (`strings`, `keys`, `hashes`, ...), which work on the key space (`store`) and
//! write their replies straight into the output of the connection. What does not belong here: files,
//! scripts, clusters, eviction.
//!
//! Every order that a client can see is the same on every node, and random picks come from a counter: two
//! nodes that have seen the same events hold the same and have answered the same.

mod bitmaps;
mod blocking;
mod call;
mod connection;
mod diagnostics;
mod glob;
mod hashes;
mod held;
mod help;
mod image;
mod keys;
mod lists;
mod number;
mod pops;
mod pubsub;
mod reply;
mod resp;
mod run;
mod server;
mod session;
mod set_algebra;
mod sets;
mod sort;
mod sorted_algebra;
mod sorted_ranges;
mod sorted_sets;
mod space;
mod store;
mod strings;
mod subcommands;
mod table;
mod transactions;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use locum_stack::service::{
    Event, FlowId, FrozenState, Outputs, RestoreError, Service, Transports,
};
use locum_types::Instant;
use locum_types::sabotage::{Sabotage, sabotaged};

use crate::codec::{Reader, Writer};
use call::{Call, Core};
use resp::Limits;
use session::Session;
use store::Store;

const KIND: &str = "kv";
const SNAPSHOT_NAME: [u8; 4] = *b"kval";
const SNAPSHOT_VERSION: u8 = 1;

/// The key-value service.
#[derive(Debug)]
pub struct Kv {
    core: Core,
    sessions: BTreeMap<FlowId, Session>,
    seed: u64,
}

impl Kv {
    /// A service without keys.
    ///
    /// `epoch` is the wall-clock time (since 1970) at [`Instant::ZERO`], for `TIME` and `EXPIREAT`; a
    /// snapshot carries it. `seed` hashes the keys: nobody should be able to guess it, and nodes need not
    /// share it. With a `memory_limit` in bytes, commands that need memory are refused above it.
    pub fn new(epoch: Duration, seed: u64, memory_limit: Option<u64>) -> Self {
        let core = Core {
            store: Store::new(seed, memory_limit),
            channels: pubsub::Channels::default(),
            waiting: blocking::Waiting::default(),
            dirty: BTreeSet::new(),
            epoch,
            limits: Limits::default(),
            commands: 0,
            connections: 0,
            held: 0,
        };
        Kv { core, sessions: BTreeMap::new(), seed }
    }

    /// Refuses arguments longer than this many bytes, instead of 64 MiB, and strings longer than twice that.
    #[must_use]
    pub fn with_bulk_limit(mut self, bytes: usize) -> Self {
        self.core.limits.bulk = bytes.min(Limits::default().bulk);
        self
    }
}

impl Kv {
    /// The state as it is now. Keys are shared with it until they change.
    fn frozen(&self) -> image::Frozen {
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        let mut writer = Writer::new(&mut head, SNAPSHOT_NAME, SNAPSHOT_VERSION);
        writer.u64(u64::try_from(self.core.epoch.as_nanos()).unwrap_or(u64::MAX));
        writer.u64(self.core.commands);
        writer.u64(self.core.connections);
        writer.u64(self.core.waiting.turns);
        image::save_store(&self.core.store, &mut writer);
        let mut writer = Writer::to(&mut tail);
        let forgotten = usize::from(sabotaged(Sabotage::SessionForgotten));
        writer.count(self.sessions.len().saturating_sub(forgotten));
        for (flow, session) in self.sessions.iter().skip(forgotten) {
            writer.flow(*flow);
            image::save_session(session, &self.core, &mut writer);
        }
        image::Frozen::new(head, &self.core.store, tail)
    }
}

impl Service for Kv {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn transports(&self) -> Transports {
        Transports { tcp: true, udp: false }
    }

    fn on_event(&mut self, now: Instant, event: Event<'_>, outputs: &mut dyn Outputs) {
        self.core.store.now = self.core.store.now.max(now);
        match event {
            Event::Opened { flow, local, remote } => {
                self.core.connections += 1;
                self.sessions.insert(flow, Session::new(flow, local, remote, now));
            }
            Event::Data { flow, bytes } => {
                if let Some(session) = self.sessions.get_mut(&flow) {
                    session.active = now;
                }
                self.turn(flow, bytes, outputs);
            }
            Event::Acked { flow, .. } => self.turn(flow, b"", outputs),
            Event::Finished { flow } => {
                if let Some(session) = self.sessions.get_mut(&flow) {
                    session.finished = true;
                }
                self.turn(flow, b"", outputs);
            }
            Event::Closed { flow, .. } => {
                if let Some(session) = self.sessions.remove(&flow) {
                    self.core.forget(session);
                }
            }
            Event::Tick => self.tick(),
            Event::Datagram { .. } => {}
        }
        self.relieve();
        self.settle(outputs);
    }

    fn next_tick(&self) -> Option<Instant> {
        let ticks = [self.core.store.next_tick(), self.core.waiting.next_tick()];
        ticks.into_iter().flatten().min()
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.frozen().write(usize::MAX, out);
    }

    fn part(&self, number: u64, out: &mut Vec<u8>) {
        self.frozen().only(number).write(usize::MAX, out);
    }

    fn freeze(&self) -> Box<dyn FrozenState> {
        Box::new(self.frozen())
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let mut reader = Reader::new(KIND, snapshot, SNAPSHOT_NAME, SNAPSHOT_VERSION)?;
        let mut fresh = Kv::new(Duration::from_nanos(reader.u64()?), self.seed, None);
        fresh.core.limits = self.core.limits;
        fresh.core.commands = reader.u64()?;
        fresh.core.connections = reader.u64()?;
        fresh.core.waiting.turns = reader.u64()?;
        image::load_store(&mut reader, &mut fresh.core.store)?;
        fresh.sessions = image::load_sessions(&mut reader, &mut fresh.core)?;
        reader.finish()?;
        *self = fresh;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
