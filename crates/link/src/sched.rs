//! Asking the kernel for a little more than a process gets by itself.
//!
//! A node runs without any of it, but less punctually: each error says how to get the permission,
//! for the operator's eyes.

use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Signal, getrlimit, set_parent_process_death_signal};
use rustix::thread::{CapabilitySet, capabilities, set_current_timer_slack};

use crate::sys;

/// A favour that the kernel did not grant.
#[derive(Debug, thiserror::Error)]
pub enum SchedError {
    /// `SCHED_FIFO` is not permitted, or the priority is out of range.
    #[error(
        "no real-time priority {priority} ({source}): give the process CAP_SYS_NICE, or set \
         LimitRTPRIO={priority} in its systemd unit (`ulimit -r`); beats may be late under load"
    )]
    Realtime {
        /// What was asked for.
        priority: u8,
        /// What the kernel said.
        source: io::Error,
    },
    /// Memory could not be locked.
    #[error(
        "memory is not locked ({source}): give the process CAP_IPC_LOCK, or set \
         LimitMEMLOCK=infinity in its systemd unit (`ulimit -l unlimited`); \
         swapping may delay a takeover"
    )]
    LockMemory {
        /// What the kernel said.
        source: io::Error,
    },
    /// Another setting of the calling thread failed.
    #[error("cannot set the {what}: {source}")]
    Thread {
        /// Which setting.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Runs the calling thread with `SCHED_FIFO` at `priority` (1 to 99), before all normal threads.
///
/// Threads and processes that it starts later do *not* inherit it.
///
/// # Errors
/// [`SchedError::Realtime`] without the permission, or with a priority out of range.
pub fn realtime(priority: u8) -> Result<(), SchedError> {
    sys::set_fifo(priority.into()).map_err(|source| SchedError::Realtime { priority, source })
}

/// Locks the memory of the process, now and later, into RAM: no page fault waits for a disk.
///
/// Pages are locked as they are first touched, so the large lazy buffers of idle connections stay
/// free of charge.
///
/// # Errors
/// [`SchedError::LockMemory`] without the permission. A process with a finite limit is refused
/// even if it is below that limit today: it would run into the limit later, and die of it.
pub fn lock_memory() -> Result<(), SchedError> {
    let refuse = |source: io::Error| SchedError::LockMemory { source };
    let capable =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if let (false, Some(limit)) = (capable, getrlimit(Resource::Memlock).current) {
        return Err(refuse(io::Error::other(format!("the limit is {limit} bytes"))));
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
        .map_err(|errno| refuse(errno.into()))
}

/// Has the kernel send `signal` to this process when the *thread* that started it ends.
///
/// A parent that ended before this call is not noticed: compare `getppid` afterwards. The setting
/// is lost by a later change of user id or capabilities.
///
/// # Errors
/// [`SchedError::Thread`]: the kernel refuses nothing but impossible signals here.
pub fn die_with_parent(signal: Signal) -> Result<(), SchedError> {
    set_parent_process_death_signal(Some(signal))
        .map_err(|errno| SchedError::Thread { what: "parent death signal", source: errno.into() })
}

/// How late the kernel may end a wait of the calling thread, to spare power: 50 µs by default.
///
/// Rounded up to 1 ns. Irrelevant for real-time threads, whose slack is none.
///
/// # Errors
/// [`SchedError::Thread`] if the kernel lacks the setting.
pub fn timer_slack(slack: Duration) -> Result<(), SchedError> {
    // Zero would mean "back to the default".
    let nanos = NonZeroU64::new(u64::try_from(slack.as_nanos()).unwrap_or(u64::MAX));
    set_current_timer_slack(nanos.or(Some(NonZeroU64::MIN)))
        .map_err(|errno| SchedError::Thread { what: "timer slack", source: errno.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_how_to_get_the_permission() {
        let source = || io::Error::from(rustix::io::Errno::PERM);
        let text = SchedError::Realtime { priority: 42, source: source() }.to_string();
        assert!(text.contains("CAP_SYS_NICE") && text.contains("LimitRTPRIO=42"), "{text}");
        let text = SchedError::LockMemory { source: source() }.to_string();
        assert!(text.contains("CAP_IPC_LOCK") && text.contains("LimitMEMLOCK="), "{text}");
    }

    #[test]
    fn an_impossible_priority_is_an_error_not_a_panic() {
        for priority in [0, 100, 255] {
            assert!(realtime(priority).is_err(), "{priority}");
        }
    }

    #[test]
    fn the_timer_slack_is_what_was_asked_for_and_never_the_default() {
        for (asked, nanos) in [(0, 1), (1, 1), (5_000, 5_000)] {
            timer_slack(Duration::from_nanos(asked)).expect("always permitted");
            assert_eq!(rustix::thread::current_timer_slack().expect("readable"), nanos);
        }
    }

    #[test]
    fn the_parent_death_signal_is_set() {
        die_with_parent(Signal::TERM).expect("always permitted");
        let signal = rustix::process::parent_process_death_signal().expect("readable");
        assert_eq!(signal, Some(Signal::TERM));
        set_parent_process_death_signal(None).expect("always permitted");
    }
}
