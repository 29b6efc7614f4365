//! A packet socket: all Ethernet frames of an interface that exists, without owning it.
//!
//! For switches and observers. The kernel goes on hearing everything that we hear: keep addresses
//! and bridges off the interface if it is not to answer. For a node of its own there is
//! [`Tap`](crate::Tap).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::offload;
use crate::sys::packet::{self, Feature, OFFLOAD_HEADER_LEN};
use crate::tap::{Received, Sent};

/// The longest frame: what a kernel hands over uncut is one IP packet, of 64 KiB at most.
const FRAME_LEN_MAX: usize = 14 + 65_536;

/// Bytes that may wait in the kernel: some thousand frames, or some ten that are not cut.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What has happened on a packet socket so far, every outcome by its own name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PacketCounters {
    /// Frames read, after cutting.
    pub rx_frames: u64,
    /// Frames read that were several in one, and have been cut here.
    pub rx_cut: u64,
    /// Frames for which the socket had no room: lost. Told with a delay.
    pub rx_full: u64,
    /// Frames longer than any that can be cut: dropped.
    pub rx_oversize: u64,
    /// Frames with a VLAN tag: dropped.
    pub rx_tagged: u64,
    /// Frames for which something is left to do that is not done here: dropped.
    pub rx_unfit: u64,
    /// Reads while the link was down.
    pub rx_link_down: u64,
    /// Reads that failed in a way that no other counter names.
    pub rx_failed: u64,
    /// Frames written.
    pub tx_frames: u64,
    /// Frames for which the kernel had no room: dropped.
    pub tx_full: u64,
    /// Frames written while the link was down: dropped.
    pub tx_link_down: u64,
    /// Frames that the kernel did not take for another reason: dropped.
    pub tx_refused: u64,
    /// Writes after the interface was deleted.
    pub gone: u64,
}

#[derive(Debug, Default)]
struct Tally {
    rx_frames: AtomicU64,
    rx_cut: AtomicU64,
    rx_full: AtomicU64,
    rx_oversize: AtomicU64,
    rx_tagged: AtomicU64,
    rx_unfit: AtomicU64,
    rx_link_down: AtomicU64,
    rx_failed: AtomicU64,
    tx_frames: AtomicU64,
    tx_full: AtomicU64,
    tx_link_down: AtomicU64,
    tx_refused: AtomicU64,
    gone: AtomicU64,
}

fn count(counter: &AtomicU64) {
    add(counter, 1);
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// The buffers of one thread that reads packet sockets: made once, so that no frame allocates.
#[derive(Debug)]
pub struct PacketBuffer {
    frame: Vec<u8>,
    segment: Vec<u8>,
}

impl Default for PacketBuffer {
    fn default() -> Self {
        PacketBuffer { frame: vec![0; FRAME_LEN_MAX], segment: Vec::with_capacity(2_048) }
    }
}

/// An open packet socket. All methods take `&self`: threads may share it.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    name: String,
    tally: Tally,
}

impl PacketSocket {
    /// Opens the interface `name` of the calling thread's network namespace, promiscuously. What
    /// this machine itself sends through the interface is not received.
    ///
    /// # Errors
    /// No such interface, or no permission (`CAP_NET_RAW`): the message has the fix.
    pub fn open(name: &str) -> io::Result<PacketSocket> {
        let fd = open_socket()?;
        let index = name_to_index(&fd, name).map_err(|errno| {
            explain(errno.into(), format!("interface {name}: `ip link show` lists what there is"))
        })?;
        // Before it is bound: no frame may come in another shape, or from ourselves.
        for feature in [Feature::OffloadHeader, Feature::AuxiliaryData, Feature::IgnoreOutgoing] {
            packet::enable(fd.as_fd(), feature).map_err(|error| {
                explain(error, format!("{feature:?} on {name}: it needs Linux 4.20 or newer"))
            })?;
        }
        // Beyond the system's limit only with CAP_NET_ADMIN; a smaller one loses frames earlier.
        if set_socket_recv_buffer_size_force(&fd, RECEIVE_BUFFER).is_err() {
            set_socket_recv_buffer_size(&fd, RECEIVE_BUFFER)?;
        }
        packet::bind(fd.as_fd(), index)
            .and_then(|()| packet::set_promiscuous(fd.as_fd(), index))
            .map_err(|error| explain(error, format!("interface {name}: cannot listen there")))?;
        Ok(PacketSocket { fd, name: name.to_owned(), tally: Tally::default() })
    }

    /// Reads what the interface received next and shows it to `each`: one frame, or several if the
    /// kernel has not cut them. Checksums are complete. [`Received::Frame`] has the bytes read.
    ///
    /// A deleted interface is silent here; [`PacketSocket::send`] tells.
    pub fn recv(&self, buffer: &mut PacketBuffer, each: impl FnMut(&[u8])) -> Received {
        let tally = &self.tally;
        let PacketBuffer { frame, segment } = buffer;
        let read = rustix::io::retry_on_intr(|| packet::receive(self.fd.as_fd(), frame));
        let arrival = match read {
            Ok(arrival) => arrival,
            Err(Errno::AGAIN) => return Received::Empty,
            Err(Errno::NETDOWN) => {
                count(&tally.rx_link_down);
                return Received::LinkDown;
            }
            Err(errno) => {
                count(&tally.rx_failed);
                log::debug!("reading from {}: {errno}", self.name);
                return Received::Empty;
            }
        };
        let Some(frame) = frame.get_mut(..arrival.len) else {
            count(&tally.rx_oversize);
            return Received::Oversize;
        };
        if arrival.tagged {
            count(&tally.rx_tagged);
        } else {
            match offload::complete(&arrival.offload, frame, segment, each) {
                Ok(frames) => {
                    add(&tally.rx_frames, frames as u64);
                    add(&tally.rx_cut, u64::from(frames > 1));
                }
                Err(offload::Unfit) => count(&tally.rx_unfit),
            }
        }
        Received::Frame(arrival.len)
    }

    /// Sends one frame. Never blocks: what the kernel does not take now is dropped.
    pub fn send(&self, frame: &[u8]) -> Sent {
        let tally = &self.tally;
        // All zeros: nothing is left to do.
        let parts = [io::IoSlice::new(&[0; OFFLOAD_HEADER_LEN]), io::IoSlice::new(frame)];
        let (outcome, counter) =
            match rustix::io::retry_on_intr(|| rustix::io::writev(&self.fd, &parts)) {
                Ok(_) => (Sent::Done, &tally.tx_frames),
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => (Sent::Full, &tally.tx_full),
                Err(Errno::NETDOWN) => (Sent::LinkDown, &tally.tx_link_down),
                Err(Errno::NXIO | Errno::NODEV) => (Sent::Gone, &tally.gone),
                Err(errno) => {
                    log::debug!("sending {} bytes to {}: {errno}", frame.len(), self.name);
                    (Sent::Refused, &tally.tx_refused)
                }
            };
        count(counter);
        outcome
    }

    /// The name of the interface, as it was when it was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What has happened so far.
    pub fn counters(&self) -> PacketCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = &self.tally;
        // The kernel forgets its number when it is read. A failure would be a programming error.
        let drops = packet::take_drops(self.fd.as_fd()).unwrap_or(0);
        add(&tally.rx_full, drops.into());
        PacketCounters {
            rx_frames: read(&tally.rx_frames),
            rx_cut: read(&tally.rx_cut),
            rx_full: read(&tally.rx_full),
            rx_oversize: read(&tally.rx_oversize),
            rx_tagged: read(&tally.rx_tagged),
            rx_unfit: read(&tally.rx_unfit),
            rx_link_down: read(&tally.rx_link_down),
            rx_failed: read(&tally.rx_failed),
            tx_frames: read(&tally.tx_frames),
            tx_full: read(&tally.tx_full),
            tx_link_down: read(&tally.tx_link_down),
            tx_refused: read(&tally.tx_refused),
            gone: read(&tally.gone),
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A socket that receives nothing before it is bound.
fn open_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None).map_err(|errno| {
        explain(errno.into(), "a packet socket needs CAP_NET_RAW: run as root".to_owned())
    })
}

fn explain(error: io::Error, what: String) -> io::Error {
    io::Error::new(error.kind(), format!("{what} ({error})"))
}
