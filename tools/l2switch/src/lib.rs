//! An Ethernet switch in user space, whose cables can be as bad as one likes.
//!
//! It runs the simulator's own switch ([`locum_link::segment::Segment`]) in real time, between TAPs and
//! interfaces of the kernel, so that what a scenario says means the same in virtual time and with real
//! programs. What belongs here: devices, waiting, and being told what to do ([`Command`]). What does
//! not: what a cable does to a frame, which is in [`locum_link::segment`].
//!
//! ```no_run
//! use locum_l2switch::{Command, Handle, Switch};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let switch = Handle::start(|| {
//!     let mut switch = Switch::new(7);
//!     switch.add_interface("client", "veth0")?;
//!     switch.add_interface("node", "veth1")?;
//!     Ok(switch)
//! })?;
//! switch.send("impair client both latency=5ms loss=0.01".parse()?)?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
// The switch is on the outside: it captures with the wall clock's stamps.
#![allow(clippy::disallowed_methods)]

mod command;
mod control;
mod handle;
mod port;
mod serve;
mod switch;

pub use command::{Command, CommandError, Way};
pub use control::Control;
pub use handle::{Handle, HandleError, Inbox, Remote, channel};
pub use serve::{hurry, serve};
pub use switch::Switch;
