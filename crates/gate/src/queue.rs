//! The sans-IO seam of a node: a `phy::Device` whose far side is two bounded queues of frames.
//!
//! The embedding (daemon, simulator, test) pushes received frames in and takes transmitted ones out;
//! buffers are pooled, so a frame costs no allocation once the pool is warm.

use std::collections::VecDeque;

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant as SmolInstant;

/// Ethernet header, and one VLAN tag that a trunk port may leave on.
const HEADER_LEN: usize = 14 + 4;

/// Frames that found no room, per direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueueCounters {
    /// Received frames dropped because the receive queue was full.
    pub rx_full: u64,
    /// Received frames dropped because they are longer than the MTU allows.
    pub rx_oversize: u64,
    /// Times the stack was told that the transmit queue is full.
    pub tx_full: u64,
}

/// Two bounded queues of Ethernet frames, seen by smoltcp as a device.
#[derive(Debug)]
pub struct FrameQueue {
    rx: VecDeque<Vec<u8>>,
    tx: VecDeque<Vec<u8>>,
    pool: Vec<Vec<u8>>,
    depth: usize,
    frame_len_max: usize,
    capabilities: DeviceCapabilities,
    counters: QueueCounters,
}

impl FrameQueue {
    /// Queues of at most `depth` frames each way, for IP packets of at most `mtu` bytes.
    pub fn new(mtu: usize, depth: usize) -> Self {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = mtu + 14;
        FrameQueue {
            rx: VecDeque::with_capacity(depth),
            tx: VecDeque::with_capacity(depth),
            pool: Vec::with_capacity(2 * depth),
            depth,
            frame_len_max: mtu + HEADER_LEN,
            capabilities,
            counters: QueueCounters::default(),
        }
    }

    /// Queues a received frame; false if it was dropped, and counted, for want of room.
    pub fn push(&mut self, frame: &[u8]) -> bool {
        if frame.len() > self.frame_len_max {
            self.counters.rx_oversize += 1;
            return false;
        }
        if self.rx.len() == self.depth {
            self.counters.rx_full += 1;
            return false;
        }
        let mut buffer = self.take_buffer();
        buffer.extend_from_slice(frame);
        self.rx.push_back(buffer);
        true
    }

    /// Queues a frame for transmission as if the stack had sent it; false if the queue was full.
    pub fn push_transmit(&mut self, frame: &[u8]) -> bool {
        if self.tx.len() == self.depth {
            self.counters.tx_full += 1;
            return false;
        }
        let mut buffer = self.take_buffer();
        buffer.extend_from_slice(frame);
        self.tx.push_back(buffer);
        true
    }

    /// Takes the oldest frame to transmit, shows it to `send`, and recycles it.
    pub fn pop_transmit<R>(&mut self, send: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let buffer = self.tx.pop_front()?;
        let result = send(&buffer);
        self.recycle(buffer);
        Some(result)
    }

    /// Forgets every queued frame, both ways: after a pause they are history.
    pub fn clear(&mut self) {
        while let Some(buffer) = self.rx.pop_front().or_else(|| self.tx.pop_front()) {
            self.recycle(buffer);
        }
    }

    /// Received frames that the stack has not looked at yet.
    pub fn rx_len(&self) -> usize {
        self.rx.len()
    }

    /// Frames waiting to be transmitted.
    pub fn tx_len(&self) -> usize {
        self.tx.len()
    }

    /// What was dropped so far.
    pub fn counters(&self) -> QueueCounters {
        self.counters
    }

    fn take_buffer(&mut self) -> Vec<u8> {
        self.pool.pop().unwrap_or_else(|| Vec::with_capacity(self.frame_len_max))
    }

    fn recycle(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if self.pool.len() < self.pool.capacity() {
            self.pool.push(buffer);
        }
    }
}

impl Device for FrameQueue {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _now: SmolInstant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        // A reply needs room too: without it the frame stays queued.
        if self.tx.len() == self.depth {
            self.counters.tx_full += 1;
            return None;
        }
        let buffer = self.rx.pop_front()?;
        let reply = self.take_buffer();
        let FrameQueue { tx, pool, .. } = self;
        Some((RxToken { buffer, pool }, TxToken { buffer: reply, queue: tx }))
    }

    fn transmit(&mut self, _now: SmolInstant) -> Option<TxToken<'_>> {
        if self.tx.len() == self.depth {
            self.counters.tx_full += 1;
            return None;
        }
        let buffer = self.take_buffer();
        Some(TxToken { buffer, queue: &mut self.tx })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

/// One received frame.
pub struct RxToken<'a> {
    buffer: Vec<u8>,
    pool: &'a mut Vec<Vec<u8>>,
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(mut self, f: F) -> R {
        let result = f(&self.buffer);
        self.buffer.clear();
        if self.pool.len() < self.pool.capacity() {
            self.pool.push(self.buffer);
        }
        result
    }
}

/// Room for one frame to transmit.
pub struct TxToken<'a> {
    buffer: Vec<u8>,
    queue: &'a mut VecDeque<Vec<u8>>,
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, len: usize, f: F) -> R {
        self.buffer.resize(len, 0);
        let result = f(&mut self.buffer);
        self.queue.push_back(self.buffer);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::phy::{RxToken as _, TxToken as _};

    #[test]
    fn frames_pass_in_order_and_buffers_are_reused() {
        let mut queue = FrameQueue::new(1500, 4);
        for i in 0..100u8 {
            assert!(queue.push(&[i; 60]));
            let (rx, tx) = queue.receive(SmolInstant::ZERO).expect("a frame is queued");
            let first = rx.consume(|frame| frame[0]);
            tx.consume(60, |frame| frame.fill(first));
            assert_eq!(queue.pop_transmit(|frame| frame.to_vec()), Some(vec![i; 60]));
        }
        assert!(queue.pool.len() <= 8);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let mut queue = FrameQueue::new(1500, 1);
        assert!(queue.push(&[0; 60]));
        assert!(!queue.push(&[0; 60]));
        assert!(!queue.push(&[0; 1519]));
        assert!(queue.push_transmit(&[0; 60]));
        assert!(queue.transmit(SmolInstant::ZERO).is_none());
        assert!(queue.receive(SmolInstant::ZERO).is_none());
        let expected = QueueCounters { rx_full: 1, rx_oversize: 1, tx_full: 2 };
        assert_eq!(queue.counters(), expected);
        queue.clear();
        assert_eq!((queue.rx_len(), queue.tx_len()), (0, 0));
    }
}
