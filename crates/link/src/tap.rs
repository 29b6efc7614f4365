//! A TAP interface: Ethernet frames in and out of the kernel, one per system call.
//!
//! What can happen to a link in an hour of operation (down, up, full, deleted) is an *outcome*
//! here, counted and told to the caller, never an error that ends a node. What is sent may be cut by
//! the kernel ([`Tap::send_in_segments`]); what is received is whole frames.

use std::io::{self, IoSlice};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{Mode as FileMode, OFlags};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tun_tap::{Iface, Mode};

use crate::offload::{Deferred, checksum_field};
use crate::sys;
use crate::sys::packet::{OFFLOAD_HEADER_LEN, OffloadHeader};
use crate::{Clock, Poller};

/// Ethernet header and one VLAN tag: what a frame may add to the MTU.
pub const HEADER_LEN_MAX: usize = 14 + 4;

/// Frames up to this length are copied on their way out.
const COPIED_MAX: usize = 2048;

/// How long a TAP may stay busy that this process has just let go.
const REATTACH_MAX: Duration = Duration::from_secs(1);
const REATTACH_EVERY: Duration = Duration::from_millis(1);

/// Why a TAP could not be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// Not a name that an interface can have.
    #[error(
        "interface name {0:?} must be 1 to 15 bytes of printable ASCII without '/', ':', '%', \
         and neither \".\" nor \"..\""
    )]
    BadName(String),
    /// There is no TUN/TAP driver.
    #[error(
        "cannot open /dev/net/tun ({0}): load the driver with `modprobe tun`; \
         a container needs the device passed in (--device /dev/net/tun)"
    )]
    NoDriver(#[source] io::Error),
    /// The file permissions of `/dev/net/tun`.
    #[error("cannot open /dev/net/tun ({0}): run as root, or `chmod 666 /dev/net/tun`")]
    NoAccess(#[source] io::Error),
    /// The capability to create or attach interfaces.
    #[error(
        "no permission to open TAP {name} (it needs CAP_NET_ADMIN): run as root, or \
         `setcap cap_net_admin+ep` on the binary, or create it for your user with \
         `ip tuntap add {name} mode tap user $USER` and `ip link set {name} up`"
    )]
    NotPermitted {
        /// The interface.
        name: String,
    },
    /// Somebody else has it open.
    #[error("another process holds TAP {name}: stop it (`lsof /dev/net/tun`) or use another TAP")]
    Busy {
        /// The interface.
        name: String,
    },
    /// Such an interface exists, and is something else.
    #[error(
        "interface {name} exists and is not a plain TAP (`ip -d link show {name}`): \
         delete it or use another name"
    )]
    NotATap {
        /// The interface.
        name: String,
    },
    /// Opened, but it could not be made ready.
    #[error("cannot {what} of TAP {name}: {source}")]
    Setup {
        /// What was tried.
        what: &'static str,
        /// The interface.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// How a TAP is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapOptions {
    /// The MTU to set, in bytes; `None` leaves it as it is (a new TAP has 1500).
    pub mtu: Option<u16>,
}

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame of this many bytes is in the buffer.
    Frame(usize),
    /// Nothing to read now.
    Empty,
    /// A frame was too long for the buffer: dropped. There may be more to read.
    Oversize,
    /// The link is down. Wait for it with [`LinkWatch`](crate::LinkWatch).
    LinkDown,
    /// The interface was deleted: nothing will ever come from this descriptor again, and it is
    /// [`broken`](crate::Ready::broken) at every wait. Open it anew.
    Gone,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The kernel has the whole frame.
    Done,
    /// The kernel had no room: dropped.
    Full,
    /// The link is down: dropped.
    LinkDown,
    /// The interface was deleted: dropped. Open it anew.
    Gone,
    /// The kernel does not take such a frame (too short to be one, say): dropped.
    Refused,
}

/// What has happened on a TAP so far, every outcome by its own name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TapCounters {
    /// Frames read.
    pub rx_frames: u64,
    /// Frames longer than the buffer: dropped.
    pub rx_oversize: u64,
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
    /// Reads and writes after the interface was deleted.
    pub gone: u64,
}

/// [`TapCounters`] as two threads write them.
#[derive(Debug, Default)]
struct Tally {
    rx_frames: AtomicU64,
    rx_oversize: AtomicU64,
    rx_link_down: AtomicU64,
    rx_failed: AtomicU64,
    tx_frames: AtomicU64,
    tx_full: AtomicU64,
    tx_link_down: AtomicU64,
    tx_refused: AtomicU64,
    gone: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// An open TAP interface.
///
/// All methods take `&self`, and a frame is one system call, which the kernel does not tear: two
/// threads may share a TAP by `Arc`. Each frame is read by one of them.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
    /// Any socket: the handle for the interface's settings, in the namespace it was opened in.
    control: OwnedFd,
    name: String,
    index: u32,
    mtu: usize,
    tally: Tally,
}

impl Tap {
    /// Opens the TAP `name`, creating it if there is none, and brings it up.
    ///
    /// A TAP created here vanishes when it is closed, and its kernel side is kept from talking
    /// IPv6 (router solicitations, MLD) by itself; one that exists already (`ip tuntap add`) is
    /// left as its administrator made it, but for the MTU if `options` has one.
    ///
    /// # Errors
    /// Each says what to do: see [`TapError`].
    pub fn open(name: &str, options: TapOptions) -> Result<Tap, TapError> {
        check_name(name)?;
        let setup = |what| {
            let name = name.to_owned();
            move |source: io::Error| TapError::Setup { what, name, source }
        };
        let flags = SocketFlags::CLOEXEC;
        let control = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)
            .map_err(|errno| setup("open the control socket")(errno.into()))?;
        let existed = name_to_index(&control, name).is_ok();
        let iface =
            Iface::without_packet_info(name, Mode::Tap).map_err(|error| explain(name, error))?;
        let fd = with_offload_headers(name, sys::into_owned_fd(iface), existed)
            .map_err(|error| explain(name, error))?;
        rustix::io::ioctl_fionbio(&fd, true)
            .map_err(|errno| setup("set the non-blocking mode")(errno.into()))?;
        sys::clear_offload(fd.as_fd()).map_err(setup("clear the offload settings"))?;
        if !existed {
            hush_ipv6(name);
        }
        let control_fd = control.as_fd();
        if let Some(mtu) = options.mtu {
            set_mtu(control_fd, name, mtu.into()).map_err(setup("set the MTU"))?;
        }
        bring_up(control_fd, name).map_err(setup("bring up the link"))?;
        let mtu = sys::interface_mtu(control_fd, name).map_err(setup("read the MTU"))?;
        let index =
            name_to_index(&control, name).map_err(|errno| setup("read the index")(errno.into()))?;
        Ok(Tap {
            fd,
            control,
            name: name.to_owned(),
            index,
            mtu: usize::try_from(mtu).unwrap_or(0),
            tally: Tally::default(),
        })
    }

    /// Reads the next frame into `buf`, which should have [`Tap::buffer_len`] bytes.
    pub fn recv(&self, buf: &mut [u8]) -> Received {
        let tally = &self.tally;
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut *buf)) {
            // The kernel cuts what does not fit, silently: a full buffer may be half a frame.
            Ok(len) if len == buf.len() => {
                count(&tally.rx_oversize);
                Received::Oversize
            }
            Ok(len) => {
                count(&tally.rx_frames);
                // The header says nothing: offload for what is received is not asked for. To read into two buffers
                // takes the kernel longer than this.
                let start = OFFLOAD_HEADER_LEN.min(len);
                buf.copy_within(start..len, 0);
                Received::Frame(len - start)
            }
            Err(Errno::AGAIN) => Received::Empty,
            Err(Errno::IO | Errno::NETDOWN) => {
                count(&tally.rx_link_down);
                Received::LinkDown
            }
            Err(Errno::BADFD | Errno::NODEV | Errno::NXIO) => {
                count(&tally.gone);
                Received::Gone
            }
            Err(errno) => {
                count(&tally.rx_failed);
                log::debug!("reading from TAP {}: {errno}", self.name);
                Received::Empty
            }
        }
    }

    /// Writes one frame. Never blocks: what the kernel does not take now is dropped.
    pub fn send(&self, frame: &[u8]) -> Sent {
        // To write from one buffer takes the kernel less than from two, and more than this.
        let mut whole = [0; OFFLOAD_HEADER_LEN + COPIED_MAX];
        let len = OFFLOAD_HEADER_LEN + frame.len();
        if let Some(room) = whole.get_mut(OFFLOAD_HEADER_LEN..len) {
            room.copy_from_slice(frame);
            return self
                .judge(rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, &whole[..len])));
        }
        let header = OffloadHeader::default().to_bytes();
        self.write(&[IoSlice::new(&header), IoSlice::new(frame)])
    }

    /// Writes one frame. If it is TCP, it may be longer than the MTU, up to 64 KiB, and need not have a checksum: the
    /// kernel cuts it into segments of at most `segment_size` bytes of payload, as late as it can, and fills in theirs.
    pub fn send_in_segments(&self, frame: &[u8], segment_size: NonZeroU16) -> Sent {
        let parts = Deferred::new(frame, segment_size).ok().and_then(|deferred| {
            let field = checksum_field(&deferred.header);
            let (head, rest) = frame.split_at_checked(field.start)?;
            Some((deferred, head, rest.get(field.len()..)?))
        });
        let Some((Deferred { header, pseudo_header }, head, rest)) = parts else {
            return self.send(frame);
        };
        let (header, checksum) = (header.to_bytes(), pseudo_header.to_be_bytes());
        self.write(&[&header[..], head, &checksum, rest].map(IoSlice::new))
    }

    fn write(&self, parts: &[IoSlice<'_>]) -> Sent {
        self.judge(rustix::io::retry_on_intr(|| rustix::io::writev(&self.fd, parts)))
    }

    fn judge(&self, written: Result<usize, Errno>) -> Sent {
        let tally = &self.tally;
        match written {
            Ok(_) => {
                count(&tally.tx_frames);
                Sent::Done
            }
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => {
                count(&tally.tx_full);
                Sent::Full
            }
            Err(Errno::IO | Errno::NETDOWN) => {
                count(&tally.tx_link_down);
                Sent::LinkDown
            }
            Err(Errno::BADFD | Errno::NODEV | Errno::NXIO) => {
                count(&tally.gone);
                Sent::Gone
            }
            Err(errno) => {
                count(&tally.tx_refused);
                log::debug!("writing to TAP {}: {errno}", self.name);
                Sent::Refused
            }
        }
    }

    /// Whether the interface is up and has a carrier. A deleted interface is down.
    pub fn link_up(&self) -> bool {
        sys::interface_carrier(self.control.as_fd(), &self.name).unwrap_or(false)
    }

    /// The name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kernel's number of the interface.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The longest IP packet, in bytes, as it was when the TAP was opened.
    pub fn mtu(&self) -> usize {
        self.mtu
    }

    /// The length for a buffer that holds every frame, and one byte to see that it did.
    pub fn buffer_len(&self) -> usize {
        OFFLOAD_HEADER_LEN + self.mtu + HEADER_LEN_MAX + 1
    }

    /// What has happened so far.
    pub fn counters(&self) -> TapCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = &self.tally;
        TapCounters {
            rx_frames: read(&tally.rx_frames),
            rx_oversize: read(&tally.rx_oversize),
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

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Attaches to a TAP anew, so that each frame has an offload header: `tun-tap` asks for none, and a descriptor is
/// attached for good. A TAP that did not exist lasts in between, and vanishes with its new descriptor.
fn with_offload_headers(name: &str, tap: OwnedFd, existed: bool) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let device = rustix::fs::open("/dev/net/tun", flags, FileMode::empty())?;
    if !existed {
        sys::set_persistent(tap.as_fd(), true)?;
    }
    drop(tap);
    if existed {
        attach(name, device.as_fd())?;
    } else {
        let attached = attach(name, device.as_fd());
        let kept = attached.and_then(|()| sys::set_persistent(device.as_fd(), false));
        kept.inspect_err(|_| log::warn!("TAP {name} stays: remove it by `ip link del {name}`"))?;
    }
    Ok(device)
}

/// Attaches as soon as nobody else is attached any more.
fn attach(name: &str, device: BorrowedFd<'_>) -> io::Result<()> {
    let give_up = Clock.now() + REATTACH_MAX;
    while let Err(error) = sys::attach_with_offload_headers(device, name) {
        // A process that another thread has forked, and that has not come to its exec yet, still has the old one.
        let lingers = Errno::from_io_error(&error) == Some(Errno::BUSY);
        if !lingers || Clock.now() > give_up {
            return Err(error);
        }
        Poller.wait(&[], Some(Clock.now() + REATTACH_EVERY))?;
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), TapError> {
    let fits = (1..libc::IFNAMSIZ).contains(&name.len()) && name != "." && name != "..";
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%');
    if fits && name.bytes().all(plain) { Ok(()) } else { Err(TapError::BadName(name.to_owned())) }
}

/// What went wrong, by the error of a call that opens `/dev/net/tun` and attaches the interface.
fn explain(name: &str, error: io::Error) -> TapError {
    let name = name.to_owned();
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => TapError::NoDriver(error),
        Some(Errno::ACCESS) => TapError::NoAccess(error),
        Some(Errno::PERM) => TapError::NotPermitted { name },
        Some(Errno::BUSY) => TapError::Busy { name },
        Some(Errno::INVAL) => TapError::NotATap { name },
        Some(_) | None => TapError::Setup { what: "open the device", name, source: error },
    }
}

/// No link-local address, no router solicitation for the kernel's side: they are noise on the
/// segment. Best effort, a kernel without IPv6 is quiet anyway; addresses set by hand still work.
fn hush_ipv6(name: &str) {
    for (knob, value) in [("addr_gen_mode", "1"), ("accept_ra", "0"), ("router_solicitations", "0")]
    {
        let path = format!("/proc/sys/net/ipv6/conf/{name}/{knob}");
        if let Err(error) = std::fs::write(&path, value) {
            log::debug!("cannot write {value} to {path}: {error}");
        }
    }
}

/// Sets the MTU unless it is right already, which needs no permission.
fn set_mtu(control: BorrowedFd<'_>, name: &str, mtu: i32) -> io::Result<()> {
    if sys::interface_mtu(control, name)? == mtu {
        return Ok(());
    }
    sys::set_interface_mtu(control, name, mtu)
}

/// Brings the interface up unless it is, which needs no permission.
fn bring_up(control: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let up = libc::IFF_UP as i16;
    let flags = sys::interface_flags(control, name)?;
    if flags & up != 0 {
        return Ok(());
    }
    sys::set_interface_flags(control, name, flags | up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_interface_can_have_are_refused() {
        let bad =
            ["", ".", "..", "a/b", "tap%d", "tap 0", "tap:0", "täp0", "tap0\0", "0123456789abcdef"];
        for name in bad {
            let error = Tap::open(name, TapOptions::default()).expect_err("refused");
            assert!(matches!(error, TapError::BadName(_)), "{name:?}: {error}");
        }
        assert!(check_name("0123456789abcde").is_ok());
    }

    #[test]
    fn each_error_of_an_open_names_its_fix() {
        let cases = [
            (Errno::NOENT, "modprobe tun"),
            (Errno::NODEV, "modprobe tun"),
            (Errno::ACCESS, "chmod 666 /dev/net/tun"),
            (Errno::PERM, "setcap cap_net_admin+ep"),
            (Errno::BUSY, "another process holds TAP tap7"),
            (Errno::INVAL, "use another name"),
            (Errno::MFILE, "open the device of TAP tap7"),
        ];
        for (errno, fix) in cases {
            let text = explain("tap7", errno.into()).to_string();
            assert!(text.contains(fix), "{errno:?}: {text}");
        }
    }
}
