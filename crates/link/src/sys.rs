//! The only `unsafe` of Locum: the few system calls that rustix does not wrap.
//!
//! Each function here is safe to call with any arguments and does one call; whoever needs meaning
//! (names, fixes, counters) is elsewhere.

#![allow(unsafe_code)]

mod lifeline;
pub(crate) mod packet;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::raw::{c_int, c_ulong};

use rustix::process::{Pid, Signal};

pub(crate) use self::lifeline::{Cut, Lifeline};

/// The descriptor of a `tun-tap` interface, as one that closes itself.
pub(crate) fn into_owned_fd(iface: tun_tap::Iface) -> OwnedFd {
    // SAFETY: `into_raw_fd` gives up the only owner of an open descriptor; we become the owner.
    unsafe { OwnedFd::from_raw_fd(iface.into_raw_fd()) }
}

/// `struct ifreq`: an interface name and a union, here as bytes.
#[repr(C, align(8))]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    payload: [u8; 24],
}

const _: () = assert!(size_of::<InterfaceRequest>() >= size_of::<libc::ifreq>());

impl InterfaceRequest {
    fn new(name: &str, payload: &[u8]) -> Self {
        let mut request = InterfaceRequest { name: [0; libc::IFNAMSIZ], payload: [0; 24] };
        // The last byte stays 0: the kernel wants a terminated string.
        let room = &mut request.name[..libc::IFNAMSIZ - 1];
        room.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        request.payload.iter_mut().zip(payload).for_each(|(to, from)| *to = *from);
        request
    }

    /// The first `N` bytes of the union.
    fn head<const N: usize>(&self) -> [u8; N] {
        std::array::from_fn(|i| self.payload.get(i).copied().unwrap_or(0))
    }

    fn call(&mut self, control: BorrowedFd<'_>, code: c_ulong) -> io::Result<()> {
        // SAFETY: all callers pass TUNSETIFF or a code of the SIOC*IF* family (or SIOCETHTOOL, whose
        // payload is a live pointer), which reads and writes one `struct ifreq`; `self` is one and is
        // exclusively borrowed. `code as _`: glibc takes c_ulong here, musl c_int.
        let result = unsafe { libc::ioctl(control.as_raw_fd(), code as _, &raw mut *self) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// The flags of an interface (`IFF_UP`, ...), by `SIOCGIFFLAGS`.
pub(crate) fn interface_flags(control: BorrowedFd<'_>, name: &str) -> io::Result<i16> {
    let mut request = InterfaceRequest::new(name, &[]);
    request.call(control, libc::SIOCGIFFLAGS)?;
    Ok(i16::from_ne_bytes(request.head()))
}

/// Sets the flags of an interface, by `SIOCSIFFLAGS`.
pub(crate) fn set_interface_flags(
    control: BorrowedFd<'_>,
    name: &str,
    flags: i16,
) -> io::Result<()> {
    InterfaceRequest::new(name, &flags.to_ne_bytes()).call(control, libc::SIOCSIFFLAGS)
}

/// The MTU of an interface, by `SIOCGIFMTU`.
pub(crate) fn interface_mtu(control: BorrowedFd<'_>, name: &str) -> io::Result<i32> {
    let mut request = InterfaceRequest::new(name, &[]);
    request.call(control, libc::SIOCGIFMTU)?;
    Ok(i32::from_ne_bytes(request.head()))
}

/// Sets the MTU of an interface, by `SIOCSIFMTU`.
pub(crate) fn set_interface_mtu(control: BorrowedFd<'_>, name: &str, mtu: i32) -> io::Result<()> {
    InterfaceRequest::new(name, &mtu.to_ne_bytes()).call(control, libc::SIOCSIFMTU)
}

/// Whether an interface runs and has a carrier, by `ETHTOOL_GLINK`.
///
/// `IFF_RUNNING` would say the same up to a second later: it follows the kernel's link watch.
pub(crate) fn interface_carrier(control: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    const ETHTOOL_GLINK: u32 = 0x0a;
    const SIOCETHTOOL: c_ulong = 0x8946;
    /// `struct ethtool_value`: the command, and the kernel's answer.
    #[repr(C)]
    struct EthtoolValue {
        cmd: u32,
        data: u32,
    }
    let mut value = EthtoolValue { cmd: ETHTOOL_GLINK, data: 0 };
    let address = (&raw mut value).expose_provenance();
    InterfaceRequest::new(name, &address.to_ne_bytes()).call(control, SIOCETHTOOL)?;
    // SAFETY: `value` is a live, initialised local; the volatile read is there because the kernel
    // wrote to it behind the compiler's back.
    Ok(unsafe { (&raw const value.data).read_volatile() } != 0)
}

/// Attaches `device`, an open `/dev/net/tun`, to the TAP `name`, with an offload header before each frame.
pub(crate) fn attach_with_offload_headers(device: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as i16;
    InterfaceRequest::new(name, &flags.to_ne_bytes()).call(device, libc::TUNSETIFF as c_ulong)?;
    // A TAP that exists has those of its former owner, who may have asked for longer ones.
    let len = packet::OFFLOAD_HEADER_LEN as c_int;
    // SAFETY: TUNSETVNETHDRSZ reads one int, which outlives the call.
    let result =
        unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETVNETHDRSZ as _, &raw const len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Says whether a TAP outlives its descriptors.
pub(crate) fn set_persistent(tap: BorrowedFd<'_>, persistent: bool) -> io::Result<()> {
    let value = c_ulong::from(persistent);
    // SAFETY: TUNSETPERSIST takes its argument by value and touches no memory of ours.
    let result = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETPERSIST as _, value) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes back all checksum and segmentation offload that a former owner of a TAP asked for.
pub(crate) fn clear_offload(tap: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value and touches no memory of ours.
    let result = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETOFFLOAD as _, 0 as c_ulong) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `SCHED_FIFO` for the calling thread alone; what it forks starts with `SCHED_OTHER` again.
pub(crate) fn set_fifo(priority: c_int) -> io::Result<()> {
    // SAFETY: an all-zero sched_param is valid (musl has padding fields there).
    let mut param: libc::sched_param = unsafe { MaybeUninit::zeroed().assume_init() };
    param.sched_priority = priority;
    // The system call itself, as musl's wrapper refuses.
    // SAFETY: the kernel reads one sched_param, which outlives the call; 0 is the calling thread.
    let result = unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            0 as c_int,
            libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK,
            &raw const param,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The priority of the calling thread, if it runs with `SCHED_FIFO`.
pub(crate) fn fifo_priority() -> Option<c_int> {
    let mut param: MaybeUninit<libc::sched_param> = MaybeUninit::zeroed();
    // SAFETY: 0 is the calling thread; the kernel writes one sched_param, which outlives the call
    // and is all zeros, a valid value, even if it does not.
    let (policy, param) = unsafe {
        let policy = libc::syscall(libc::SYS_sched_getscheduler, 0 as c_int);
        libc::syscall(libc::SYS_sched_getparam, 0 as c_int, param.as_mut_ptr());
        (policy, param.assume_init())
    };
    // The kernel reports the flag with the policy.
    let policy = policy as c_int & !libc::SCHED_RESET_ON_FORK;
    (policy == libc::SCHED_FIFO).then_some(param.sched_priority)
}

/// Which side of a fork this is.
pub(crate) enum Forked {
    /// The new process.
    Child,
    /// The old process, and the new one's id.
    Parent(Pid),
}

/// `fork(2)`, refused in a process with more than one thread.
pub(crate) fn fork() -> io::Result<Forked> {
    // Other threads would be gone in the child, with the locks that they hold. Nobody else can
    // start a thread between this look and the fork, as nobody else exists.
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        let message = format!("cannot fork a process that has {threads} threads");
        return Err(io::Error::other(message));
    }
    // SAFETY: the process has one thread, so the child is a complete copy and may do anything.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        raw => Pid::from_raw(raw)
            .map(Forked::Parent)
            .ok_or_else(|| io::Error::other("fork returned a bad process id")),
    }
}

/// A set of signals.
pub(crate) struct SignalSet(libc::sigset_t);

impl SignalSet {
    pub(crate) fn new(signals: &[Signal]) -> SignalSet {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the whole set; sigaddset gets an initialised set, and
        // refuses numbers that are no signals.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
            }
            SignalSet(set.assume_init())
        }
    }

    /// Blocks these signals in the calling thread; the set that was blocked before.
    pub(crate) fn block(&self) -> io::Result<SignalSet> {
        self.mask(libc::SIG_BLOCK)
    }

    /// Makes this the set of blocked signals of the calling thread.
    pub(crate) fn restore(&self) -> io::Result<()> {
        self.mask(libc::SIG_SETMASK).map(drop)
    }

    fn mask(&self, how: c_int) -> io::Result<SignalSet> {
        let mut before = MaybeUninit::uninit();
        // SAFETY: both sets outlive the call; on success the kernel has filled in the second.
        unsafe {
            match libc::pthread_sigmask(how, &raw const self.0, before.as_mut_ptr()) {
                0 => Ok(SignalSet(before.assume_init())),
                errno => Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    /// A descriptor from which these signals can be read, once they are blocked.
    pub(crate) fn open_fd(&self) -> io::Result<OwnedFd> {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set outlives the call; -1 asks for a new descriptor, which we then own.
        unsafe {
            match libc::signalfd(-1, &raw const self.0, flags) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(OwnedFd::from_raw_fd(fd)),
            }
        }
    }
}
