//! Learning that something about a link changed, without asking all the time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// Messages read in one [`LinkWatch::drain`]; what is left keeps the descriptor readable.
const DRAIN_MAX: usize = 64;
const HEADER_LEN: usize = 16;

/// A netlink subscription to changes of some interfaces: up, down, carrier, MTU, deleted.
///
/// It says *that*, not *what*: ask [`Tap::link_up`](crate::Tap::link_up) after each change. So a
/// lost or a forged message costs a look at the flags, never a wrong belief. The kernel may tell of
/// a carrier that came back up to a second late; up and down it tells at once.
#[derive(Debug)]
pub struct LinkWatch {
    socket: OwnedFd,
    indices: Vec<u32>,
}

impl LinkWatch {
    /// Subscribes to changes of the interfaces with these indices, in the current namespace.
    ///
    /// # Errors
    /// What the kernel says to a netlink socket: out of descriptors, or a sandbox without netlink.
    pub fn new(indices: &[u32]) -> io::Result<LinkWatch> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, libc::RTMGRP_LINK as u32))?;
        Ok(LinkWatch { socket, indices: indices.to_vec() })
    }

    /// Reads what has been announced; true if it was, or may have been, about a watched interface.
    pub fn drain(&self) -> bool {
        let mut changed = false;
        let mut buf = [0; 8192];
        for _ in 0..DRAIN_MAX {
            match recv(&self.socket, &mut buf[..], RecvFlags::empty()) {
                Ok((_, len)) => {
                    changed |= concerns(buf.get(..len).unwrap_or(&buf), &self.indices);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                // Messages were lost (ENOBUFS) or worse: whatever it was, look at the flags.
                Err(_) => return true,
            }
        }
        changed
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether a datagram of `nlmsghdr`s holds an `RTM_NEWLINK` or `RTM_DELLINK` about these indices.
fn concerns(mut datagram: &[u8], indices: &[u32]) -> bool {
    while let Some((len, kind)) = header(datagram) {
        let is_link = kind == libc::RTM_NEWLINK || kind == libc::RTM_DELLINK;
        // struct ifinfomsg: family u8, padding u8, type u16, index i32, ...
        if is_link && field(datagram, HEADER_LEN + 4).is_some_and(|i| indices.contains(&i)) {
            return true;
        }
        // Messages are aligned to 4 bytes; a length below the header's would never end.
        let step = len.max(HEADER_LEN).next_multiple_of(4);
        datagram = datagram.get(step..).unwrap_or(&[]);
    }
    false
}

/// The length and the type in a `struct nlmsghdr`.
fn header(message: &[u8]) -> Option<(usize, u16)> {
    let len = field(message, 0)?;
    let kind = message.get(4..6)?.try_into().ok().map(u16::from_ne_bytes)?;
    Some((usize::try_from(len).ok()?, kind))
}

fn field(message: &[u8], at: usize) -> Option<u32> {
    let bytes = message.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, index: u32, len: u32) -> Vec<u8> {
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([0; 4]);
        bytes.extend(index.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes
    }

    #[test]
    fn only_link_messages_of_watched_interfaces_concern_us() {
        assert!(concerns(&message(libc::RTM_NEWLINK, 7, 32), &[3, 7]));
        assert!(concerns(&message(libc::RTM_DELLINK, 7, 32), &[7]));
        assert!(!concerns(&message(libc::RTM_NEWLINK, 8, 32), &[3, 7]));
        assert!(!concerns(&message(libc::RTM_NEWADDR, 7, 32), &[7]));
        let both = [message(libc::RTM_NEWLINK, 8, 32), message(libc::RTM_NEWLINK, 7, 32)].concat();
        assert!(concerns(&both, &[7]));
    }

    #[test]
    fn hostile_lengths_end_the_walk() {
        for len in [0, 1, 15, 33, u32::MAX - 2, u32::MAX] {
            let mut bytes = message(libc::RTM_NEWADDR, 9, len);
            for cut in 0..bytes.len() {
                assert!(!concerns(&bytes[..cut], &[7]));
            }
            bytes.truncate(5);
            assert!(!concerns(&bytes, &[0]));
        }
    }

    #[test]
    fn a_new_watch_has_nothing_to_say() {
        let watch = LinkWatch::new(&[u32::MAX]).expect("a netlink socket");
        assert!(!watch.drain());
    }
}
