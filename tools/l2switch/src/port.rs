//! What is plugged into a port of the switch.

use std::os::fd::{AsFd, BorrowedFd};

use locum_link::{PacketBuffer, PacketCounters, PacketSocket, Received, Sent, Tap, TapCounters};

/// A device of the kernel that carries frames.
#[derive(Debug)]
pub(crate) enum Device {
    /// The switch is what the interface is connected to.
    Tap(Tap),
    /// The switch shares an interface with the kernel.
    Interface(PacketSocket),
}

/// What a device has counted.
#[derive(Clone, Copy, Debug, serde::Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum DeviceCounters {
    Tap(TapCounters),
    Interface(PacketCounters),
}

/// The buffers that all ports read with.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    tap: Vec<u8>,
    packet: PacketBuffer,
}

impl Buffers {
    /// Makes room for the frames of a device.
    pub(crate) fn fit(&mut self, device: &Device) {
        if let Device::Tap(tap) = device {
            let len = tap.buffer_len().max(self.tap.len());
            self.tap.resize(len, 0);
        }
    }
}

impl Device {
    /// Reads once and shows what came: no frame, one, or the segments of one.
    pub(crate) fn recv(&self, buffers: &mut Buffers, mut each: impl FnMut(&[u8])) -> Received {
        match self {
            Device::Interface(socket) => socket.recv(&mut buffers.packet, each),
            Device::Tap(tap) => {
                let received = tap.recv(&mut buffers.tap);
                if let Received::Frame(len) = received {
                    each(buffers.tap.get(..len).unwrap_or_default());
                }
                received
            }
        }
    }

    /// Sends one frame, or drops and counts it.
    pub(crate) fn send(&self, frame: &[u8]) -> Sent {
        match self {
            Device::Tap(tap) => tap.send(frame),
            Device::Interface(socket) => socket.send(frame),
        }
    }

    pub(crate) fn counters(&self) -> DeviceCounters {
        match self {
            Device::Tap(tap) => DeviceCounters::Tap(tap.counters()),
            Device::Interface(socket) => DeviceCounters::Interface(socket.counters()),
        }
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Device::Tap(tap) => tap.as_fd(),
            Device::Interface(socket) => socket.as_fd(),
        }
    }
}
