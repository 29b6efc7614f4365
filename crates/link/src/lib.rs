//! The outside: everything of Locum that touches the kernel, and what stands in for it in tests.
//!
//! * [`tap`]: a TAP interface, shared by two threads, that survives whatever happens to its link;
//!   [`watch`] tells when that happens.
//! * [`offload`]: long TCP frames cut into segments, where no kernel does it.
//! * [`packet_socket`]: an interface of the kernel, overheard and spoken through.
//! * [`clock`], [`poller`], [`sched`]: time, waiting, and the scheduler's favours.
//! * [`warden`]: a parent process that speaks a dead worker's last words.
//! * [`segment`]: an Ethernet segment in memory, for simulators, demos and tests.
//! * [`pcap`]: what was on the wire, for Wireshark and tcpdump.
//!
//! What a node *decides* is not here: this crate moves frames and reads clocks, the sans-IO crates
//! think. It is also the only crate with `unsafe`, all of it in one private module, `sys`.

#![deny(unsafe_code)]

pub mod clock;
pub mod offload;
pub mod packet_socket;
pub mod pcap;
pub mod poller;
pub mod sched;
pub mod segment;
mod sys;
pub mod tap;
pub mod warden;
pub mod watch;

pub use clock::Clock;
pub use packet_socket::{PacketBuffer, PacketCounters, PacketSocket};
pub use pcap::{PcapDevice, PcapWriter};
pub use poller::{Poller, Ready, Waker};
pub use segment::{Port, PortId, Segment};
pub use tap::{Received, Sent, Tap, TapCounters, TapError, TapOptions};
pub use warden::{Role, Warden, Will, WillWriter};
pub use watch::LinkWatch;
