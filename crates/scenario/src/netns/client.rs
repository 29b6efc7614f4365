//! The clients of a run: real sockets in the machine's namespace, one thread for each program.
//!
//! What a program does is what the simulator's programs do (`locum_sim::Program`): a request every so
//! often, late ones at once; on TCP the next one only after the echo of the last.

mod datagram;
mod tcp;

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use locum_lab::{Namespace, capture, wait};
use locum_link::sched;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::datagram::Datagrams;
use self::tcp::Stream;
use super::nanoseconds;
use crate::model::{self, ProgramKind};

/// Before all other programs, and behind the threads of a node.
const PRIORITY: u8 = 20;

/// How long after the last request an answer still counts.
const LAST_ANSWER: Duration = Duration::from_millis(50);

/// How long a program waits at most before it looks whether it is to stop.
const LOOK_UP: Duration = Duration::from_millis(20);

/// How long the first answer may take: a kernel asks for an address again after a second.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// A running program of a client.
#[derive(Debug)]
pub(super) struct Client {
    name: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Record>>,
}

#[derive(Debug)]
struct Shared {
    /// When the last request is sent, in nanoseconds of the wall clock.
    end: AtomicU64,
    answered: AtomicBool,
}

/// What a program of a client saw. Times are nanoseconds of the wall clock.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) client: String,
    pub(super) program: ProgramKind,
    pub(super) every: Duration,
    /// When each request was sent, and when it was answered.
    pub(super) requests: Vec<(u64, Option<u64>)>,
    /// When its connection was lost.
    pub(super) connections_lost: Vec<u64>,
    /// Whether any request was.
    pub(super) answered: bool,
}

impl Record {
    fn new(client: &str, program: ProgramKind, every: Duration) -> Record {
        let client = client.to_owned();
        let (requests, connections_lost) = (Vec::new(), Vec::new());
        Record { client, program, every, requests, connections_lost, answered: false }
    }

    fn note_request(&mut self, now: u64) -> u64 {
        self.requests.push((now, None));
        self.requests.len() as u64 - 1
    }

    /// Notes an answer; a second one to the same request, or one to none of ours, is passed over.
    fn note_answer(&mut self, now: u64, sequence: u64) {
        let index = usize::try_from(sequence).ok();
        if let Some((_, answer)) = index.and_then(|index| self.requests.get_mut(index)) {
            answer.get_or_insert(now);
            self.answered = true;
        }
    }
}

/// How a program talks to the service.
trait Conversation: Send {
    /// What to wait on, and for what.
    fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)>;
    /// Takes what has come.
    fn hear(&mut self, now: u64, record: &mut Record);
    /// A request is due.
    fn ask(&mut self, now: u64, record: &mut Record);
}

impl Client {
    /// Starts a program of the client `name` in its machine's namespace.
    pub(super) fn start(
        inside: &Namespace,
        name: &str,
        program: &model::Program,
    ) -> Result<Client> {
        let every = program.every();
        let end = AtomicU64::new(u64::MAX);
        let shared = Arc::new(Shared { end, answered: AtomicBool::new(false) });
        let record = Record::new(name, program.kind, every);
        let thread = inside.run(|| {
            let conversation = converse(program.kind)?;
            let shared = Arc::clone(&shared);
            // Started from inside, it and its sockets stay inside.
            let thread = thread::Builder::new().name(format!("client {name}"));
            Ok(thread.spawn(move || run(conversation, record, &shared))?)
        });
        let thread = Some(thread.with_context(|| format!("start the client {name:?}"))?);
        Ok(Client { name: name.to_owned(), shared, thread })
    }

    /// Waits until it was answered once.
    pub(super) fn wait_for_answer(&self) -> Result<()> {
        let what = format!("an answer to each program of {}", self.name);
        wait::until(&what, FIRST_ANSWER, || match self.shared.answered.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err("one has none".to_owned()),
        })
    }

    /// Tells it when to send its last request.
    pub(super) fn end_at(&self, end: u64) {
        self.shared.end.store(end, Ordering::Relaxed);
    }

    /// What it saw: waits for its end.
    pub(super) fn record(mut self) -> Result<Record> {
        let thread = self.thread.take().context("a client ends once")?;
        thread.join().map_err(|_| anyhow!("the client {:?} panicked", self.name))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end_at(0);
        if let Some(thread) = self.thread.take() {
            // A panic was told by the thread itself.
            let _ = thread.join();
        }
    }
}

fn converse(kind: ProgramKind) -> Result<Box<dyn Conversation>> {
    Ok(match kind {
        ProgramKind::UdpEcho => Box::new(Datagrams::udp_v4()?),
        ProgramKind::UdpEcho6 => Box::new(Datagrams::udp_v6()?),
        ProgramKind::Ping => Box::new(Datagrams::ping_v4()?),
        ProgramKind::Ping6 => Box::new(Datagrams::ping_v6()?),
        ProgramKind::TcpEcho => Box::new(Stream::new()),
    })
}

fn run(mut conversation: Box<dyn Conversation>, mut record: Record, shared: &Shared) -> Record {
    // The client is the measuring instrument: other programs must not delay it. Without the permission
    // it measures as well, but notices less well on a busy machine.
    let _ = sched::realtime(PRIORITY);
    let every = nanoseconds(record.every);
    let mut next = capture::now();
    loop {
        let now = capture::now();
        conversation.hear(now, &mut record);
        shared.answered.store(record.answered, Ordering::Relaxed);
        let end = shared.end.load(Ordering::Relaxed);
        let asking = next < end;
        if asking && now >= next {
            next += every;
            conversation.ask(now, &mut record);
        }
        if now >= end.saturating_add(nanoseconds(LAST_ANSWER)) {
            return record;
        }
        let due = if asking { next.saturating_sub(capture::now()) } else { u64::MAX };
        pause(&*conversation, due.min(nanoseconds(LOOK_UP)));
    }
}

/// Until something has come, or `limit` nanoseconds are over.
fn pause(conversation: &dyn Conversation, limit: u64) {
    let limit = Timespec::try_from(Duration::from_nanos(limit)).ok();
    let mut fds = Vec::new();
    if let Some((fd, flags)) = conversation.interest() {
        fds.push(PollFd::from_borrowed_fd(fd, flags));
    }
    // Interrupted is as good as over.
    let _ = poll(&mut fds, limit.as_ref());
}
