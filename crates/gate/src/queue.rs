//! The sans-IO seam of a node: a `phy::Device` whose far side is two bounded queues of frames.
//!
//! The embedding (daemon, simulator, test) pushes received frames in and takes transmitted ones
//! out; buffers are pooled, so a frame costs no allocation once the pool is warm.
//!
//! What is transmitted may have to wait, and then nothing is received. ARP and neighbour discovery have room of their own:
//! whoever asks whether this node lives must not wait with the rest.

use std::collections::VecDeque;

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant as SmolInstant;

use crate::frame::speaks_of_neighbours;

/// Frames each way that have room beyond the depth of a queue, if they are ARP or neighbour discovery.
const NEIGHBOUR_ROOM: usize = 64;
/// Ethernet header, and one VLAN tag that a trunk port may leave on.
const HEADER_LEN: usize = 14 + 4;

/// Frames that found no room, per direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueueCounters {
    /// Received frames dropped because the receive queue was full.
    pub rx_full: u64,
    /// Received frames dropped because they are longer than the MTU allows.
    pub rx_oversize: u64,
    /// Received frames that the stack was given before older ones, which had to wait.
    pub rx_overtook: u64,
    /// Times the stack was told that the transmit queue is full.
    pub tx_full: u64,
    /// Received frames forgotten when an activation ended.
    pub rx_cleared: u64,
    /// Frames of the stack forgotten when an activation ended.
    pub tx_cleared: u64,
}

/// Two bounded queues of Ethernet frames, seen by smoltcp as a device.
#[derive(Debug)]
pub struct FrameQueue {
    rx: Lane,
    tx: Lane,
    capabilities: DeviceCapabilities,
    counters: QueueCounters,
    neighbours_only: bool,
}

/// One direction: frames in order, and the buffers of frames that are done with.
#[derive(Debug)]
struct Lane {
    frames: VecDeque<Vec<u8>>,
    pool: Vec<Vec<u8>>,
    depth: usize,
    frame_len_max: usize,
}

impl Lane {
    fn new(frame_len_max: usize, depth: usize) -> Self {
        let frames_max = depth + NEIGHBOUR_ROOM;
        Lane {
            frames: VecDeque::with_capacity(frames_max),
            pool: Vec::with_capacity(frames_max),
            depth,
            frame_len_max,
        }
    }

    fn has_room(&self) -> bool {
        self.frames.len() < self.depth
    }

    fn has_neighbour_room(&self) -> bool {
        self.frames.len() < self.depth + NEIGHBOUR_ROOM
    }

    /// Queues a frame that `fill` writes into an empty buffer.
    fn push_with<R>(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut buffer = self.pool.pop().unwrap_or_else(|| Vec::with_capacity(self.frame_len_max));
        let result = fill(&mut buffer);
        self.frames.push_back(buffer);
        result
    }
}

fn recycle(pool: &mut Vec<Vec<u8>>, mut buffer: Vec<u8>) {
    buffer.clear();
    if pool.len() < pool.capacity() {
        pool.push(buffer);
    }
}

impl FrameQueue {
    /// Queues of at most `depth` frames each way, and a few more of neighbours, for IP packets of at most `mtu` bytes.
    pub fn new(mtu: usize, depth: usize) -> Self {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = mtu + 14;
        let frame_len_max = mtu + HEADER_LEN;
        FrameQueue {
            rx: Lane::new(frame_len_max, depth),
            tx: Lane::new(frame_len_max, depth),
            capabilities,
            counters: QueueCounters::default(),
            neighbours_only: false,
        }
    }

    /// While this is so, the stack is given ARP and neighbour discovery alone, past whatever else was received, and what
    /// it transmits may take the room that is kept for the answers.
    pub fn set_neighbours_only(&mut self, neighbours_only: bool) {
        self.neighbours_only = neighbours_only;
    }

    /// Queues a received frame; false if it was dropped, and counted, for want of room.
    pub fn push(&mut self, frame: &[u8]) -> bool {
        if frame.len() > self.rx.frame_len_max {
            self.counters.rx_oversize += 1;
            return false;
        }
        let has_room =
            self.rx.has_room() || self.rx.has_neighbour_room() && speaks_of_neighbours(frame);
        if !has_room {
            self.counters.rx_full += 1;
            return false;
        }
        self.rx.push_with(|buffer| buffer.extend_from_slice(frame));
        true
    }

    /// Queues a frame for transmission as if the stack had sent it; false if the queue was full.
    pub fn push_transmit(&mut self, frame: &[u8]) -> bool {
        if self.tx_has_no_room() {
            return false;
        }
        self.tx.push_with(|buffer| buffer.extend_from_slice(frame));
        true
    }

    /// Takes the oldest frame to transmit, shows it to `send`, and recycles it.
    pub fn pop_transmit<R>(&mut self, send: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.pop_transmit_mut(|frame| send(frame))
    }

    /// As [`FrameQueue::pop_transmit`], for a sender that changes the frame on its way out.
    pub fn pop_transmit_mut<R>(&mut self, send: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        let mut buffer = self.tx.frames.pop_front()?;
        let result = send(&mut buffer);
        recycle(&mut self.tx.pool, buffer);
        Some(result)
    }

    /// Takes the oldest frame to transmit that is `wanted`, and leaves those before it where they are.
    pub fn pop_transmit_where<R>(
        &mut self,
        wanted: impl Fn(&[u8]) -> bool,
        send: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<R> {
        let index = self.tx.frames.iter().position(|frame| wanted(frame))?;
        let mut buffer = self.tx.frames.remove(index)?;
        let result = send(&mut buffer);
        recycle(&mut self.tx.pool, buffer);
        Some(result)
    }

    /// Takes the oldest frame received, shows it to `look`, and recycles it: the stack will not see it.
    pub fn pop_received<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let buffer = self.rx.frames.pop_front()?;
        let result = look(&buffer);
        recycle(&mut self.rx.pool, buffer);
        Some(result)
    }

    /// Forgets every queued frame, both ways: after a pause they are history.
    pub fn clear(&mut self) {
        self.counters.rx_cleared += self.rx.frames.len() as u64;
        self.counters.tx_cleared += self.tx.frames.len() as u64;
        for lane in [&mut self.rx, &mut self.tx] {
            while let Some(buffer) = lane.frames.pop_front() {
                recycle(&mut lane.pool, buffer);
            }
        }
    }

    /// Received frames that the stack has not looked at yet.
    pub fn rx_len(&self) -> usize {
        self.rx.frames.len()
    }

    /// Whether the stack would be given a received frame, of neighbours at least: there is one, and room for a reply.
    pub fn is_ready(&self) -> bool {
        if self.tx.has_room() {
            return !self.rx.frames.is_empty();
        }
        let is_asked = || self.rx.frames.iter().any(|frame| speaks_of_neighbours(frame));
        self.tx.has_neighbour_room() && is_asked()
    }

    /// Whether nothing more can be transmitted before something has left, but for answers to neighbours.
    pub fn is_tx_full(&self) -> bool {
        !self.tx.has_room()
    }

    /// Frames waiting to be transmitted.
    pub fn tx_len(&self) -> usize {
        self.tx.frames.len()
    }

    /// What was dropped so far.
    pub fn counters(&self) -> QueueCounters {
        self.counters
    }

    fn tx_has_no_room(&mut self) -> bool {
        let has_room = self.tx.has_room() || self.neighbours_only && self.tx.has_neighbour_room();
        self.counters.tx_full += u64::from(!has_room);
        !has_room
    }

    fn take_received(&mut self) -> Option<Vec<u8>> {
        if !self.neighbours_only {
            return self.rx.frames.pop_front();
        }
        let index = self.rx.frames.iter().position(|frame| speaks_of_neighbours(frame))?;
        self.counters.rx_overtook += u64::from(index != 0);
        self.rx.frames.remove(index)
    }
}

impl Device for FrameQueue {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _now: SmolInstant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        // A reply needs room too: without it the frame stays queued.
        if self.rx.frames.is_empty() || self.tx_has_no_room() {
            return None;
        }
        let buffer = self.take_received()?;
        Some((RxToken { buffer, pool: &mut self.rx.pool }, TxToken { lane: &mut self.tx }))
    }

    fn transmit(&mut self, _now: SmolInstant) -> Option<TxToken<'_>> {
        if self.tx_has_no_room() {
            return None;
        }
        Some(TxToken { lane: &mut self.tx })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

/// One received frame.
#[derive(Debug)]
pub struct RxToken<'a> {
    buffer: Vec<u8>,
    pool: &'a mut Vec<Vec<u8>>,
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(&self.buffer);
        recycle(self.pool, self.buffer);
        result
    }
}

/// Room for one frame to transmit. A buffer is taken only when the token is consumed: most are not.
#[derive(Debug)]
pub struct TxToken<'a> {
    lane: &'a mut Lane,
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.lane.push_with(|buffer| {
            buffer.resize(len, 0);
            f(buffer)
        })
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
        assert_eq!((queue.rx.pool.len(), queue.tx.pool.len()), (1, 1));
    }

    #[test]
    fn a_wanted_frame_may_overtake_others() {
        let mut queue = FrameQueue::new(1500, 4);
        (0..4).for_each(|i| assert!(queue.push_transmit(&[i; 60])));
        let mut overtake = || queue.pop_transmit_where(|frame| frame[0] >= 2, |frame| frame[0]);
        assert_eq!([overtake(), overtake(), overtake()], [Some(2), Some(3), None]);
        assert_eq!(queue.pop_transmit(|frame| frame[0]), Some(0));
        assert_eq!(queue.tx_len(), 1);
    }

    /// ARP, as far as the queue looks.
    const ARP: [u8; 60] = {
        let mut frame = [0; 60];
        (frame[12], frame[13]) = (0x08, 0x06);
        frame
    };

    /// A queue in which two frames wait each way, and that has room for no more but of neighbours.
    fn full() -> FrameQueue {
        let mut queue = FrameQueue::new(1500, 2);
        for i in 1..=2 {
            assert!(queue.push(&[i; 60]) && queue.push_transmit(&[i; 60]));
        }
        assert!(!queue.push(&[3; 60]) && !queue.push_transmit(&[3; 60]) && !queue.is_ready());
        queue
    }

    #[test]
    fn neighbours_pass_what_waits_and_nothing_else_does() {
        let mut queue = full();
        assert!(queue.push(&ARP) && queue.is_ready());
        assert!(queue.receive(SmolInstant::ZERO).is_none(), "in its turn");
        queue.set_neighbours_only(true);
        let (rx, tx) = queue.receive(SmolInstant::ZERO).expect("a question");
        assert!(rx.consume(|frame| frame == ARP));
        tx.consume(60, |frame| frame.copy_from_slice(&ARP));
        assert!(queue.receive(SmolInstant::ZERO).is_none() && !queue.is_ready());
        queue.set_neighbours_only(false);
        assert!(queue.transmit(SmolInstant::ZERO).is_none(), "there is still no room");
        assert!(queue.pop_transmit_where(speaks_of_neighbours, |_| ()).is_some());
        assert_eq!(queue.counters().rx_overtook, 1);
        let sent = [(); 2].map(|()| queue.pop_transmit(|frame| frame[0]));
        let received = [(); 2].map(|()| queue.pop_received(|frame| frame[0]));
        assert_eq!((sent, received), ([Some(1), Some(2)], [Some(1), Some(2)]));
    }

    #[test]
    fn a_flood_of_questions_fills_the_room_of_neighbours_and_no_more() {
        let mut queue = full();
        assert_eq!((0..1_000).filter(|_| queue.push(&ARP)).count(), NEIGHBOUR_ROOM);
        queue.set_neighbours_only(true);
        for _ in 0..1_000 {
            if let Some((rx, tx)) = queue.receive(SmolInstant::ZERO) {
                rx.consume(|_| ());
                tx.consume(60, |frame| frame.copy_from_slice(&ARP));
            }
            queue.push(&ARP);
        }
        assert_eq!((queue.tx_len(), queue.rx_len()), (2 + NEIGHBOUR_ROOM, 2 + NEIGHBOUR_ROOM));
        assert!(!queue.is_ready(), "the answers have to leave first");
    }

    #[test]
    fn a_token_that_is_not_consumed_costs_no_buffer() {
        let mut queue = FrameQueue::new(1500, 4);
        for _ in 0..10 {
            assert!(queue.push(&[0; 60]));
            let (rx, _unused) = queue.receive(SmolInstant::ZERO).expect("a frame is queued");
            rx.consume(|_| ());
        }
        assert_eq!((queue.rx.pool.len(), queue.tx.pool.len()), (1, 0));
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
        let expected =
            QueueCounters { rx_full: 1, rx_oversize: 1, tx_full: 2, ..QueueCounters::default() };
        assert_eq!(queue.counters(), expected);
        queue.clear();
        assert_eq!((queue.rx_len(), queue.tx_len()), (0, 0));
    }
}
