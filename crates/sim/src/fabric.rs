//! The network: learning switches, the cables between them, and the jacks that stations use.
//!
//! Each switch is a [`Segment`]; a trunk carries frames between a port of one and a port of another.
//! Switches must form a tree: there is no spanning tree protocol.

use locum_link::segment::impair::Impairment;
use locum_link::segment::rule::Direction;
use locum_link::segment::{self, PortId, Segment};
use locum_types::Instant;

/// A switch, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwitchId(pub usize);

/// A cable between two switches, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrunkId(pub usize);

/// Where a cable is plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jack {
    /// The switch.
    pub switch: SwitchId,
    /// Its port.
    pub port: PortId,
}

/// Switches and trunks.
#[derive(Debug, Default)]
pub(crate) struct Fabric {
    switches: Vec<Segment>,
    trunks: Vec<[Jack; 2]>,
}

impl Fabric {
    pub(crate) fn add_switch(&mut self, config: segment::Config) -> SwitchId {
        self.switches.push(Segment::new(config));
        SwitchId(self.switches.len() - 1)
    }

    pub(crate) fn add_jack(&mut self, switch: SwitchId) -> Jack {
        Jack { switch, port: self.switches[switch.0].add_port() }
    }

    pub(crate) fn join(&mut self, a: SwitchId, b: SwitchId) -> TrunkId {
        assert!(a != b, "a trunk joins two switches");
        let ends = [self.add_jack(a), self.add_jack(b)];
        self.trunks.push(ends);
        TrunkId(self.trunks.len() - 1)
    }

    pub(crate) fn trunk(&self, trunk: TrunkId) -> [Jack; 2] {
        self.trunks[trunk.0]
    }

    pub(crate) fn switch_mut(&mut self, switch: SwitchId) -> &mut Segment {
        &mut self.switches[switch.0]
    }

    pub(crate) fn switch(&self, switch: SwitchId) -> &Segment {
        &self.switches[switch.0]
    }

    pub(crate) fn send(&mut self, now: Instant, jack: Jack, frame: &[u8]) {
        self.switches[jack.switch.0].send(now, jack.port, frame);
    }

    pub(crate) fn recv<R>(&mut self, jack: Jack, receive: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.switches[jack.switch.0].recv(jack.port, receive)
    }

    pub(crate) fn impair(
        &mut self,
        jack: Jack,
        direction: Direction,
        impairment: Impairment,
        seed: u64,
    ) {
        self.switches[jack.switch.0].set_impairment(jack.port, direction, impairment, seed);
    }

    pub(crate) fn set_cut(&mut self, jack: Jack, direction: Direction, cut: bool) {
        self.switches[jack.switch.0].set_cut(jack.port, direction, cut);
    }

    pub(crate) fn set_up(&mut self, jack: Jack, up: bool) {
        self.switches[jack.switch.0].set_up(jack.port, up);
    }

    /// Delivers what is due, through as many switches as it takes.
    pub(crate) fn poll(&mut self, now: Instant) {
        self.switches.iter_mut().for_each(|switch| switch.poll(now));
        let mut moved = !self.trunks.is_empty();
        while moved {
            moved = false;
            for index in 0..self.trunks.len() {
                let [a, b] = self.trunks[index];
                moved |= self.carry(now, a, b) | self.carry(now, b, a);
            }
        }
    }

    pub(crate) fn next_delivery(&self) -> Option<Instant> {
        self.switches.iter().filter_map(Segment::next_delivery).min()
    }

    /// Whether frames wait for a station.
    pub(crate) fn has_waiting(&self) -> bool {
        let waits = |switch: &Segment| switch.ports().any(|port| switch.rx_len(port) != 0);
        self.switches.iter().any(waits)
    }

    fn carry(&mut self, now: Instant, from: Jack, to: Jack) -> bool {
        let mut moved = false;
        while self.switches[from.switch.0].rx_len(from.port) != 0 {
            let [source, target] =
                self.switches.get_disjoint_mut([from.switch.0, to.switch.0]).expect("two switches");
            source.recv(from.port, |frame| target.send(now, to.port, frame));
            moved = true;
        }
        moved
    }
}
