//! What a hostile machine attacks with, and how often.

use std::time::Duration;

/// Frames of one weapon at a time, unless [`Arsenal::with`] says otherwise.
const BURST: u32 = 4;
/// No weapon is faster, so that time moves on.
const INTERVAL_MIN: Duration = Duration::from_micros(1);

/// One kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weapon {
    /// ARP that claims the service address for the attacker.
    ArpClaim,
    /// ARP probes and duplicate address detection for the service address.
    ArpProbe,
    /// ARP requests and neighbour solicitations from many senders.
    AskFlood,
    /// Beats that nobody with the key made.
    BeatForge,
    /// Beats of the group, sent again.
    BeatReplay,
    /// Frames that make no sense.
    Garbage,
    /// Frames whose Ethernet source is a node's, or the virtual MAC: they draw its traffic to the
    /// attacker's port, so that outages while it is in use are the network's fault.
    MacSpoof,
    /// What queriers, bridges and routers say to groups.
    MulticastNoise,
    /// Neighbour advertisements, and their kin, that claim the service address for the attacker.
    NaClaim,
    /// Echo requests, small and large.
    PingFlood,
    /// TCP segments: SYNs, strays, and connections that end badly.
    SynFlood,
}

impl Weapon {
    /// Every weapon.
    pub const ALL: [Weapon; 11] = [
        Weapon::ArpClaim,
        Weapon::ArpProbe,
        Weapon::AskFlood,
        Weapon::BeatForge,
        Weapon::BeatReplay,
        Weapon::Garbage,
        Weapon::MacSpoof,
        Weapon::MulticastNoise,
        Weapon::NaClaim,
        Weapon::PingFlood,
        Weapon::SynFlood,
    ];

    /// The word used in scenarios and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Weapon::ArpClaim => "arp-claim",
            Weapon::ArpProbe => "arp-probe",
            Weapon::AskFlood => "ask-flood",
            Weapon::BeatForge => "beat-forge",
            Weapon::BeatReplay => "beat-replay",
            Weapon::Garbage => "garbage",
            Weapon::MacSpoof => "mac-spoof",
            Weapon::MulticastNoise => "multicast-noise",
            Weapon::NaClaim => "na-claim",
            Weapon::PingFlood => "ping-flood",
            Weapon::SynFlood => "syn-flood",
        }
    }

    /// The weapon of that name.
    pub fn from_name(name: &str) -> Option<Weapon> {
        Weapon::ALL.into_iter().find(|weapon| weapon.name() == name)
    }
}

/// How often a weapon is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one burst to the next; at least a microsecond.
    pub interval: Duration,
    /// Frames in a burst.
    pub burst: u32,
}

/// The weapons in use. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arsenal {
    /// In order, each weapon once.
    arms: Vec<(Weapon, Pace)>,
}

impl Arsenal {
    /// These weapons, each in bursts of four frames, one burst `every` so often.
    pub fn of(weapons: &[Weapon], every: Duration) -> Self {
        let pace = Pace { interval: every, burst: BURST };
        weapons.iter().fold(Arsenal::default(), |arsenal, &weapon| arsenal.with(weapon, pace))
    }

    /// One weapon more, or the same weapon at another pace.
    #[must_use]
    pub fn with(mut self, weapon: Weapon, pace: Pace) -> Self {
        let pace = Pace { interval: pace.interval.max(INTERVAL_MIN), ..pace };
        match self.arms.binary_search_by_key(&weapon, |&(weapon, _)| weapon) {
            Ok(index) => self.arms[index].1 = pace,
            Err(index) => self.arms.insert(index, (weapon, pace)),
        }
        self
    }

    /// The weapons in use, in order.
    pub fn weapons(&self) -> impl Iterator<Item = Weapon> {
        self.arms.iter().map(|&(weapon, _)| weapon)
    }

    /// How often `weapon` is used; `None` if it is not.
    pub fn pace(&self, weapon: Weapon) -> Option<Pace> {
        self.arms.iter().find(|(in_use, _)| *in_use == weapon).map(|&(_, pace)| pace)
    }
}
