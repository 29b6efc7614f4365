//! The hook: a program of the operator that is run on every mode change.
//!
//! It runs on a thread of its own, one change after the other, in order. Whoever reports a change
//! never waits: the queue is bounded, and a change that does not fit is counted and dropped. A hook
//! that does not end in time is killed with all its children, so that the next change is heard.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use locum_link::{Clock, Poller};
use locum_types::{GroupId, Instant, NodeId};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::change::ModeChange;

/// Changes that may wait for a slow hook.
const QUEUE_LEN: usize = 64;
/// A hook that runs longer is killed.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// What became of the changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct HookCounters {
    /// Runs that ended with exit code 0.
    pub succeeded: u64,
    /// Runs that ended otherwise, or could not be started.
    pub failed: u64,
    /// Runs that took too long and were killed.
    pub timed_out: u64,
    /// Changes that no hook was run for, because the queue was full.
    pub dropped: u64,
}

/// What both ends of the queue know.
#[derive(Debug, Default)]
struct Shared {
    succeeded: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    dropped: AtomicU64,
    /// When the last hook has to be done, in nanoseconds of the clock; at first never.
    end_by: AtomicU64,
}

/// Which node the changes are about: `GROUP` and `NODE` in the environment of the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The group's id.
    pub group: GroupId,
    /// The node's id.
    pub node: NodeId,
}

/// Runs the hook. Dropping it waits for the changes reported so far, all of them together within
/// the time limit of one; what does not run in time is dropped and counted.
#[derive(Debug)]
pub struct Hooks {
    queue: Option<Sender<ModeChange>>,
    thread: Option<JoinHandle<()>>,
    timeout: Duration,
    shared: Arc<Shared>,
}

impl Hooks {
    /// Starts the thread that runs `program`; without a program every change is simply accepted.
    ///
    /// # Errors
    /// Out of threads.
    pub fn start(program: Option<&Path>, subject: Subject) -> io::Result<Hooks> {
        Hooks::start_with(program, subject, TIMEOUT)
    }

    fn start_with(
        program: Option<&Path>,
        subject: Subject,
        timeout: Duration,
    ) -> io::Result<Hooks> {
        let shared = Arc::new(Shared { end_by: AtomicU64::new(u64::MAX), ..Shared::default() });
        let Some(program) = program else {
            return Ok(Hooks { queue: None, thread: None, timeout, shared });
        };
        let (queue, changes) = bounded(QUEUE_LEN);
        let runner =
            Runner { program: program.to_owned(), subject, timeout, shared: Arc::clone(&shared) };
        let thread = thread::Builder::new()
            .name("hooks".to_owned())
            .spawn(move || runner.run_all(&changes))?;
        Ok(Hooks { queue: Some(queue), thread: Some(thread), timeout, shared })
    }

    /// Reports a change; never waits.
    pub fn notify(&self, change: ModeChange) {
        let Some(queue) = &self.queue else {
            return;
        };
        match queue.try_send(change) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What became of the changes so far.
    pub fn counters(&self) -> HookCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HookCounters {
            succeeded: read(&self.shared.succeeded),
            failed: read(&self.shared.failed),
            timed_out: read(&self.shared.timed_out),
            dropped: read(&self.shared.dropped),
        }
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        let end_by = Clock.now() + self.timeout;
        self.shared.end_by.store(end_by.as_nanos(), Ordering::Relaxed);
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread of the hooks panicked");
        }
    }
}

/// The state of the thread.
struct Runner {
    program: PathBuf,
    subject: Subject,
    timeout: Duration,
    shared: Arc<Shared>,
}

/// How a run ended.
enum Outcome {
    Ended(ExitStatus),
    TimedOut,
}

impl Runner {
    fn run_all(&self, changes: &Receiver<ModeChange>) {
        for change in changes {
            let counter = if Clock.now() < self.end_by() {
                self.judge(&change, self.run(&change))
            } else {
                &self.shared.dropped
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Which counter a run belongs to; a run that went wrong is logged.
    fn judge(&self, change: &ModeChange, outcome: io::Result<Outcome>) -> &AtomicU64 {
        let program = self.program.display();
        match outcome {
            Ok(Outcome::Ended(status)) if status.success() => &self.shared.succeeded,
            Ok(Outcome::Ended(status)) => {
                log::warn!("hook {program} for `{change}`: {status}");
                &self.shared.failed
            }
            Ok(Outcome::TimedOut) => {
                log::warn!("hook {program} for `{change}`: it did not end in time, and was killed");
                &self.shared.timed_out
            }
            Err(error) => {
                log::warn!("hook {program} for `{change}` cannot be run: {error}");
                &self.shared.failed
            }
        }
    }

    fn end_by(&self) -> Instant {
        Instant::from_nanos(self.shared.end_by.load(Ordering::Relaxed))
    }

    fn run(&self, change: &ModeChange) -> io::Result<Outcome> {
        let mut child = Command::new(&self.program)
            .env("FROM", change.from.name())
            .env("TO", change.to.name())
            .env("CAUSE", change.cause.to_string())
            .env("TERM", change.term.to_string())
            .env("GROUP", self.subject.group.to_string())
            .env("NODE", self.subject.node.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            // A group of its own: the hook and whatever it started can be killed together, and a
            // Ctrl-C at the terminal is for the node.
            .process_group(0)
            .spawn()?;
        let in_time = self.wait(&child);
        if !matches!(in_time, Ok(true)) {
            // It may have ended just now; then there is nothing left to kill.
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        }
        let status = child.wait()?;
        Ok(if in_time? { Outcome::Ended(status) } else { Outcome::TimedOut })
    }

    /// Waits for the end of `child`; false: it did not come in time.
    fn wait(&self, child: &Child) -> io::Result<bool> {
        let end = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
        let deadline = self.end_by().min(Clock.now() + self.timeout);
        loop {
            if Poller.wait(&[end.as_fd()], Some(deadline))?.readable(0) {
                return Ok(true);
            }
            if Clock.now() >= deadline {
                return Ok(false);
            }
        }
    }
}

#[cfg(test)]
mod tests;
