//! Packet sockets (packet(7)): their address, their options, and the side data of a frame.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::raw::{c_int, c_void};

use rustix::io::Errno;

/// `ETH_P_ALL` in network byte order, as an address and a socket want it.
const EVERY_PROTOCOL: u16 = (libc::ETH_P_ALL as u16).to_be();

/// `struct virtio_net_hdr`: what is left to do for a frame, as its sender left it to the hardware.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OffloadHeader {
    pub(crate) flags: u8,
    pub(crate) gso_type: u8,
    pub(crate) header_len: u16,
    pub(crate) gso_size: u16,
    pub(crate) checksum_start: u16,
    pub(crate) checksum_offset: u16,
}

impl OffloadHeader {
    /// As the kernel wants it.
    pub(crate) fn to_bytes(self) -> [u8; OFFLOAD_HEADER_LEN] {
        let mut bytes = [self.flags, self.gso_type, 0, 0, 0, 0, 0, 0, 0, 0];
        let fields = [self.header_len, self.gso_size, self.checksum_start, self.checksum_offset];
        let numbers = fields.into_iter().flat_map(u16::to_ne_bytes);
        bytes[2..].iter_mut().zip(numbers).for_each(|(to, from)| *to = from);
        bytes
    }
}

/// The kernel writes this header (to a TAP: always, as it is opened) before each frame once `PACKET_VNET_HDR` is set, and reads one.
pub(crate) const OFFLOAD_HEADER_LEN: usize = size_of::<OffloadHeader>();

const _: () = assert!(OFFLOAD_HEADER_LEN == 10);

/// What [`receive`] says of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// What is left to do for it.
    pub(crate) offload: OffloadHeader,
    /// Its length, without the offload header; more than the buffer's if it was cut.
    pub(crate) len: usize,
    /// Whether it had a VLAN tag, which the kernel took off.
    pub(crate) tagged: bool,
}

/// Has the socket receive every frame of the interface `index`, and send to it.
pub(crate) fn bind(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    // SAFETY: an all-zero sockaddr_ll is valid.
    let mut address: libc::sockaddr_ll = unsafe { MaybeUninit::zeroed().assume_init() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = EVERY_PROTOCOL;
    address.sll_ifindex = index as c_int;
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes of an address that outlives the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) })
}

/// Has the interface receive frames for other stations, for as long as the socket is open.
pub(crate) fn set_promiscuous(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: index as c_int,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set_option(socket, libc::PACKET_ADD_MEMBERSHIP, &request)
}

/// Switches on one of the options that are a number: [`Feature`].
pub(crate) fn enable(socket: BorrowedFd<'_>, feature: Feature) -> io::Result<()> {
    let name = match feature {
        Feature::AuxiliaryData => libc::PACKET_AUXDATA,
        Feature::IgnoreOutgoing => libc::PACKET_IGNORE_OUTGOING,
        Feature::OffloadHeader => libc::PACKET_VNET_HDR,
    };
    set_option(socket, name, &1 as &c_int)
}

/// An option of a packet socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// `PACKET_AUXDATA`: tells of VLAN tags.
    AuxiliaryData,
    /// `PACKET_IGNORE_OUTGOING`: what this machine itself sends is not received.
    IgnoreOutgoing,
    /// `PACKET_VNET_HDR`: an [`OffloadHeader`] before each frame.
    OffloadHeader,
}

fn set_option<T>(socket: BorrowedFd<'_>, name: c_int, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    let value: *const c_void = std::ptr::from_ref(value).cast();
    // SAFETY: the kernel reads `len` bytes of a value that outlives the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, name, value, len) })
}

/// Frames for which the socket had no room, since the last call.
pub(crate) fn take_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    /// `struct tpacket_stats`.
    #[repr(C)]
    #[derive(Default)]
    struct Statistics {
        packets: u32,
        drops: u32,
    }
    let mut statistics = Statistics::default();
    let mut len = size_of::<Statistics>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, the size of `statistics`.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut len,
        )
    })?;
    Ok(statistics.drops)
}

/// Reads one frame and what the kernel says of it, without waiting.
pub(crate) fn receive(socket: BorrowedFd<'_>, frame: &mut [u8]) -> Result<Arrival, Errno> {
    // Room for one control message, aligned as cmsghdr wants it.
    #[repr(C, align(8))]
    struct Control([u8; 64]);
    let mut offload = OffloadHeader::default();
    let mut control = Control([0; 64]);
    let mut parts = [
        libc::iovec { iov_base: (&raw mut offload).cast(), iov_len: OFFLOAD_HEADER_LEN },
        libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() },
    ];
    // SAFETY: an all-zero msghdr is valid (musl has padding fields there).
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len() as _;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: every pointer of the message leads to a live local or to `frame`, exclusively
    // borrowed, each with its own length; any bytes are a valid OffloadHeader.
    let read = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let Ok(read) = usize::try_from(read) else {
        return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO));
    };
    let len = read.saturating_sub(OFFLOAD_HEADER_LEN);
    Ok(Arrival { offload, len, tagged: has_tag(&message) })
}

/// Whether the side data of a message, which the kernel has filled in, tells of a VLAN tag.
fn has_tag(message: &libc::msghdr) -> bool {
    // SAFETY: the kernel has set `msg_controllen` to what it wrote at `msg_control`, which is
    // live and aligned; the macros stay within it. A tpacket_auxdata may be read unaligned.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(message);
        while let Some(header) = next.as_ref() {
            let is_ours =
                header.cmsg_level == libc::SOL_PACKET && header.cmsg_type == libc::PACKET_AUXDATA;
            if is_ours {
                let data: *const libc::tpacket_auxdata = libc::CMSG_DATA(header).cast();
                return data.read_unaligned().tp_status & libc::TP_STATUS_VLAN_VALID != 0;
            }
            next = libc::CMSG_NXTHDR(message, header);
        }
        false
    }
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
