//! Hostile machines: the simulator's own, in real time, behind a TAP.

use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use locum_gate::{Identity, MacMode};
use locum_lab::Namespace;
use locum_link::{Clock, Poller, Received, Tap, TapOptions, Waker};
use locum_sim::{Arsenal, Hostile, Lan};
use smoltcp::wire::EthernetAddress;

use super::nodes::TAP;
use crate::model::{Mac, Scenario};

/// Frames heard in one turn.
const HEARD_MAX: usize = 64;

/// A hostile machine at work, on a thread of its own.
#[derive(Debug)]
pub(super) struct Attacker {
    orders: Sender<Arsenal>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Attacker {
    /// Starts the machine with this number, from 1, in its namespace. It is not armed.
    pub(super) fn start(
        inside: &Namespace,
        scenario: &Scenario,
        number: u8,
        seed: u64,
    ) -> Result<Attacker> {
        let tap = inside.run(|| Ok(Tap::open(TAP, TapOptions::default())?))?;
        let mac = EthernetAddress([0x02, 0xbd, 0, 0, 0, number]);
        let hostile = Hostile::new(mac, &victims(scenario), seed ^ u64::from(number));
        let waker = Waker::new().context("a waker for a hostile machine")?;
        let (orders, inbox) = channel();
        let thread = thread::Builder::new().name("hostile".to_owned()).spawn({
            let waker = waker.clone();
            move || attack(hostile, &tap, &inbox, &waker)
        });
        Ok(Attacker { orders, waker, thread: Some(thread?) })
    }

    /// From now on it uses these weapons, and no others.
    pub(super) fn arm(&self, arsenal: Arsenal) -> Result<()> {
        self.orders.send(arsenal).ok().context("a hostile machine has stopped")?;
        self.waker.wake();
        Ok(())
    }
}

impl Drop for Attacker {
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

fn victims(scenario: &Scenario) -> Vec<Identity> {
    let mac_mode = match scenario.group.mac {
        Mac::Virtual => MacMode::Virtual,
        Mac::Own => MacMode::Own,
    };
    let lan = Lan { mac_mode, ..Lan::default() };
    let nodes = scenario.nodes.iter().map(|node| node.get_ref().id);
    nodes.map(|id| lan.node(id).identity).collect()
}

fn attack(mut hostile: Hostile, tap: &Tap, inbox: &Receiver<Arsenal>, waker: &Waker) {
    let mut buffer = vec![0; tap.buffer_len()];
    loop {
        match inbox.try_recv() {
            Ok(arsenal) => hostile.set_arsenal(Clock.now(), &arsenal),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
        for _ in 0..HEARD_MAX {
            match tap.recv(&mut buffer) {
                Received::Frame(len) => hostile.receive(buffer.get(..len).unwrap_or_default()),
                Received::Oversize => {}
                Received::Empty | Received::LinkDown | Received::Gone => break,
            }
        }
        hostile.turn(Clock.now());
        while hostile.poll_transmit(|frame| tap.send(frame)).is_some() {}
        // An error is as good as the end of a wait.
        let _ = Poller.wait(&[waker.as_fd(), tap.as_fd()], hostile.poll_deadline());
        waker.drain();
    }
}
