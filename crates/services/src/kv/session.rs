//! One connection: what it has sent, what it is owed, and what it has told about itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use locum_stack::service::{FlowId, Outputs};
use locum_types::Instant;

use super::held::Names;
use super::reply::Out;
use super::resp::{OwnedArgs, Parser};
use super::table::{self, Spec};

/// Output that may wait; a connection with more runs no commands.
pub(super) const OUTPUT_MAX: usize = 1 << 20;
/// Output that may wait for a subscriber who does not read; with more it is reset.
pub(super) const MESSAGES_MAX: usize = 32 << 20;
/// Keys that a connection may watch.
pub(super) const WATCHES_MAX: usize = 1 << 16;
/// Channels and patterns that a connection may subscribe to.
pub(super) const SUBSCRIPTIONS_MAX: usize = 1 << 16;
/// Input that may wait behind a command that blocks.
pub(super) const WAITING_MAX: usize = 1 << 20;

/// A command that waits for EXEC.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) spec: &'static Spec,
    pub(super) args: OwnedArgs,
}

/// A transaction under way.
#[derive(Debug, Default)]
pub(super) struct Multi {
    pub(super) queue: Vec<Queued>,
    /// What the queue takes, roughly.
    pub(super) bytes: usize,
    /// A command could not be queued, so EXEC will refuse.
    pub(super) failed: bool,
}

/// Keys that must not change before EXEC, with their databases and versions.
#[derive(Debug, Default)]
pub(super) struct Watches {
    pub(super) keys: BTreeMap<(u8, Box<[u8]>), u64>,
    /// What they take, roughly.
    pub(super) bytes: usize,
}

/// A command that waits for a key.
#[derive(Debug)]
pub(super) struct Blocked {
    /// Who waits longer is served first.
    pub(super) turn: u64,
    pub(super) deadline: Option<Instant>,
    pub(super) spec: &'static Spec,
    pub(super) args: OwnedArgs,
    pub(super) keys: Vec<Box<[u8]>>,
    pub(super) in_vain: InVain,
}

/// What a client gets that waited in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InVain {
    Null,
    NullArray,
    Zero,
}

/// Which replies the client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Replies {
    #[default]
    On,
    Off,
    /// Not the one to the next command.
    SkipNext,
}

/// Where a command is run from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// From the stream.
    #[default]
    Direct,
    /// By EXEC: it must not wait.
    Exec,
    /// Once more, since a key it waits for has come.
    Retry,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) flow: FlowId,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) opened: Instant,
    pub(super) active: Instant,
    pub(super) out: Out,
    /// How much of the output is sent.
    pub(super) sent: usize,
    pub(super) parser: Parser,
    /// What is not yet run.
    pub(super) input: Vec<u8>,
    pub(super) db: u8,
    pub(super) name: Vec<u8>,
    pub(super) last: Option<&'static Spec>,
    pub(super) replies: Replies,
    pub(super) multi: Option<Multi>,
    pub(super) watches: Watches,
    pub(super) channels: Names,
    pub(super) patterns: Names,
    pub(super) blocked: Option<Blocked>,
    /// Nothing more is run; FIN follows the output.
    pub(super) closing: bool,
    /// The client sent FIN.
    pub(super) finished: bool,
    pub(super) paused: bool,
    /// To be reset.
    pub(super) killed: bool,
    pub(super) mode: Mode,
    /// What the account of all connections has for this one.
    pub(super) counted: usize,
}

impl Session {
    pub(super) fn new(flow: FlowId, local: SocketAddr, remote: SocketAddr, now: Instant) -> Self {
        Session {
            flow,
            local,
            remote,
            opened: now,
            active: now,
            out: Out::default(),
            sent: 0,
            parser: Parser::default(),
            input: Vec::new(),
            db: 0,
            name: Vec::new(),
            last: None,
            replies: Replies::On,
            multi: None,
            watches: Watches::default(),
            channels: Names::default(),
            patterns: Names::default(),
            blocked: None,
            closing: false,
            finished: false,
            paused: false,
            killed: false,
            mode: Mode::Direct,
            counted: 0,
        }
    }

    /// Output that waits for credit.
    pub(super) fn pending(&self) -> usize {
        self.out.bytes.len() - self.sent
    }

    pub(super) fn unsent(&self) -> &[u8] {
        self.out.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Whether a command adds to keys: itself, or, if it is EXEC, one that waits for it.
    pub(super) fn needs_memory(&self, spec: &Spec) -> bool {
        let queue =
            self.multi.iter().filter(|_| spec.name == "exec").flat_map(|multi| &multi.queue);
        let mut specs = std::iter::once(spec).chain(queue.map(|queued| queued.spec));
        specs.any(|spec| spec.has(table::NEEDS_MEMORY))
    }

    pub(super) fn may_run(&self) -> bool {
        !self.closing && !self.killed && self.blocked.is_none()
    }

    pub(super) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Sends what there is credit for.
    pub(super) fn flush(&mut self, outputs: &mut dyn Outputs) {
        if self.pending() > 0 {
            self.sent += outputs.send(self.flow, self.unsent());
        }
        if self.pending() == 0 {
            self.out.bytes.clear();
            self.out.bytes.shrink_to(OUTPUT_MAX);
            self.sent = 0;
        } else if self.sent > OUTPUT_MAX && self.sent > self.out.bytes.len() / 2 {
            self.out.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Pauses or resumes the flow, as output and input stand.
    pub(super) fn steer(&mut self, outputs: &mut dyn Outputs) {
        let stuck = self.pending() > OUTPUT_MAX || self.blocked.is_some();
        let wanted = self.pending() > OUTPUT_MAX || stuck && self.input.len() > WAITING_MAX;
        if wanted != self.paused {
            self.paused = wanted;
            if wanted { outputs.pause(self.flow) } else { outputs.resume(self.flow) }
        }
    }
}
