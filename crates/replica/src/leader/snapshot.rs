//! The snapshot that a follower is given when the buffer does not reach back to where it is.

use std::collections::VecDeque;

use locum_types::{Instant, LogPosition, NodeId};

use super::{Leader, Stage};
use crate::codec::{FromLeader, MESSAGE_HEAD_MAX};
use crate::point::LogPoint;
use crate::record::MESSAGE_LEN_MAX;

/// Why a snapshot cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotRefused {
    /// The follower needs none: it is gone, or has begun one.
    #[error("node {0} does not wait for a snapshot: wait until one is requested")]
    NotWanted(NodeId),
    /// The log does not reach from there to here any more, or not yet.
    #[error("the log after position {0} is not kept: make a snapshot of the present state")]
    OutOfReach(LogPosition),
}

/// A snapshot on its way.
pub(crate) struct Snapshot {
    point: LogPoint,
    is_announced: bool,
    /// What was offered and not sent.
    waiting: VecDeque<u8>,
    /// Nothing more will be offered.
    is_whole: bool,
    /// And the follower was told so.
    is_sent: bool,
}

impl Snapshot {
    /// Writes its announcement, or the next of its bytes, if there are any.
    pub(super) fn next_message(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.is_announced {
            self.is_announced = true;
            FromLeader::Snapshot { point: self.point }.encode(out);
            return true;
        }
        let (bytes, _) = self.waiting.as_slices();
        if bytes.is_empty() && !self.is_whole {
            return false;
        }
        self.is_sent = bytes.is_empty();
        let bytes = &bytes[..bytes.len().min(MESSAGE_LEN_MAX - MESSAGE_HEAD_MAX)];
        FromLeader::Chunk { bytes }.encode(out);
        let len = bytes.len();
        self.waiting.drain(..len);
        true
    }

    /// Whether the follower was told that it has all of it.
    pub(super) const fn is_sent(&self) -> bool {
        self.is_sent
    }
}

/// How a snapshot travels.
impl Leader {
    /// Begins the snapshot that was requested for `follower`: bytes that hold the state at `position`, which are
    /// offered by [`offer_chunk`](Leader::offer_chunk) until [`end_snapshot`](Leader::end_snapshot). The log from
    /// there on is kept for the follower until it has confirmed it, as far as the buffer has room.
    ///
    /// # Errors
    /// Nobody waits for it, or the log does not reach that far back.
    pub fn begin_snapshot(
        &mut self,
        now: Instant,
        follower: NodeId,
        position: LogPosition,
    ) -> Result<(), SnapshotRefused> {
        let (point, end) =
            self.log.locate(position).ok_or(SnapshotRefused::OutOfReach(position))?;
        let window = self.config.snapshot_window;
        let following = self
            .index_of(follower)
            .and_then(|index| self.sessions[index].following_mut())
            .filter(|following| following.stage == Stage::Snapshot && following.snapshot.is_none())
            .ok_or(SnapshotRefused::NotWanted(follower))?;
        following.snapshot = Some(Snapshot {
            point,
            is_announced: false,
            waiting: VecDeque::with_capacity(window),
            is_whole: false,
            is_sent: false,
        });
        following.confirmed = position;
        following.sent = end;
        following.progress = now;
        Ok(())
    }

    /// How many bytes of its snapshot `follower` can be offered now. It grows as
    /// [`poll_transmit`](Leader::poll_transmit) takes what was offered before.
    pub fn snapshot_room(&self, follower: NodeId) -> usize {
        self.snapshot(follower).filter(|snapshot| !snapshot.is_whole).map_or(0, |snapshot| {
            self.config.snapshot_window.saturating_sub(snapshot.waiting.len())
        })
    }

    /// Takes the next bytes of the snapshot for `follower`; returns how many: as many as there is room for.
    #[must_use = "what was not taken must be offered again"]
    pub fn offer_chunk(&mut self, follower: NodeId, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.snapshot_room(follower));
        if let Some(snapshot) = self.snapshot_mut(follower) {
            snapshot.waiting.extend(&bytes[..taken]);
            self.counters.snapshot_bytes += taken as u64;
        }
        taken
    }

    /// All bytes of the snapshot for `follower` were offered.
    pub fn end_snapshot(&mut self, follower: NodeId) {
        if let Some(snapshot) = self.snapshot_mut(follower) {
            snapshot.is_whole = true;
        }
    }

    /// Whether a snapshot is on its way to `follower`.
    pub fn has_snapshot(&self, follower: NodeId) -> bool {
        self.snapshot(follower).is_some()
    }

    fn snapshot_mut(&mut self, follower: NodeId) -> Option<&mut Snapshot> {
        let index = self.index_of(follower)?;
        self.sessions[index].following_mut()?.snapshot.as_mut()
    }

    fn snapshot(&self, follower: NodeId) -> Option<&Snapshot> {
        let index = self.index_of(follower)?;
        self.sessions[index].following()?.snapshot.as_ref()
    }
}
