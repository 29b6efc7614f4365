//! A switch in user space, for what a kernel bridge cannot do: bad cables, and cuts of one direction.
//!
//! It is the simulator's own switch ([`Segment`]) in real time. Each of its ports is a TAP, behind
//! which a bridge of two ports leads to the cable.

use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use locum_lab::Namespace;
use locum_link::segment::impair::Impairment;
use locum_link::segment::rule::Direction;
use locum_link::segment::{Config, PortId, Segment};
use locum_link::{Clock, Received, Tap, TapOptions, Waker, sched};
use locum_types::Instant;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A switch is hardware, and goes before every thread of a node.
const PRIORITY: u8 = 60;

/// How late the kernel may end a wait.
const TIMER_SLACK: Duration = Duration::from_micros(5);

/// Frames read from one port before the others have their turn.
const BURST: usize = 64;

/// A running switch.
#[derive(Debug)]
pub(super) struct Switch {
    orders: Sender<Order>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// What a switch is told to do, by the number of the port.
#[derive(Debug)]
pub(super) enum Order {
    /// Whether a cable is cut in one direction.
    Cut { port: usize, direction: Direction, cut: bool },
    /// What a cable does to frames in one direction.
    Impair { port: usize, direction: Direction, impairment: Impairment, seed: u64 },
}

impl Switch {
    /// Starts a switch whose ports are these TAPs of the namespace.
    pub(super) fn start(lan: &Namespace, ageing: Duration, taps: &[String]) -> Result<Switch> {
        let open = |name: &String| -> Result<Tap> { Ok(Tap::open(name, TapOptions::default())?) };
        let taps: Vec<Tap> = lan.run(|| taps.iter().map(open).collect())?;
        let waker = Waker::new().context("a waker for a switch")?;
        let (orders, inbox) = channel();
        let thread = thread::Builder::new().name("switch".to_owned()).spawn({
            let waker = waker.clone();
            move || Running::new(taps, ageing, inbox, waker).run()
        });
        let thread = Some(thread?);
        Ok(Switch { orders, waker, thread })
    }

    /// Has an order carried out.
    pub(super) fn order(&self, order: Order) -> Result<()> {
        self.orders.send(order).ok().context("a switch has stopped")?;
        self.waker.wake();
        Ok(())
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // Nobody gives orders any more: that is the order to stop.
        drop(std::mem::replace(&mut self.orders, channel().0));
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A panic was told by the thread itself.
            let _ = thread.join();
        }
    }
}

/// The switch as its thread has it.
struct Running {
    segment: Segment,
    ports: Vec<(Tap, PortId)>,
    inbox: Receiver<Order>,
    waker: Waker,
}

impl Running {
    fn new(taps: Vec<Tap>, ageing: Duration, inbox: Receiver<Order>, waker: Waker) -> Running {
        let mut segment = Segment::new(Config { ageing, ..Config::default() });
        let ports = taps.into_iter().map(|tap| (tap, segment.add_port())).collect();
        Running { segment, ports, inbox, waker }
    }

    fn run(mut self) {
        // Without the permission it forwards as well, but later on a busy machine.
        let _ = sched::realtime(PRIORITY);
        let _ = sched::timer_slack(TIMER_SLACK);
        let len = self.ports.iter().map(|(tap, _)| tap.buffer_len()).max().unwrap_or_default();
        let mut buffer = vec![0; len];
        while self.obey() {
            self.receive(&mut buffer);
            self.segment.poll(Clock.now());
            self.transmit();
            self.wait();
        }
    }

    /// False when there is nobody to obey any more.
    fn obey(&mut self) -> bool {
        use std::sync::mpsc::TryRecvError;
        loop {
            match self.inbox.try_recv() {
                Ok(order) => self.carry_out(order),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        let port = |port: usize| self.ports.get(port).map(|&(_, id)| id);
        match order {
            Order::Cut { port: number, direction, cut } => {
                if let Some(id) = port(number) {
                    self.segment.set_cut(id, direction, cut);
                }
            }
            Order::Impair { port: number, direction, impairment, seed } => {
                if let Some(id) = port(number) {
                    self.segment.set_impairment(id, direction, impairment, seed);
                }
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        for (tap, port) in &self.ports {
            for _ in 0..BURST {
                match tap.recv(buffer) {
                    Received::Frame(len) => {
                        self.segment.send(
                            Clock.now(),
                            *port,
                            buffer.get(..len).unwrap_or_default(),
                        );
                    }
                    Received::Oversize => {}
                    Received::Empty | Received::LinkDown | Received::Gone => break,
                }
            }
        }
    }

    fn transmit(&mut self) {
        for (tap, port) in &self.ports {
            while self.segment.recv(*port, |frame| tap.send(frame)).is_some() {}
        }
    }

    fn wait(&self) {
        let taps = self.ports.iter().map(|(tap, _)| tap.as_fd());
        let fds = taps.chain([self.waker.as_fd()]);
        let mut fds: Vec<PollFd<'_>> =
            fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let left = |at: Instant| Timespec::try_from(at.saturating_since(Clock.now())).ok();
        let limit = self.segment.next_delivery().and_then(left);
        // Interrupted is as good as over.
        let _ = poll(&mut fds, limit.as_ref());
        self.waker.drain();
    }
}
