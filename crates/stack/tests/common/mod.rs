//! A stack, a client with smoltcp of its own, and a wire between them; time is virtual.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "tests")]

pub mod client;
pub mod cut;
pub mod raw;
pub mod script;

use std::time::Duration;

use locum_gate::FrameQueue;
use locum_stack::{Config, Limits, Stack};
use locum_types::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use client::Client;
use script::{Handle, script};

pub const SERVER_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
pub const CLIENT_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
pub const SERVER: IpAddress = IpAddress::v4(10, 0, 0, 1);
pub const SERVER_V6: IpAddress = IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1);
pub const CLIENT: IpAddress = IpAddress::v4(10, 0, 0, 2);
pub const CLIENT_V6: IpAddress = IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2);
pub const GATEWAY: IpAddress = IpAddress::v4(10, 0, 0, 254);
pub const PORT: u16 = 7;
/// Frames each way that fit between two polls.
const DEPTH: usize = 1_024;
const STEP: Duration = Duration::from_millis(1);

pub fn config(limits: Limits) -> Config {
    Config {
        mac: SERVER_MAC,
        addresses: vec![IpCidr::new(SERVER, 24), IpCidr::new(SERVER_V6, 64)],
        gateways: vec![GATEWAY],
        limits,
        isn_key: [7; 16],
        seed: 1,
    }
}

/// A stack with a scripted service on [`PORT`], started at one second.
pub fn server(config: Config) -> (Stack<FrameQueue>, Handle) {
    server_with_mtu(config, 1_500)
}

/// The same, on a link with IP packets of up to `mtu` bytes.
pub fn server_with_mtu(config: Config, mtu: usize) -> (Stack<FrameQueue>, Handle) {
    let (service, handle) = script();
    let mut stack = Stack::new(config, FrameQueue::new(mtu, DEPTH), Instant::from_millis(1_000));
    stack.add_service(PORT, Box::new(service)).unwrap();
    (stack, handle)
}

/// What a wire does to a frame.
pub type Fate = Box<dyn FnMut(&[u8]) -> bool>;

/// A stack and a client on one wire.
pub struct World {
    pub now: Instant,
    pub stack: Stack<FrameQueue>,
    pub service: Handle,
    pub client: Client,
    /// Whether a frame to the client arrives.
    pub to_client: Fate,
    /// Whether a frame to the stack arrives.
    pub to_stack: Fate,
    /// Every frame the stack sent.
    pub sent: Vec<Vec<u8>>,
}

impl World {
    pub fn new(limits: Limits) -> Self {
        let (stack, service) = server(config(limits));
        World {
            now: Instant::from_millis(1_000),
            stack,
            service,
            client: Client::new(),
            to_client: Box::new(|_| true),
            to_stack: Box::new(|_| true),
            sent: Vec::new(),
        }
    }

    /// Loses a share of the frames both ways.
    pub fn lose(&mut self, seed: u64, percent: u8) {
        let mut rng = fastrand::Rng::with_seed(seed);
        self.to_client = Box::new(move |_| rng.u8(..100) >= percent);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xff);
        self.to_stack = Box::new(move |_| rng.u8(..100) >= percent);
    }

    /// Everything that happens at this instant.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let busy = self.stack.poll(self.now);
            let mut moved = false;
            while let Some(frame) = self.stack.device_mut().pop_transmit(<[u8]>::to_vec) {
                moved = true;
                if (self.to_client)(&frame) {
                    self.client.frames.push(&frame);
                }
                self.sent.push(frame);
            }
            self.client.poll(self.now);
            while let Some(frame) = self.client.frames.pop_transmit(<[u8]>::to_vec) {
                moved = true;
                if (self.to_stack)(&frame) {
                    self.stack.device_mut().push(&frame);
                }
            }
            if !busy && !moved {
                return;
            }
        }
        panic!("the stack never comes to rest");
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.settle();
            self.now += STEP;
        }
        self.settle();
    }

    /// Runs until `done`, at most for a time.
    pub fn run_until(&mut self, time: Duration, mut done: impl FnMut(&mut World) -> bool) {
        let end = self.now + time;
        loop {
            self.settle();
            if done(self) {
                return;
            }
            assert!(self.now < end, "not done after {time:?}; {:?}", self.stack.status());
            self.now += STEP;
        }
    }
}

/// Bytes that differ from stream to stream and from place to place.
pub fn pattern(stream: u64, len: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(stream);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
