//! What a leader's messages carry, in the order in which they may come: first a snapshot or none, then items
//! of the log that may be cut anywhere.

use std::ops::Range;

use locum_types::{BootNonce, LogPosition};

use crate::codec::{ByeReason, FromLeader, Item, ItemPrefix, Malformed, item_prefix};
use crate::point::{Generation, LogPoint};
use crate::record::{Channel, RECORD_LEN_MAX};
use crate::{Output, Refusal};

/// What a piece of what has arrived was.
pub(super) enum Taken {
    /// It is not all here.
    Nothing,
    /// Something for [`Stream::next`].
    Bytes,
    /// The leader has answered.
    Connected { boot: BootNonce },
    /// The leader has said how we go on.
    Welcome { resumes: bool },
    /// The next bytes of the log, or a sign of life.
    Log { in_sync: Option<Generation>, heard: u64 },
    /// The session ends.
    Bye { reason: ByeReason },
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A welcome.
    Welcome,
    /// The announcement of a snapshot.
    Announcement,
    /// More of the snapshot of this point.
    Chunks { point: LogPoint },
    /// The log.
    Log,
}

/// What the last message left to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Nothing,
    Announcement { point: LogPoint },
    Chunk(Range<usize>),
    End { point: LogPoint },
    Log(Range<usize>),
}

/// Where an item is.
#[derive(Clone, Debug)]
enum Place {
    Message(Range<usize>),
    Assembled(Range<usize>),
}

/// What is to be done next.
pub(super) enum Pending {
    Entry { point: LogPoint },
    SnapshotBegin { point: LogPoint },
    SnapshotChunk,
    SnapshotEnd { point: LogPoint },
    StateDigest { position: LogPosition, digest: u64 },
}

/// One message of a leader, and the beginning of an item that it cut.
pub(super) struct Stream {
    phase: Phase,
    message: Box<[u8]>,
    content: Content,
    /// Where the bytes are that are to be given out next.
    place: Place,
    /// An item that came in more than one message, or its beginning.
    assembled: Vec<u8>,
    is_assembled: bool,
}

impl Stream {
    pub(super) fn new() -> Self {
        Stream {
            phase: Phase::Welcome,
            message: vec![0; RECORD_LEN_MAX].into_boxed_slice(),
            content: Content::Nothing,
            place: Place::Message(0..0),
            assembled: Vec::new(),
            is_assembled: false,
        }
    }

    /// The stream of another session begins.
    pub(super) fn clear(&mut self) {
        self.phase = Phase::Welcome;
        self.content = Content::Nothing;
        self.assembled.clear();
        self.is_assembled = false;
    }

    /// Whether there is something for [`Stream::next`]: no message may be opened before.
    pub(super) fn is_pending(&self) -> bool {
        self.content != Content::Nothing
    }

    /// Whether the log goes on after what the follower has.
    pub(super) fn is_log(&self) -> bool {
        self.phase == Phase::Log
    }

    /// Opens a record, and looks whether its message may come now.
    pub(super) fn open(
        &mut self,
        channel: &mut Channel,
        record: &[u8],
        have: Option<LogPoint>,
    ) -> Result<Taken, Refusal> {
        let len = channel.open(record, &mut self.message)?;
        let end = len;
        match (FromLeader::decode(&self.message[..len])?, self.phase) {
            (FromLeader::Bye { reason }, _) => Ok(Taken::Bye { reason }),
            (FromLeader::Welcome { history, resumes }, Phase::Welcome) => {
                if resumes && have.is_none_or(|have| have.history != history) {
                    return Err(Malformed("a log goes on that we do not have").into());
                }
                self.phase = if resumes { Phase::Log } else { Phase::Announcement };
                Ok(Taken::Welcome { resumes })
            }
            (FromLeader::Snapshot { point }, Phase::Announcement) => {
                self.phase = Phase::Chunks { point };
                self.content = Content::Announcement { point };
                Ok(Taken::Bytes)
            }
            (FromLeader::Chunk { bytes: [] }, Phase::Chunks { point }) => {
                self.content = Content::End { point };
                Ok(Taken::Bytes)
            }
            (FromLeader::Chunk { bytes }, Phase::Chunks { .. }) => {
                self.content = Content::Chunk(end - bytes.len()..end);
                Ok(Taken::Bytes)
            }
            (FromLeader::Log { in_sync, heard, bytes }, Phase::Log) => {
                if !bytes.is_empty() {
                    self.content = Content::Log(end - bytes.len()..end);
                }
                Ok(Taken::Log { in_sync, heard })
            }
            (
                FromLeader::Log { in_sync: None, heard, bytes: [] },
                Phase::Announcement | Phase::Chunks { .. },
            ) => Ok(Taken::Log { in_sync: None, heard }),
            (
                FromLeader::Welcome { .. }
                | FromLeader::Snapshot { .. }
                | FromLeader::Chunk { .. }
                | FromLeader::Log { .. },
                _,
            ) => Err(Malformed("a message that may not come now").into()),
        }
    }

    /// What is to be done next by whoever has the log up to `have`; [`Stream::output`] has its bytes.
    pub(super) fn next(&mut self, have: Option<LogPoint>) -> Result<Option<Pending>, Refusal> {
        match std::mem::replace(&mut self.content, Content::Nothing) {
            Content::Nothing => Ok(None),
            Content::Announcement { point } => Ok(Some(Pending::SnapshotBegin { point })),
            Content::Chunk(range) => {
                self.place = Place::Message(range);
                Ok(Some(Pending::SnapshotChunk))
            }
            Content::End { point } => {
                self.phase = Phase::Log;
                Ok(Some(Pending::SnapshotEnd { point }))
            }
            Content::Log(range) => self.next_item(range, have),
        }
    }

    /// The next item of the log, if it is all here.
    fn next_item(
        &mut self,
        range: Range<usize>,
        have: Option<LogPoint>,
    ) -> Result<Option<Pending>, Refusal> {
        let Some(place) = self.locate(range)? else { return Ok(None) };
        self.place = place;
        let bytes = self.bytes();
        let have = have.ok_or(Malformed("a log goes on that we do not have"))?;
        match Item::decode(bytes)? {
            Item::Entry { .. } => Ok(Some(Pending::Entry { point: have.after(bytes) })),
            Item::StateDigest { position, digest } if position == have.position => {
                Ok(Some(Pending::StateDigest { position, digest }))
            }
            Item::StateDigest { .. } => Err(Malformed("a state digest in the wrong place").into()),
        }
    }

    /// Finds the next item in `range` of the message, behind what came of it before. Keeps what is left of the range.
    fn locate(&mut self, mut range: Range<usize>) -> Result<Option<Place>, Malformed> {
        if std::mem::take(&mut self.is_assembled) {
            self.assembled.clear();
        }
        if self.assembled.is_empty() {
            let rest = &self.message[range.clone()];
            if let ItemPrefix::Len(head, len) = item_prefix(rest)?
                && head + len <= rest.len()
            {
                let start = range.start + head;
                self.leave(start + len..range.end);
                return Ok(Some(Place::Message(start..start + len)));
            }
        }
        loop {
            let missing = match item_prefix(&self.assembled)? {
                ItemPrefix::Len(head, len) if head + len == self.assembled.len() => {
                    self.is_assembled = true;
                    self.leave(range);
                    return Ok(Some(Place::Assembled(head..head + len)));
                }
                ItemPrefix::Len(head, len) => head + len - self.assembled.len(),
                ItemPrefix::Partial => 1,
            };
            if range.is_empty() {
                return Ok(None);
            }
            let end = range.end.min(range.start + missing);
            self.assembled.extend_from_slice(&self.message[range.start..end]);
            range.start = end;
        }
    }

    fn leave(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.content = Content::Log(range);
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.place {
            Place::Message(range) => &self.message[range.clone()],
            Place::Assembled(range) => &self.assembled[range.clone()],
        }
    }

    /// What [`Stream::next`] has found, with its bytes.
    pub(super) fn output(&self, pending: Pending) -> Option<Output<'_>> {
        match pending {
            Pending::Entry { point } => match Item::decode(self.bytes()) {
                Ok(Item::Entry { time, entry }) => {
                    Some(Output::Apply { time, position: point.position, entry })
                }
                Ok(Item::StateDigest { .. }) | Err(_) => None,
            },
            Pending::SnapshotBegin { point } => {
                Some(Output::SnapshotBegin { position: point.position })
            }
            Pending::SnapshotChunk => Some(Output::SnapshotChunk { bytes: self.bytes() }),
            Pending::SnapshotEnd { point } => {
                Some(Output::SnapshotEnd { position: point.position })
            }
            Pending::StateDigest { position, .. } => Some(Output::CheckState { position }),
        }
    }
}
