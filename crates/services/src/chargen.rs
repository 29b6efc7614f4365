//! `chargen` (RFC 864): sends a pattern of characters, over TCP for ever, over UDP a datagram at a time.

use std::collections::BTreeMap;

use locum_stack::service::{Event, FlowId, Outputs, RestoreError, Service, Transports};
use locum_types::Instant;

use crate::codec::{Reader, Writer};
use crate::reflection::would_answer_back;

const KIND: &str = "chargen";
const SNAPSHOT_NAME: [u8; 4] = *b"cgen";
const SNAPSHOT_VERSION: u8 = 1;

/// The printing characters of ASCII, space to tilde.
const PRINTING: usize = 95;
/// Characters in a line, and with the CR LF that ends it (RFC 864).
const LINE_CHARS: usize = 72;
const LINE_BYTES: usize = LINE_CHARS + 2;
/// After that many bytes the pattern begins anew.
const PERIOD: usize = PRINTING * LINE_BYTES;
/// The longest datagram (RFC 864).
const DATAGRAM_MAX: usize = 512;

/// One period of the pattern: line *n* begins with the *n*th printing character.
static PATTERN: [u8; PERIOD] = pattern();

const fn pattern() -> [u8; PERIOD] {
    let mut bytes = [0; PERIOD];
    let mut at = 0;
    while at < PERIOD {
        let (line, column) = (at / LINE_BYTES, at % LINE_BYTES);
        bytes[at] = match column {
            LINE_CHARS => b'\r',
            column if column > LINE_CHARS => b'\n',
            column => b' ' + ((line + column) % PRINTING) as u8,
        };
        at += 1;
    }
    bytes
}

/// The character generator.
///
/// What clients send is thrown away, and a client that closes its sending half goes on receiving: the
/// service runs until the flow is gone. A datagram is answered with as many characters as it had, up to
/// 512: RFC 864 leaves the number open, and so a forged source gets no more traffic than its forger pays for.
#[derive(Debug, Default)]
pub struct Chargen {
    /// Where in the pattern each flow is, less than [`PERIOD`].
    positions: BTreeMap<FlowId, usize>,
}

impl Chargen {
    fn fill(&mut self, flow: FlowId, outputs: &mut dyn Outputs) {
        let Some(position) = self.positions.get_mut(&flow) else { return };
        // Not "until nothing is taken": that would never end on a flow without a limit.
        let mut left = outputs.credit(flow);
        while left > 0 {
            let rest = PATTERN.get(*position..).unwrap_or_default();
            let taken = outputs.send(flow, rest.get(..left).unwrap_or(rest));
            if taken == 0 {
                break;
            }
            left = left.saturating_sub(taken);
            *position = (*position + taken) % PERIOD;
        }
    }
}

impl Service for Chargen {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn transports(&self) -> Transports {
        Transports { tcp: true, udp: true }
    }

    fn on_event(&mut self, _now: Instant, event: Event<'_>, outputs: &mut dyn Outputs) {
        match event {
            Event::Opened { flow, .. } => {
                self.positions.insert(flow, 0);
                self.fill(flow, outputs);
            }
            Event::Acked { flow, .. } => self.fill(flow, outputs),
            Event::Closed { flow, .. } => {
                self.positions.remove(&flow);
            }
            Event::Datagram { local, remote, bytes } => {
                if !would_answer_back(local, remote) {
                    let answer = PATTERN.get(..bytes.len().min(DATAGRAM_MAX)).unwrap_or_default();
                    outputs.datagram(local, remote, answer);
                }
            }
            Event::Data { .. } | Event::Finished { .. } | Event::Tick => {}
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, SNAPSHOT_NAME, SNAPSHOT_VERSION);
        writer.count(self.positions.len());
        for (flow, position) in &self.positions {
            writer.flow(*flow);
            writer.u64(*position as u64);
        }
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let mut reader = Reader::new(KIND, snapshot, SNAPSHOT_NAME, SNAPSHOT_VERSION)?;
        let positions = reader.flows(|reader| match usize::try_from(reader.u64()?) {
            Ok(position) if position < PERIOD => Ok(position),
            Ok(_) | Err(_) => Err(reader.error("a position lies beyond the pattern")),
        })?;
        reader.finish()?;
        self.positions = positions;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
