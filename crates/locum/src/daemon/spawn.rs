//! Starting threads: their priority, and what happens when one of them panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use locum_link::sched;

use super::report::lock;
use super::shared::{Outbox, ToControl};
use crate::status::Realtime;

/// Beats go before packets, packets before what only talks to people; all before the other programs.
pub(super) const HEARTBEAT_PRIORITY: u8 = 50;
pub(super) const STACK_PRIORITY: u8 = 40;
pub(super) const CONTROL_PRIORITY: u8 = 30;
/// A warden sleeps until its worker is dead, and then is in a hurry.
pub(super) const WARDEN_PRIORITY: u8 = 50;

/// How late the kernel may end a wait of a thread that has no real-time priority.
const TIMER_SLACK: Duration = Duration::from_micros(5);

/// What the threads ask of the kernel's scheduler, and what they were granted.
#[derive(Debug)]
pub(super) struct Priorities {
    wanted: bool,
    granted: Mutex<Realtime>,
}

impl Priorities {
    /// Asks for nothing unless `wanted`.
    pub(super) fn new(wanted: bool) -> Self {
        Priorities { wanted, granted: Mutex::default() }
    }

    /// Locks the memory of the process.
    pub(super) fn lock_memory(&self) {
        if self.wanted {
            let result = sched::lock_memory();
            lock(&self.granted).memory_locked = result.is_ok();
            self.note(result);
        }
    }

    /// Gives the calling thread a real-time priority, or at least exact timers.
    pub(super) fn raise(&self, priority: u8) {
        if self.wanted {
            let result = sched::realtime(priority);
            lock(&self.granted).scheduling = result.is_ok();
            self.note(result);
        }
        self.note(sched::timer_slack(TIMER_SLACK));
    }

    /// What was granted so far.
    pub(super) fn granted(&self) -> Realtime {
        lock(&self.granted).clone()
    }

    /// Says once per reason what was refused, and how to get it.
    fn note(&self, result: Result<(), sched::SchedError>) {
        let Err(error) = result else { return };
        let text = error.to_string();
        let mut granted = lock(&self.granted);
        if granted.refused.as_ref() != Some(&text) {
            log::warn!("{text}");
            granted.refused = Some(text);
        }
    }
}

/// Starts a thread that tells the control thread if it panics.
pub(super) fn spawn(
    name: &'static str,
    control: Outbox<ToControl>,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            control.send(ToControl::Panicked(name));
        }
    })
}
