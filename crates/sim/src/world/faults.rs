//! What can be done to a world: to its processes, machines and cables.

use std::time::Duration;

use locum_appliance::{Node, Seeds};
use locum_link::segment::impair::Impairment;
use locum_link::segment::rule::Direction;
use locum_monitor::Input;
use locum_types::{BootNonce, NodeId, ResignReason};

use super::{NodeIndex, World, WorldEvent, WorldEventKind};
use crate::clock::MachineClock;
use crate::{Jack, Lan};

/// What a warden needs to notice that its worker is gone.
const WARDEN_DELAY: Duration = Duration::from_micros(500);

impl World {
    /// Starts a node that is not running, with a new boot nonce.
    pub fn start(&mut self, index: NodeIndex) {
        let machine = &mut self.machines[index.0];
        if machine.process.is_some() {
            return;
        }
        let drawn = (self.rng.u64(1..), self.rng.u64(..), self.rng.u128(..).to_ne_bytes());
        let (boot, seed, isn_key) = (BootNonce(drawn.0), drawn.1, self.isn_key.unwrap_or(drawn.2));
        let seeds = Seeds { boot, seed, isn_key };
        let local = machine.clock.at(self.now);
        let beat_port = machine.beat_port();
        let mut services = Lan::services();
        services.iter_mut().for_each(|it| it.replicate = Some(it.port) != self.left_out);
        let node = Node::new(&machine.config, seeds, beat_port, services, local)
            .expect("the laboratory's services do not share ports");
        machine.start(node);
        self.note_fault(index, "started");
    }

    /// SIGKILL. If the node has a warden, its will is sent a moment later.
    pub fn kill(&mut self, index: NodeIndex, warden: bool) {
        let Some(will) = self.machines[index.0].end() else { return };
        if warden && !will.is_empty() {
            self.wills.push_back((self.now + WARDEN_DELAY, index, will));
        }
        self.note_fault(index, "killed");
    }

    /// SIGSTOP: the process stands still, its frames pile up.
    pub fn freeze(&mut self, index: NodeIndex) {
        self.set_frozen(index, true, "frozen");
    }

    /// SIGCONT.
    pub fn thaw(&mut self, index: NodeIndex) {
        self.set_frozen(index, false, "thawed");
    }

    fn set_frozen(&mut self, index: NodeIndex, frozen: bool, what: &'static str) {
        if let Some(process) = &mut self.machines[index.0].process {
            process.frozen = frozen;
            self.note_fault(index, what);
        }
    }

    /// Suspends the whole machine: its process and its clock stand still, its frames pile up.
    pub fn suspend(&mut self, index: NodeIndex) {
        self.machines[index.0].set_suspended(self.now, true);
        self.note_fault(index, "suspended");
    }

    /// Resumes a suspended machine; `keeps_frames`: its cards still hold what arrived meanwhile.
    pub fn resume(&mut self, index: NodeIndex, keeps_frames: bool) {
        let machine = &mut self.machines[index.0];
        machine.set_suspended(self.now, false);
        if !keeps_frames {
            machine.lose_backlog();
        }
        self.note_fault(index, "resumed");
    }

    /// Gives a node's machine another clock.
    pub fn set_clock(&mut self, index: NodeIndex, clock: MachineClock) {
        let machine = &mut self.machines[index.0];
        machine.clock = clock;
        machine.note_deadline();
    }

    /// Lets a node's clock jump forward.
    pub fn jump_clock(&mut self, index: NodeIndex, by: Duration) {
        let mut clock = self.clock_of(index);
        clock.jump(self.now, by);
        self.set_clock(index, clock);
        self.note_fault(index, "clock jumped");
    }

    /// Starves a node of its processor: every turn waits for up to `wait_max`; zero ends it.
    pub fn starve(&mut self, index: NodeIndex, wait_max: Duration) {
        self.machines[index.0].starve(self.now, wait_max);
        self.note_fault(index, if wait_max.is_zero() { "fed" } else { "starved" });
    }

    /// Pulls the cable of a node's service link out, somewhere the node cannot see it.
    pub fn cut(&mut self, index: NodeIndex) {
        self.cut_jack(self.jack_of(index), true);
        self.note_fault(index, "link cut");
    }

    /// Puts it back.
    pub fn heal(&mut self, index: NodeIndex) {
        self.cut_jack(self.jack_of(index), false);
        self.note_fault(index, "link healed");
    }

    /// Cuts, or mends, one direction of it.
    pub fn cut_one_way(&mut self, index: NodeIndex, direction: Direction, cut: bool) {
        self.fabric.set_cut(self.jack_of(index), direction, cut);
    }

    /// Cuts, or mends, both directions of any cable.
    pub fn cut_jack(&mut self, jack: Jack, cut: bool) {
        self.fabric.set_cut(jack, Direction::Transmit, cut);
        self.fabric.set_cut(jack, Direction::Receive, cut);
    }

    /// Cuts, or mends, one direction of any cable, as seen from its station.
    pub fn cut_jack_one_way(&mut self, jack: Jack, direction: Direction, cut: bool) {
        self.fabric.set_cut(jack, direction, cut);
    }

    /// From now on the beats of a node are lost, or not any more; nothing else is.
    pub fn mute_beats(&mut self, index: NodeIndex, muted: bool) {
        self.machines[index.0].muted = muted;
    }

    /// From now on segments of a node's replication are lost, both ways, or not any more; nothing else is.
    pub fn lose_replication(&mut self, index: NodeIndex, lost: bool) {
        let machine = &mut self.machines[index.0];
        machine.adrift = machine.config.replication.filter(|_| lost).map(|with| with.port);
    }

    /// Says what one direction of a cable does to frames.
    pub fn impair(&mut self, jack: Jack, direction: Direction, impairment: Impairment) {
        let seed = self.rng.u64(..);
        self.fabric.impair(jack, direction, impairment, seed);
    }

    /// Takes a node's interface down or up; the node sees it.
    pub fn set_link(&mut self, index: NodeIndex, up: bool) {
        self.fabric.set_up(self.jack_of(index), up);
        self.note_fault(index, if up { "link up" } else { "link down" });
        self.tell(index, Input::Link { up });
    }

    /// Takes a port of a switch down or up; nobody is told.
    pub fn set_port(&mut self, jack: Jack, up: bool) {
        self.fabric.set_up(jack, up);
    }

    /// SIGTERM: the node hands over, or resigns, and ends.
    pub fn shut_down(&mut self, index: NodeIndex) {
        self.note_fault(index, "terminated");
        self.tell(index, Input::Shutdown(ResignReason::Shutdown));
    }

    /// The operator's hand-over.
    pub fn hand_over(&mut self, index: NodeIndex, to: Option<NodeId>) {
        self.note_fault(index, "hand-over asked");
        self.tell(index, Input::Handover { to });
    }

    /// Any input of the node itself. One that does not run now hears of it when it does.
    pub fn tell(&mut self, index: NodeIndex, input: Input) {
        if self.machines[index.0].tell(self.now, input) {
            self.drain_node(index);
            self.machines[index.0].wake();
        }
    }

    pub(super) fn note_fault(&mut self, index: NodeIndex, what: &'static str) {
        let (at, node) = (self.now, self.id_of(index));
        self.events.push(WorldEvent { at, node, kind: WorldEventKind::Fault(what) });
    }
}
