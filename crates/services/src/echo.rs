//! `echo` (RFC 862): sends back every byte, over TCP and UDP.

use std::collections::{BTreeMap, VecDeque};

use locum_stack::service::{Event, FlowId, Outputs, RestoreError, Service, Transports};
use locum_types::Instant;

use crate::codec::{Reader, Writer};
use crate::reflection::would_answer_back;

const KIND: &str = "echo";
const SNAPSHOT_NAME: [u8; 4] = *b"echo";
const SNAPSHOT_VERSION: u8 = 1;

/// Bytes a flow may owe its client. It is paused at the first one, so only what was under way at that
/// moment ever piles up; a flow that gets beyond this is broken, and is reset.
const BACKLOG_MAX: usize = 1 << 20;

/// The echo service.
///
/// A flow has state only while it owes its client bytes: an idle connection costs nothing here.
#[derive(Debug, Default)]
pub struct Echo {
    owing: BTreeMap<FlowId, Backlog>,
}

/// What could not be sent back yet. The flow is paused as long as this exists.
#[derive(Debug, Default)]
struct Backlog {
    bytes: VecDeque<u8>,
    /// The client's FIN came meanwhile: ours follows the last byte.
    finished: bool,
}

impl Echo {
    fn data(&mut self, flow: FlowId, bytes: &[u8], outputs: &mut dyn Outputs) {
        if let Some(backlog) = self.owing.get_mut(&flow) {
            backlog.bytes.extend(bytes);
            if backlog.bytes.len() > BACKLOG_MAX {
                self.owing.remove(&flow);
                outputs.abort(flow);
            }
            return;
        }
        let taken = outputs.send(flow, bytes);
        if let Some(left) = bytes.get(taken..).filter(|left| !left.is_empty()) {
            self.owing
                .insert(flow, Backlog { bytes: left.iter().copied().collect(), finished: false });
            outputs.pause(flow);
        }
    }

    fn acked(&mut self, flow: FlowId, outputs: &mut dyn Outputs) {
        let Some(backlog) = self.owing.get_mut(&flow) else { return };
        let taken = outputs.send(flow, backlog.bytes.make_contiguous());
        backlog.bytes.drain(..taken.min(backlog.bytes.len()));
        if backlog.bytes.is_empty() {
            let finished = backlog.finished;
            self.owing.remove(&flow);
            if finished {
                outputs.close(flow);
            } else {
                outputs.resume(flow);
            }
        }
    }
}

impl Service for Echo {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn transports(&self) -> Transports {
        Transports { tcp: true, udp: true }
    }

    fn on_event(&mut self, _now: Instant, event: Event<'_>, outputs: &mut dyn Outputs) {
        match event {
            Event::Data { flow, bytes } => self.data(flow, bytes, outputs),
            Event::Acked { flow, .. } => self.acked(flow, outputs),
            Event::Finished { flow } => match self.owing.get_mut(&flow) {
                Some(backlog) => backlog.finished = true,
                None => outputs.close(flow),
            },
            Event::Closed { flow, .. } => {
                self.owing.remove(&flow);
            }
            Event::Datagram { local, remote, bytes } => {
                if !would_answer_back(local, remote) {
                    outputs.datagram(local, remote, bytes);
                }
            }
            Event::Opened { .. } | Event::Tick => {}
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, SNAPSHOT_NAME, SNAPSHOT_VERSION);
        writer.count(self.owing.len());
        for (flow, backlog) in &self.owing {
            writer.flow(*flow);
            writer.bool(backlog.finished);
            writer.count(backlog.bytes.len());
            let (front, back) = backlog.bytes.as_slices();
            writer.raw(front);
            writer.raw(back);
        }
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let mut reader = Reader::new(KIND, snapshot, SNAPSHOT_NAME, SNAPSHOT_VERSION)?;
        let owing = reader.flows(|reader| {
            let finished = reader.bool()?;
            let bytes: VecDeque<u8> = reader.bytes()?.iter().copied().collect();
            if bytes.is_empty() || bytes.len() > BACKLOG_MAX {
                return Err(
                    reader.error(format!("a backlog of {} bytes is no backlog", bytes.len()))
                );
            }
            Ok(Backlog { bytes, finished })
        })?;
        reader.finish()?;
        self.owing = owing;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
