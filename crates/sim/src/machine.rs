//! One node's machine: its cables, its cards, its clock, its processor, and the process it runs.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use locum_appliance::{Node, NodeConfig, Port, WillFrame};
use locum_monitor::Input;
use locum_types::{Instant, Mode};

use crate::clock::MachineClock;
use crate::fabric::{Fabric, Jack};
use crate::sniff::is_tcp_of;

/// Frames that the cards hold for a process that does not read, as a TAP's queue of 500 does.
const BACKLOG_MAX: usize = 500;

/// A node's machine.
pub(crate) struct Machine {
    pub(crate) config: NodeConfig,
    pub(crate) service: Jack,
    /// The cable of a dedicated heartbeat link.
    pub(crate) heartbeat: Option<Jack>,
    pub(crate) clock: MachineClock,
    pub(crate) cpu: Cpu,
    /// Whether the machine stands still, and its clock too.
    pub(crate) suspended: bool,
    /// Whether its beats are lost, and nothing else.
    pub(crate) muted: bool,
    /// The port of its replication, whose segments are lost, both ways, and nothing else.
    pub(crate) adrift: Option<u16>,
    pub(crate) process: Option<Process>,
    backlog: VecDeque<(Port, Vec<u8>)>,
    backlog_dropped: u64,
    /// Frames given to the process that runs.
    delivered: u64,
}

/// A running or frozen process, and the will it left with its warden.
pub(crate) struct Process {
    pub(crate) node: Node,
    pub(crate) frozen: bool,
    pub(crate) will: Vec<WillFrame>,
    /// The mode it last reported.
    pub(crate) reported: Mode,
    pub(crate) stage: Stage,
    /// When it lost the processor before it could send what it has to.
    pub(crate) interrupted_at: Option<Instant>,
    /// Signals and commands for a process that does not run now.
    inputs: Vec<Input>,
    /// When it wants its next turn, in the world's time.
    deadline: Option<Instant>,
}

/// Where in its loop a process is. Times are the world's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It sleeps until a frame or a deadline.
    Asleep,
    /// It is ready, and waits for a processor.
    Ready(Instant),
    /// It lost the processor between its work and sending what came of it.
    Interrupted(Instant),
}

/// How a process gets at a processor: its turns may wait, and so may what it sends, now and then.
#[derive(Clone, Debug)]
pub(crate) struct Cpu {
    wait_max: Duration,
    rng: Rng,
}

impl Cpu {
    pub(crate) fn new(seed: u64) -> Self {
        Cpu { wait_max: Duration::ZERO, rng: Rng::with_seed(seed) }
    }

    /// How long the process waits for its turn.
    pub(crate) fn wait(&mut self) -> Duration {
        if self.wait_max.is_zero() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.rng.u64(..=self.wait_max.as_nanos() as u64))
    }

    /// How long it is interrupted in the middle of a turn; mostly not at all.
    pub(crate) fn interruption(&mut self) -> Duration {
        if self.wait_max.is_zero() || self.rng.u8(..4) != 0 { Duration::ZERO } else { self.wait() }
    }
}

impl Machine {
    pub(crate) fn new(
        config: NodeConfig,
        (service, heartbeat): (Jack, Option<Jack>),
        cpu: Cpu,
    ) -> Self {
        Machine {
            config,
            service,
            heartbeat,
            clock: MachineClock::default(),
            cpu,
            suspended: false,
            muted: false,
            adrift: None,
            process: None,
            backlog: VecDeque::new(),
            backlog_dropped: 0,
            delivered: 0,
        }
    }

    /// The cable behind one of the node's links.
    pub(crate) fn jack(&self, port: Port) -> Jack {
        match port {
            Port::Service => self.service,
            Port::Heartbeat => self.heartbeat.unwrap_or(self.service),
        }
    }

    /// The link of the beats.
    pub(crate) fn beat_port(&self) -> Port {
        if self.heartbeat.is_some() { Port::Heartbeat } else { Port::Service }
    }

    pub(crate) fn start(&mut self, node: Node) {
        self.backlog.clear();
        self.delivered = 0;
        self.process = Some(Process {
            node,
            frozen: false,
            will: Vec::new(),
            reported: Mode::Joining,
            stage: Stage::Asleep,
            interrupted_at: None,
            inputs: Vec::new(),
            deadline: None,
        });
        self.note_deadline();
    }

    /// Ends the process; its will, if there was one.
    pub(crate) fn end(&mut self) -> Option<Vec<WillFrame>> {
        self.backlog.clear();
        self.process.take().map(|process| process.will)
    }

    /// Whether there is a process that is neither stopped nor suspended.
    pub(crate) fn runs(&self) -> bool {
        !self.suspended && self.process.as_ref().is_some_and(|process| !process.frozen)
    }

    /// The machine stands still, or goes on.
    pub(crate) fn set_suspended(&mut self, world: Instant, suspended: bool) {
        self.suspended = suspended;
        self.clock.set_stopped(world, suspended);
        self.note_deadline();
    }

    /// From now on every turn of the process waits for up to `wait_max`.
    pub(crate) fn starve(&mut self, world: Instant, wait_max: Duration) {
        self.cpu.wait_max = wait_max;
        // Who is fed needs not wait any longer.
        let sooner = |at: Instant| if wait_max.is_zero() { at.min(world) } else { at };
        if let Some(process) = &mut self.process {
            process.stage = match process.stage {
                Stage::Asleep => Stage::Asleep,
                Stage::Ready(at) => Stage::Ready(sooner(at)),
                Stage::Interrupted(at) => Stage::Interrupted(sooner(at)),
            };
        }
    }

    /// Gives the process an input, or keeps it until the process runs; true if it took it at once.
    pub(crate) fn tell(&mut self, world: Instant, input: Input) -> bool {
        let local = self.clock.at(world);
        match &mut self.process {
            Some(process)
                if !process.frozen
                    && !self.suspended
                    && process.stage == Stage::Asleep
                    && process.inputs.is_empty() =>
            {
                process.node.handle(local, input);
                true
            }
            Some(process) => {
                process.inputs.push(input);
                false
            }
            None => false,
        }
    }

    /// The mode that the gate acts by, of a process that is not dead.
    pub(crate) fn mode_at(&self, world: Instant) -> Option<Mode> {
        let local = self.clock.at(world);
        self.process.as_ref().map(|process| process.node.mode_at(local))
    }

    /// When something is to be done here; never while frozen.
    pub(crate) fn next_event(&self, now: Instant) -> Option<Instant> {
        let process = self.process.as_ref().filter(|_| self.runs())?;
        match process.stage {
            Stage::Ready(at) | Stage::Interrupted(at) => Some(at),
            Stage::Asleep if !self.backlog.is_empty() || !process.inputs.is_empty() => Some(now),
            Stage::Asleep => process.deadline,
        }
    }

    /// Looks up when the process wants its next turn; after everything that may have changed it.
    pub(crate) fn note_deadline(&mut self) {
        if let Some(process) = &mut self.process {
            let deadline = process.node.poll_deadline();
            process.deadline = deadline.and_then(|(at, _)| self.clock.when(at));
        }
    }

    /// A turn is due at once: something was given to the process.
    pub(crate) fn wake(&mut self) {
        if let Some(process) = &mut self.process {
            process.deadline = Some(Instant::ZERO);
        }
    }

    /// Takes what waits at the cables: to the process if it reads, else to the backlog.
    pub(crate) fn collect(&mut self, fabric: &mut Fabric) {
        let asleep = |process: &Process| process.stage == Stage::Asleep;
        let reads =
            self.runs() && self.cpu.wait_max.is_zero() && self.process.as_ref().is_some_and(asleep);
        for port in [Port::Service, Port::Heartbeat] {
            if port == Port::Heartbeat && self.heartbeat.is_none() {
                continue;
            }
            let jack = self.jack(port);
            while fabric.recv(jack, |frame| self.keep(port, frame, reads)).is_some() {}
        }
    }

    fn keep(&mut self, port: Port, frame: &[u8], reads: bool) {
        let lost = self.adrift.is_some_and(|port| is_tcp_of(frame, port));
        match &mut self.process {
            None => {}
            Some(_) if lost => {}
            Some(process) if reads && self.backlog.is_empty() => {
                process.node.receive(port, frame);
                process.deadline = Some(Instant::ZERO);
                self.delivered += 1;
            }
            Some(_) if self.backlog.len() < BACKLOG_MAX => {
                self.backlog.push_back((port, frame.to_vec()));
            }
            // As a card does: what finds no room is lost.
            Some(_) => self.backlog_dropped += 1,
        }
    }

    /// The process reads what its cards hold, and hears what it was told meanwhile.
    pub(crate) fn read_backlog(&mut self, local: Instant) {
        let Some(process) = &mut self.process else { return };
        for input in std::mem::take(&mut process.inputs) {
            process.node.handle(local, input);
        }
        self.delivered += self.backlog.len() as u64;
        while let Some((port, frame)) = self.backlog.pop_front() {
            process.node.receive(port, &frame);
        }
    }

    /// Loses what the cards hold: the machine was restored from an image.
    pub(crate) fn lose_backlog(&mut self) {
        self.backlog_dropped += self.backlog.len() as u64;
        self.backlog.clear();
    }

    /// Frames given to the process that runs, since it started.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }
}
