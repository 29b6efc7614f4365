//! What a key can hold. Every collection knows its own size, so that accounting costs nothing, and is shared
//! with frozen copies of its key until it is written.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

/// Hashes keys by a fixed seed.
///
/// Nothing a client sees depends on the seed: maps keep the order of insertion. So nodes need not share
/// it, and a program should pass one that nobody can guess: whoever knows the seed can make keys that
/// collide, and slow every look-up among them down to a search (hash flooding).
pub(super) type Hashing = foldhash::fast::FixedState;

/// What one element costs beyond its bytes, roughly.
const ELEMENT: usize = 48;

/// How long texts are at most, and how many, that Redis packs tightly unless it is told otherwise.
const PACKED_BYTES: usize = 64;
const PACKED_FIELDS: usize = 512;
const PACKED_INTEGERS: usize = 512;
const PACKED_SCORES: usize = 128;

/// A key's value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    String(Vec<u8>),
    Hash(Arc<Hash>),
    List(Arc<List>),
    Set(Arc<Set>),
    SortedSet(Arc<SortedSet>),
}

impl Value {
    /// Bytes it takes, roughly.
    pub(super) fn size(&self) -> usize {
        match self {
            Value::String(bytes) => bytes.len(),
            Value::Hash(hash) => hash.bytes,
            Value::List(list) => list.bytes,
            Value::Set(set) => set.bytes,
            Value::SortedSet(sorted) => sorted.bytes,
        }
    }

    /// A collection without elements, which does not exist to a client.
    pub(super) fn is_void(&self) -> bool {
        match self {
            Value::String(_) => false,
            Value::Hash(hash) => hash.map.is_empty(),
            Value::List(list) => list.items.is_empty(),
            Value::Set(set) => set.members.is_empty(),
            Value::SortedSet(sorted) => sorted.scores.is_empty(),
        }
    }

    /// How many elements it has; a string is one.
    pub(super) fn elements(&self) -> usize {
        match self {
            Value::String(_) => 1,
            Value::Hash(hash) => hash.len(),
            Value::List(list) => list.len(),
            Value::Set(set) => set.len(),
            Value::SortedSet(sorted) => sorted.len(),
        }
    }

    /// The name of its type, as TYPE tells it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::String(_) => "string",
            Value::Hash(_) => "hash",
            Value::List(_) => "list",
            Value::Set(_) => "set",
            Value::SortedSet(_) => "zset",
        }
    }

    /// What OBJECT ENCODING says: not what is inside, but what Redis would choose for the value as it is.
    pub(super) fn encoding(&self) -> &'static str {
        let is_short = |bytes: &[u8]| bytes.len() <= PACKED_BYTES;
        match self {
            Value::String(bytes) if super::number::integer(bytes).is_some() => "int",
            Value::String(bytes) if bytes.len() <= 44 => "embstr",
            Value::String(_) => "raw",
            Value::Hash(hash) if hash.len() <= PACKED_FIELDS => {
                let is_packed = hash.iter().all(|(name, value)| is_short(name) && is_short(value));
                if is_packed { "listpack" } else { "hashtable" }
            }
            Value::Set(set) if set.len() <= PACKED_INTEGERS => {
                let mut numbers = set.iter().map(super::number::integer);
                if numbers.all(|number| number.is_some()) { "intset" } else { "hashtable" }
            }
            Value::SortedSet(sorted) if sorted.len() <= PACKED_SCORES => {
                let is_packed = sorted.iter().all(|(member, _)| is_short(member));
                if is_packed { "listpack" } else { "skiplist" }
            }
            Value::Hash(_) | Value::Set(_) => "hashtable",
            Value::List(_) => "quicklist",
            Value::SortedSet(_) => "skiplist",
        }
    }
}

/// One kind of value.
pub(super) trait Kind: Sized {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn empty(hashing: &Hashing) -> Value;
}

impl Kind for Vec<u8> {
    fn of(value: &Value) -> Option<&Self> {
        if let Value::String(bytes) = value { Some(bytes) } else { None }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::String(bytes) = value { Some(bytes) } else { None }
    }

    fn empty(_hashing: &Hashing) -> Value {
        Value::String(Vec::new())
    }
}

macro_rules! kind {
    ($type:ident, $hashing:ident => $empty:expr) => {
        impl Kind for $type {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$type(inner) = value { Some(inner) } else { None }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$type(inner) = value { Some(Arc::make_mut(inner)) } else { None }
            }

            fn empty($hashing: &Hashing) -> Value {
                Value::$type(Arc::new($empty))
            }
        }
    };
}

kind!(Hash, hashing => Hash::new(hashing));
kind!(List, _hashing => List::default());
kind!(Set, hashing => Set::new(hashing));
kind!(SortedSet, hashing => SortedSet::new(hashing));

/// Fields and their values, in the order in which they came; a removed one is replaced by the last.
#[derive(Clone, Debug)]
pub(super) struct Hash {
    map: IndexMap<Box<[u8]>, Vec<u8>, Hashing>,
    bytes: usize,
}

impl Hash {
    pub(super) fn new(hashing: &Hashing) -> Self {
        Hash { map: IndexMap::with_hasher(hashing.clone()), bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.map.get(field).map(Vec::as_slice)
    }

    /// Sets a field; says whether it is new.
    pub(super) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.bytes += value.len();
        if let Some(old) = self.map.get_mut(field) {
            self.bytes -= old.len();
            value.clone_into(old);
            return false;
        }
        self.bytes += field.len() + ELEMENT;
        self.map.insert(field.into(), value.to_vec());
        true
    }

    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let Some(old) = self.map.swap_remove(field) else { return false };
        self.bytes -= field.len() + old.len() + ELEMENT;
        true
    }

    pub(super) fn at(&self, index: usize) -> Option<(&[u8], &[u8])> {
        self.map.get_index(index).map(|(field, value)| (&**field, value.as_slice()))
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.map.iter().map(|(field, value)| (&**field, value.as_slice()))
    }
}

/// A list.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    items: VecDeque<Box<[u8]>>,
    bytes: usize,
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Left,
    Right,
}

impl List {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn push(&mut self, end: End, item: &[u8]) {
        self.bytes += item.len() + ELEMENT;
        match end {
            End::Left => self.items.push_front(item.into()),
            End::Right => self.items.push_back(item.into()),
        }
    }

    pub(super) fn pop(&mut self, end: End) -> Option<Box<[u8]>> {
        let item = match end {
            End::Left => self.items.pop_front(),
            End::Right => self.items.pop_back(),
        }?;
        self.bytes -= item.len() + ELEMENT;
        Some(item)
    }

    /// How many items there are among the first `count` from an end, and their bytes.
    pub(super) fn weigh(&self, end: End, count: usize) -> (usize, usize) {
        let count = count.min(self.items.len());
        let start = if end == End::Left { 0 } else { self.items.len() - count };
        (count, self.items.range(start..start + count).map(|item| item.len()).sum())
    }

    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        self.items.get(index).map(|item| &**item)
    }

    pub(super) fn replace(&mut self, index: usize, item: &[u8]) {
        if let Some(old) = self.items.get_mut(index) {
            self.bytes = self.bytes + item.len() - old.len();
            *old = item.into();
        }
    }

    pub(super) fn insert(&mut self, index: usize, item: &[u8]) {
        self.bytes += item.len() + ELEMENT;
        self.items.insert(index.min(self.items.len()), item.into());
    }

    /// Keeps what `keep` says, which is asked from the left or the right end on.
    pub(super) fn retain(&mut self, from: End, mut keep: impl FnMut(&[u8]) -> bool) {
        let bytes = &mut self.bytes;
        let mut keep = |item: &[u8]| {
            let stays = keep(item);
            *bytes -= if stays { 0 } else { item.len() + ELEMENT };
            stays
        };
        match from {
            End::Left => self.items.retain(|item| keep(item)),
            End::Right => {
                let mut kept: Vec<Box<[u8]>> = Vec::with_capacity(self.items.len());
                kept.extend(self.items.drain(..).rev().filter(|item| keep(item)));
                self.items.extend(kept.into_iter().rev());
            }
        }
    }

    /// Keeps `len` items from `start` on.
    pub(super) fn trim(&mut self, start: usize, len: usize) {
        let end = start.saturating_add(len).min(self.items.len());
        let after = self.items.drain(end..).map(|item| item.len() + ELEMENT).sum::<usize>();
        let before = self.items.drain(..start.min(end)).map(|item| item.len() + ELEMENT);
        self.bytes -= after + before.sum::<usize>();
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.items.iter().map(|item| &**item)
    }

    /// `len` items from `start` on.
    pub(super) fn range(&self, start: usize, len: usize) -> impl ExactSizeIterator<Item = &[u8]> {
        self.items.iter().skip(start).take(len).map(|item| &**item)
    }
}

/// A set, in the order in which members came; a removed one is replaced by the last.
#[derive(Clone, Debug)]
pub(super) struct Set {
    members: IndexSet<Box<[u8]>, Hashing>,
    bytes: usize,
}

impl Set {
    pub(super) fn new(hashing: &Hashing) -> Self {
        Set { members: IndexSet::with_hasher(hashing.clone()), bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn contains(&self, member: &[u8]) -> bool {
        self.members.contains(member)
    }

    pub(super) fn insert(&mut self, member: &[u8]) -> bool {
        if self.members.contains(member) {
            return false;
        }
        self.bytes += member.len() + ELEMENT;
        self.members.insert(member.into())
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let removed = self.members.swap_remove(member);
        self.bytes -= if removed { member.len() + ELEMENT } else { 0 };
        removed
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        self.members.retain(|member| keep(member));
        self.bytes = self.members.iter().map(|member| member.len() + ELEMENT).sum();
    }

    pub(super) fn at(&self, index: usize) -> Option<&[u8]> {
        self.members.get_index(index).map(|member| &**member)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.members.iter().map(|member| &**member)
    }
}

/// A score: never NaN, and there is one zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score(pub(super) f64);

impl Score {
    pub(super) fn new(value: f64) -> Self {
        Score(if value == 0.0 { 0.0 } else { value })
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Score {}

/// Members by score, then by bytes. Ranks are counted, so they cost as much as they are high.
#[derive(Clone, Debug)]
pub(super) struct SortedSet {
    scores: IndexMap<Box<[u8]>, f64, Hashing>,
    order: BTreeSet<(Score, Box<[u8]>)>,
    bytes: usize,
}

impl SortedSet {
    pub(super) fn new(hashing: &Hashing) -> Self {
        let scores = IndexMap::with_hasher(hashing.clone());
        SortedSet { scores, order: BTreeSet::new(), bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.scores.len()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// Sets the score of a member, which may be new.
    pub(super) fn set(&mut self, member: &[u8], score: f64) {
        let score = Score::new(score);
        match self.scores.get_mut(member) {
            Some(old) => {
                let before = Score::new(*old);
                *old = score.0;
                if before != score {
                    self.order.remove(&(before, member.into()));
                    self.order.insert((score, member.into()));
                }
            }
            None => {
                self.bytes += 2 * (member.len() + ELEMENT);
                self.scores.insert(member.into(), score.0);
                self.order.insert((score, member.into()));
            }
        }
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some(score) = self.scores.swap_remove(member) else { return false };
        self.order.remove(&(Score::new(score), member.into()));
        self.bytes -= 2 * (member.len() + ELEMENT);
        true
    }

    /// By position, for random picks and scans.
    pub(super) fn at(&self, index: usize) -> Option<(&[u8], f64)> {
        self.scores.get_index(index).map(|(member, score)| (&**member, *score))
    }

    /// From the lowest score to the highest.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], f64)> {
        self.order.iter().map(|(score, member)| (&**member, score.0))
    }

    /// Members whose score is at least `low` and below `end`, from the lowest on.
    pub(super) fn between(
        &self,
        low: f64,
        end: Option<f64>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], f64)> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let bound = |score| (Score::new(score), Box::default());
        let low = bound(low);
        let end = end.map(bound).map_or(Unbounded, |end| Excluded(end.max(low.clone())));
        self.order.range((Included(low), end)).map(|(score, member)| (&**member, score.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_return_to_nothing() {
        let hashing = Hashing::with_seed(1);
        let mut hash = Hash::new(&hashing);
        hash.set(b"a", b"long value");
        hash.set(b"a", b"v");
        hash.remove(b"a");
        let mut list = List::default();
        list.push(End::Left, b"one");
        list.insert(1, b"two");
        list.replace(0, b"longer");
        list.retain(End::Right, |item| item != b"two");
        list.pop(End::Right);
        let mut sorted = SortedSet::new(&hashing);
        sorted.set(b"m", 1.0);
        sorted.set(b"m", -0.0);
        assert_eq!(sorted.between(0.0, Some(0.5)).next(), Some((b"m".as_slice(), 0.0)));
        sorted.remove(b"m");
        assert_eq!((hash.bytes, list.bytes, sorted.bytes), (0, 0, 0));
        assert!(Value::SortedSet(sorted.into()).is_void());
    }
}
