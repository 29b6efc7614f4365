//! The ARP and NDP cache of a client machine, as Linux keeps it.
//!
//! [`NeighbourTable`] stands between a stack of IP packets and the wire. A packet on its way out gets
//! the station address of its neighbour, or waits until one is known; ARP and neighbour discovery on
//! the way in end here. Which message may create, change or confirm an entry follows Linux 6.18
//! (`net/core/neighbour.c`, `net/ipv4/arp.c`, `net/ipv6/ndisc.c`) with its defaults, since that is
//! what takes part in a takeover on most networks:
//!
//! ```text
//!          frame                 answer             15 to 45 s          frame
//!  (none) ───────> INCOMPLETE ──────────> REACHABLE ──────────> STALE ───────> DELAY
//!                   ^      │                  ^                                  │
//!             frame │      │ 3 × 1 s          │ answer                           │ 5 s
//!                   │      v                  │                                  v
//!                   └─── FAILED <─────────────┴──────────────────────────────  PROBE
//!                                   3 × 1 s
//! ```
//!
//! A request for the host makes its sender's entry, or moves it to another address; an announcement
//! moves an entry that exists. Both leave it stale.
//!
//! Not modelled: confirmation by TCP's progress, garbage collection below the hard limit, reports of
//! multicast listeners, and routers (an address that is not on the link cannot be reached). Unlike
//! the kernel, which draws one reachable time per interface every five minutes, each entry draws its
//! own.
//!
//! What belongs here: what a host believes about its neighbours. What does not: what the appliance
//! does to be believed.

mod arp;
mod entry;
mod ndp;
mod station;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use locum_types::Instant;
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpCidr};

use entry::{Claim, Due, Entry, Override, Use};
pub(crate) use station::HEADER_LEN;
use station::Station;

/// Neighbours remembered, of both families (`gc_thresh3`).
const ENTRIES_MAX: usize = 1024;
/// An entry that changed less than this ago is not given up for want of room
/// (`neigh_forced_gc`).
const YOUNG: Duration = Duration::from_secs(5);
/// Frames that may wait to be taken.
const FRAMES_MAX: usize = 512;
/// Half and one and a half of it are the bounds of how long a neighbour is believed to be
/// reachable (`base_reachable_time_ms`; RFC 4861 §10: REACHABLE_TIME).
const REACHABLE_BASE: Duration = Duration::from_secs(30);

/// How a host differs from a Linux of today with its default settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habits {
    /// Does not hear gratuitous ARP and unsolicited advertisements at all (`drop_gratuitous_arp`,
    /// `drop_unsolicited_na`). Off by default.
    pub ignores_gratuitous: bool,
    /// Within this time after an entry changed, no ARP packet but one that asks for the host itself,
    /// or a gratuitous one, changes its station address (`locktime`). 1 s by default.
    pub locktime: Duration,
    /// Gratuitous ARP changes an entry in spite of the locktime, as it does since Linux 4.13. On by
    /// default.
    pub garp_overrides_locktime: bool,
    /// A message that changes nothing, or may not, begins the locktime anew, as it did before Linux
    /// 4.13. Off by default.
    pub repetitions_prolong_locktime: bool,
    /// Gratuitous ARP, and replies that nobody asked for, create entries (`arp_accept`). Off by
    /// default. Has no say in IPv6, where only routers have such a setting.
    pub accepts_gratuitous: bool,
    /// Entries that the administrator fixed: nothing heard changes them (`NUD_PERMANENT`).
    pub static_entries: Vec<(IpAddress, EthernetAddress)>,
}

impl Habits {
    /// A Linux before 4.13, which lets no announcement through the locktime.
    pub fn before_linux_4_13() -> Self {
        Habits {
            garp_overrides_locktime: false,
            repetitions_prolong_locktime: true,
            ..Habits::default()
        }
    }
}

impl Default for Habits {
    fn default() -> Self {
        Habits {
            ignores_gratuitous: false,
            locktime: Duration::from_secs(1),
            garp_overrides_locktime: true,
            repetitions_prolong_locktime: false,
            accepts_gratuitous: false,
            static_entries: Vec::new(),
        }
    }
}

/// What a host holds of a neighbour (RFC 4861 §7.3.2; Linux's `NUD_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// Asked for, not answered yet; frames wait.
    Incomplete,
    /// It answered a short time ago.
    Reachable,
    /// Its address is known, and not known to be true.
    Stale,
    /// As stale, and in use: it will be asked soon.
    Delay,
    /// As stale, and being asked.
    Probe,
    /// It did not answer.
    Failed,
    /// The administrator vouches for it.
    Permanent,
}

impl NeighbourState {
    /// Whether frames may be sent to it at once (`NUD_VALID`).
    pub const fn is_valid(self) -> bool {
        match self {
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent => true,
            NeighbourState::Incomplete | NeighbourState::Failed => false,
        }
    }
}

/// Frames of a host that did not leave, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeighbourCounters {
    /// No IP packet, or to an address that is not on the link.
    pub unroutable: u64,
    /// Displaced by later ones while their neighbour was asked for.
    pub displaced: u64,
    /// Their neighbour did not answer.
    pub unreachable: u64,
    /// The table had no room for another neighbour; counts what taught it of one, too.
    pub table_full: u64,
    /// Nobody took the frames before.
    pub transmit_full: u64,
}

/// The neighbours of one host.
///
/// Give it received frames ([`NeighbourTable::receive`]) and packets to send
/// ([`NeighbourTable::send`]), call [`NeighbourTable::handle_timeout`] when
/// [`NeighbourTable::poll_deadline`] says so, and take frames out
/// ([`NeighbourTable::poll_transmit`]) after each.
#[derive(Debug)]
pub struct NeighbourTable {
    station: Station,
    habits: Habits,
    rng: Rng,
    entries: BTreeMap<IpAddress, Entry>,
    /// No timer goes off before.
    deadline: Option<Instant>,
    frames: VecDeque<Vec<u8>>,
    counters: NeighbourCounters,
}

impl NeighbourTable {
    /// The table of the host `mac` with `addresses`, empty but for static entries.
    pub fn new(mac: EthernetAddress, addresses: &[IpCidr], habits: Habits, seed: u64) -> Self {
        let fixed = habits.static_entries.iter().map(|&(ip, mac)| (ip, Entry::fixed(mac)));
        NeighbourTable {
            station: Station::new(mac, addresses),
            entries: fixed.collect(),
            habits,
            rng: Rng::with_seed(seed),
            deadline: None,
            frames: VecDeque::new(),
            counters: NeighbourCounters::default(),
        }
    }

    /// Takes a frame off the wire; returns the IP packet in it if that is for the stack.
    pub fn receive<'a>(&mut self, now: Instant, frame: &'a [u8]) -> Option<&'a [u8]> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let to = ethernet.dst_addr();
        if to != self.station.mac && to.is_unicast() {
            return None;
        }
        match ethernet.ethertype() {
            EthernetProtocol::Arp => self.hear_arp(now, &ethernet),
            EthernetProtocol::Ipv6 if ndp::is_ndp(ethernet.payload()) => {
                self.hear_ndp(now, ethernet.payload());
            }
            EthernetProtocol::Ipv4 | EthernetProtocol::Ipv6 => return Some(ethernet.payload()),
            EthernetProtocol::Unknown(_) => {}
        }
        None
    }

    /// Sends the IP packet in `frame`, which lies behind room for an Ethernet header.
    pub fn send(&mut self, now: Instant, mut frame: Vec<u8>) {
        let Some(to) = station::destination(&frame) else {
            self.counters.unroutable += 1;
            return;
        };
        if !self.entries.contains_key(&to) {
            if let Some(mac) = self.station.group_mac(to) {
                self.station.address(&mut frame, mac);
                return self.transmit(frame);
            }
            if !self.station.is_on_link(to) {
                self.counters.unroutable += 1;
                return;
            }
            if !self.ensure(now, to) {
                return;
            }
        }
        let Some(entry) = self.entries.get_mut(&to) else { return };
        let action = entry.use_now(now);
        let timer = entry.timer();
        match action {
            Use::Send(mac) => {
                self.station.address(&mut frame, mac);
                self.transmit(frame);
            }
            Use::Hold | Use::Solicit => self.counters.displaced += entry.hold(frame),
        }
        if action == Use::Solicit {
            self.solicit(to, None);
        }
        self.arm(timer);
    }

    /// When [`NeighbourTable::handle_timeout`] is due.
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Does what is due: neighbours age, are asked again, are given up.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|at| at > now) {
            return;
        }
        let mut asked = Vec::new();
        for (&ip, entry) in &mut self.entries {
            match entry.expire(now) {
                Due::Nothing => {}
                Due::Solicit(mac) => asked.push((ip, mac)),
                Due::GiveUp(frames) => self.counters.unreachable += frames as u64,
            }
        }
        self.deadline = self.entries.values().filter_map(Entry::timer).min();
        for (ip, mac) in asked {
            self.solicit(ip, mac);
        }
    }

    /// The next frame for the wire; ask again until there is none.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.frames.pop_front()
    }

    /// Where a frame for `ip` would be sent now, if anywhere.
    pub fn neighbour(&self, ip: IpAddress) -> Option<EthernetAddress> {
        self.entries.get(&ip).and_then(Entry::mac)
    }

    /// What the host holds of `ip`; `None` if nothing.
    pub fn state(&self, ip: IpAddress) -> Option<NeighbourState> {
        self.entries.get(&ip).map(Entry::state)
    }

    /// What did not leave so far.
    pub fn counters(&self) -> NeighbourCounters {
        self.counters
    }

    /// Makes sure that there is an entry for `ip`; false, and counted, if there is no room.
    fn ensure(&mut self, now: Instant, ip: IpAddress) -> bool {
        if self.entries.contains_key(&ip) {
            return true;
        }
        if self.entries.len() >= ENTRIES_MAX && !self.make_room(now) {
            self.counters.table_full += 1;
            return false;
        }
        let spread = self.rng.u64(0..REACHABLE_BASE.as_nanos() as u64);
        let reachable_time = REACHABLE_BASE / 2 + Duration::from_nanos(spread);
        self.entries.insert(ip, Entry::new(now, reachable_time));
        true
    }

    /// Forgets the oldest neighbour that nothing is under way with.
    fn make_room(&mut self, now: Instant) -> bool {
        let idle = |entry: &Entry| match entry.state() {
            NeighbourState::Failed => true,
            NeighbourState::Stale => now - entry.updated() > YOUNG,
            NeighbourState::Incomplete
            | NeighbourState::Reachable
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent => false,
        };
        let idle = self.entries.iter().filter(|(_, entry)| idle(entry));
        let oldest = idle.min_by_key(|(_, entry)| entry.updated()).map(|(&ip, _)| ip);
        oldest.is_some_and(|ip| self.entries.remove(&ip).is_some())
    }

    /// Lets an entry that exists know what was heard; frames that waited for it leave.
    fn learn(
        &mut self,
        now: Instant,
        ip: IpAddress,
        mac: Option<EthernetAddress>,
        claim: Claim,
        over: Override,
    ) {
        let Some(entry) = self.entries.get_mut(&ip) else { return };
        let resolved = entry.update(now, mac, claim, over);
        if self.habits.repetitions_prolong_locktime {
            entry.touch(now);
        }
        let timer = entry.timer();
        let held = if resolved { entry.release() } else { VecDeque::new() };
        self.arm(timer);
        for frame in held {
            self.send(now, frame);
        }
    }

    fn solicit(&mut self, ip: IpAddress, to: Option<EthernetAddress>) {
        if let Some(frame) = self.station.solicitation(ip, to) {
            self.transmit(frame);
        }
    }

    fn transmit(&mut self, frame: Vec<u8>) {
        if self.frames.len() < FRAMES_MAX {
            self.frames.push_back(frame);
        } else {
            self.counters.transmit_full += 1;
        }
    }

    fn arm(&mut self, timer: Option<Instant>) {
        self.deadline = [self.deadline, timer].into_iter().flatten().min();
    }
}

#[cfg(test)]
mod tests;
