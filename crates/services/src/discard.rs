//! `discard` (RFC 863): throws away what it gets, over TCP and UDP.

use locum_stack::service::{Event, Outputs, RestoreError, Service, Transports};
use locum_types::Instant;

use crate::codec::{Reader, Writer};

const KIND: &str = "discard";
const SNAPSHOT_NAME: [u8; 4] = *b"disc";
const SNAPSHOT_VERSION: u8 = 1;

/// The discard service. It has no state: all it ever does is close a flow after its client did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl Service for Discard {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn transports(&self) -> Transports {
        Transports { tcp: true, udp: true }
    }

    fn on_event(&mut self, _now: Instant, event: Event<'_>, outputs: &mut dyn Outputs) {
        match event {
            Event::Finished { flow } => outputs.close(flow),
            Event::Opened { .. }
            | Event::Data { .. }
            | Event::Acked { .. }
            | Event::Closed { .. }
            | Event::Datagram { .. }
            | Event::Tick => {}
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        Writer::new(out, SNAPSHOT_NAME, SNAPSHOT_VERSION);
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        Reader::new(KIND, snapshot, SNAPSHOT_NAME, SNAPSHOT_VERSION)?.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn swallows_everything_and_closes_after_the_client() {
        let mut bench = Bench::new(Discard);
        let flow = bench.open();
        bench.data(flow, b"into the void");
        bench.datagram(b"and this");
        assert!(!bench.record(flow).closed);
        bench.finish(flow);
        assert!(bench.record(flow).closed);
        assert!(bench.record(flow).sent.is_empty());
        assert!(bench.datagrams().is_empty());
    }
}
