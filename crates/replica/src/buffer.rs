//! The recent part of the log, encoded once for all followers.
//!
//! What belongs here: the bytes, and where each entry ends. What does not: who still needs them.

use std::collections::VecDeque;

use locum_stack::log::Entry;
use locum_types::{Instant, LogPosition};

use crate::codec::{ITEM_LEN_MAX, Item, put_item_len};
use crate::point::{History, LogPoint};

/// Where an entry ends.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// The offset in the stream of the byte after it.
    end: u64,
    /// The chained digest after it.
    digest: u64,
    /// When it was appended, on the clock of this node.
    at: Instant,
}

/// Recent items of the log, as one stream of bytes. Offsets count from the start of this leader.
pub(crate) struct LogBuffer {
    bytes: VecDeque<u8>,
    marks: VecDeque<Mark>,
    bytes_max: usize,
    marks_max: usize,
    /// After the last entry that is no longer here, and the offset of its end.
    floor: LogPoint,
    floor_end: u64,
    head: LogPoint,
    /// The next item, while it is made.
    item: Vec<u8>,
    length: Vec<u8>,
}

impl LogBuffer {
    /// An empty buffer of a log that goes on after `start`. All its memory is reserved now.
    pub(crate) fn new(start: LogPoint, bytes_max: usize, marks_max: usize) -> Self {
        LogBuffer {
            bytes: VecDeque::with_capacity(bytes_max),
            marks: VecDeque::with_capacity(marks_max),
            bytes_max,
            marks_max,
            floor: start,
            floor_end: 0,
            head: start,
            item: Vec::with_capacity(64 * 1024),
            length: Vec::with_capacity(8),
        }
    }

    pub(crate) const fn history(&self) -> History {
        self.head.history
    }

    /// The point after the last entry.
    pub(crate) const fn head(&self) -> LogPoint {
        self.head
    }

    /// The offset after the last item.
    pub(crate) fn end(&self) -> u64 {
        self.start() + self.bytes.len() as u64
    }

    /// The offset of the first byte that is here.
    const fn start(&self) -> u64 {
        self.floor_end
    }

    /// The position after which everything is here.
    pub(crate) const fn floor(&self) -> LogPosition {
        self.floor.position
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn entries(&self) -> usize {
        self.marks.len()
    }

    /// Encodes `entry` as the next one; returns how many bytes of the stream it will take.
    /// [`LogBuffer::commit`] appends it.
    pub(crate) fn encode(&mut self, time: Instant, entry: &Entry<'_>) -> usize {
        self.encode_item(&Item::Entry { time, entry: *entry })
    }

    fn encode_item(&mut self, item: &Item<'_>) -> usize {
        self.item.clear();
        item.encode(&mut self.item);
        self.length.clear();
        put_item_len(&mut self.length, self.item.len());
        self.length.len() + self.item.len()
    }

    /// Whether something of `len` bytes can be appended without a loss.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.bytes.len() + len <= self.bytes_max && self.marks.len() < self.marks_max
    }

    /// Whether what was encoded can be carried at all: there is room once everything else is forgotten.
    pub(crate) fn can_carry(&self, len: usize) -> bool {
        self.item.len() <= ITEM_LEN_MAX && len <= self.bytes_max && self.marks_max > 0
    }

    /// Appends the encoded entry, for which there is room.
    pub(crate) fn commit(&mut self, now: Instant) -> LogPoint {
        self.append_item();
        self.head = self.head.after(&self.item);
        self.marks.push_back(Mark { end: self.end(), digest: self.head.digest, at: now });
        self.head
    }

    /// Counts the encoded entry without keeping it: whoever follows cannot go on from before it.
    pub(crate) fn pass(&mut self) -> LogPoint {
        while self.evict() {}
        self.head = self.head.after(&self.item);
        self.floor = self.head;
        self.head
    }

    /// Encodes the digest of the state at the head; returns how many bytes of the stream it will take.
    /// [`LogBuffer::append_item`] appends it.
    pub(crate) fn encode_state_digest(&mut self, digest: u64) -> usize {
        self.encode_item(&Item::StateDigest { position: self.head.position, digest })
    }

    /// Appends the encoded item, for which there is room.
    pub(crate) fn append_item(&mut self) {
        self.bytes.extend(&self.length);
        self.bytes.extend(&self.item);
    }

    /// Forgets the oldest entry, and what was said about the state before it. With no entry left it forgets
    /// what is said about the state at the head, and says so.
    pub(crate) fn evict(&mut self) -> bool {
        let Some(mark) = self.marks.pop_front() else {
            self.floor_end = self.end();
            self.bytes.clear();
            return false;
        };
        let len = mark.end - self.start();
        self.bytes.drain(..len as usize);
        let position = self.floor.position.next();
        self.floor = LogPoint { position, digest: mark.digest, ..self.floor };
        self.floor_end = mark.end;
        true
    }

    fn mark(&self, position: LogPosition) -> Option<&Mark> {
        let index = position.0.checked_sub(self.floor.position.next().0)?;
        self.marks.get(usize::try_from(index).ok()?)
    }

    /// The point and the offset after the entry at `position`, if they are still known.
    pub(crate) fn locate(&self, position: LogPosition) -> Option<(LogPoint, u64)> {
        if position == self.floor.position {
            return Some((self.floor, self.floor_end));
        }
        let mark = self.mark(position)?;
        Some((LogPoint { position, digest: mark.digest, ..self.head }, mark.end))
    }

    /// When the entry after `position` was appended, if there is one here.
    pub(crate) fn appended_after(&self, position: LogPosition) -> Option<Instant> {
        self.mark(position.next()).map(|mark| mark.at)
    }

    /// Appends to `out` at most `len_max` bytes of the stream from `offset` on; returns how many.
    pub(crate) fn copy(&self, offset: u64, len_max: usize, out: &mut Vec<u8>) -> usize {
        let skip = offset.saturating_sub(self.start()) as usize;
        let (first, second) = self.bytes.as_slices();
        let from_first = first.get(skip..).unwrap_or_default();
        let from_second = second.get(skip.saturating_sub(first.len())..).unwrap_or_default();
        let before = out.len();
        for part in [from_first, from_second] {
            let room = len_max - (out.len() - before);
            out.extend_from_slice(&part[..part.len().min(room)]);
        }
        out.len() - before
    }
}

#[cfg(test)]
mod tests;
