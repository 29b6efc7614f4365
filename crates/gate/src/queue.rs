//! The sans-IO seam of a node: a `phy::Device` whose far side is two bounded queues of frames.
//!
//! The embedding (daemon, simulator, test) pushes received frames in and takes transmitted ones
//! out; buffers are pooled, so a frame costs no allocation once the pool is warm.
//!
//! What is transmitted may have to wait, and then nothing is received. ARP and neighbour discovery have room of their own:
//! whoever asks whether this node lives must not wait with the rest.

use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroUsize};

use smoltcp::phy::{self, Checksum, Device, DeviceCapabilities, Medium, PacketMeta};
use smoltcp::time::Instant as SmolInstant;

use crate::frame::speaks_of_neighbours;

/// Frames each way that have room beyond the depth of a queue, if they are ARP or neighbour discovery.
const NEIGHBOUR_ROOM: usize = 64;
/// Ethernet header, and one VLAN tag that a trunk port may leave on.
const HEADER_LEN: usize = 14 + 4;
/// The longest frame that a link is asked to cut: what a kernel takes at once.
const UNCUT_LEN_MAX: NonZeroUsize = NonZeroUsize::new(u16::MAX as usize).unwrap();

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

#[derive(Debug)]
struct Queued {
    bytes: Vec<u8>,
    /// For a link that cuts TCP frames: the most payload of a segment.
    segment_size: Option<NonZeroU16>,
}

/// One direction: frames in order, and the buffers of frames that are done with.
#[derive(Debug)]
struct Lane {
    frames: VecDeque<Queued>,
    pool: Vec<Vec<u8>>,
    depth: usize,
    frame_len_max: usize,
    /// Of frames that need not be cut, for a link that cuts.
    segment_size: Option<NonZeroU16>,
}

impl Lane {
    fn new(frame_len_max: usize, depth: usize) -> Self {
        let frames_max = depth + NEIGHBOUR_ROOM;
        Lane {
            frames: VecDeque::with_capacity(frames_max),
            pool: Vec::with_capacity(frames_max),
            depth,
            frame_len_max,
            segment_size: None,
        }
    }

    fn has_room(&self) -> bool {
        self.frames.len() < self.depth
    }

    fn has_neighbour_room(&self) -> bool {
        self.frames.len() < self.depth + NEIGHBOUR_ROOM
    }

    /// Queues a frame that `fill` writes into an empty buffer.
    fn push_with<R>(
        &mut self,
        segment_size: Option<NonZeroU16>,
        fill: impl FnOnce(&mut Vec<u8>) -> R,
    ) -> R {
        let mut bytes = self.pool.pop().unwrap_or_else(|| Vec::with_capacity(self.frame_len_max));
        let result = fill(&mut bytes);
        let segment_size = segment_size.or(self.segment_size);
        self.frames.push_back(Queued { bytes, segment_size });
        result
    }

    fn push(&mut self, frame: &[u8]) {
        self.push_with(None, |buffer| buffer.extend_from_slice(frame));
    }

    /// Takes the frame at `index`, shows it to `look`, and recycles it.
    fn take<R>(
        &mut self,
        index: usize,
        look: impl FnOnce(&mut [u8], Option<NonZeroU16>) -> R,
    ) -> Option<R> {
        let Queued { mut bytes, segment_size } = self.frames.remove(index)?;
        let result = look(&mut bytes, segment_size);
        recycle(&mut self.pool, bytes);
        Some(result)
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

    /// For a link that cuts TCP frames longer than the MTU, and fills in the checksums of TCP: see
    /// [`FrameQueue::pop_transmit_uncut`]. One 64 KiB frame costs little more than one of 1500 bytes. Over IPv6 none
    /// is longer: smoltcp would take it for one that it must fragment, and drop it.
    #[must_use]
    pub fn with_segmentation(mut self) -> Self {
        self.capabilities.segmentation.tcpv4 = Some(UNCUT_LEN_MAX);
        self.capabilities.checksum.tcp = Checksum::Rx;
        self.tx.segment_size = Some(NonZeroU16::MAX);
        self
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
        self.rx.push(frame);
        true
    }

    /// Queues a frame for transmission as if the stack had sent it; false if the queue was full.
    pub fn push_transmit(&mut self, frame: &[u8]) -> bool {
        if self.tx_has_no_room() {
            return false;
        }
        self.tx.push(frame);
        true
    }

    /// Takes the oldest frame to transmit, shows it to `send`, and recycles it.
    pub fn pop_transmit<R>(&mut self, send: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.pop_transmit_mut(|frame| send(frame))
    }

    /// As [`FrameQueue::pop_transmit`], for a sender that changes the frame on its way out.
    pub fn pop_transmit_mut<R>(&mut self, send: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        self.tx.take(0, |frame, _| send(frame))
    }

    /// As [`FrameQueue::pop_transmit`], for a queue [`with_segmentation`](FrameQueue::with_segmentation): if it is a
    /// TCP frame, its checksum is to be filled in, and its segments may have so much payload.
    pub fn pop_transmit_uncut<R>(
        &mut self,
        send: impl FnOnce(&[u8], Option<NonZeroU16>) -> R,
    ) -> Option<R> {
        self.tx.take(0, |frame, segment_size| send(frame, segment_size))
    }

    /// Takes the oldest frame to transmit that is `wanted`, and leaves those before it where they are.
    pub fn pop_transmit_where<R>(
        &mut self,
        wanted: impl Fn(&[u8]) -> bool,
        send: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<R> {
        let index = self.tx.frames.iter().position(|frame| wanted(&frame.bytes))?;
        self.tx.take(index, |frame, _| send(frame))
    }

    /// Takes the oldest frame received, shows it to `look`, and recycles it: the stack will not see it.
    pub fn pop_received<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.rx.take(0, |frame, _| look(frame))
    }

    /// Forgets every queued frame, both ways: after a pause they are history.
    pub fn clear(&mut self) {
        self.counters.rx_cleared += self.rx.frames.len() as u64;
        self.counters.tx_cleared += self.tx.frames.len() as u64;
        for lane in [&mut self.rx, &mut self.tx] {
            while lane.take(0, |_, _| ()).is_some() {}
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
        let is_asked = || self.rx.frames.iter().any(|frame| speaks_of_neighbours(&frame.bytes));
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
            return self.rx.frames.pop_front().map(|frame| frame.bytes);
        }
        let is_asking = |frame: &Queued| speaks_of_neighbours(&frame.bytes);
        let index = self.rx.frames.iter().position(is_asking)?;
        self.counters.rx_overtook += u64::from(index != 0);
        self.rx.frames.remove(index).map(|frame| frame.bytes)
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
        Some((RxToken { buffer, pool: &mut self.rx.pool }, TxToken::new(&mut self.tx)))
    }

    fn transmit(&mut self, _now: SmolInstant) -> Option<TxToken<'_>> {
        if self.tx_has_no_room() {
            return None;
        }
        Some(TxToken::new(&mut self.tx))
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
    segment_size: Option<NonZeroU16>,
}

impl<'a> TxToken<'a> {
    fn new(lane: &'a mut Lane) -> Self {
        TxToken { lane, segment_size: None }
    }
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.lane.push_with(self.segment_size, |buffer| {
            buffer.resize(len, 0);
            f(buffer)
        })
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.segment_size = meta.segmentation_offload_size;
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

    #[test]
    fn a_frame_that_is_to_be_cut_says_into_what() {
        let mut queue = FrameQueue::new(1500, 4).with_segmentation();
        assert!(queue.push_transmit(&[1; 60]));
        let mut long = queue.transmit(SmolInstant::ZERO).expect("room");
        let mut meta = PacketMeta::default();
        meta.segmentation_offload_size = NonZeroU16::new(1460);
        long.set_meta(meta);
        long.consume(9_000, |frame| frame.fill(2));
        let mut next = || queue.pop_transmit_uncut(|frame, size| (frame.len(), size));
        assert_eq!(next(), Some((60, Some(NonZeroU16::MAX))));
        assert_eq!(next(), Some((9_000, NonZeroU16::new(1460))));
    }
}
