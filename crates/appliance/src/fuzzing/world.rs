//! The nodes, the cable between them, and time.
//!
//! The cable has no latency, and floods like a hub: what a node sends is at the other one at once.

use std::collections::VecDeque;
use std::time::Duration;

use locum_monitor::{Event, Input};
use locum_types::{Cause, Health, Instant, Mode, Term};

use super::frames::{self, CLIENT_PORTS, Known};
use super::referee::{Referee, audit};
use super::stage::{self, Stage};
use super::wire;
use super::{Account, Services};
use crate::{Node, Notice, Port, ServicePort, WillFrame};

/// Turns of all nodes together in one run: an input is to be short, and its run too.
const TURNS_MAX: u64 = 240;
/// Turns of one node at one instant before it counts as spinning. A full queue takes a dozen.
const SPIN_MAX: u32 = 300;
/// Frames kept, for those that come late or twice.
const SENT_MAX: usize = 64;
/// After this time of peace all is well.
const MENDING: Duration = Duration::from_secs(5);

/// Where one of the client's conversations is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Talk {
    pub(super) client_next: u32,
    pub(super) service_next: u32,
}

/// A node and what surrounds it.
pub(super) struct Station {
    pub(super) id: u8,
    pub(super) life: u64,
    pub(super) node: Node,
    /// Frames it was given.
    pub(super) delivered: u64,
    /// When its latest turn began.
    pub(super) ran_at: Instant,
    /// The longest of the detection times it was configured with.
    pub(super) dead_after: Duration,
    /// It does not run before then.
    frozen_until: Instant,
    /// Something waits for its next turn.
    woken: bool,
    /// It has not transmitted since its last turn.
    laden: bool,
    /// What its warden says if it is killed.
    will: Vec<WillFrame>,
    /// It was told to shut down.
    leaving: bool,
    /// Its shutdown is complete.
    finished: bool,
    spins: (Instant, u32),
}

pub(super) struct World {
    stage: Stage,
    services: Services,
    now: Instant,
    stations: Vec<Station>,
    /// Whether what a node sends arrives.
    cables: [bool; 2],
    sent: VecDeque<(Port, Vec<u8>)>,
    last_injected: (Port, Vec<u8>),
    forged_sequence: u64,
    /// The conversations of the client, IPv4 and IPv6.
    pub(super) talks: [[Talk; CLIENT_PORTS as usize]; 2],
    referee: Referee,
    account: Account,
    turns_max: u64,
}

impl World {
    pub(super) fn new(stage: Stage, services: Services) -> Self {
        let now = Instant::from_millis(1_000);
        let ids = if stage.is_pair { 1..=2 } else { 1..=1 };
        World {
            stations: ids.map(|id| Station::new(&stage, services, id, 0, now)).collect(),
            stage,
            services,
            now,
            cables: [true; 2],
            sent: VecDeque::new(),
            last_injected: (Port::Service, Vec::new()),
            forged_sequence: 1_000_000,
            talks: Default::default(),
            referee: Referee::new(now),
            account: Account::default(),
            turns_max: TURNS_MAX,
        }
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The node that an instruction means.
    pub(super) fn index(&self, bit: u8) -> usize {
        usize::from(bit) % self.stations.len()
    }

    /// The id of a node.
    pub(super) fn id(&self, index: usize) -> u8 {
        self.stations[index].id
    }

    /// A turn that is interrupted before anything could be transmitted.
    pub(super) fn turn_only(&mut self, index: usize) {
        let station = &mut self.stations[index];
        if station.runs(self.now) {
            self.referee.disturb(self.now);
            station.turn(self.now);
            self.account.turns += 1;
            self.take_notices(index);
        }
    }

    /// Lets all nodes run as their deadlines and frames demand.
    pub(super) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while !self.is_over() {
            let dues = self.stations.iter().filter_map(|station| station.due(self.now));
            let Some(next) = dues.min().filter(|&next| next <= end) else {
                self.now = end;
                return;
            };
            self.now = next;
            for index in 0..self.stations.len() {
                if self.stations[index].due(self.now) == Some(self.now) {
                    self.turn(index);
                }
            }
            self.referee.watch_overlap(self.now, &self.stations);
        }
    }

    /// Whether the nodes have had all the turns there are in one run.
    pub(super) fn is_over(&self) -> bool {
        self.account.turns >= self.turns_max
    }

    /// Stops a node: it runs no more before `duration` has passed.
    pub(super) fn freeze(&mut self, index: usize, duration: Duration) {
        let until = self.now + duration;
        let station = &mut self.stations[index];
        station.frozen_until = station.frozen_until.max(until);
        self.referee.disturb(station.frozen_until);
    }

    /// Brings a frame to a node from outside.
    pub(super) fn inject(&mut self, index: usize, port: Port, frame: &[u8]) {
        self.referee.disturb(self.now);
        self.last_injected = (port, frame.to_vec());
        if let Some(station) = self.stations.get_mut(index) {
            station.receive(port, frame);
        }
    }

    /// Brings the frame that came from outside last to a node, again and again.
    pub(super) fn repeat(&mut self, index: usize, times: u8) {
        self.referee.disturb(self.now);
        let (port, frame) = &self.last_injected;
        for _ in 0..times {
            self.stations[index].receive(*port, frame);
        }
    }

    /// Brings a beat to a node that its author, who has the key, made up.
    pub(super) fn forge(&mut self, index: usize, frame: Vec<u8>) {
        self.referee.note_forgery();
        self.account.beats_forged += 1;
        self.forged_sequence += 1;
        self.inject(index, self.stage.beat_port, &frame);
    }

    /// What the author of a beat to a node may know.
    pub(super) fn known(&self, index: usize) -> Known {
        let station = &self.stations[index];
        let peer = 3 - station.id;
        let peer_life = self.stations.iter().find(|other| other.id == peer).map_or(0, |it| it.life);
        Known {
            own_boot: stage::boot(station.id, station.life),
            peer_boot: stage::boot(peer, peer_life),
            sequence: self.forged_sequence,
            term: station.node.status(self.now).heartbeat.monitor.term,
            timestamp: self.now.as_micros() as u32,
        }
    }

    /// A frame that some node sent; 0 is the latest.
    pub(super) fn sent_before(&self, index: usize) -> Option<(Port, Vec<u8>)> {
        self.sent.iter().rev().nth(index % SENT_MAX).cloned()
    }

    /// Says whose frames arrive at the other node from now on.
    pub(super) fn connect(&mut self, cables: [bool; 2]) {
        // Whatever was lost so far was lost until now.
        self.referee.disturb(self.now);
        self.cables = cables;
        self.referee.note_cables(cables == [true; 2]);
    }

    /// What the operator, the service or the link of a node says.
    pub(super) fn handle(&mut self, index: usize, input: Input) {
        let station = &mut self.stations[index];
        if !station.runs(self.now) {
            return;
        }
        if let Input::Link { .. } | Input::Health(_) | Input::Shutdown(_) = input {
            self.referee.note_handicap();
        }
        station.leaving |= matches!(input, Input::Shutdown(_));
        station.node.handle(self.now, input);
        station.woken = true;
        self.take_notices(index);
    }

    /// A reload of the configuration of a node.
    pub(super) fn reconfigure(&mut self, index: usize, config: locum_monitor::Config) {
        self.referee.disturb(self.now);
        if config.peers.is_empty() {
            self.referee.note_forgery();
        }
        let station = &mut self.stations[index];
        station.dead_after = station.dead_after.max(config.dead_after);
        self.handle(index, Input::Reconfigure(config));
    }

    /// Kills a node; its warden reads its will to the other one.
    pub(super) fn kill(&mut self, index: usize) {
        let will = std::mem::take(&mut self.stations[index].will);
        self.restart(index);
        for WillFrame { port, bytes } in will {
            self.carry(index, port, bytes);
        }
    }

    /// Ends a node, and its warden, without a word, and starts it anew.
    pub(super) fn restart(&mut self, index: usize) {
        let Station { id, life, .. } = self.stations[index];
        self.stations[index] = Station::new(&self.stage, self.services, id, life + 1, self.now);
        self.referee.note_restart(self.now, id);
    }

    /// Takes up to `count` frames out of a node.
    pub(super) fn transmit(&mut self, index: usize, count: usize) {
        for _ in 0..count {
            let station = &mut self.stations[index];
            if !station.runs(self.now) {
                return;
            }
            let sent =
                station.node.poll_transmit(self.now, |port, frame, _| (port, frame.to_vec()));
            let Some((port, frame)) = sent else {
                station.laden = false;
                return;
            };
            self.carry(index, port, frame);
        }
    }

    /// Looks at everything that should always be so.
    pub(super) fn check(&mut self) {
        self.referee.watch_overlap(self.now, &self.stations);
        for station in &self.stations {
            let status = station.node.status(self.now);
            self.referee.watch(self.now, station, &status.heartbeat.monitor);
            if station.is_at_rest(self.now) {
                audit(station, &status);
            }
        }
    }

    /// The end: lets everything come to rest and, on some stages, demands that all is well.
    pub(super) fn finish(mut self) -> Account {
        self.turns_max = u64::MAX;
        self.run_for(Duration::ZERO);
        self.check();
        if self.stage.ends_well {
            self.mend();
        }
        for station in &self.stations {
            let counters = station.node.status(self.now).heartbeat.monitor.counters;
            self.account.handovers += counters.handovers_completed;
            self.account.rivals += counters.strangers;
        }
        self.account
    }

    fn turn(&mut self, index: usize) {
        self.transmit(index, usize::MAX);
        self.stations[index].count_spin(self.now);
        self.stations[index].turn(self.now);
        self.account.turns += 1;
        self.transmit(index, usize::MAX);
        self.take_notices(index);
    }

    /// A frame that a node has sent: judged, remembered, and brought to the other one.
    fn carry(&mut self, index: usize, port: Port, frame: Vec<u8>) {
        if self.referee.judge(self.now, &self.stage, &self.stations[index], port, &frame) {
            self.account.service_frames += 1;
            self.follow(&frame);
        }
        if self.cables[index]
            && let Some(other) = self.stations.get_mut(1 - index)
        {
            other.receive(port, &frame);
        }
        if self.sent.len() == SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((port, frame));
    }

    /// The client hears what the service says.
    fn follow(&mut self, frame: &[u8]) {
        let Some(segment) = wire::segment(frame) else { return };
        self.account.service_bytes += u64::from(segment.payload_len);
        let Some(client) = frames::client_index(segment.client_port) else { return };
        let talk = &mut self.talks[usize::from(segment.is_v6)][client];
        talk.service_next = segment.service_next;
        talk.client_next = segment.client_next.unwrap_or(talk.client_next);
    }

    fn take_notices(&mut self, index: usize) {
        while let Some(notice) = self.stations[index].node.poll_notice() {
            match notice {
                Notice::Event(Event::ModeChanged { from, to, cause, term, .. }) => {
                    self.account.activations += u64::from(to == Mode::Active);
                    let stalled = from == Mode::Active && cause == Cause::Stall;
                    self.account.stalls += u64::from(stalled);
                    self.note_change(index, to, term);
                }
                Notice::Event(_) => {}
                Notice::Will(will) => self.stations[index].will = will,
                Notice::Finished => {
                    self.account.shutdowns += 1;
                    // Its last words are on the way; then its process ends.
                    self.transmit(index, usize::MAX);
                    self.stations[index].finished = true;
                }
            }
        }
    }

    fn note_change(&mut self, index: usize, to: Mode, term: Term) {
        if to == Mode::Active {
            self.referee.note_activation(self.now, self.stations[index].id, term);
        }
    }

    /// Heals everything, and sees that one node is active then, and answers alone.
    fn mend(&mut self) {
        self.connect([true; 2]);
        for index in 0..self.stations.len() {
            if self.stations[index].leaving || self.referee.is_forged() {
                self.restart(index);
            }
            self.stations[index].frozen_until = self.now;
            self.handle(index, Input::Health(Health::Ok));
            self.handle(index, Input::Link { up: true });
        }
        self.run_for(MENDING);
        self.check();
        let modes: Vec<Mode> =
            self.stations.iter().map(|station| station.node.mode_at(self.now)).collect();
        let count = |mode| modes.iter().filter(|&&it| it == mode).count();
        let settled = count(Mode::Active) == 1 && count(Mode::Waiting) == modes.len() - 1;
        assert!(settled, "after {MENDING:?} of peace the nodes are {modes:?}");
        self.sent.clear();
        for index in 0..self.stations.len() {
            self.inject(index, Port::Service, &frames::arp_request(&self.stage));
        }
        self.run_for(Duration::ZERO);
        let answers = self.sent.iter().filter(|(_, frame)| wire::answers_arp(frame)).count();
        assert_eq!(answers, 1, "a question for the service address has one answer");
    }
}

impl Station {
    fn new(stage: &Stage, services: Services, id: u8, life: u64, now: Instant) -> Self {
        let services = services()
            .into_iter()
            .map(|(port, service)| ServicePort { port, service, replicate: true })
            .collect();
        let node =
            Node::new(&stage.config(id), stage.seeds(id, life), stage.beat_port, services, now)
                .expect("each service has a port of its own");
        Station {
            id,
            life,
            node,
            delivered: 0,
            ran_at: now,
            dead_after: stage::DEAD_AFTER,
            frozen_until: now,
            woken: true,
            laden: false,
            will: Vec::new(),
            leaving: false,
            finished: false,
            spins: (now, 0),
        }
    }

    pub(super) fn runs(&self, now: Instant) -> bool {
        !self.finished && self.frozen_until <= now
    }

    fn receive(&mut self, port: Port, frame: &[u8]) {
        if !self.finished {
            self.node.receive(port, frame);
            self.delivered += 1;
            self.woken = true;
        }
    }

    fn turn(&mut self, now: Instant) {
        self.ran_at = now;
        self.woken = self.node.turn(now);
        self.laden = true;
    }

    /// When its next turn is due; `None` once it has ended.
    fn due(&self, now: Instant) -> Option<Instant> {
        if self.finished {
            return None;
        }
        let deadline = self.node.poll_deadline();
        let (deadline, _) = deadline.expect("a node that has not finished has a deadline");
        let due = if self.woken || self.laden { now } else { deadline.max(now) };
        Some(due.max(self.frozen_until))
    }

    /// Whether it has done all there is to do.
    fn is_at_rest(&self, now: Instant) -> bool {
        self.runs(now) && self.due(now).is_some_and(|due| due > now)
    }

    fn count_spin(&mut self, now: Instant) {
        let (at, count) = self.spins;
        self.spins = if at == now { (at, count + 1) } else { (now, 0) };
        let why = self.node.poll_deadline().map_or("it has ended", |(_, why)| why);
        assert!(count < SPIN_MAX, "node {} spins at {now}: {why}", self.id);
    }
}
