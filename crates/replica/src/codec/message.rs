//! What the two ends of a session tell each other, one message to a record.

use locum_types::LogPosition;

use super::Malformed;
use super::varint::{Reader, VARINT_LEN_MAX, put};
use crate::point::{Generation, History, LogPoint};

const WELCOME: u8 = 1;
const SNAPSHOT: u8 = 2;
const CHUNK: u8 = 3;
const LOG: u8 = 4;
const HELLO: u8 = 16;
const CONFIRM: u8 = 17;
const BYE: u8 = 31;

const NO: u8 = 0;
const YES: u8 = 1;

/// The bytes that a [`FromLeader::Log`] or a [`FromLeader::Chunk`] takes beside what it carries.
pub(crate) const MESSAGE_HEAD_MAX: usize = 1 + 2 * VARINT_LEN_MAX;

/// Why a session is ended by one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ByeReason {
    /// An entry was not confirmed in time, or a join made no progress.
    TooSlow,
    /// The leader's buffer is full of what this follower has not confirmed.
    Overflow,
    /// The two do not have the same log, or came to different states by it.
    Diverged,
    /// The follower said something that it must not say here, or the leader did.
    Protocol,
    /// The follower has a newer session.
    Replaced,
    /// The node ends, or is active no more.
    Leaving,
}

/// All reasons, in the order of their codes, which begin at 1.
const REASONS: [ByeReason; 6] = [
    ByeReason::TooSlow,
    ByeReason::Overflow,
    ByeReason::Diverged,
    ByeReason::Protocol,
    ByeReason::Replaced,
    ByeReason::Leaving,
];

impl ByeReason {
    const fn code(self) -> u8 {
        match self {
            ByeReason::TooSlow => 1,
            ByeReason::Overflow => 2,
            ByeReason::Diverged => 3,
            ByeReason::Protocol => 4,
            ByeReason::Replaced => 5,
            ByeReason::Leaving => 6,
        }
    }

    fn from_code(code: u8) -> Result<Self, Malformed> {
        REASONS
            .into_iter()
            .find(|reason| reason.code() == code)
            .ok_or(Malformed("a farewell of no known reason"))
    }
}

/// What a leader says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromLeader<'a> {
    /// The answer to a [`FromFollower::Hello`].
    Welcome {
        /// The leader's history.
        history: History,
        /// The log goes on where the follower is; otherwise a snapshot comes first.
        resumes: bool,
    },
    /// A snapshot begins.
    Snapshot {
        /// The point of the log that it is of.
        point: LogPoint,
    },
    /// The next bytes of the snapshot; none: that was all of it.
    Chunk {
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The next bytes of the stream of items, cut anywhere; none: a sign of life.
    Log {
        /// The leader waits for this follower, which belongs to this in-sync set; `None`: it does not wait.
        in_sync: Option<Generation>,
        /// How many confirmations of this session the leader had heard.
        heard: u64,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The session ends.
    Bye {
        /// Why.
        reason: ByeReason,
    },
}

impl<'a> FromLeader<'a> {
    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            FromLeader::Welcome { history, resumes } => {
                out.push(WELCOME);
                out.extend_from_slice(&history.0.to_be_bytes());
                out.push(if resumes { YES } else { NO });
            }
            FromLeader::Snapshot { point } => {
                out.push(SNAPSHOT);
                put_point(out, point);
            }
            FromLeader::Chunk { bytes } => {
                out.push(CHUNK);
                out.extend_from_slice(bytes);
            }
            FromLeader::Log { in_sync, heard, bytes } => {
                out.push(LOG);
                put_generation(out, in_sync);
                put(out, heard);
                out.extend_from_slice(bytes);
            }
            FromLeader::Bye { reason } => out.extend_from_slice(&[BYE, reason.code()]),
        }
    }

    /// Reads a message; what it carries is borrowed from `bytes`.
    ///
    /// # Errors
    /// Where `bytes` are no message of a leader.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
            WELCOME => {
                FromLeader::Welcome { history: History(reader.u64()?), resumes: flag(&mut reader)? }
            }
            SNAPSHOT => FromLeader::Snapshot { point: point(&mut reader)? },
            CHUNK => return Ok(FromLeader::Chunk { bytes: reader.rest() }),
            LOG => {
                let (in_sync, heard) = (generation(&mut reader)?, reader.varint()?);
                return Ok(FromLeader::Log { in_sync, heard, bytes: reader.rest() });
            }
            BYE => FromLeader::Bye { reason: ByeReason::from_code(reader.u8()?)? },
            _ => return Err(Malformed("nothing that a leader says")),
        };
        reader.end()?;
        Ok(message)
    }
}

/// What a follower says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromFollower {
    /// The first message of a session.
    Hello {
        /// How far the follower has got, if it has anything.
        have: Option<LogPoint>,
    },
    /// Everything up to a point of the log is applied.
    Confirm {
        /// The position of the last entry.
        position: LogPosition,
        /// The chained digest after it.
        digest: u64,
        /// The in-sync set that the follower belongs to, as far as it was told.
        in_sync: Option<Generation>,
    },
    /// The session ends.
    Bye {
        /// Why.
        reason: ByeReason,
    },
}

impl FromFollower {
    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            FromFollower::Hello { have: None } => out.extend_from_slice(&[HELLO, NO]),
            FromFollower::Hello { have: Some(point) } => {
                out.extend_from_slice(&[HELLO, YES]);
                put_point(out, point);
            }
            FromFollower::Confirm { position, digest, in_sync } => {
                out.push(CONFIRM);
                put(out, position.0);
                out.extend_from_slice(&digest.to_be_bytes());
                put_generation(out, in_sync);
            }
            FromFollower::Bye { reason } => out.extend_from_slice(&[BYE, reason.code()]),
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Where `bytes` are no message of a follower.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
            HELLO => {
                let has = flag(&mut reader)?;
                FromFollower::Hello { have: if has { Some(point(&mut reader)?) } else { None } }
            }
            CONFIRM => {
                let position = LogPosition(reader.varint()?);
                let digest = reader.u64()?;
                FromFollower::Confirm { position, digest, in_sync: generation(&mut reader)? }
            }
            BYE => FromFollower::Bye { reason: ByeReason::from_code(reader.u8()?)? },
            _ => return Err(Malformed("nothing that a follower says")),
        };
        reader.end()?;
        Ok(message)
    }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.u8()? {
        NO => Ok(false),
        YES => Ok(true),
        _ => Err(Malformed("neither yes nor no")),
    }
}

fn put_generation(out: &mut Vec<u8>, generation: Option<Generation>) {
    put(out, generation.map_or(0, |generation| generation.0));
}

fn generation(reader: &mut Reader<'_>) -> Result<Option<Generation>, Malformed> {
    Ok(Some(Generation(reader.varint()?)).filter(|generation| generation.0 > 0))
}

fn put_point(out: &mut Vec<u8>, point: LogPoint) {
    out.extend_from_slice(&point.history.0.to_be_bytes());
    put(out, point.position.0);
    out.extend_from_slice(&point.digest.to_be_bytes());
}

fn point(reader: &mut Reader<'_>) -> Result<LogPoint, Malformed> {
    let history = History(reader.u64()?);
    let position = LogPosition(reader.varint()?);
    Ok(LogPoint { history, position, digest: reader.u64()? })
}
