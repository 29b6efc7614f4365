//! The flows: found by four-tuple, by id, or by place; never walked on a packet's way.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use siphasher::sip::SipHasher13;

use crate::Tuple;
use crate::flow::Flow;
use crate::service::FlowId;

/// A flow's place, and which of the place's tenants it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    place: u32,
    generation: u32,
}

/// Keyed, because clients choose the tuples; deterministic, because nodes must agree.
#[derive(Clone)]
pub(crate) struct Keyed(pub(crate) [u8; 16]);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

/// Flow ids count up: no hash is needed, only a spread.
#[derive(Clone, Default)]
pub(crate) struct Spread(u64);

impl BuildHasher for Spread {
    type Hasher = Spread;

    fn build_hasher(&self) -> Spread {
        Spread(0)
    }
}

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

struct Place {
    generation: u32,
    flow: Option<Flow>,
}

pub(crate) struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
    by_tuple: HashMap<Tuple, Key, Keyed>,
    by_id: HashMap<u64, Key, Spread>,
    next_id: u64,
}

impl Table {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Table {
            places: Vec::new(),
            free: Vec::new(),
            by_tuple: HashMap::with_hasher(Keyed(key)),
            by_id: HashMap::with_hasher(Spread::default()),
            next_id: 1,
        }
    }

    /// Numbers up to this one are taken, by flows elsewhere.
    pub(crate) fn skip_ids(&mut self, highest: u64) {
        self.next_id = self.next_id.max(highest.saturating_add(1));
    }

    /// Forgets every flow.
    pub(crate) fn clear(&mut self) {
        for key in self.keys() {
            self.remove(key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_tuple.len()
    }

    /// Adds a flow made by `make` for the next id.
    pub(crate) fn insert(&mut self, make: impl FnOnce(FlowId) -> Flow) -> Key {
        self.insert_as(make(FlowId(self.next_id)))
    }

    /// Adds a flow that has an id; those after it get higher ones.
    pub(crate) fn insert_as(&mut self, flow: Flow) -> Key {
        let (id, tuple) = (flow.id.0, flow.tuple);
        self.next_id = self.next_id.max(id.saturating_add(1));
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, flow: None });
            self.places.len() as u32 - 1
        });
        let entry = &mut self.places[place as usize];
        entry.flow = Some(flow);
        let key = Key { place, generation: entry.generation };
        self.by_tuple.insert(tuple, key);
        self.by_id.insert(id, key);
        key
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Flow> {
        let entry = self.places.get_mut(key.place as usize)?;
        let flow = entry.flow.take_if(|_| entry.generation == key.generation)?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(key.place);
        self.by_tuple.remove(&flow.tuple);
        self.by_id.remove(&flow.id.0);
        Some(flow)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Flow> {
        let entry = self.places.get(key.place as usize)?;
        entry.flow.as_ref().filter(|_| entry.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Flow> {
        let entry = self.places.get_mut(key.place as usize)?;
        entry.flow.as_mut().filter(|_| entry.generation == key.generation)
    }

    pub(crate) fn find(&self, tuple: &Tuple) -> Option<Key> {
        self.by_tuple.get(tuple).copied()
    }

    pub(crate) fn find_id(&self, id: FlowId) -> Option<Key> {
        self.by_id.get(&id.0).copied()
    }

    /// The highest number given so far.
    pub(crate) fn highest_id(&self) -> u64 {
        self.next_id - 1
    }

    /// The numbers of all flows, in order.
    pub(crate) fn ids(&self) -> Vec<FlowId> {
        let mut ids: Vec<FlowId> =
            self.places.iter().filter_map(|place| Some(place.flow.as_ref()?.id)).collect();
        ids.sort_unstable();
        ids
    }

    /// Every flow, by place: for the end of an activation only.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let occupied = |(place, entry): (usize, &Place)| {
            let key = Key { place: place as u32, generation: entry.generation };
            entry.flow.as_ref().map(|_| key)
        };
        self.places.iter().enumerate().filter_map(occupied).collect()
    }
}

#[cfg(test)]
mod tests {
    use locum_types::Instant;

    use super::*;
    use crate::Limits;
    use crate::flow::Past;
    use crate::forge::{Negotiated, listening};

    fn insert(table: &mut Table, port: u16) -> (Key, Tuple) {
        let tuple = Tuple {
            remote: std::net::SocketAddr::from(([10, 0, 0, 2], port)),
            local: std::net::SocketAddr::from(([10, 0, 0, 1], 80)),
        };
        let negotiated = Negotiated { mss: 1_460, window_scale: None, sack: false };
        let past = Past { negotiated, local_isn: 1, remote_isn: 0, via: [0; 6], window: 100 };
        let limits = Limits { rx_buffer: 64, tx_buffer: 64, ..Limits::default() };
        let forged = listening(&tuple, &limits).expect("a valid flow");
        (table.insert(|id| Flow::new(id, tuple, 0, forged, past, Instant::ZERO)), tuple)
    }

    #[test]
    fn a_place_is_used_again_but_an_id_and_a_key_never() {
        let mut table = Table::new([0; 16]);
        let (first, tuple) = insert(&mut table, 1);
        let first_id = table.get(first).map(|flow| flow.id);
        assert!(table.remove(first).is_some());
        assert!(table.remove(first).is_none());
        assert_eq!((table.len(), table.find(&tuple)), (0, None));

        let (second, _) = insert(&mut table, 2);
        assert_eq!(second.place, first.place);
        assert!(table.get(first).is_none(), "an old key finds a new flow");
        assert_ne!(table.get(second).map(|flow| flow.id), first_id);
        assert_eq!(first_id.and_then(|id| table.find_id(id)), None);
    }

    #[test]
    fn flows_are_found_by_tuple_and_by_id() {
        let mut table = Table::new([0; 16]);
        let flows: Vec<_> = (1..50).map(|port| insert(&mut table, port)).collect();
        for (key, tuple) in flows {
            assert_eq!(table.find(&tuple), Some(key));
            let id = table.get(key).map(|flow| flow.id);
            assert_eq!(id.and_then(|id| table.find_id(id)), Some(key));
        }
        assert_eq!(table.keys().len(), 49);
    }
}
