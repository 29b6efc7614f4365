//! Who becomes a flow: SYNs.

use std::collections::VecDeque;

use locum_types::Instant;
use smoltcp::phy::Device;

use crate::flow::{Flow, Past};
use crate::forge::Forged;
use crate::log::Entry;
use crate::parse::{Segment, offered};
use crate::stack::{ETHERNET_HEADER, ETHERNET_SOURCE, Stack};
use crate::table::{Key, Table};
use crate::{Tuple, isn};

/// Half-open flows in the order they came. Those that were completed or forgotten stay until they reach
/// the front, or until there are as many of them as there may be half-open flows.
#[derive(Default)]
pub(crate) struct HalfOpen {
    order: VecDeque<Key>,
    /// How many there are.
    pub(crate) len: usize,
}

impl HalfOpen {
    pub(crate) fn push(&mut self, key: Key, max: usize, table: &Table) {
        if self.order.len() >= max.saturating_mul(2) {
            self.order.retain(|&key| is_half_open(table, key));
        }
        self.order.push_back(key);
    }

    fn oldest(&mut self, table: &Table) -> Option<Key> {
        std::iter::from_fn(|| self.order.pop_front()).find(|&key| is_half_open(table, key))
    }

    pub(crate) fn clear(&mut self) {
        self.order.clear();
    }
}

fn is_half_open(table: &Table, key: Key) -> bool {
    table.get(key).is_some_and(|flow| flow.is_half_open())
}

impl<D: Device> Stack<D> {
    /// Makes a flow of a SYN.
    pub(crate) fn admit(&mut self, now: Instant, frame: &[u8], segment: &Segment, listener: usize) {
        let limits = &self.config.limits;
        let crowded = self.half_open.len >= limits.half_open_max;
        if !crowded && self.table.len() >= limits.flows_max {
            self.counters.syns_over_limit += 1;
            return;
        }
        let via =
            frame.get(ETHERNET_SOURCE).and_then(|mac| mac.try_into().ok()).unwrap_or_default();
        let number = isn::choose(&self.config.isn_key, &segment.tuple, now);
        let packet = frame.get(ETHERNET_HEADER..).unwrap_or(&[]);
        let accepted = self.forge.accept(now, &segment.tuple, number, packet, limits);
        let (Some(forged), Some(negotiated)) = (accepted, offered(frame)) else {
            self.counters.frames_malformed += 1;
            return;
        };
        if crowded {
            self.evict_half_open(now);
        }
        self.counters.flows_accepted += 1;
        let past = Past {
            negotiated,
            local_isn: number,
            remote_isn: segment.sequence,
            via,
            window: segment.window,
        };
        let key = self.insert(now, listener, segment.tuple, forged, past);
        let accepted = self.table.get(key).map(|flow| Entry::Accepted {
            flow: flow.id,
            tuple: flow.tuple,
            negotiated: flow.negotiated,
            local_isn: flow.local_isn,
            remote_isn: segment.sequence,
            via,
        });
        if let Some(entry) = accepted {
            self.record(now, &entry);
        }
        self.half_open.push(key, self.config.limits.half_open_max, &self.table);
        self.serve(now, key);
    }

    fn insert(
        &mut self,
        now: Instant,
        listener: usize,
        tuple: Tuple,
        forged: Forged,
        past: Past,
    ) -> Key {
        self.half_open.len += 1;
        self.table.insert(|id| Flow::new(id, tuple, listener, forged, past, now))
    }

    /// The oldest half-open flow gives way, so that a flood of SYNs does not keep honest clients out.
    fn evict_half_open(&mut self, now: Instant) {
        if let Some(key) = self.half_open.oldest(&self.table) {
            self.counters.half_open_evicted += 1;
            self.end(now, key);
        }
    }
}
