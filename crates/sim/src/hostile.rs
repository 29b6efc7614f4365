//! A machine that means harm: it speaks raw frames, and keeps what it hears to use it again.
//!
//! What it does is drawn from its seed and from what it heard, nothing else. One module per kind of
//! attack; each shot is one function of its [`Aim`]. What does not belong here: what nodes should make
//! of it, and knowing the group's key.
//!
//! Harm has limits, so that a checker can tell whose fault an outage is. Except for
//! [`Weapon::MacSpoof`], no frame has the Ethernet source of another station; except for
//! [`Weapon::ArpClaim`] and [`Weapon::NaClaim`], none claims an address that another station has. The
//! strangers in whose name the others speak are the 64 IPv4 addresses from ten after the service
//! address, and 4096 IPv6 ones from 0x1000 after it: keep clients out of there.

mod arsenal;
mod beats;
mod build;
mod garbage;
mod memory;
mod neighbours;
mod noise;
mod pings;
mod segments;
mod spoof;
mod target;

use std::collections::VecDeque;

use fastrand::Rng;
use locum_gate::Identity;
use locum_types::Instant;
use smoltcp::wire::EthernetAddress;

pub use self::arsenal::{Arsenal, Pace, Weapon};
use self::memory::Memory;
use self::segments::Dialogues;
use self::target::{Aim, Victims};

/// The largest IP packet on a laboratory's link.
const MTU: usize = 1500;
/// The longest frame: a header and one VLAN tag around it.
const FRAME_LEN_MAX: usize = MTU + 18;
/// The port of beats in every laboratory.
const BEAT_PORT: u16 = 3780;
/// Frames that may wait to leave.
const OUTBOX_MAX: usize = 1024;
/// Where the Ethernet source of a frame is.
const SOURCE: std::ops::Range<usize> = 6..12;

/// A hostile machine on a segment.
#[derive(Debug)]
pub struct Hostile {
    mac: EthernetAddress,
    victims: Victims,
    memory: Memory,
    dialogues: Dialogues,
    /// Every weapon, in use or not: it goes on where it was when it is taken up again.
    arms: [Arm; Weapon::ALL.len()],
    outbox: VecDeque<Vec<u8>>,
    counters: HostileCounters,
}

/// What a hostile machine did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostileCounters {
    /// Frames that left, or wait to.
    pub fired: u64,
    /// Shots that found nothing to work with: no beat to replay, no answer, no address of the family.
    pub blank: u64,
    /// Frames lost because too many waited.
    pub queue_full: u64,
}

/// One weapon, and its own source of chance: what it does is the same whatever else is in use.
#[derive(Debug)]
struct Arm {
    weapon: Weapon,
    /// How often, and when next; `None` if it is not in use.
    pace: Option<(Pace, Instant)>,
    rng: Rng,
    shots: u64,
}

impl Hostile {
    /// A machine that will attack the group of `victims`; it is not armed.
    ///
    /// # Panics
    /// When there is no victim, or none has a service address.
    pub fn new(mac: EthernetAddress, victims: &[Identity], seed: u64) -> Self {
        let mut seeds = Rng::with_seed(seed);
        let arms =
            Weapon::ALL.map(|weapon| Arm { weapon, pace: None, rng: seeds.fork(), shots: 0 });
        Hostile {
            mac,
            victims: Victims::new(victims),
            memory: Memory::default(),
            dialogues: Dialogues::default(),
            arms,
            outbox: VecDeque::new(),
            counters: HostileCounters::default(),
        }
    }

    /// From now on it uses these weapons, and no others. One that stays in use is not interrupted, a
    /// new one is first used at once.
    pub fn set_arsenal(&mut self, now: Instant, arsenal: &Arsenal) {
        for arm in &mut self.arms {
            let next = arm.pace.map_or(now, |(_, next)| next);
            arm.pace = arsenal.pace(arm.weapon).map(|pace| (pace, next.min(now + pace.interval)));
        }
    }

    /// Takes a frame off the wire, and remembers it.
    pub fn receive(&mut self, frame: &[u8]) {
        self.memory.note(frame);
        self.dialogues.hear(frame);
    }

    /// Uses every weapon that is due.
    pub fn turn(&mut self, now: Instant) {
        for index in 0..self.arms.len() {
            let Some((pace, next)) = self.arms[index].pace else { continue };
            if next > now {
                continue;
            }
            self.arms[index].pace = Some((pace, now + pace.interval));
            for _ in 0..pace.burst {
                self.shoot(index);
            }
        }
    }

    /// Hands the oldest frame to transmit to `send`.
    pub fn poll_transmit<R>(&mut self, send: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.outbox.pop_front().map(|frame| send(&frame))
    }

    /// When the next turn is due. May change after [`Hostile::turn`] and [`Hostile::set_arsenal`].
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.arms.iter().filter_map(|arm| arm.pace).map(|(_, next)| next).min()
    }

    /// What it did.
    pub fn counters(&self) -> HostileCounters {
        self.counters
    }

    fn shoot(&mut self, index: usize) {
        let Arm { weapon, rng, shots, .. } = &mut self.arms[index];
        let weapon = *weapon;
        let (mac, victims, memory) = (self.mac, &self.victims, &self.memory);
        let aim = &mut Aim { mac, victims, memory, rng, shot: *shots };
        *shots += 1;
        let frame = match weapon {
            Weapon::ArpClaim => neighbours::arp_claim(aim),
            Weapon::ArpProbe => neighbours::probe(aim),
            Weapon::AskFlood => neighbours::ask(aim),
            Weapon::BeatForge => beats::forge(aim),
            Weapon::BeatReplay => beats::replay(aim),
            Weapon::Garbage => garbage::garbage(aim),
            Weapon::MacSpoof => spoof::spoof(aim),
            Weapon::MulticastNoise => noise::noise(aim),
            Weapon::NaClaim => neighbours::na_claim(aim),
            Weapon::PingFlood => pings::ping(aim),
            Weapon::SynFlood => segments::next(aim, &mut self.dialogues),
        };
        let Some(mut frame) = frame else {
            self.counters.blank += 1;
            return;
        };
        if self.outbox.len() == OUTBOX_MAX {
            self.counters.queue_full += 1;
            return;
        }
        if weapon != Weapon::MacSpoof {
            self.own_up(&mut frame);
        }
        frame.truncate(FRAME_LEN_MAX);
        self.counters.fired += 1;
        self.outbox.push_back(frame);
    }

    /// Puts the attacker's own MAC in place of a source that may be another station's: a switch would
    /// send that station's frames here.
    fn own_up(&self, frame: &mut [u8]) {
        let Some(field) = frame.get_mut(SOURCE) else { return };
        let source = EthernetAddress::from_bytes(field);
        let looks_alike = source == self.victims.lookalike() && !self.victims.is_member(source);
        if source.is_unicast() && !target::is_strange(source) && !looks_alike {
            field.copy_from_slice(self.mac.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
