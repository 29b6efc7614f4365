//! Waiting: for frames, for another thread, or for a deadline, whichever comes first.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::{fmt, io};

use locum_types::Instant;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::Clock;

/// File descriptors that one wait can watch: a thread of a node has two to four.
pub const FDS_MAX: usize = 8;

/// Waits by `ppoll(2)`, with a deadline of nanosecond grain. No state, no allocation.
///
/// With `SCHED_OTHER` the kernel may be late by the thread's timer slack: see
/// [`sched::timer_slack`](crate::sched::timer_slack).
#[derive(Clone, Copy, Debug, Default)]
pub struct Poller;

impl Poller {
    /// Waits until one of `fds` is readable (or broken), or until `deadline`; `None` waits for ever.
    ///
    /// A deadline that has passed looks once and returns. A signal ends the wait with nothing
    /// ready, so the caller always comes round to look at its clock and its flags.
    ///
    /// # Errors
    /// More than [`FDS_MAX`] descriptors (`InvalidInput`), or what `ppoll` says.
    pub fn wait(self, fds: &[BorrowedFd<'_>], deadline: Option<Instant>) -> io::Result<Ready> {
        let Some(first) = fds.first() else {
            return wait_on(&mut [], deadline);
        };
        if fds.len() > FDS_MAX {
            let message = format!("at most {FDS_MAX} descriptors can be waited for");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut set: [PollFd<'_>; FDS_MAX] = std::array::from_fn(|i| {
            PollFd::from_borrowed_fd(*fds.get(i).unwrap_or(first), PollFlags::IN)
        });
        wait_on(&mut set[..fds.len()], deadline)
    }
}

fn wait_on(set: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<Ready> {
    let timeout = deadline.map(|deadline| {
        let left = deadline - Clock.now();
        Timespec {
            tv_sec: left.as_secs().min(i64::MAX as u64) as i64,
            tv_nsec: left.subsec_nanos().into(),
        }
    });
    match poll(set, timeout.as_ref()) {
        Ok(_) => Ok(Ready::collect(set)),
        Err(Errno::INTR) => Ok(Ready::default()),
        Err(errno) => Err(errno.into()),
    }
}

/// Which descriptors, by their position in the slice given to [`Poller::wait`], want attention.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Ready {
    readable: u8,
    broken: u8,
}

impl Ready {
    fn collect(set: &[PollFd<'_>]) -> Ready {
        let mut ready = Ready::default();
        for (i, fd) in set.iter().enumerate() {
            let events = fd.revents();
            if events.contains(PollFlags::IN) {
                ready.readable |= 1 << i;
            }
            if events.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
                ready.broken |= 1 << i;
            }
        }
        ready
    }

    /// Whether there is something to read from the descriptor at `index`.
    pub fn readable(self, index: usize) -> bool {
        index < FDS_MAX && self.readable & (1 << index) != 0
    }

    /// Whether the descriptor at `index` reports an error or a hang-up: it will do so at every
    /// wait, so find out why and stop watching it, or the loop spins.
    pub fn broken(self, index: usize) -> bool {
        index < FDS_MAX && self.broken & (1 << index) != 0
    }

    /// Whether the deadline or a signal ended the wait.
    pub fn is_empty(self) -> bool {
        self == Ready::default()
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ready {{ readable: {:#010b}, broken: {:#010b} }}", self.readable, self.broken)
    }
}

/// Ends another thread's wait: an eventfd. Clones wake the same thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A waker that nobody has used yet.
    ///
    /// # Errors
    /// Out of descriptors or kernel memory.
    pub fn new() -> io::Result<Waker> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Waker(Arc::new(fd)))
    }

    /// Makes the descriptor readable until the next [`Waker::drain`]. Never blocks.
    pub fn wake(&self) {
        // It can only fail when the counter is full: then the thread is awake already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Forgets all wakes so far; true if there was one. Drain first, look at the queues after.
    pub fn drain(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    fn pipe() -> (OwnedFd, OwnedFd) {
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe")
    }

    #[test]
    fn readiness_names_the_descriptor_that_has_data() {
        let (quiet, _keep) = pipe();
        let (reader, writer) = pipe();
        rustix::io::write(&writer, b"x").expect("room in the pipe");
        let ready = Poller.wait(&[quiet.as_fd(), reader.as_fd()], None).expect("a wait");
        assert!(ready.readable(1));
        assert!(!ready.readable(0) && !ready.broken(0) && !ready.broken(1));
        assert!(!ready.readable(FDS_MAX), "an index out of range is never ready");
    }

    #[test]
    fn a_hung_up_descriptor_is_broken_and_a_passed_deadline_looks_once() {
        let (reader, writer) = pipe();
        let passed = Some(Instant::ZERO);
        assert!(Poller.wait(&[reader.as_fd()], passed).expect("a wait").is_empty());
        drop(writer);
        assert!(Poller.wait(&[reader.as_fd()], passed).expect("a wait").broken(0));
    }

    #[test]
    fn the_deadline_ends_the_wait_and_never_early() {
        for fds in [&[][..], &[Waker::new().expect("an eventfd").as_fd()]] {
            let deadline = Clock.now() + Duration::from_micros(700);
            assert!(Poller.wait(fds, Some(deadline)).expect("a wait").is_empty());
            assert!(Clock.now() >= deadline);
        }
    }

    #[test]
    fn too_many_descriptors_are_refused() {
        let (reader, _writer) = pipe();
        let error = Poller.wait(&[reader.as_fd(); FDS_MAX + 1], None).expect_err("one too many");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(Poller.wait(&[reader.as_fd(); FDS_MAX], Some(Instant::ZERO)).is_ok());
    }

    #[test]
    fn a_waker_wakes_from_another_thread_and_wakes_coalesce() {
        let waker = Waker::new().expect("an eventfd");
        let remote = waker.clone();
        let thread = std::thread::spawn(move || (0..3).for_each(|_| remote.wake()));
        assert!(Poller.wait(&[waker.as_fd()], None).expect("a wait").readable(0));
        thread.join().expect("no panic");
        assert!(waker.drain());
        assert!(!waker.drain());
    }
}
