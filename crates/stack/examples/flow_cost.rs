//! What a request costs with few and with many established connections, and what it costs to restore one.
//!
//! `cargo run --release -p locum-stack --example flow_cost`
//!
//! 100 bytes in, through the whole stack and a service, 100 bytes out, timers included. "hot": always the
//! same connection; "random": any of them, so that the processor's caches miss. "log": any of them, with a
//! journal that keeps nothing: what is left is the copy of output that may have to be sent again.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures and prints"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant as Clock;

use locum_gate::FrameQueue;
use locum_stack::forge::Negotiated;
use locum_stack::log::{Entry, Journal};
use locum_stack::neighbours::introduction;
use locum_stack::service::{Event, FlowId, Outputs, RestoreError, Service, Transports};
use locum_stack::{Config, FlowImage, Limits, Stack, Tuple};
use locum_types::{Instant, LogPosition};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpCidr, IpProtocol, Ipv4Packet, Ipv4Repr,
    TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
const CLIENT_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
const PORT: u16 = 7;
const REQUEST: usize = 100;
const REQUESTS: u32 = 200_000;
const ROUNDS: usize = 3;
/// Flows restored at once.
const RESTORED: u32 = 10_000;
const FLOWS: [u32; 3] = [10, 1_000, 50_000];
/// The clock moves this much from request to request.
const STEP_US: u64 = 4;

/// Sends back what it gets; a window is never full here.
struct Mirror;

impl Service for Mirror {
    fn kind(&self) -> &'static str {
        "mirror"
    }

    fn transports(&self) -> Transports {
        Transports { tcp: true, udp: false }
    }

    fn on_event(&mut self, _now: Instant, event: Event<'_>, outputs: &mut dyn Outputs) {
        if let Event::Data { flow, bytes } = event {
            assert_eq!(outputs.send(flow, bytes), bytes.len());
        }
    }

    fn snapshot(&self, _out: &mut Vec<u8>) {}

    fn restore(&mut self, _snapshot: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

/// The client's end of one connection.
struct Client {
    tuple: Tuple,
    sequence: u32,
    ack: u32,
}

impl Client {
    fn new(index: u32) -> Self {
        let address = Ipv4Addr::from(0x0a00_0100 + (index >> 8));
        let remote = SocketAddr::new(IpAddr::V4(address), 10_000 + (index & 255) as u16);
        let local = SocketAddr::new(IpAddr::V4(SERVER), PORT);
        let (sequence, ack) = (index.wrapping_mul(77_777), index.wrapping_mul(99_991));
        Client { tuple: Tuple { remote, local }, sequence, ack }
    }

    /// The connection, before its first request.
    fn image(&self, id: u64) -> FlowImage {
        FlowImage {
            id: FlowId(id),
            tuple: self.tuple,
            negotiated: Negotiated { mss: 1460, window_scale: Some(7), sack: true },
            local_isn: self.ack.wrapping_sub(1),
            remote_isn: self.sequence.wrapping_sub(1),
            via: CLIENT_MAC.0,
            delivered: 0,
            held: Vec::new(),
            acked: 0,
            unacked: Vec::new(),
            window: 500,
            opened: true,
            paused: false,
            client_fin: false,
            finished: false,
            closing: false,
            fin_acked: false,
        }
    }

    /// The next request, which acknowledges the last answer.
    fn request(&mut self, frame: &mut Vec<u8>) {
        let IpAddr::V4(address) = self.tuple.remote.ip() else { return };
        let payload = [7; REQUEST];
        let tcp = TcpRepr {
            src_port: self.tuple.remote.port(),
            dst_port: PORT,
            control: TcpControl::Psh,
            seq_number: TcpSeqNumber(self.sequence as i32),
            ack_number: Some(TcpSeqNumber(self.ack as i32)),
            window_len: 500,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &payload,
        };
        let ip = Ipv4Repr {
            src_addr: address,
            dst_addr: SERVER,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let checksums = ChecksumCapabilities::default();
        frame.resize(14 + ip.buffer_len() + tcp.buffer_len(), 0);
        let mut ethernet = EthernetFrame::new_unchecked(&mut frame[..]);
        ethernet.set_dst_addr(SERVER_MAC);
        ethernet.set_src_addr(CLIENT_MAC);
        ethernet.set_ethertype(EthernetProtocol::Ipv4);
        let (head, body) = ethernet.payload_mut().split_at_mut(ip.buffer_len());
        ip.emit(&mut Ipv4Packet::new_unchecked(head), &checksums);
        let (source, destination) = (address.into(), SERVER.into());
        tcp.emit(&mut TcpPacket::new_unchecked(body), &source, &destination, &checksums);
        self.sequence = self.sequence.wrapping_add(REQUEST as u32);
        self.ack = self.ack.wrapping_add(REQUEST as u32);
    }
}

/// Takes entries and keeps none.
struct Blank(u64);

impl Journal for Blank {
    fn append(&mut self, _now: Instant, _time: Instant, _entry: &Entry<'_>) -> LogPosition {
        self.0 += 1;
        LogPosition(self.0)
    }
}

fn small() -> Limits {
    Limits { rx_buffer: 2048, tx_buffer: 2048, ..Limits::default() }
}

fn stack(flows: u32, limits: Limits) -> Stack<FrameQueue> {
    let limits = Limits { flows_max: flows as usize, ..limits };
    let config = Config {
        mac: SERVER_MAC,
        addresses: vec![IpCidr::new(SERVER.into(), 8)],
        gateways: Vec::new(),
        limits,
        isn_key: [1; 16],
        seed: 1,
    };
    let mut stack = Stack::new(config, FrameQueue::new(1500, 64), Instant::ZERO);
    stack.add_service(PORT, Box::new(Mirror)).expect("the port is free");
    stack
}

/// Microseconds to restore a flow, and those until its client has been told, the best of some rounds.
fn restoration(limits: &Limits, unacked: usize) -> (f64, f64) {
    let images: Vec<_> = (1..=RESTORED)
        .map(|id| FlowImage { unacked: vec![7; unacked], ..Client::new(id).image(id.into()) })
        .collect();
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        let mut stack = stack(RESTORED, limits.clone());
        introduce(&mut stack);
        let start = Clock::now();
        for image in &images {
            stack.restore(Instant::from_micros(1), image).expect("there is room");
        }
        let restored = start.elapsed().as_secs_f64();
        while stack.poll(Instant::from_micros(2)) {
            while stack.device_mut().pop_transmit(|_| ()).is_some() {}
        }
        let told = start.elapsed().as_secs_f64();
        assert_eq!(stack.status().counters.clients_nudged, u64::from(RESTORED));
        let each = |seconds: f64| seconds * 1e6 / f64::from(RESTORED);
        best = (best.0.min(each(restored)), best.1.min(each(told)));
    }
    best
}

/// Tells a stack where the clients are.
fn introduce(stack: &mut Stack<FrameQueue>) {
    for client in (0..=RESTORED).step_by(256).map(Client::new) {
        let IpAddr::V4(address) = client.tuple.remote.ip() else { return };
        let frame = introduction(SERVER_MAC, SERVER.into(), CLIENT_MAC, address.into());
        stack.device_mut().push(&frame.expect("of one family"));
        stack.poll(Instant::ZERO);
    }
}

/// Nanoseconds per request, the best of some rounds; making the requests does not count.
fn measure(
    stack: &mut Stack<FrameQueue>,
    clients: &mut [Client],
    now: &mut u64,
    mut pick: impl FnMut(usize) -> usize,
) -> f64 {
    const BATCH: usize = 32;
    let mut frames = vec![Vec::new(); BATCH];
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let mut spent = 0;
        for _ in 0..REQUESTS as usize / BATCH {
            for frame in &mut frames {
                clients[pick(clients.len())].request(frame);
            }
            let start = Clock::now();
            for frame in &frames {
                *now += STEP_US;
                stack.device_mut().push(frame);
                stack.poll(Instant::from_micros(*now));
                let mut answers = 0;
                while let Some(len) = stack.device_mut().pop_transmit(|frame| frame.len()) {
                    answers += usize::from(len >= 14 + 40 + REQUEST);
                }
                assert!(answers >= 1, "no answer");
            }
            spent += start.elapsed().as_nanos();
        }
        best = best.min(spent as f64 / f64::from(REQUESTS));
    }
    best
}

fn main() {
    println!(
        "{:>8}  {:>10} {:>7}  {:>10} {:>7}  {:>10}",
        "flows", "hot ns", "ratio", "random ns", "ratio", "log ns"
    );
    let mut base = None;
    for flows in FLOWS {
        let mut stack = stack(flows, small());
        let mut clients: Vec<_> = (0..flows).map(Client::new).collect();
        for (id, client) in (1..).zip(&clients) {
            let restored = stack.restore(Instant::from_micros(1), &client.image(id));
            restored.expect("there is room");
        }
        let mut now = 1_000;
        let hot = measure(&mut stack, &mut clients, &mut now, |len| len - 1);
        let mut rng = fastrand::Rng::with_seed(1);
        let random = measure(&mut stack, &mut clients, &mut now, |len| rng.usize(..len));
        stack.set_journal(Some(Box::new(Blank(0))));
        let log = measure(&mut stack, &mut clients, &mut now, |len| rng.usize(..len));
        let (hot_base, random_base) = *base.get_or_insert((hot, random));
        println!(
            "{flows:>8}  {hot:>10.0} {:>7.2}  {random:>10.0} {:>7.2}  {log:>10.0}",
            hot / hot_base,
            random / random_base
        );
    }
    println!("\n{:>8}  {:>8}  {:>11}  {:>11}", "buffers", "unacked", "restored µs", "and told µs");
    for limits in [small(), Limits::default()] {
        for unacked in [0, 1_000] {
            let (restored, told) = restoration(&limits, unacked);
            println!("{:>8}  {unacked:>8}  {restored:>11.2}  {told:>11.2}", limits.tx_buffer);
        }
    }
}
