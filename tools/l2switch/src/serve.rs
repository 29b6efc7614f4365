//! The loop in real time: one wait for all devices, for orders, and for the next frame that is due.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use locum_link::{Clock, sched};
use locum_types::Instant;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::control::Control;
use crate::handle::Inbox;
use crate::switch::Switch;

/// A switch is hardware, and goes before every thread of a node.
const PRIORITY: u8 = 60;

/// How late the kernel may end a wait, without real-time priority.
const TIMER_SLACK: Duration = Duration::from_nanos(1);

/// Asks the kernel to let the calling thread be punctual; warns where that is not permitted.
pub fn hurry() {
    if let Err(error) = sched::timer_slack(TIMER_SLACK) {
        log::warn!("{error}");
    }
    if let Err(error) = sched::realtime(PRIORITY) {
        log::warn!("{error}");
    }
}

/// Runs a switch on the calling thread until it is told to stop.
///
/// Frames leave when they are due: the wait for the next one ends with nanosecond grain. Nothing is
/// read without bound: every port has its turn after a burst.
///
/// # Errors
/// The kernel refuses to wait: out of memory, say.
pub fn serve(mut switch: Switch, inbox: &Inbox, mut control: Option<Control>) -> io::Result<()> {
    let mut ready = Ready::default();
    while inbox.obey(&mut switch) {
        // First: what is due waits for nobody.
        switch.deliver();
        switch.receive(&ready.ports);
        if let Some(control) = control.as_mut().filter(|_| ready.control) {
            control.answer(&mut switch);
        }
        ready.wait(&switch, inbox, control.as_ref())?;
    }
    Ok(())
}

/// What the last wait was ended by; the inbox is looked at anyway.
#[derive(Debug, Default)]
struct Ready {
    /// The numbers of ports.
    ports: Vec<usize>,
    control: bool,
}

impl Ready {
    fn wait(
        &mut self,
        switch: &Switch,
        inbox: &Inbox,
        control: Option<&Control>,
    ) -> io::Result<()> {
        self.ports.clear();
        let mut set = vec![PollFd::from_borrowed_fd(inbox.as_fd(), PollFlags::IN)];
        for (number, fd) in switch.descriptors() {
            self.ports.push(number);
            set.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        let ports_end = set.len();
        let control = control.iter().flat_map(|control| control.descriptors());
        set.extend(control.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let timeout = switch.next_delivery().map(until);
        match poll(&mut set, timeout.as_ref()) {
            Ok(_) => {}
            // Nothing was said of any descriptor.
            Err(Errno::INTR) => set.iter_mut().for_each(PollFd::clear_revents),
            Err(errno) => return Err(errno.into()),
        }
        // Whatever a descriptor says, also that it is broken, a read finds out more.
        let mut said = set.iter().map(|fd| !fd.revents().is_empty()).skip(1);
        self.ports.retain(|_| said.next().unwrap_or(false));
        self.control = set.iter().skip(ports_end).any(|fd| !fd.revents().is_empty());
        Ok(())
    }
}

/// How long to wait for `due`.
fn until(due: Instant) -> Timespec {
    let left = due - Clock.now();
    // What does not fit is centuries away.
    let longest = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };
    Timespec::try_from(left).unwrap_or(longest)
}
