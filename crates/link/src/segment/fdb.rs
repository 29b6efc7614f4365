//! The forwarding database: which station is behind which port.

use std::collections::BTreeMap;
use std::time::Duration;

use locum_types::Instant;
use smoltcp::wire::EthernetAddress;

use super::PortId;

#[derive(Clone, Copy, Debug)]
struct Entry {
    port: PortId,
    heard: Instant,
}

/// What a frame taught the switch about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    Known,
    New,
    Moved,
    TableFull,
}

#[derive(Debug)]
pub(super) struct Fdb {
    entries: BTreeMap<EthernetAddress, Entry>,
    ageing: Duration,
    len_max: usize,
}

impl Fdb {
    pub(super) fn new(ageing: Duration, len_max: usize) -> Self {
        Fdb { entries: BTreeMap::new(), ageing, len_max }
    }

    /// Notes that `station` was heard on `port`. A station that had aged out counts as new.
    pub(super) fn learn(
        &mut self,
        station: EthernetAddress,
        port: PortId,
        now: Instant,
    ) -> Learned {
        let ageing = self.ageing;
        if let Some(entry) = self.entries.get_mut(&station) {
            let before = std::mem::replace(entry, Entry { port, heard: now });
            return if is_aged(&before, ageing, now) {
                Learned::New
            } else if before.port != port {
                Learned::Moved
            } else {
                Learned::Known
            };
        }
        if self.entries.len() >= self.len_max {
            self.entries.retain(|_, entry| !is_aged(entry, ageing, now));
        }
        if self.entries.len() >= self.len_max {
            return Learned::TableFull;
        }
        self.entries.insert(station, Entry { port, heard: now });
        Learned::New
    }

    /// The port behind which `station` was heard last, unless that is too long ago.
    pub(super) fn find(&self, station: EthernetAddress, now: Instant) -> Option<PortId> {
        let entry = self.entries.get(&station)?;
        (!is_aged(entry, self.ageing, now)).then_some(entry.port)
    }

    /// Sets for how long a silent station is remembered.
    pub(super) fn set_ageing(&mut self, ageing: Duration) {
        self.ageing = ageing;
    }

    /// Forgets every station behind `port`.
    pub(super) fn forget_port(&mut self, port: PortId) {
        self.entries.retain(|_, entry| entry.port != port);
    }
}

fn is_aged(entry: &Entry, ageing: Duration, now: Instant) -> bool {
    now - entry.heard >= ageing
}
