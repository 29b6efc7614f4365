//! One connection: requests are read, answered and forgotten, one after the other.
//!
//! ```text
//!          head complete          content skipped        answer sent, more wanted
//!   Head ───────────────► Skip ──────────────────► Answer ─────────────► Head
//!    │ refused, timed out (408)                      ▲ │ answer sent, it was the last
//!    └───────────────────────────────────────────────┘ └────────► Closing
//! ```
//! Pipelined requests wait in the input: while an answer waits for credit the flow is paused, so what can
//! pile up is what was under way at that moment.

use std::sync::Arc;
use std::time::Duration;

use locum_stack::service::{FlowId, Outputs, RestoreError};
use locum_types::Instant;

use super::answer::{self, Answer, Status};
use super::catalog::{Catalog, Found, OpenFile};
use super::files::Content;
use super::request::{CONTENT_MAX, HEAD_MAX, Request, head_length};
use crate::codec::{Reader, Writer};

/// How long a client may take for a whole request, or leave an answer without any acknowledgement, or
/// stay after the connection was closed.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of input a connection may hold; beyond it is fed in spite of its pause, and is reset.
const INPUT_MAX: usize = 1 << 20;

/// What a connection works with during one event.
pub(super) struct Turn<'t> {
    pub(super) now: Instant,
    pub(super) flow: FlowId,
    pub(super) outputs: &'t mut dyn Outputs,
    pub(super) catalog: &'t mut Catalog,
    /// Scratch space for bytes on their way from a file to the flow.
    pub(super) chunk: &'t mut [u8],
}

/// Whether a connection lives on after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Alive,
    /// It was reset or has ended: forget it.
    Gone,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Collects the head of the next request.
    Head,
    /// Throws away the content of a request; the answer is ready.
    Skip { left: u64 },
    /// Sends the answer.
    Answer,
    /// Has sent FIN, and throws away whatever still comes.
    Closing,
}

/// What a phase came to.
enum Step {
    /// Go on with the next phase.
    Next,
    /// Nothing more can be done until the next event.
    Wait,
    /// The answer cannot be completed.
    Broken,
}

/// The part of a file that an answer still has to send.
pub(super) struct Body {
    path: String,
    tag: String,
    /// `None` after a restore on a node whose copy of the file differs.
    content: Option<Arc<dyn Content>>,
    position: u64,
    end: u64,
}

impl Body {
    /// The bytes of `open` from `start` to before `end`.
    pub(super) fn new(path: String, open: OpenFile, start: u64, end: u64) -> Self {
        Body { path, tag: open.tag, content: Some(open.content), position: start, end }
    }

    /// Sends as much as there is credit for, without ever holding more than a chunk.
    fn pump(&mut self, turn: &mut Turn<'_>) -> Step {
        let Some(content) = &self.content else { return Step::Broken };
        while self.position < self.end {
            let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
            let room = turn.outputs.credit(turn.flow).min(turn.chunk.len()).min(left);
            if room == 0 {
                return Step::Wait;
            }
            let Some(part) = turn.chunk.get_mut(..room) else { return Step::Broken };
            match content.read_at(self.position, part) {
                // The file has shrunk: the length that was promised cannot be kept, and only a reset says so.
                Ok(0) | Err(_) => return Step::Broken,
                Ok(count) => {
                    let read = part.get(..count).unwrap_or_default();
                    let taken = turn.outputs.send(turn.flow, read);
                    if taken == 0 {
                        return Step::Wait;
                    }
                    self.position += taken as u64;
                }
            }
        }
        Step::Next
    }

    fn save(&self, writer: &mut Writer<'_>) {
        writer.bytes(self.path.as_bytes());
        writer.bytes(self.tag.as_bytes());
        writer.u64(self.position);
        writer.u64(self.end);
    }

    fn load(reader: &mut Reader<'_>, catalog: &mut Catalog) -> Result<Self, RestoreError> {
        let path = reader.text()?.to_owned();
        let tag = reader.text()?.to_owned();
        let (position, end) = (reader.u64()?, reader.u64()?);
        if position >= end {
            return Err(reader.error(format!("an answer stands at byte {position} of {end}")));
        }
        let content = match catalog.open(&path) {
            Ok(Found::File(open)) if open.tag == tag && open.len >= end => Some(open.content),
            Ok(Found::File(_) | Found::Directory) | Err(_) => None,
        };
        Ok(Body { path, tag, content, position, end })
    }
}

/// The state of one connection.
pub(super) struct Connection {
    phase: Phase,
    /// Bytes that came and are not used up.
    input: Vec<u8>,
    /// How many of `input` this turn has used up; 0 between events.
    used: usize,
    /// Bytes of the answer ahead of its body.
    output: Vec<u8>,
    body: Option<Body>,
    /// The answer is the last one.
    last: bool,
    /// The client has sent FIN.
    finished: bool,
    paused: bool,
    deadline: Instant,
}

impl Connection {
    pub(super) fn new(now: Instant) -> Self {
        Connection {
            phase: Phase::Head,
            input: Vec::new(),
            used: 0,
            output: Vec::new(),
            body: None,
            last: false,
            finished: false,
            paused: false,
            deadline: now + PATIENCE,
        }
    }

    /// When patience ends.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn data(&mut self, bytes: &[u8], turn: &mut Turn<'_>) -> Fate {
        if self.phase == Phase::Closing {
            return Fate::Alive;
        }
        if self.input.len() + bytes.len() > INPUT_MAX {
            turn.outputs.abort(turn.flow);
            return Fate::Gone;
        }
        self.input.extend_from_slice(bytes);
        self.advance(turn)
    }

    pub(super) fn acked(&mut self, turn: &mut Turn<'_>) -> Fate {
        match self.phase {
            Phase::Answer | Phase::Closing => self.deadline = turn.now + PATIENCE,
            Phase::Head | Phase::Skip { .. } => {}
        }
        self.advance(turn)
    }

    pub(super) fn finished(&mut self, turn: &mut Turn<'_>) -> Fate {
        self.finished = true;
        self.advance(turn)
    }

    /// Patience has ended.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) -> Fate {
        match self.phase {
            Phase::Head if self.input.is_empty() => self.close(turn),
            Phase::Head | Phase::Skip { .. } => {
                self.reply(answer::refuse(Status::REQUEST_TIMEOUT, &self.input), 0, turn);
            }
            Phase::Answer | Phase::Closing => {
                turn.outputs.abort(turn.flow);
                return Fate::Gone;
            }
        }
        self.advance(turn)
    }

    /// Goes on as far as input and credit allow.
    fn advance(&mut self, turn: &mut Turn<'_>) -> Fate {
        loop {
            let step = match self.phase {
                Phase::Head => self.head(turn),
                Phase::Skip { left } => self.skip(left, turn),
                Phase::Answer => self.send(turn),
                Phase::Closing => Step::Wait,
            };
            match step {
                Step::Next => {}
                Step::Wait => break,
                Step::Broken => {
                    turn.outputs.abort(turn.flow);
                    return Fate::Gone;
                }
            }
        }
        self.input.drain(..self.used.min(self.input.len()));
        self.used = 0;
        if self.input.is_empty() && self.input.capacity() > HEAD_MAX {
            self.input = Vec::new();
        }
        let pause = self.phase == Phase::Answer;
        if pause != self.paused {
            self.paused = pause;
            if pause {
                turn.outputs.pause(turn.flow);
            } else {
                turn.outputs.resume(turn.flow);
            }
        }
        Fate::Alive
    }

    /// What came and is not used up.
    fn unused(&self) -> &[u8] {
        self.input.get(self.used..).unwrap_or_default()
    }

    fn head(&mut self, turn: &mut Turn<'_>) -> Step {
        // Empty lines ahead of a request are let pass (RFC 9112 section 2.2).
        self.used += self.unused().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let unused = self.unused();
        let window = unused.get(..HEAD_MAX).unwrap_or(unused);
        // Whatever begins so (TLS, say) will not become a request: no need to wait for its end.
        let hopeless = window.first().is_some_and(|byte| !byte.is_ascii_alphanumeric());
        let (answer, used, content) = if hopeless {
            (answer::refuse(Status::BAD_REQUEST, window), 0, 0)
        } else if let Some((length, head)) =
            head_length(window).and_then(|length| Some((length, window.get(..length)?)))
        {
            match Request::parse(head) {
                Ok(request) => (answer::answer(&request, turn.catalog), length, request.content),
                Err(status) => (answer::refuse(status, head), length, 0),
            }
        } else if window.len() >= HEAD_MAX {
            let endless_line = !window.contains(&b'\n');
            let status = if endless_line { Status::URI_TOO_LONG } else { Status::FIELDS_TOO_LARGE };
            (answer::refuse(status, window), 0, 0)
        } else {
            return self.more(turn);
        };
        self.used += used;
        self.reply(answer, content, turn);
        Step::Next
    }

    /// Sets out to answer, once `content` bytes are skipped. Ahead of a last answer nothing is skipped:
    /// all that still comes is thrown away after it.
    fn reply(&mut self, answer: Answer, content: u64, turn: &Turn<'_>) {
        self.output = answer.bytes;
        self.body = answer.body;
        self.last = answer.last;
        self.phase = if answer.last || content == 0 {
            self.deadline = turn.now + PATIENCE;
            Phase::Answer
        } else {
            Phase::Skip { left: content }
        };
    }

    fn skip(&mut self, left: u64, turn: &mut Turn<'_>) -> Step {
        let count = self.unused().len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.used += count;
        let left = left - count as u64;
        if left > 0 {
            self.phase = Phase::Skip { left };
            return self.more(turn);
        }
        self.phase = Phase::Answer;
        self.deadline = turn.now + PATIENCE;
        Step::Next
    }

    /// A request is not complete: waits for more, unless the client has said that there is none.
    fn more(&mut self, turn: &mut Turn<'_>) -> Step {
        if self.finished {
            self.close(turn);
        }
        Step::Wait
    }

    fn send(&mut self, turn: &mut Turn<'_>) -> Step {
        let taken = turn.outputs.send(turn.flow, &self.output);
        self.output.drain(..taken.min(self.output.len()));
        if !self.output.is_empty() {
            return Step::Wait;
        }
        let step = self.body.as_mut().map_or(Step::Next, |body| body.pump(turn));
        if matches!(step, Step::Next) {
            self.body = None;
            if self.last {
                self.close(turn);
            } else {
                self.phase = Phase::Head;
                self.deadline = turn.now + PATIENCE;
            }
        }
        step
    }

    fn close(&mut self, turn: &mut Turn<'_>) {
        turn.outputs.close(turn.flow);
        *self = Connection {
            phase: Phase::Closing,
            paused: self.paused,
            finished: self.finished,
            ..Connection::new(turn.now)
        };
    }

    /// Writes everything that the future of this connection depends on.
    pub(super) fn save(&self, writer: &mut Writer<'_>) {
        match self.phase {
            Phase::Head => writer.u8(0),
            Phase::Skip { left } => {
                writer.u8(1);
                writer.u64(left);
            }
            Phase::Answer => writer.u8(2),
            Phase::Closing => writer.u8(3),
        }
        writer.bytes(&self.input);
        writer.bytes(&self.output);
        writer.bool(self.body.is_some());
        if let Some(body) = &self.body {
            body.save(writer);
        }
        writer.bool(self.last);
        writer.bool(self.finished);
        writer.bool(self.paused);
        writer.instant(self.deadline);
    }

    /// The opposite of [`Connection::save`].
    pub(super) fn load(
        reader: &mut Reader<'_>,
        catalog: &mut Catalog,
    ) -> Result<Self, RestoreError> {
        let phase = match reader.u8()? {
            0 => Phase::Head,
            1 => match reader.u64()? {
                left if left <= CONTENT_MAX => Phase::Skip { left },
                left => return Err(reader.error(format!("{left} bytes of content to skip"))),
            },
            2 => Phase::Answer,
            3 => Phase::Closing,
            other => return Err(reader.error(format!("no phase has the code {other}"))),
        };
        let input = reader.bytes()?.to_vec();
        let output = reader.bytes()?.to_vec();
        let body = if reader.bool()? { Some(Body::load(reader, catalog)?) } else { None };
        Ok(Connection {
            phase,
            input,
            used: 0,
            output,
            body,
            last: reader.bool()?,
            finished: reader.bool()?,
            paused: reader.bool()?,
            deadline: reader.instant()?,
        })
    }
}
