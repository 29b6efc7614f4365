//! The connection of a follower.

use std::collections::VecDeque;

use locum_types::{Instant, NodeId};

use super::stream::{Stream, Taken};
use crate::Refusal;
use crate::codec::{ByeReason, FromFollower};
use crate::pieces::{Inbound, Outbound};
use crate::point::{Generation, LogPoint};
use crate::record::{ANSWER_LEN, Call, Channel};

/// Confirmations under way whose times are kept.
const CONFIRMS_MAX: usize = 256;

/// A connection to a leader.
pub(super) struct Session {
    pub(super) leader: NodeId,
    pub(super) since: Instant,
    /// The call, until it is answered.
    call: Option<Call>,
    /// From the answer on.
    channel: Option<Channel>,
    inbound: Inbound,
    outbound: Outbound,
    message: Vec<u8>,
    is_hello_said: bool,
    is_welcome: bool,
    /// What the leader was told last.
    confirmed: Option<LogPoint>,
    is_confirm_due: bool,
    /// How many confirmations were sent, and when those were that the leader may hear of yet, oldest first.
    confirms: u64,
    sent_at: VecDeque<(u64, Instant)>,
    farewell: Option<ByeReason>,
    is_farewell_said: bool,
}

impl Session {
    pub(super) fn new(now: Instant, leader: NodeId, call: Call, bytes: &[u8]) -> Self {
        let mut outbound = Outbound::new();
        outbound.put(bytes);
        Session {
            leader,
            since: now,
            call: Some(call),
            channel: None,
            inbound: Inbound::new(),
            outbound,
            message: Vec::with_capacity(64),
            is_hello_said: false,
            is_welcome: false,
            confirmed: None,
            is_confirm_due: false,
            confirms: 0,
            sent_at: VecDeque::new(),
            farewell: None,
            is_farewell_said: false,
        }
    }

    /// Whether the leader has welcomed us.
    pub(super) const fn is_welcome(&self) -> bool {
        self.is_welcome
    }

    /// Takes one piece of what has arrived, and leaves to `stream` what it carries.
    pub(super) fn receive(
        &mut self,
        bytes: &mut &[u8],
        stream: &mut Stream,
        have: Option<LogPoint>,
    ) -> Result<Taken, Refusal> {
        if self.farewell.is_some() {
            *bytes = &[];
            return Ok(Taken::Nothing);
        }
        let Some(channel) = &mut self.channel else { return self.answered(bytes) };
        let Some(record) = self.inbound.take_record(bytes)? else { return Ok(Taken::Nothing) };
        let taken = stream.open(channel, record, have)?;
        self.inbound.clear();
        self.is_welcome |= matches!(taken, Taken::Welcome { .. });
        let is_sign = matches!(taken, Taken::Log { .. }) && !stream.is_pending();
        // What we confirmed last may have been lost on the way: whatever follows makes TCP send it again.
        self.is_confirm_due |= is_sign && self.confirmed.is_some();
        Ok(taken)
    }

    fn answered(&mut self, bytes: &mut &[u8]) -> Result<Taken, Refusal> {
        let Some(answer) = self.inbound.take(ANSWER_LEN, bytes) else { return Ok(Taken::Nothing) };
        let call = self.call.take().ok_or(Refusal::BadHandshake)?;
        let (channel, boot) = call.answered(answer)?;
        self.inbound.clear();
        self.channel = Some(channel);
        Ok(Taken::Connected { boot })
    }

    /// The leader is to be told again how far we are.
    pub(super) const fn confirm(&mut self) {
        self.is_confirm_due = true;
    }

    /// The leader is to be told how far we are, if that is more than it was told.
    pub(super) fn confirm_progress(&mut self, have: LogPoint) {
        self.is_confirm_due |= self.confirmed != Some(have);
    }

    /// The leader has heard so many of our confirmations: says when the last of them was sent, or an earlier one.
    pub(super) fn heard(&mut self, count: u64) -> Option<Instant> {
        while self.sent_at.get(1).is_some_and(|(number, _)| *number <= count) {
            self.sent_at.pop_front();
        }
        self.sent_at.front().filter(|(number, _)| *number <= count).map(|(_, at)| *at)
    }

    /// Nothing more is heard, and no more than farewell said.
    pub(super) fn say_farewell(&mut self, reason: ByeReason) {
        self.farewell.get_or_insert(reason);
    }

    /// Whether the last words were taken.
    pub(super) fn is_over(&self) -> bool {
        self.is_farewell_said && self.outbound.is_empty()
    }

    /// Writes what is to be sent to the front of `out`; returns how much.
    pub(super) fn transmit(
        &mut self,
        now: Instant,
        have: (Option<LogPoint>, Option<Generation>),
        out: &mut [u8],
    ) -> Result<usize, Refusal> {
        let mut written = self.outbound.move_to(out);
        while written < out.len() && self.channel.is_some() {
            let Some(message) = self.next_message(now, have) else { break };
            self.message.clear();
            message.encode(&mut self.message);
            let Some(channel) = &mut self.channel else { break };
            written += self.outbound.seal(channel, &self.message, &mut out[written..])?;
        }
        Ok(written)
    }

    fn next_message(
        &mut self,
        now: Instant,
        (have, in_sync): (Option<LogPoint>, Option<Generation>),
    ) -> Option<FromFollower> {
        if !std::mem::replace(&mut self.is_hello_said, true) {
            return Some(FromFollower::Hello { have });
        }
        if let Some(reason) = self.farewell {
            let is_new = !std::mem::replace(&mut self.is_farewell_said, true);
            return is_new.then_some(FromFollower::Bye { reason });
        }
        let point = have.filter(|_| std::mem::take(&mut self.is_confirm_due))?;
        self.confirmed = Some(point);
        self.confirms += 1;
        // With more than that under way a later one counts as sent when an earlier one was.
        if self.sent_at.len() < CONFIRMS_MAX {
            self.sent_at.push_back((self.confirms, now));
        }
        let LogPoint { position, digest, .. } = point;
        Some(FromFollower::Confirm { position, digest, in_sync })
    }
}
