//! What the tests share: frames that nobody else sends, a socket that sees them, and `ip`.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use locum_link::{Clock, Poller};
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, RecvFlags, SocketFlags, SocketType, recv, socket_with,
};

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// IEEE 802 local experimental EtherType 1: no kernel sends it by itself.
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

/// A broadcast frame that carries `payload`.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    [&[0xff; 6][..], &[2, 0, 0, 0, 0, 7], &ETHERTYPE, payload].concat()
}

/// Runs `ip` with these words.
pub(crate) fn ip(line: &str) -> Result<String> {
    let output = Command::new("ip").args(line.split(' ')).output().context("run ip")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {line}: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sees what any interface of the namespace receives with our EtherType.
pub(crate) struct PacketSocket(OwnedFd);

impl PacketSocket {
    pub(crate) fn open() -> Result<PacketSocket> {
        let number = u32::from(u16::from_ne_bytes(ETHERTYPE));
        let protocol = RawProtocol::new(number).map(Protocol::from_raw);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(PacketSocket(socket_with(AddressFamily::PACKET, SocketType::RAW, flags, protocol)?))
    }

    /// The payload of the next frame whose payload starts with `prefix`; tests run in parallel.
    pub(crate) fn next(&self, prefix: &[u8]) -> Result<Vec<u8>> {
        let deadline = Clock.now() + PATIENCE;
        loop {
            let mut buf = [0; 2048];
            match recv(&self.0, &mut buf[..], RecvFlags::empty()) {
                Ok((_, len)) => {
                    let payload = buf.get(14..len).unwrap_or(&[]);
                    if payload.starts_with(prefix) {
                        return Ok(payload.to_vec());
                    }
                }
                Err(rustix::io::Errno::AGAIN) => {
                    ensure!(Clock.now() < deadline, "no frame that starts with {prefix:?}");
                    Poller.wait(&[self.0.as_fd()], Some(deadline))?;
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
