//! What can be seen from outside: frames as they leave a station, and times with two active nodes.

use std::time::Duration;

use locum_types::{Instant, Mode};

use super::{HostId, HostileId, NodeIndex};
use crate::Jack;
use crate::fabric::Fabric;

/// Who sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Station {
    /// A node.
    Node(NodeIndex),
    /// A client machine.
    Host(HostId),
    /// A hostile machine.
    Hostile(HostileId),
}

/// A frame that leaves a station.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// When.
    pub at: Instant,
    /// The same moment by the sender's own clock.
    pub local: Instant,
    /// For how long its sender had been kept from sending it: it lost the processor after its work.
    pub late: Duration,
    /// Whose it is.
    pub from: Station,
    /// The mode that a node last reported.
    pub mode: Option<Mode>,
    /// The cable it leaves by.
    pub jack: Jack,
    /// Whether it gets no further.
    pub lost: bool,
    /// The whole frame.
    pub frame: &'a [u8],
}

/// Somebody who watches.
pub(super) type Watcher = Box<dyn FnMut(&Sight<'_>)>;

/// The way out of a station: hashed, watched, and into the network.
pub(super) struct Outlet<'a> {
    pub(super) fabric: &'a mut Fabric,
    pub(super) trace: &'a mut TraceHash,
    pub(super) watchers: &'a mut [Watcher],
}

impl Outlet<'_> {
    pub(super) fn send(&mut self, sight: Sight<'_>) {
        self.trace.note(&sight);
        self.watchers.iter_mut().for_each(|watcher| watcher(&sight));
        if !sight.lost {
            self.fabric.send(sight.at, sight.jack, sight.frame);
        }
    }
}

/// A running hash of everything that was sent. Not cryptographic: it tells runs apart, not enemies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TraceHash(u64);

impl TraceHash {
    pub(super) fn note(&mut self, sight: &Sight<'_>) {
        let station = match sight.from {
            Station::Node(NodeIndex(index)) => index as u64,
            Station::Host(HostId(index)) => index as u64 | 1 << 32,
            Station::Hostile(HostileId(index)) => index as u64 | 2 << 32,
        };
        self.mix(sight.at.as_nanos());
        self.mix(station);
        let (words, rest) = sight.frame.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn mix(&mut self, word: u64) {
        // The multiplier of FxHash; the rotation keeps the order of words from cancelling out.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    pub(super) fn value(self) -> u64 {
        self.0
    }
}

/// Times with more than one active node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overlaps {
    since: Option<Instant>,
    last: Option<Instant>,
    total: Duration,
    longest: Duration,
}

impl Overlaps {
    pub(super) fn note(&mut self, now: Instant, active: usize) {
        if let (Some(since), Some(last)) = (self.since, self.last) {
            self.total += now - last;
            self.longest = self.longest.max(now - since);
        }
        if active > 1 {
            self.since = self.since.or(Some(now));
            self.last = Some(now);
        } else {
            self.since = None;
            self.last = None;
        }
    }

    pub(super) fn total(self) -> Duration {
        self.total
    }

    pub(super) fn longest(self) -> Duration {
        self.longest
    }
}
