//! The side of a host that its stack sees: a device of IP packets, without a link layer.

use std::collections::VecDeque;

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant as SmolInstant;

use crate::neighbour::HEADER_LEN;

/// A `phy::Device` with one packet in, and a bounded queue of packets out.
///
/// Packets on their way out lie in buffers with room for an Ethernet header in front, so that the
/// neighbour table has nothing to copy. The buffers are used again.
#[derive(Debug)]
pub(super) struct Packets {
    received: Vec<u8>,
    sent: VecDeque<Vec<u8>>,
    pool: Vec<Vec<u8>>,
    depth: usize,
    capabilities: DeviceCapabilities,
}

impl Packets {
    /// A device for packets of at most `mtu` bytes, which holds at most `depth` on their way out.
    pub(super) fn new(mtu: usize, depth: usize) -> Self {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = mtu;
        Packets {
            received: Vec::with_capacity(mtu),
            sent: VecDeque::with_capacity(depth),
            pool: Vec::with_capacity(depth),
            depth,
            capabilities,
        }
    }

    /// Lays a packet before the stack, in place of one that it has not looked at.
    pub(super) fn lay(&mut self, packet: &[u8]) {
        self.received.clear();
        self.received.extend_from_slice(packet);
    }

    /// The oldest packet that the stack sent, with room for an Ethernet header in front.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.sent.pop_front()
    }

    /// Takes back a buffer that is done with.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.pool.len() < self.depth {
            buffer.clear();
            self.pool.push(buffer);
        }
    }
}

impl Device for Packets {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _now: SmolInstant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        if self.received.is_empty() || self.sent.len() == self.depth {
            return None;
        }
        let tx = TxToken { sent: &mut self.sent, pool: &mut self.pool };
        Some((RxToken { received: &mut self.received }, tx))
    }

    fn transmit(&mut self, _now: SmolInstant) -> Option<TxToken<'_>> {
        let room = self.sent.len() < self.depth;
        room.then_some(TxToken { sent: &mut self.sent, pool: &mut self.pool })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

/// The received packet.
pub(super) struct RxToken<'a> {
    received: &'a mut Vec<u8>,
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(self.received);
        self.received.clear();
        result
    }
}

/// Room for one packet to send.
pub(super) struct TxToken<'a> {
    sent: &'a mut VecDeque<Vec<u8>>,
    pool: &'a mut Vec<Vec<u8>>,
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut buffer = self.pool.pop().unwrap_or_default();
        buffer.resize(HEADER_LEN + len, 0);
        let result = f(&mut buffer[HEADER_LEN..]);
        self.sent.push_back(buffer);
        result
    }
}
