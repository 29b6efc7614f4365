//! Turns of connections: input becomes commands, commands become output, output is sent.

use locum_stack::service::{FlowId, Outputs};

use super::Kv;
use super::call::{Call, Core, REPLY_TOO_LARGE};
use super::resp::{Args, Parsed, Parser};
use super::session::{Mode, Multi, OUTPUT_MAX, Queued, Replies, Session, WAITING_MAX};
use super::store::{Failure, OOM};
use super::subcommands;
use super::table::{self, Spec};

/// Bytes that commands waiting for EXEC may take together.
const QUEUE_MAX: usize = 64 << 20;

impl Call<'_> {
    /// Runs the command, and writes its error if it has one.
    pub(super) fn run(&mut self) {
        let begun = self.session.out.begin(self.core.limits.reply());
        self.core.commands = self.core.commands.wrapping_add(1);
        let mut result = (self.spec.handler)(self);
        if result.is_ok() && self.session.out.is_cut() {
            result = Err(REPLY_TOO_LARGE.into());
        }
        if let Err(text) = &result {
            self.session.out.take_back(begun);
            // Who waits goes on waiting, unless what it waits for came and is too large.
            if self.session.mode != Mode::Retry || *text == REPLY_TOO_LARGE {
                self.session.out.error(text);
            }
        }
        self.session.out.end(begun);
    }
}

impl Core {
    /// Forgets a connection.
    pub(super) fn forget(&mut self, mut session: Session) {
        self.let_go(&mut session);
        self.held -= session.counted;
        self.dirty.remove(&session.flow);
    }

    /// Ends whatever a connection waits for, listens to and watches.
    pub(super) fn let_go(&mut self, session: &mut Session) {
        self.waiting.remove(session);
        self.channels.remove(session);
        self.forget_watches(session);
    }

    /// Why a command must not be run now.
    fn refusal(&self, session: &Session, spec: &Spec, args: Args<'_>) -> Option<Failure> {
        if !spec.takes(args.len()) {
            let name = spec.name;
            return Some(format!("ERR wrong number of arguments for '{name}' command").into());
        }
        if let Some(text) = subcommands::refusal(spec, args) {
            return Some(text);
        }
        if session.multi.is_some() && spec.has(table::NOT_IN_MULTI) {
            return Some("ERR Command not allowed inside a transaction".into());
        }
        let closed = !session.out.resp3 && session.subscriptions() > 0;
        if closed && !spec.has(table::SUBSCRIBED) {
            let name = subcommands::full_name(spec, args);
            let text = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                        this context";
            return Some(format!("ERR Can't execute '{name}': {text}").into());
        }
        (self.store.is_full() && session.needs_memory(spec)).then(|| OOM.into())
    }
}

fn unknown(args: Args<'_>) -> Failure {
    let show = |arg: &[u8]| {
        let shown: String = String::from_utf8_lossy(arg).chars().take(128).collect();
        shown
    };
    let mut text =
        format!("ERR unknown command '{}', with args beginning with: ", show(args.get(0)));
    for arg in args.from(1).iter() {
        if text.len() > 200 {
            break;
        }
        text += &format!("'{}' ", show(arg));
    }
    text.into()
}

impl Kv {
    /// Runs one command of a connection, which is not among the sessions meanwhile.
    fn execute(&mut self, session: &mut Session, args: Args<'_>) {
        let start = session.out.bytes.len();
        let mut mute = session.replies != Replies::On;
        let skipping = session.replies == Replies::SkipNext;
        match table::find(args.get(0)) {
            None => refuse(session, &unknown(args)),
            Some(spec) => match self.core.refusal(session, spec, args) {
                Some(text) if spec.name == "exec" => {
                    session.multi = None;
                    self.core.forget_watches(session);
                    let reason = text.strip_prefix("ERR ").unwrap_or(&text);
                    let text = format!("EXECABORT Transaction discarded because of: {reason}");
                    session.out.error(&text);
                }
                Some(text) => refuse(session, &text),
                None if session.multi.is_some() && !spec.has(table::AT_ONCE) => {
                    queue(session, spec, args);
                }
                None => {
                    session.last = Some(spec);
                    let (core, peers) = (&mut self.core, &mut self.sessions);
                    Call { spec, args, session, core, peers }.run();
                }
            },
        }
        if skipping && session.replies == Replies::SkipNext {
            session.replies = Replies::On;
        }
        mute &= !session.closing && (skipping || session.replies != Replies::On);
        if mute {
            session.out.bytes.truncate(start);
        }
    }

    /// Lets a connection take its turn: with fresh input, or with credit, or since something came.
    pub(super) fn turn(&mut self, flow: FlowId, fresh: &[u8], outputs: &mut dyn Outputs) {
        let Some(mut session) = self.sessions.remove(&flow) else { return };
        self.feed(&mut session, fresh, outputs);
        if !session.killed {
            session.flush(outputs);
        }
        let overfed =
            session.paused && session.input.len() > self.core.limits.request + WAITING_MAX;
        if session.killed || overfed {
            outputs.abort(flow);
            return self.core.forget(session);
        }
        if session.closing && session.pending() == 0 {
            outputs.close(flow);
            return self.core.forget(session);
        }
        session.steer(outputs);
        self.core.recount(&mut session);
        self.sessions.insert(flow, session);
    }

    /// Takes input, and runs what is whole.
    fn feed(&mut self, session: &mut Session, fresh: &[u8], outputs: &mut dyn Outputs) {
        if session.closing {
            return;
        }
        let mut kept = std::mem::take(&mut session.input);
        let is_kept = !kept.is_empty();
        if is_kept {
            kept.extend_from_slice(fresh);
        }
        let bytes = if is_kept { kept.as_slice() } else { fresh };
        let mut parser = std::mem::take(&mut session.parser);
        let (consumed, dry) = self.consume(session, &mut parser, bytes, outputs);
        session.parser = parser;
        if is_kept {
            kept.drain(..consumed);
            session.input = kept;
        } else {
            session.input.extend_from_slice(bytes.get(consumed..).unwrap_or_default());
        }
        if session.input.is_empty() {
            session.input.shrink_to(WAITING_MAX);
        }
        if session.finished && (dry || session.blocked.is_some()) {
            self.core.waiting.remove(session);
            session.closing = true;
        }
    }

    /// Runs commands; returns the bytes they took, and whether no whole one is left.
    fn consume(
        &mut self,
        session: &mut Session,
        parser: &mut Parser,
        bytes: &[u8],
        outputs: &mut dyn Outputs,
    ) -> (usize, bool) {
        let mut at = 0;
        while session.may_run() {
            if session.pending() > OUTPUT_MAX {
                session.flush(outputs);
                if session.pending() > OUTPUT_MAX {
                    return (at, false);
                }
            }
            let rest = bytes.get(at..).unwrap_or_default();
            match parser.parse(rest, &self.core.limits) {
                Parsed::Incomplete => return (at, true),
                Parsed::Error(text) => {
                    session.out.error(&format!("ERR {text}"));
                    session.closing = true;
                    return (bytes.len(), false);
                }
                Parsed::Command { consumed } => {
                    let args = parser.args(rest);
                    if args.len() > 0 {
                        self.execute(session, args);
                        self.serve_waiting();
                    }
                    at += consumed;
                }
            }
        }
        (at, false)
    }

    /// Serves those who wait for keys that came.
    fn serve_waiting(&mut self) {
        while let Some(flows) = self.core.waiting.next_ready() {
            for flow in flows {
                self.retry(flow);
            }
        }
    }

    /// Runs a command that waits once more; if it has its reply, the connection goes on.
    fn retry(&mut self, flow: FlowId) {
        let Some(mut session) = self.sessions.remove(&flow) else { return };
        if let Some(blocked) = session.blocked.take() {
            session.mode = Mode::Retry;
            let start = session.out.bytes.len();
            let (core, peers) = (&mut self.core, &mut self.sessions);
            let (spec, args) = (blocked.spec, blocked.args.args());
            Call { spec, args, session: &mut session, core, peers }.run();
            session.mode = Mode::Direct;
            let served = session.out.bytes.len() > start;
            session.blocked = Some(blocked);
            if served {
                if session.replies != Replies::On {
                    session.out.bytes.truncate(start);
                }
                self.core.waiting.remove(&mut session);
                self.core.dirty.insert(flow);
            }
        }
        self.core.recount(&mut session);
        self.core.outruns(&mut session, 0);
        self.sessions.insert(flow, session);
    }

    /// Ends what has waited long enough, and removes what has expired.
    pub(super) fn tick(&mut self) {
        while let Some(flow) = self.core.waiting.overdue(self.core.store.now) {
            let Some(session) = self.sessions.get_mut(&flow) else { return };
            let Some(blocked) = self.core.waiting.remove(session) else { return };
            session.waited_in_vain(blocked.in_vain);
            self.core.dirty.insert(flow);
        }
        if self.core.store.next_tick().is_some_and(|due| due <= self.core.store.now) {
            self.core.store.tick();
        }
    }

    /// Lets everyone take a turn whom this event has given something.
    pub(super) fn settle(&mut self, outputs: &mut dyn Outputs) {
        while let Some(flow) = self.core.dirty.pop_first() {
            self.turn(flow, b"", outputs);
        }
    }
}

/// Replies an error, and lets a transaction fail.
fn refuse(session: &mut Session, text: &str) {
    if let Some(multi) = &mut session.multi {
        *multi = Multi { failed: true, ..Multi::default() };
    }
    session.out.error(text);
}

fn queue(session: &mut Session, spec: &'static Spec, args: Args<'_>) {
    let multi = session.multi.get_or_insert_with(Multi::default);
    if !multi.failed {
        let args: super::resp::OwnedArgs = args.iter().collect();
        if multi.bytes + args.size() > QUEUE_MAX {
            return refuse(session, "ERR the transaction is too large");
        }
        multi.bytes += args.size();
        multi.queue.push(Queued { spec, args });
    }
    session.out.simple("QUEUED");
}
