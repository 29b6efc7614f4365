//! One connection of a leader: from a stranger's first bytes to a follower's last.

use std::time::Duration;

use locum_types::{BootNonce, Instant, LogPosition, NodeId};

use super::snapshot::Snapshot;
use crate::buffer::LogBuffer;
use crate::codec::{ByeReason, FromFollower, FromLeader, MESSAGE_HEAD_MAX};
use crate::io::ConnectionId;
use crate::pieces::{Inbound, Outbound};
use crate::point::{Generation, LogPoint};
use crate::record::{self, CALL_LEN, Channel, Entropy, Greeting, MESSAGE_LEN_MAX, SessionKey};
use crate::{LeaderConfig, Refusal};

/// How far a follower has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It needs a snapshot, or takes one.
    Snapshot,
    /// It has a copy of the log, and is given what it lacks.
    CatchingUp,
    /// It has nearly everything. It is waited for, and will be in sync once it has confirmed all that was
    /// appended before it was.
    Candidate {
        /// The last position that it was not waited for.
        until: LogPosition,
    },
    /// It has everything, is waited for, and fit to take over.
    InSync,
}

/// A session with a follower that has proven who it is.
pub(crate) struct Following {
    pub(crate) node: NodeId,
    pub(crate) stage: Stage,
    /// Whether it goes on from its own copy; until it was told so.
    welcome: Option<bool>,
    /// Its snapshot, from its begin until its last byte was sent.
    pub(crate) snapshot: Option<Snapshot>,
    /// The embedding was asked for a snapshot.
    asked: bool,
    /// The last position that it has confirmed: everything after it must stay in the buffer.
    pub(crate) confirmed: LogPosition,
    /// Up to which offset the stream was sealed, while there is no snapshot to be sent.
    pub(crate) sent: u64,
    /// What it was told last about being in sync.
    told_in_sync: Option<Generation>,
    /// What it has said last about it.
    pub(crate) knows: Option<Generation>,
    /// How many confirmations it has sent, and when the last one was heard.
    pub(crate) heard: u64,
    pub(crate) heard_at: Instant,
    /// When it came into the in-sync set.
    pub(crate) member_since: Instant,
    /// When it last took something, or confirmed something.
    pub(crate) progress: Instant,
    /// When the last message was sealed, or a sign of life became due.
    pub(crate) spoken: Instant,
    /// A sign of life is to be sent, unless something else is.
    is_sign_due: bool,
}

impl Following {
    pub(crate) const fn is_waited_for(&self) -> bool {
        match self.stage {
            Stage::Candidate { .. } | Stage::InSync => true,
            Stage::Snapshot | Stage::CatchingUp => false,
        }
    }

    /// Whether it is not in sync, or knows that it belongs to this in-sync set or a later one.
    pub(super) fn knows_of(&self, generation: Generation) -> bool {
        self.stage != Stage::InSync || self.knows >= Some(generation)
    }

    /// Whether it needs what is in the buffer.
    pub(crate) const fn needs_log(&self) -> bool {
        match self.stage {
            Stage::Snapshot => self.snapshot.is_some(),
            Stage::CatchingUp | Stage::Candidate { .. } | Stage::InSync => true,
        }
    }

    /// Notices that it was told nothing for as long as `keep_alive`. The next sign of life is due as long after
    /// that, whether this one can be sent or not: a connection that takes nothing keeps nobody busy.
    pub(super) fn mind_silence(&mut self, now: Instant, keep_alive: Duration) {
        if self.spoken + keep_alive <= now {
            self.spoken = now;
            self.is_sign_due = true;
        }
    }
}

/// Who has said hello.
pub(super) struct Hello {
    pub(super) node: NodeId,
    pub(super) boot: BootNonce,
    pub(super) have: Option<LogPoint>,
}

/// What a piece of the stream was.
pub(super) enum Received {
    /// It is not all here.
    Nothing,
    /// A call, which is answered.
    Answered,
    /// The proof of who it is.
    Hello(Hello),
    /// What a follower says.
    Message(FromFollower),
}

/// The last words of a session.
struct Farewell {
    reason: ByeReason,
    said: bool,
    until: Instant,
}

/// One connection.
pub(crate) struct Session {
    pub(super) connection: ConnectionId,
    pub(super) since: Instant,
    entropy: Option<Entropy>,
    inbound: Inbound,
    outbound: Outbound,
    channel: Option<(Greeting, Channel)>,
    following: Option<Box<Following>>,
    farewell: Option<Farewell>,
}

impl Session {
    pub(super) fn new(now: Instant, connection: ConnectionId, entropy: Entropy) -> Self {
        Session {
            connection,
            since: now,
            entropy: Some(entropy),
            inbound: Inbound::new(),
            outbound: Outbound::new(),
            channel: None,
            following: None,
            farewell: None,
        }
    }

    pub(super) fn following(&self) -> Option<&Following> {
        self.following.as_deref()
    }

    pub(super) fn following_mut(&mut self) -> Option<&mut Following> {
        self.following.as_deref_mut()
    }

    pub(super) fn node(&self) -> Option<NodeId> {
        self.following().map(|following| following.node)
    }

    /// Takes one piece of the stream, and opens it into `opened`.
    pub(super) fn receive(
        &mut self,
        config: &LeaderConfig,
        key: &SessionKey,
        bytes: &mut &[u8],
        opened: &mut [u8],
    ) -> Result<Received, Refusal> {
        if self.farewell.is_some() {
            return Ok(Received::Nothing);
        }
        let Some((greeting, channel)) = &mut self.channel else {
            return self.called(config, key, bytes);
        };
        let Some(record) = self.inbound.take_record(bytes)? else { return Ok(Received::Nothing) };
        let len = channel.open(record, opened)?;
        self.inbound.clear();
        let message = FromFollower::decode(&opened[..len])?;
        match (message, &self.following) {
            (FromFollower::Hello { have }, None) => {
                Ok(Received::Hello(Hello { node: greeting.from, boot: greeting.boot, have }))
            }
            (FromFollower::Confirm { .. } | FromFollower::Bye { .. }, None) => {
                Err(Refusal::BadMessage(crate::Malformed("the first message is no hello")))
            }
            (message, Some(_)) => Ok(Received::Message(message)),
        }
    }

    fn called(
        &mut self,
        config: &LeaderConfig,
        key: &SessionKey,
        bytes: &mut &[u8],
    ) -> Result<Received, Refusal> {
        let Some(call) = self.inbound.take(CALL_LEN, bytes) else { return Ok(Received::Nothing) };
        let entropy = self.entropy.take().ok_or(Refusal::BadHandshake)?;
        let called = (config.group, config.node, config.boot);
        let (greeting, channel, answer) = record::answer(key, called, call, entropy)?;
        if !config.followers.contains(&greeting.from) {
            let (from, to) = (greeting.from.get(), greeting.to.get());
            return Err(Refusal::NotForUs { from, to });
        }
        self.inbound.clear();
        self.outbound.put(&answer);
        self.channel = Some((greeting, channel));
        Ok(Received::Answered)
    }

    /// It has proven to be `node`'s, which has the log up to a point and an offset of ours, or needs a snapshot.
    pub(super) fn welcome(&mut self, now: Instant, node: NodeId, have: Option<(LogPoint, u64)>) {
        let (stage, confirmed, sent) = match have {
            Some((point, end)) => (Stage::CatchingUp, point.position, end),
            None => (Stage::Snapshot, LogPosition(0), 0),
        };
        self.following = Some(Box::new(Following {
            node,
            stage,
            welcome: Some(have.is_some()),
            snapshot: None,
            asked: false,
            confirmed,
            sent,
            told_in_sync: None,
            knows: None,
            heard: 0,
            heard_at: now,
            member_since: now,
            progress: now,
            spoken: now,
            is_sign_due: false,
        }));
    }

    /// The follower that needs a snapshot, once.
    pub(super) fn ask_for_snapshot(&mut self) -> Option<NodeId> {
        let following = self.following_mut()?;
        let needs = following.stage == Stage::Snapshot && following.snapshot.is_none();
        if !needs || following.asked {
            return None;
        }
        following.asked = true;
        Some(following.node)
    }

    /// No more than farewell is said from now on; returns what the session was until now.
    pub(super) fn end(&mut self) -> Option<Box<Following>> {
        self.following.take()
    }

    pub(super) fn say_farewell(&mut self, reason: ByeReason, until: Instant) {
        self.farewell.get_or_insert(Farewell { reason, said: false, until });
    }

    /// Until when the last words may be taken.
    pub(super) fn farewell_until(&self) -> Option<Instant> {
        self.farewell.as_ref().map(|farewell| farewell.until)
    }

    /// Whether the last words were taken.
    pub(super) fn is_over(&self) -> bool {
        self.farewell.as_ref().is_some_and(|farewell| farewell.said) && self.outbound.is_empty()
    }

    /// Writes what is to be sent to the front of `out`; returns how much.
    pub(super) fn transmit(
        &mut self,
        now: Instant,
        (log, generation): (&LogBuffer, Generation),
        message: &mut Vec<u8>,
        out: &mut [u8],
    ) -> Result<usize, Refusal> {
        let mut written = self.outbound.move_to(out);
        while written < out.len() {
            message.clear();
            if !self.next_message(now, (log, generation), message) {
                break;
            }
            let Some((_, channel)) = &mut self.channel else { break };
            written += self.outbound.seal(channel, message, &mut out[written..])?;
        }
        if let Some(following) = self.following.as_deref_mut().filter(|_| written > 0) {
            following.progress = now;
        }
        Ok(written)
    }

    /// Writes the next message, if there is one.
    fn next_message(
        &mut self,
        now: Instant,
        log: (&LogBuffer, Generation),
        out: &mut Vec<u8>,
    ) -> bool {
        if let Some(farewell) = &mut self.farewell {
            let is_new = !farewell.said;
            if is_new {
                farewell.said = true;
                FromLeader::Bye { reason: farewell.reason }.encode(out);
            }
            return is_new;
        }
        let Some(following) = &mut self.following else { return false };
        let is_something = following.next_message(log, out);
        if is_something {
            following.spoken = now;
            following.is_sign_due = false;
        }
        is_something
    }
}

impl Following {
    /// Writes what the follower is told next, if it is to be told something.
    fn next_message(
        &mut self,
        (log, generation): (&LogBuffer, Generation),
        out: &mut Vec<u8>,
    ) -> bool {
        if let Some(resumes) = self.welcome.take() {
            FromLeader::Welcome { history: log.history(), resumes }.encode(out);
            return true;
        }
        match (&mut self.snapshot, self.stage) {
            (Some(snapshot), Stage::Snapshot) => {
                if snapshot.next_message(out) {
                    if snapshot.is_sent() {
                        self.snapshot = None;
                        self.stage = Stage::CatchingUp;
                    }
                    return true;
                }
            }
            (None, Stage::Snapshot) => {}
            (_, Stage::CatchingUp | Stage::Candidate { .. } | Stage::InSync) => {
                return self.next_of_log(log, generation, out);
            }
        }
        if self.is_sign_due {
            FromLeader::Log { in_sync: None, heard: self.heard, bytes: &[] }.encode(out);
        }
        self.is_sign_due
    }

    /// Everything that was appended and not sent, as far as it fits one record.
    fn next_of_log(&mut self, log: &LogBuffer, generation: Generation, out: &mut Vec<u8>) -> bool {
        let in_sync = (self.stage == Stage::InSync).then_some(generation);
        FromLeader::Log { in_sync, heard: self.heard, bytes: &[] }.encode(out);
        let len = log.copy(self.sent, MESSAGE_LEN_MAX - MESSAGE_HEAD_MAX, out);
        self.sent += len as u64;
        let is_news = self.told_in_sync != in_sync;
        self.told_in_sync = in_sync;
        len > 0 || is_news || self.is_sign_due
    }
}
