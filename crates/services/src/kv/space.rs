//! The keys of one database, in segments that are copied on write.
//!
//! What belongs here: where a key is, the order of keys, and freezing all of them at once. What does not: what
//! a key's end means ([`store`](super::store)), and bytes ([`image`](super::image)).
//!
//! Freezing a database takes as long as counting references to its segments, however many keys it has. Until the
//! frozen keys are dropped, the first write to a segment copies that segment, a thousandth of the keys. The segments also
//! bound how long one insertion can take: maps grow one segment at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use indexmap::IndexMap;

use super::store::Entry;
use super::values::Hashing;

/// How many bits of a key's hash choose its segment.
const BITS: u32 = 10;
/// In a cursor: from the end of the segment.
const ALL: u64 = u32::MAX as u64;

/// Keys in the order in which they came; a removed one is replaced by the last.
pub(super) type Segment = IndexMap<Box<[u8]>, Entry, Hashing>;

/// Where a key is, until a key is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    segment: usize,
    index: usize,
}

/// The keys of a database.
#[derive(Debug)]
pub(super) struct Space {
    /// None until there is a key.
    segments: Vec<Arc<Segment>>,
    len: usize,
    hashing: Hashing,
}

/// The segment of a key: the same on every node, so that the order of all keys is.
fn segment_of(key: &[u8]) -> usize {
    (xxhash_rust::xxh3::xxh3_64(key) >> (u64::BITS - BITS)) as usize
}

impl Space {
    pub(super) fn new(hashing: &Hashing) -> Self {
        Space { segments: Vec::new(), len: 0, hashing: hashing.clone() }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<Place> {
        let segment = segment_of(key);
        let index = self.segments.get(segment)?.get_index_of(key)?;
        Some(Place { segment, index })
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    pub(super) fn at(&self, place: Place) -> Option<(&[u8], &Entry)> {
        let (key, entry) = self.segments.get(place.segment)?.get_index(place.index)?;
        Some((key, entry))
    }

    pub(super) fn at_mut(&mut self, place: Place) -> Option<&mut Entry> {
        let segment = Arc::make_mut(self.segments.get_mut(place.segment)?);
        segment.get_index_mut(place.index).map(|(_, entry)| entry)
    }

    /// Inserts a key that is not there.
    pub(super) fn insert(&mut self, key: &[u8], entry: Entry) {
        if self.segments.is_empty() {
            let segment = || Arc::new(Segment::with_hasher(self.hashing.clone()));
            self.segments = (0..1 << BITS).map(|_| segment()).collect();
        }
        let Some(segment) = self.segments.get_mut(segment_of(key)) else { return };
        let old = Arc::make_mut(segment).insert(key.into(), entry);
        self.len += usize::from(old.is_none());
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let place = self.find(key)?;
        let segment = Arc::make_mut(self.segments.get_mut(place.segment)?);
        let (_, entry) = segment.swap_remove_index(place.index)?;
        self.len -= 1;
        Some(entry)
    }

    /// All keys, in the order that a snapshot keeps.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.segments.iter().flat_map(|segment| segment.iter()).map(|(key, entry)| (&**key, entry))
    }

    /// The key that so many come before.
    pub(super) fn nth(&self, mut index: usize) -> Option<&[u8]> {
        for segment in &self.segments {
            if let Some((key, _)) = segment.get_index(index) {
                return Some(key);
            }
            index -= segment.len();
        }
        None
    }

    /// The next `count` places from `cursor` on, which is 0 for the first of them, and the cursor after
    /// them, which is 0 after the last.
    ///
    /// A scan goes downwards: what is removed is replaced by the last of its segment, which has been seen
    /// already, so whatever stays is seen.
    pub(super) fn scan(&self, cursor: u64, count: usize) -> (Vec<Place>, u64) {
        let mut places = Vec::new();
        let last = self.segments.len().saturating_sub(1);
        let (mut number, mut end) = match cursor {
            0 => (last, usize::MAX),
            cursor if cursor >> 32 > last as u64 => (last, usize::MAX),
            cursor => ((cursor >> 32) as usize, (cursor & ALL) as usize),
        };
        while let Some(segment) = self.segments.get(number) {
            end = end.min(segment.len());
            let start = end.saturating_sub(count - places.len());
            places.extend((start..end).rev().map(|index| Place { segment: number, index }));
            match (start, number.checked_sub(1)) {
                (0, None) => break,
                (0, Some(next)) if places.len() == count => {
                    return (places, (next as u64) << 32 | ALL);
                }
                (0, Some(next)) => (number, end) = (next, usize::MAX),
                (start, _) => return (places, (number as u64) << 32 | start as u64),
            }
        }
        (places, 0)
    }

    /// The keys as they are now.
    pub(super) fn freeze(&self) -> FrozenSpace {
        FrozenSpace { segments: self.segments.iter().cloned().collect(), len: self.len }
    }

    /// Takes all keys out.
    pub(super) fn drain(&mut self) -> FrozenSpace {
        FrozenSpace {
            segments: std::mem::take(&mut self.segments).into(),
            len: std::mem::take(&mut self.len),
        }
    }
}

/// The keys of a database at one moment.
#[derive(Debug)]
pub(super) struct FrozenSpace {
    pub(super) segments: VecDeque<Arc<Segment>>,
    pub(super) len: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::values::Value;

    fn space(keys: impl IntoIterator<Item = u32>) -> Space {
        let mut space = Space::new(&Hashing::with_seed(3));
        keys.into_iter().for_each(|key| insert(&mut space, key, b""));
        space
    }

    fn insert(space: &mut Space, key: u32, value: &[u8]) {
        let entry = Entry { value: Value::String(value.to_vec()), expires_at: None };
        space.insert(&key.to_be_bytes(), entry);
    }

    /// Every key that a scan sees, `count` at a time, with `change` between two steps.
    fn scan(space: &mut Space, count: usize, mut change: impl FnMut(&mut Space)) -> Vec<Box<[u8]>> {
        let (mut seen, mut cursor) = (Vec::new(), 0);
        loop {
            let (places, next) = space.scan(cursor, count);
            assert!(places.len() <= count);
            seen.extend(places.iter().map(|place| space.at(*place).unwrap().0.into()));
            if next == 0 {
                return seen;
            }
            cursor = next;
            change(space);
        }
    }

    #[test]
    fn a_scan_sees_every_key_once() {
        for len in [0, 1, 9, 5_000] {
            for count in [1, 7, 10_000] {
                let mut seen = scan(&mut space(0..len), count, |_| ());
                seen.sort();
                let all: Vec<Box<[u8]>> = (0..len).map(|key| key.to_be_bytes().into()).collect();
                assert_eq!(seen, all, "{len} keys, {count} at a time");
            }
        }
    }

    #[test]
    fn a_scan_sees_what_stays_while_others_come_and_go() {
        let mut space = space(0..4_000);
        let (mut gone, mut new) = (0..2_000, 10_000..);
        let seen = scan(&mut space, 3, |space| {
            gone.next().and_then(|key: u32| space.remove(&key.to_be_bytes()));
            new.next().into_iter().for_each(|key| insert(space, key, b""));
        });
        for key in 2_000..4_000_u32 {
            assert!(seen.contains(&key.to_be_bytes().into()), "{key} was there all the time");
        }
    }

    #[test]
    fn a_cursor_of_another_time_ends_somewhere() {
        let space = space(0..3);
        for cursor in [u64::MAX, 5, 1 << 41, 1 << 32 | 77] {
            let (places, _) = space.scan(cursor, usize::MAX);
            assert!(places.iter().all(|place| space.at(*place).is_some()));
        }
    }

    #[test]
    fn frozen_keys_do_not_change() {
        let mut space = space(0..100);
        let frozen = space.freeze();
        insert(&mut space, 7, b"new");
        insert(&mut space, 700, b"new");
        space.remove(&8_u32.to_be_bytes());
        let place = space.find(&9_u32.to_be_bytes()).unwrap();
        space.at_mut(place).unwrap().value = Value::String(b"new".to_vec());
        assert_eq!((space.len(), space.iter().count()), (100, 100));
        let entries = frozen.segments.iter().flat_map(|segment| segment.iter());
        let old = entries.filter(|(_, entry)| entry.value.size() == 0).count();
        assert_eq!((frozen.len, old), (100, 100));
    }

    #[test]
    fn every_key_is_the_nth() {
        let space = space(0..500);
        let nth: Vec<&[u8]> = (0..500).filter_map(|index| space.nth(index)).collect();
        assert!(nth.iter().copied().eq(space.iter().map(|(key, _)| key)));
        assert_eq!(space.nth(500), None);
    }
}
