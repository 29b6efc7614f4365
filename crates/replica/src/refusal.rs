//! Why a connection is not believed, each reason with a counter of its own.

use serde::Serialize;

use crate::codec::Malformed;

/// Why a connection was ended by this end of it, without trust in what the other end said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not begin as a replication session does.
    #[error("this is no replication session: something else connects to the replication port")]
    BadGreeting,
    /// Another version of the protocol.
    #[error("protocol version {0} is not known here: update both nodes to the same release")]
    BadVersion(u8),
    /// A node of another group.
    #[error("the peer is of group {0}: give each group its own addresses")]
    WrongGroup(u16),
    /// Not meant for this node, or from none that is a follower of it.
    #[error("a session from node {from} to node {to} is none of ours: compare the lists of peers")]
    NotForUs {
        /// Who says that it calls.
        from: u8,
        /// Who it says is called.
        to: u8,
    },
    /// The handshake is not authentic.
    #[error("the handshake is not authentic: do both nodes have the same key?")]
    BadHandshake,
    /// A record is not authentic, or not of this session, or not in its place.
    #[error("a record is not authentic: it was altered, replayed, or moved")]
    BadSeal,
    /// A record of a length that none has.
    #[error("a record of {0} bytes cannot be")]
    BadLength(usize),
    /// An authentic message that makes no sense: a defect of the sender or a mix of releases.
    #[error("an authentic message makes no sense: {0}; update both nodes to the same release")]
    BadMessage(Malformed),
    /// The handshake was not over in time.
    #[error("the handshake was not over in time")]
    TooLate,
    /// More connections than there can be followers.
    #[error("too many connections that have not proven who they are")]
    TooMany,
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Refusal::BadMessage(malformed)
    }
}

/// How often each [`Refusal`] happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusalCounters {
    /// [`Refusal::BadGreeting`]
    pub bad_greeting: u64,
    /// [`Refusal::BadVersion`]
    pub bad_version: u64,
    /// [`Refusal::WrongGroup`]
    pub wrong_group: u64,
    /// [`Refusal::NotForUs`]
    pub not_for_us: u64,
    /// [`Refusal::BadHandshake`]
    pub bad_handshake: u64,
    /// [`Refusal::BadSeal`]
    pub bad_seal: u64,
    /// [`Refusal::BadLength`]
    pub bad_length: u64,
    /// [`Refusal::BadMessage`]
    pub bad_message: u64,
    /// [`Refusal::TooLate`]
    pub too_late: u64,
    /// [`Refusal::TooMany`]
    pub too_many: u64,
}

impl RefusalCounters {
    pub(crate) fn count(&mut self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::BadGreeting => &mut self.bad_greeting,
            Refusal::BadVersion(_) => &mut self.bad_version,
            Refusal::WrongGroup(_) => &mut self.wrong_group,
            Refusal::NotForUs { .. } => &mut self.not_for_us,
            Refusal::BadHandshake => &mut self.bad_handshake,
            Refusal::BadSeal => &mut self.bad_seal,
            Refusal::BadLength(_) => &mut self.bad_length,
            Refusal::BadMessage(_) => &mut self.bad_message,
            Refusal::TooLate => &mut self.too_late,
            Refusal::TooMany => &mut self.too_many,
        };
        *counter += 1;
    }

    /// All of them together.
    pub const fn total(&self) -> u64 {
        let RefusalCounters {
            bad_greeting,
            bad_version,
            wrong_group,
            not_for_us,
            bad_handshake,
            bad_seal,
            bad_length,
            bad_message,
            too_late,
            too_many,
        } = *self;
        bad_greeting
            + bad_version
            + wrong_group
            + not_for_us
            + bad_handshake
            + bad_seal
            + bad_length
            + bad_message
            + too_late
            + too_many
    }
}
