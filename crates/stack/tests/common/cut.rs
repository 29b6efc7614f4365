//! A conversation whose server is cut off and goes on as another one: images are all that is left of it.

use std::collections::VecDeque;
use std::time::Duration;

use locum_gate::FrameQueue;
use locum_stack::log::{Entry, Journal};
use locum_stack::neighbours::introduction;
use locum_stack::service::{CloseReason, FlowId};
use locum_stack::{FlowImage, Limits, Stack};
use locum_types::{Instant, LogPosition};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, TcpOption, TcpPacket,
};

use super::client::Client;
use super::script::{Handle, script};
use super::{CLIENT, CLIENT_MAC, CLIENT_V6, PORT, SERVER, SERVER_MAC, SERVER_V6, config};

/// How long a frame is on its way.
pub const DELAY: Duration = Duration::from_millis(2);
/// Time does not move by less.
const STEP: Duration = Duration::from_micros(50);
/// More connections than any test has.
const IDS: u64 = 8;
const DEPTH: usize = 1_024;
const TCP_NOP: u8 = 1;

/// What a conversation is held over.
#[derive(Clone, Debug)]
pub struct Link {
    pub mtu: usize,
    pub percent_lost: u8,
    /// The client's SYN loses these options on its way.
    pub no_sack: bool,
    pub no_scale: bool,
    /// A new server knows the client's MAC, as a waiting node does that has learned it in time.
    pub introduced: bool,
    pub seed: u64,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            mtu: 1_500,
            percent_lost: 0,
            no_sack: false,
            no_scale: false,
            introduced: true,
            seed: 1,
        }
    }
}

/// Counts, and keeps nothing: it makes the stack keep output.
#[derive(Default)]
pub struct Counting(u64);

impl Journal for Counting {
    fn append(&mut self, _now: Instant, _time: Instant, _entry: &Entry<'_>) -> LogPosition {
        self.0 += 1;
        LogPosition(self.0)
    }
}

/// A server that can be cut off, its client, and the way between them.
pub struct Cut {
    pub now: Instant,
    pub service: Handle,
    pub client: Client,
    pub socket: SocketHandle,
    /// None while nobody serves.
    pub stack: Option<Stack<FrameQueue>>,
    link: Link,
    limits: Limits,
    rng: fastrand::Rng,
    to_client: VecDeque<(Instant, Vec<u8>)>,
    to_stack: VecDeque<(Instant, Vec<u8>)>,
    last_ack: Option<u32>,
}

impl Cut {
    /// Starts a connection; the client's receive buffer, and so its window scale, is `window`.
    pub fn new(link: Link, limits: Limits, start: Instant, v6: bool, window: usize) -> Self {
        let mut client = Client::on_link(link.mtu, link.seed, start);
        let socket = client.connect(if v6 { SERVER_V6 } else { SERVER }, window);
        let (_, service) = script();
        let mut cut = Cut {
            now: start,
            service,
            client,
            socket,
            stack: None,
            rng: fastrand::Rng::with_seed(link.seed),
            link,
            limits,
            to_client: VecDeque::new(),
            to_stack: VecDeque::new(),
            last_ack: None,
        };
        cut.serve();
        cut
    }

    /// The client's end.
    pub fn tcp(&mut self) -> &mut tcp::Socket<'static> {
        self.client.tcp(self.socket)
    }

    /// A server starts.
    fn serve(&mut self) {
        let frames = FrameQueue::new(self.link.mtu, DEPTH);
        let mut stack = Stack::new(config(self.limits.clone()), frames, self.now);
        stack.add_service(PORT, Box::new(self.service.again())).unwrap();
        stack.set_journal(Some(Box::new(Counting::default())));
        if self.link.introduced {
            for (ours, theirs) in [(SERVER, CLIENT), (SERVER_V6, CLIENT_V6)] {
                let frame = introduction(SERVER_MAC, ours, CLIENT_MAC, theirs).unwrap();
                stack.device_mut().push(&frame);
            }
        }
        stack.poll(self.now);
        self.stack = Some(stack);
    }

    /// The server is gone with all that it has not sent and, if `on_the_way`, with all that has not arrived.
    pub fn cut(&mut self, on_the_way: bool) -> Vec<FlowImage> {
        let mut stack = self.stack.take().unwrap();
        if on_the_way {
            self.to_client.clear();
            self.to_stack.clear();
        }
        (1..=IDS).filter_map(|id| stack.image(FlowId(id))).collect()
    }

    /// Another server goes on with what is left of the last one.
    pub fn restore(&mut self, images: &[FlowImage]) {
        self.serve();
        let stack = self.stack.as_mut().unwrap();
        for image in images {
            stack.restore(self.now, image).unwrap();
        }
        self.settle();
    }

    /// The client's FIN alone is on its way, and the frame repeats an acknowledgement. smoltcp forgets its FIN
    /// after three of those: the stack guards itself against that, this client does not.
    fn would_forget_its_fin(&mut self, frame: &[u8]) -> bool {
        let Some(segment) = segment(frame) else { return false };
        let socket = self.client.tcp(self.socket);
        let closing = [tcp::State::FinWait1, tcp::State::Closing, tcp::State::LastAck];
        let only_fin = closing.contains(&socket.state()) && socket.send_queue() == 0;
        let pure = segment.len == 0;
        let repeated = self.last_ack == segment.ack;
        self.last_ack = segment.ack;
        only_fin && pure && repeated
    }

    /// Everything that happens at this instant.
    pub fn settle(&mut self) {
        loop {
            let mut moved = false;
            while self.to_client.front().is_some_and(|(at, _)| *at <= self.now) {
                let (_, frame) = self.to_client.pop_front().unwrap();
                if !self.would_forget_its_fin(&frame) {
                    self.client.frames.push(&frame);
                }
                moved = true;
            }
            self.client.poll(self.now);
            while let Some(frame) = self.client.frames.pop_transmit(<[u8]>::to_vec) {
                let frame = self.on_its_way(frame);
                self.to_stack.extend(frame.map(|frame| (self.now + DELAY, frame)));
                moved = true;
            }
            moved |= self.settle_stack();
            if !moved {
                return;
            }
        }
    }

    fn settle_stack(&mut self) -> bool {
        let mut moved = false;
        while self.to_stack.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, frame) = self.to_stack.pop_front().unwrap();
            if let Some(stack) = &mut self.stack {
                stack.device_mut().push(&frame);
            }
            moved = true;
        }
        let Some(stack) = &mut self.stack else { return moved };
        moved |= stack.poll(self.now);
        let mut sent = Vec::new();
        while let Some(frame) = stack.device_mut().pop_transmit(<[u8]>::to_vec) {
            sent.push(frame);
        }
        moved |= !sent.is_empty();
        for frame in sent {
            let frame = self.on_its_way(frame);
            self.to_client.extend(frame.map(|frame| (self.now + DELAY, frame)));
        }
        moved
    }

    /// What becomes of a frame.
    fn on_its_way(&mut self, mut frame: Vec<u8>) -> Option<Vec<u8>> {
        let Some(segment) = segment(&frame) else { return Some(frame) };
        // Once all is said and known on one side, nobody is there for what the other repeats.
        let state = self.client.tcp(self.socket).state();
        let done = matches!(state, tcp::State::TimeWait | tcp::State::Closed)
            || self.service.notes().closed() == [CloseReason::Finished];
        assert!(done || !segment.rst, "a reset at {:?}, {state:?}: {segment:?}", self.now);
        if segment.syn {
            strip(&mut frame, &self.link);
        }
        (self.rng.u8(..100) >= self.link.percent_lost).then_some(frame)
    }

    /// Moves on to whatever happens next, at most by a millisecond.
    pub fn step(&mut self) {
        let arrivals = [self.to_client.front(), self.to_stack.front()];
        let arrival = arrivals.into_iter().flatten().map(|(at, _)| *at).min();
        let limit = self.now + Duration::from_millis(1);
        let next = arrival.map_or(limit, |at| at.min(limit));
        self.now = next.max(self.now + STEP);
        self.settle();
    }
}

/// What a test looks at in a segment.
#[derive(Clone, Copy, Debug)]
struct Segment {
    syn: bool,
    rst: bool,
    ack: Option<u32>,
    len: usize,
}

fn tcp_start(frame: &[u8]) -> Option<usize> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let (protocol, header) = match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            (ip.next_header(), usize::from(ip.header_len()))
        }
        EthernetProtocol::Ipv6 => {
            let ip = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            (ip.next_header(), ip.header_len())
        }
        EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => return None,
    };
    (protocol == IpProtocol::Tcp).then_some(14 + header)
}

fn segment(frame: &[u8]) -> Option<Segment> {
    let packet = TcpPacket::new_checked(frame.get(tcp_start(frame)?..)?).ok()?;
    Some(Segment {
        syn: packet.syn(),
        rst: packet.rst(),
        ack: packet.ack().then(|| packet.ack_number().0 as u32),
        len: packet.segment_len(),
    })
}

/// Replaces options of a SYN by nothing, as some middleboxes do.
fn strip(frame: &mut [u8], link: &Link) {
    let Some(start) = tcp_start(frame) else { return };
    let header = TcpPacket::new_unchecked(&frame[start..]).header_len();
    let mut at = start + 20;
    while at < start + usize::from(header) {
        let Ok((rest, option)) = TcpOption::parse(&frame[at..start + usize::from(header)]) else {
            return;
        };
        let len = start + usize::from(header) - at - rest.len();
        let unwanted = match option {
            TcpOption::SackPermitted => link.no_sack,
            TcpOption::WindowScale(_) => link.no_scale,
            TcpOption::EndOfList
            | TcpOption::NoOperation
            | TcpOption::MaxSegmentSize(_)
            | TcpOption::SackRange(_)
            | TcpOption::TimeStamp { .. }
            | TcpOption::Unknown { .. } => false,
        };
        if unwanted {
            frame[at..at + len].fill(TCP_NOP);
        }
        at += len;
    }
    let ethernet = EthernetFrame::new_unchecked(&frame[..]);
    let ends = match ethernet.ethertype() {
        EthernetProtocol::Ipv6 => {
            let ip = Ipv6Packet::new_unchecked(ethernet.payload());
            (ip.src_addr().into(), ip.dst_addr().into())
        }
        EthernetProtocol::Ipv4 | EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => {
            let ip = Ipv4Packet::new_unchecked(ethernet.payload());
            (ip.src_addr().into(), ip.dst_addr().into())
        }
    };
    TcpPacket::new_unchecked(&mut frame[start..]).fill_checksum(&ends.0, &ends.1);
}
