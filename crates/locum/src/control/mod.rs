//! The control socket: one JSON object per line, each request answered by one reply, in order.
//!
//! [`ControlServer`] is the node's end, [`Client`] the operator's. The protocol is described in
//! `docs/PROTOCOL.md`, section "Control socket"; [`Request`] and [`Reply`] are its lines. Who asks by HTTP instead gets
//! metrics.

mod client;
mod http;
mod server;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientError};
pub use server::{BindError, CLIENTS_MAX, ControlHandle, ControlServer};

use serde::{Deserialize, Serialize};

use crate::status::NodeStatus;

/// The longest line of a request, in bytes, without its newline.
pub const REQUEST_LEN_MAX: usize = 1024;
/// The longest line of a reply that a client takes, in bytes.
pub const REPLY_LEN_MAX: usize = 1 << 20;

/// What an operator asks of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// How are you? `{"cmd":"status"}`
    Status,
    /// Hand over, if you are active: `{"cmd":"handover"}`, or `{"cmd":"handover","to":2}` to say
    /// to whom.
    Handover {
        /// The id of the node that shall be active; without it the group elects one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u8>,
    },
}

/// What the node answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `{"ok":true,"status":{…}}`
    Status(Box<NodeStatus>),
    /// `{"ok":true,"done":"…"}`: accepted; the text says what happens now.
    Done(String),
    /// `{"ok":false,"error":"…"}`: not done; the text says why, and what to do.
    Refused(String),
}

/// A reply as it stands on its line.
#[derive(Serialize, Deserialize)]
struct ReplyLine {
    ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<Box<NodeStatus>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    done: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Reply {
    /// The reply as one line, newline included.
    fn to_line(&self) -> Vec<u8> {
        let nothing = ReplyLine { ok: true, status: None, done: None, error: None };
        let line = match self.clone() {
            Reply::Status(status) => ReplyLine { status: Some(status), ..nothing },
            Reply::Done(done) => ReplyLine { done: Some(done), ..nothing },
            Reply::Refused(error) => ReplyLine { ok: false, error: Some(error), ..nothing },
        };
        let mut line = serde_json::to_vec(&line).expect("texts, numbers and string keys only");
        line.push(b'\n');
        line
    }

    /// The reply on a line; `None` if it is not one of ours.
    fn from_line(line: &[u8]) -> Option<Reply> {
        match serde_json::from_slice(line).ok()? {
            ReplyLine { ok: true, status: Some(status), .. } => Some(Reply::Status(status)),
            ReplyLine { ok: true, done: Some(done), .. } => Some(Reply::Done(done)),
            ReplyLine { ok: false, error: Some(error), .. } => Some(Reply::Refused(error)),
            ReplyLine { .. } => None,
        }
    }
}
