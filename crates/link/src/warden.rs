//! The warden: a tiny parent process that outlives its worker, if only for a moment, to say what
//! the worker could not: "I resign".
//!
//! `kill -9`, a segmentation fault and the out-of-memory killer leave a process no last words. So
//! the worker keeps a *will* with its warden, a few ready-made Ethernet frames, and the warden,
//! which holds the TAP open across the fork, sends them when the worker dies a violent death. A
//! will is replaced as a whole, never changed in part. Nothing here knows what the frames say.
//!
//! A worker that is killed is missed at once, by a lock that it holds, not when the kernel has torn
//! down its memory. Only a core dump, where they are on, comes before everything else.

mod will;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use locum_types::Instant;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, getppid, pidfd_open, pidfd_send_signal,
    waitid,
};

use crate::sys::{self, Cut, Forked, Lifeline, SignalSet};
use crate::{Clock, Poller, Sent, Tap, Waker, sched};

pub use self::will::{WILL_LEN_MAX, Will, WillError};

/// When a will is sent, counted from the worker's end: three times, for a lost frame must not
/// cost a detection time.
const SEND_AT: [Duration; 3] = [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(5)];

/// The signals that ask a process to end or to reload: the warden passes them on.
const FORWARDED: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::HUP];

/// Which of the two processes this is, after [`Warden::split`].
#[derive(Debug)]
pub enum Role {
    /// The child: does the work, and keeps its will up to date.
    Worker(WillWriter),
    /// The parent: has nothing to do but [`Warden::run`].
    Warden(Warden),
}

/// Why the process could not be split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// A system call failed, or the process has threads already.
    #[error("cannot start the warden: cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// In the worker: the warden died while it was being born.
    #[error("the warden died during the start")]
    Orphan,
}

fn cannot<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> SplitError {
    move |source| SplitError::System { what, source: source.into() }
}

/// The parent of a worker.
#[derive(Debug)]
pub struct Warden {
    worker: OwnedFd,
    signals: OwnedFd,
    wills: OwnedFd,
    lifeline: Lifeline,
}

impl Warden {
    /// Forks. Call it before any thread exists, and after the TAPs are open.
    ///
    /// The worker gets SIGTERM when its warden dies. SIGTERM, SIGINT and SIGHUP sent to the warden
    /// reach the worker; those sent to the whole process group (by `kill`, or systemd) reach
    /// it twice, so it should take a repeated signal as one.
    ///
    /// The worker is missed as soon as its main thread, the one that returns from here, is dead. It
    /// must get a processor to die on: with a real-time priority it dies at once on a busy machine.
    ///
    /// # Errors
    /// See [`SplitError`]; an error can be returned in both processes, which both should exit then.
    pub fn split() -> Result<Role, SplitError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (wills, writer) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(cannot("open a socket pair"))?;
        let lifeline = Lifeline::new().map_err(cannot("share a page of memory"))?;
        // Blocked before the fork, so that no signal meets a warden that is not listening yet.
        let forwarded = SignalSet::new(&FORWARDED);
        let before = forwarded.block().map_err(cannot("block signals"))?;
        let parent = getpid();
        match sys::fork() {
            Ok(Forked::Child) => {
                drop(wills);
                become_worker(parent, &before, lifeline)?;
                let writer = WillWriter { writer };
                // The first will, an empty one, says that the lifeline is held.
                let hello = writer.write(&Will::new()).map_err(io::Error::other);
                hello.map_err(cannot("greet the warden"))?;
                Ok(Role::Worker(writer))
            }
            Ok(Forked::Parent(child)) => {
                drop(writer);
                let worker = pidfd_open(child, PidfdFlags::empty())
                    .map_err(cannot("watch the worker (pidfd_open)"))?;
                let signals = forwarded.open_fd().map_err(cannot("listen to signals"))?;
                Ok(Role::Warden(Warden { worker, signals, wills, lifeline }))
            }
            Err(source) => {
                before.restore().map_err(cannot("unblock signals"))?;
                Err(SplitError::System { what: "fork", source })
            }
        }
    }

    /// Waits for the worker's end and, if it was violent, sends its will: each frame to the TAP in
    /// `taps` that its port number counts.
    ///
    /// A real-time priority of the calling thread, if it has one, counts for all that matters here.
    ///
    /// # Errors
    /// Only if the kernel refuses to wait, or a thread.
    pub fn run(self, taps: &[&Tap]) -> io::Result<Farewell> {
        let mut will = Will::new();
        let mut inbox = vec![0; WILL_LEN_MAX + 1];
        let mut executed = None;
        let killed = Waker::new()?;
        let mut closed = self.await_hello()?;
        if !closed {
            self.watch_lifeline(killed.clone())?;
        }
        loop {
            let fds =
                [self.worker.as_fd(), self.signals.as_fd(), killed.as_fd(), self.wills.as_fd()];
            let watched = if closed { &fds[..3] } else { &fds[..] };
            let ready = Poller.wait(watched, None)?;
            if ready.readable(1) {
                self.forward_signals();
            }
            if ready.readable(3) || ready.broken(3) {
                closed = self.read_wills(&mut inbox, &mut will) == Inbox::Closed;
            }
            if ready.readable(2) && killed.drain() {
                // What the worker wrote last may have arrived together with its end.
                closed |= self.read_wills(&mut inbox, &mut will) == Inbox::Closed;
                executed = Some((Clock.now(), execute(&will, taps)?));
            }
            if ready.readable(0)
                && let Some(end) = self.reap()?
            {
                self.read_wills(&mut inbox, &mut will);
                let (noticed, frames) = match executed {
                    Some(execution) => execution,
                    None if end.is_violent() => (Clock.now(), execute(&will, taps)?),
                    None => (Clock.now(), 0),
                };
                return Ok(Farewell { end, frames, noticed });
            }
        }
    }

    /// Waits for the worker's first message, which it may not live to send; true if it did not.
    fn await_hello(&self) -> io::Result<bool> {
        let mut hello = [0];
        loop {
            Poller.wait(&[self.wills.as_fd()], None)?;
            match recv(&self.wills, &mut hello[..], RecvFlags::PEEK) {
                Ok((_, len)) => return Ok(len == 0),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return Ok(true),
            }
        }
    }

    /// Starts the thread that waits for the lifeline: there is no descriptor to poll for that.
    fn watch_lifeline(&self, killed: Waker) -> io::Result<()> {
        let lifeline = self.lifeline;
        // Not inherited by threads, see `sched::realtime`.
        let priority = sys::fifo_priority();
        let watch = move || {
            if let Some(Err(error)) = priority.map(sys::set_fifo) {
                log::warn!("the warden's watch has no real-time priority: {error}");
            }
            match lifeline.wait() {
                Cut::Violent => killed.wake(),
                // The exit code will tell.
                Cut::Unclear => {}
            }
        };
        thread::Builder::new().name("lifeline".into()).stack_size(64 * 1024).spawn(watch)?;
        Ok(())
    }

    fn reap(&self) -> io::Result<Option<WorkerEnd>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::PidFd(self.worker.as_fd()), options)?;
        Ok(status.and_then(|status| match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(WorkerEnd::Exited { code }),
            (None, Some(signal)) => Some(WorkerEnd::Killed { signal }),
            (None, None) => None,
        }))
    }

    /// Takes in all wills that have arrived; the last one holds.
    fn read_wills(&self, inbox: &mut [u8], will: &mut Will) -> Inbox {
        loop {
            match recv(&self.wills, &mut *inbox, RecvFlags::empty()) {
                Ok((_, 0)) => return Inbox::Closed,
                // A will that cannot be read might have said "nothing": believe that.
                Ok((_, len)) => {
                    *will = inbox.get(..len).and_then(Will::decode).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Inbox::Open,
                Err(_) => return Inbox::Closed,
            }
        }
    }

    fn forward_signals(&self) {
        // struct signalfd_siginfo: signo u32, errno i32, code i32, ...
        let mut info = [0; 128];
        while rustix::io::read(&self.signals, &mut info[..]).is_ok_and(|len| len == info.len()) {
            let [a, b, c, d, _, _, _, _, e, f, g, h, ..] = info;
            let number = u32::from_ne_bytes([a, b, c, d]);
            let code = i32::from_ne_bytes([e, f, g, h]);
            let signal = FORWARDED.into_iter().find(|s| s.as_raw().unsigned_abs() == number);
            // The terminal's Ctrl-C comes from the kernel, and the worker got it as well.
            if let Some(signal) = signal
                && code != libc::SI_KERNEL
            {
                // Fails only if the worker is dead, which is the next thing to be seen.
                let _ = pidfd_send_signal(&self.worker, signal);
            }
        }
    }
}

/// The child's half of a split.
fn become_worker(
    parent: Pid,
    signals_before: &SignalSet,
    lifeline: Lifeline,
) -> Result<(), SplitError> {
    signals_before.restore().map_err(cannot("unblock signals"))?;
    sched::die_with_parent(Signal::TERM)
        .map_err(|error| cannot("set the parent death signal")(io::Error::other(error)))?;
    lifeline.hold().map_err(cannot("take hold of the lifeline"))?;
    // A parent that died before `die_with_parent` will not be announced.
    if getppid() == Some(parent) { Ok(()) } else { Err(SplitError::Orphan) }
}

/// Sends a will; the number of frames that the kernel took, repetitions not counted.
fn execute(will: &Will, taps: &[&Tap]) -> io::Result<usize> {
    let start = Clock.now();
    let mut taken = vec![false; will.len()];
    for delay in if will.is_empty() { &[] } else { &SEND_AT[..] } {
        while Clock.now() < start + *delay {
            Poller.wait(&[], Some(start + *delay))?;
        }
        for ((port, frame), taken) in will.frames().zip(&mut taken) {
            let tap = taps.get(usize::from(port));
            *taken |= tap.is_some_and(|tap| tap.send(frame) == Sent::Done);
        }
    }
    Ok(taken.into_iter().filter(|taken| *taken).count())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inbox {
    Open,
    Closed,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerEnd {
    /// By itself.
    Exited {
        /// Its exit code; 0 means that it said goodbye itself.
        code: i32,
    },
    /// By a signal.
    Killed {
        /// The number of the signal.
        signal: i32,
    },
}

impl WorkerEnd {
    /// Whether the will counts: for every end but exit code 0.
    ///
    /// (A worker that ends by `_exit`, past the exit handlers, counts as killed whatever its code.)
    pub fn is_violent(self) -> bool {
        self != WorkerEnd::Exited { code: 0 }
    }

    /// The exit code for the warden: the worker's own, or 128 plus the signal, as shells do.
    pub fn exit_code(self) -> i32 {
        match self {
            WorkerEnd::Exited { code } => code,
            WorkerEnd::Killed { signal } => 128 + signal,
        }
    }
}

/// What a warden has seen and done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// How the worker ended.
    pub end: WorkerEnd,
    /// Frames of its will that were sent.
    pub frames: usize,
    /// When the warden noticed, and began to send them.
    pub noticed: Instant,
}

/// The worker's line to its warden. Only one message is ever of interest: the last.
#[derive(Debug)]
pub struct WillWriter {
    writer: OwnedFd,
}

impl WillWriter {
    /// Replaces the will; [`Will::new`] revokes it. Never blocks.
    ///
    /// # Errors
    /// [`WillError::Busy`] if the warden has not read for a while: the will has *not* been
    /// replaced, so try again soon. [`WillError::Orphan`] if there is no warden any more.
    pub fn write(&self, will: &Will) -> Result<(), WillError> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match rustix::io::retry_on_intr(|| send(&self.writer, will.encoded(), flags)) {
            Ok(_) => Ok(()),
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => Err(WillError::Busy),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Err(WillError::Orphan),
            Err(errno) => Err(WillError::System(errno.into())),
        }
    }
}

impl AsFd for WillWriter {
    /// Broken, to a [`Poller`], when the warden is gone.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }
}

#[cfg(test)]
mod tests;
