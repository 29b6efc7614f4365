//! How time passes: whose turn it is, and when the next one is due.

use std::time::Duration;

use locum_appliance::{Notice, Port};
use locum_link::offload;
use locum_monitor::Event;
use locum_types::{Instant, Mode};

use super::sight::{Outlet, Sight, Station};
use super::{HostId, HostileId, NodeIndex, Plugged, World, WorldEvent, WorldEventKind};
use crate::machine::{Machine, Stage};
use crate::sniff::{beat_payload, is_tcp_of};

/// Rounds of frames and answers at one instant; more is a storm, and a bug.
const ROUNDS_MAX: usize = 10_000;

impl World {
    /// When something is due next; `None` if nothing ever is.
    pub fn next_event(&self) -> Option<Instant> {
        let now = self.now;
        let nodes = self.machines.iter().filter_map(|machine| machine.next_event(now)).min();
        let hosts = self.hosts.iter().filter_map(|plugged| plugged.deadline).min();
        let hostiles = self.hostiles.iter().filter_map(|plugged| plugged.deadline).min();
        let wills = self.wills.front().map(|&(at, _, _)| at);
        let frames = self.fabric.next_delivery();
        let next = [nodes, hosts, hostiles, wills, frames].into_iter().flatten().min();
        next.map(|at| at.max(now))
    }

    /// Lets time pass until `end`, event by event.
    pub fn run_until(&mut self, end: Instant) {
        let mut stuck = 0;
        self.step();
        while let Some(at) = self.next_event().filter(|&at| at <= end) {
            stuck = if at == self.now { stuck + 1 } else { 0 };
            assert!(stuck < ROUNDS_MAX, "the world does not come to rest at {at}");
            self.now = at;
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Moves on to the next event, which [`World::step`] is to carry out, or to `end`; true if there
    /// is one by then.
    pub fn advance(&mut self, end: Instant) -> bool {
        let next = self.next_event().filter(|&at| at <= end);
        self.now = next.unwrap_or(self.now.max(end));
        next.is_some()
    }

    /// Lets `duration` pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Lets time pass until `condition` holds, for at most `limit`; false if it never did.
    pub fn run_until_holds(
        &mut self,
        limit: Duration,
        mut condition: impl FnMut(&World) -> bool,
    ) -> bool {
        let end = self.now + limit;
        self.step();
        while !condition(self) {
            let Some(at) = self.next_event().filter(|&at| at <= end) else { return false };
            self.now = at;
            self.step();
        }
        true
    }

    /// Does everything that is due now, answers to answers included.
    pub fn step(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.round();
            if !self.fabric.has_waiting() {
                return;
            }
        }
        panic!("the world does not come to rest at {}", self.now);
    }

    /// Gives everybody one turn.
    fn round(&mut self) {
        self.fabric.poll(self.now);
        self.send_wills();
        for index in 0..self.machines.len() {
            self.machines[index].collect(&mut self.fabric);
            self.turn_machine(NodeIndex(index));
        }
        for index in 0..self.hosts.len() {
            self.turn_host(index);
        }
        for index in 0..self.hostiles.len() {
            self.turn_hostile(index);
        }
        let now = self.now;
        let active = |machine: &&Machine| machine.mode_at(now) == Some(Mode::Active);
        self.overlaps.note(now, self.machines.iter().filter(active).count());
    }

    fn turn_machine(&mut self, index: NodeIndex) {
        let now = self.now;
        let machine = &mut self.machines[index.0];
        if machine.next_event(now).is_none_or(|at| at > now) {
            return;
        }
        let wait = match machine.process.as_ref().map(|process| process.stage) {
            Some(Stage::Asleep) => machine.cpu.wait(),
            Some(Stage::Ready(_)) => Duration::ZERO,
            Some(Stage::Interrupted(_)) => {
                self.set_stage(index, Stage::Asleep);
                self.drain_node(index);
                return;
            }
            None => return,
        };
        if wait.is_zero() {
            self.set_stage(index, Stage::Asleep);
            self.work(index);
        } else {
            self.set_stage(index, Stage::Ready(now + wait));
        }
    }

    fn set_stage(&mut self, index: NodeIndex, stage: Stage) {
        if let Some(process) = &mut self.machines[index.0].process {
            process.stage = stage;
        }
    }

    /// Turns of a node until it has no more to do at once, or loses the processor.
    fn work(&mut self, index: NodeIndex) {
        let now = self.now;
        let machine = &mut self.machines[index.0];
        machine.read_backlog(machine.clock.at(now));
        for _ in 0..ROUNDS_MAX {
            let machine = &mut self.machines[index.0];
            let local = machine.clock.at(now);
            let Some(process) = &mut machine.process else { return };
            let more = process.node.turn(local);
            let interruption = machine.cpu.interruption();
            if !interruption.is_zero() {
                process.interrupted_at = Some(now);
                machine.note_deadline();
                self.set_stage(index, Stage::Interrupted(now + interruption));
                return;
            }
            self.drain_node(index);
            if !more {
                return;
            }
        }
        panic!("node {index:?} does not come to rest at {now}");
    }

    /// Takes out of a node what it has to send and to tell.
    pub(super) fn drain_node(&mut self, index: NodeIndex) {
        let now = self.now;
        let machine = &mut self.machines[index.0];
        let local = machine.clock.at(now);
        let (service, heartbeat) = (machine.service, machine.heartbeat.unwrap_or(machine.service));
        let Some(process) = &mut machine.process else { return };
        let identity = &machine.config.identity;
        let mut finished = false;
        // A change of mode was decided before the service worked: what leaves now is said in the new one.
        while let Some(notice) = process.node.poll_notice() {
            match notice {
                Notice::Event(event) => {
                    if let Event::ModeChanged { to, .. } = event {
                        process.reported = to;
                    }
                    let kind = WorldEventKind::Reported(event);
                    self.events.push(WorldEvent { at: now, node: identity.node, kind });
                }
                Notice::Will(will) => process.will = will,
                Notice::Finished => finished = true,
            }
        }
        let late = process.interrupted_at.take().map_or(Duration::ZERO, |at| now - at);
        let (mode, from) = (process.reported, Station::Node(index));
        let (muted, adrift) = (machine.muted, machine.adrift);
        let leaks = &mut self.leaks;
        let mut outlet = Outlet {
            fabric: &mut self.fabric,
            trace: &mut self.trace,
            watchers: &mut self.watchers,
        };
        let mut send = |port, frame: &[u8]| {
            let jack = match port {
                Port::Service => service,
                Port::Heartbeat => heartbeat,
            };
            leaks.check(now, identity, mode, frame);
            let lost = muted && beat_payload(frame).is_some()
                || adrift.is_some_and(|port| is_tcp_of(frame, port));
            outlet.send(Sight { at: now, local, late, from, mode: Some(mode), jack, lost, frame });
        };
        let mut send = |port, frame: &[u8], segment_size| match segment_size {
            Some(size) => offload::cut(frame, size, |frame| send(port, frame)),
            None => send(port, frame),
        };
        while process.node.poll_transmit(local, &mut send).is_some() {}
        if finished {
            self.machines[index.0].end();
            self.note_fault(index, "exited");
        } else {
            self.machines[index.0].note_deadline();
        }
    }

    fn turn_host(&mut self, index: usize) {
        let now = self.now;
        let Plugged { machine: host, jack, deadline } = &mut self.hosts[index];
        let mut due = deadline.is_some_and(|at| at <= now);
        while self.fabric.recv(*jack, |frame| host.receive(now, frame)).is_some() {
            due = true;
        }
        if !due {
            return;
        }
        host.turn(now);
        let (from, jack) = (Station::Host(HostId(index)), *jack);
        let mut outlet = Outlet {
            fabric: &mut self.fabric,
            trace: &mut self.trace,
            watchers: &mut self.watchers,
        };
        let late = Duration::ZERO;
        let sight =
            Sight { at: now, local: now, late, from, mode: None, jack, lost: false, frame: &[] };
        let mut send = |frame: &[u8]| outlet.send(Sight { frame, ..sight });
        while host.poll_transmit(&mut send).is_some() {}
        *deadline = host.poll_deadline(now);
    }

    fn turn_hostile(&mut self, index: usize) {
        let now = self.now;
        let Plugged { machine: hostile, jack, deadline } = &mut self.hostiles[index];
        while self.fabric.recv(*jack, |frame| hostile.receive(frame)).is_some() {}
        if deadline.is_none_or(|at| at > now) {
            return;
        }
        hostile.turn(now);
        let (from, jack) = (Station::Hostile(HostileId(index)), *jack);
        let mut outlet = Outlet {
            fabric: &mut self.fabric,
            trace: &mut self.trace,
            watchers: &mut self.watchers,
        };
        let late = Duration::ZERO;
        let sight =
            Sight { at: now, local: now, late, from, mode: None, jack, lost: false, frame: &[] };
        let mut send = |frame: &[u8]| outlet.send(Sight { frame, ..sight });
        while hostile.poll_transmit(&mut send).is_some() {}
        *deadline = hostile.poll_deadline();
    }

    fn send_wills(&mut self) {
        while self.wills.front().is_some_and(|&(at, _, _)| at <= self.now) {
            let Some((_, index, will)) = self.wills.pop_front() else { return };
            let machine = &self.machines[index.0];
            for frame in will.iter().filter(|_| !machine.muted) {
                let jack = machine.jack(frame.port);
                self.fabric.send(self.now, jack, &frame.bytes);
            }
        }
    }
}
