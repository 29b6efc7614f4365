//! `http`: serves the files below a directory by HTTP/1.1 and HTTP/1.0 (RFC 9110, RFC 9112).
//!
//! What belongs here: the flow table and the timers. A connection is a state machine of its own
//! (`connection`), fed by a strict head parser (`request`), which answers from the files (`answer`,
//! `catalog`, [`files`]). What does not belong here: listings, uploads, proxying, TLS.
//!
//! There is no `Date` field: a service knows only the monotonic time of its events, and RFC 9110
//! section 6.6.1 tells an origin server without a clock to send none. `Last-Modified` is the time the file
//! system keeps, which section 8.8.2.1 allows to such a server.
//!
//! Two nodes answer alike if their files are alike, modification times (to the second) included: that is
//! what `rsync -a` gives.

mod answer;
mod catalog;
mod condition;
mod connection;
pub mod files;
mod media;
mod range;
mod request;
mod target;

use std::collections::{BTreeMap, BTreeSet};

use locum_stack::service::{Event, FlowId, Outputs, RestoreError, Service, Transports};
use locum_types::{Health, Instant};

use crate::codec::{Reader, Writer};
use catalog::Catalog;
use connection::{Connection, Fate, Turn};
pub use files::{DirFiles, Files, MemFiles};

const KIND: &str = "http";
const SNAPSHOT_NAME: [u8; 4] = *b"http";
const SNAPSHOT_VERSION: u8 = 1;

/// Bytes of a file that are read at a time.
const CHUNK: usize = 16 * 1024;

/// The http service over some [`Files`].
pub struct Http {
    catalog: Catalog,
    connections: BTreeMap<FlowId, Connection>,
    /// The deadline of every connection, soonest first.
    deadlines: BTreeSet<(Instant, FlowId)>,
    chunk: Box<[u8]>,
}

impl Http {
    /// Serves `files`.
    pub fn new(files: impl Files + 'static) -> Self {
        Http {
            catalog: Catalog::new(Box::new(files)),
            connections: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            chunk: vec![0; CHUNK].into_boxed_slice(),
        }
    }

    /// Lets one connection take its turn, and follows its deadline.
    fn turn(
        &mut self,
        now: Instant,
        flow: FlowId,
        outputs: &mut dyn Outputs,
        step: impl FnOnce(&mut Connection, &mut Turn<'_>) -> Fate,
    ) {
        let Some(connection) = self.connections.get_mut(&flow) else { return };
        let before = connection.deadline();
        let (catalog, chunk) = (&mut self.catalog, &mut *self.chunk);
        let fate = step(connection, &mut Turn { now, flow, outputs, catalog, chunk });
        let after = connection.deadline();
        match fate {
            Fate::Alive if before == after => {}
            Fate::Alive => {
                self.deadlines.remove(&(before, flow));
                self.deadlines.insert((after, flow));
            }
            Fate::Gone => {
                self.deadlines.remove(&(before, flow));
                self.connections.remove(&flow);
            }
        }
    }

    fn expire(&mut self, now: Instant, outputs: &mut dyn Outputs) {
        while let Some((_, flow)) = self.deadlines.first().copied().filter(|(due, _)| *due <= now) {
            self.turn(now, flow, outputs, Connection::expire);
        }
    }
}

impl Service for Http {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn transports(&self) -> Transports {
        Transports { tcp: true, udp: false }
    }

    fn on_event(&mut self, now: Instant, event: Event<'_>, outputs: &mut dyn Outputs) {
        match event {
            Event::Opened { flow, .. } => {
                let connection = Connection::new(now);
                self.deadlines.insert((connection.deadline(), flow));
                self.connections.insert(flow, connection);
            }
            Event::Data { flow, bytes } => {
                self.turn(now, flow, outputs, |connection, turn| connection.data(bytes, turn));
            }
            Event::Acked { flow, .. } => self.turn(now, flow, outputs, Connection::acked),
            Event::Finished { flow } => self.turn(now, flow, outputs, Connection::finished),
            Event::Closed { flow, .. } => {
                self.turn(now, flow, outputs, |_, _| Fate::Gone);
            }
            Event::Tick => self.expire(now, outputs),
            Event::Datagram { .. } => {}
        }
    }

    fn next_tick(&self) -> Option<Instant> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// [`Health::Failed`] when the root is missing, is no directory or may not be read: another node does
    /// better, and this will not mend by itself. [`Health::Degraded`] when looking at it fails in any other
    /// way (I/O error, out of file descriptors): that may pass, and responses under way go on.
    fn health(&self) -> Health {
        self.catalog.health()
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, SNAPSHOT_NAME, SNAPSHOT_VERSION);
        writer.count(self.connections.len());
        for (flow, connection) in &self.connections {
            writer.flow(*flow);
            connection.save(&mut writer);
        }
    }

    /// A response under way goes on if this node's copy of the file has the same length and content
    /// digest; if not, only that flow is reset.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let mut reader = Reader::new(KIND, snapshot, SNAPSHOT_NAME, SNAPSHOT_VERSION)?;
        let catalog = &mut self.catalog;
        let connections = reader.flows(|reader| Connection::load(reader, catalog))?;
        reader.finish()?;
        self.deadlines =
            connections.iter().map(|(flow, connection)| (connection.deadline(), *flow)).collect();
        self.connections = connections;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
