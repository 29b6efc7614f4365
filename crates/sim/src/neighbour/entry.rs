//! One neighbour: the state machine of Linux's `net/core/neighbour.c`.

use std::collections::VecDeque;
use std::time::Duration;

use locum_types::Instant;
use smoltcp::wire::EthernetAddress;

use super::NeighbourState;

/// How long after a use of a stale entry it is probed (`delay_first_probe_time`; RFC 4861 §10:
/// DELAY_FIRST_PROBE_TIME).
pub(super) const DELAY: Duration = Duration::from_secs(5);
/// Between two solicitations (`retrans_time_ms`; RFC 4861 §10: RETRANS_TIMER).
pub(super) const RETRANS: Duration = Duration::from_secs(1);
/// Solicitations before an entry has failed: `mcast_solicit` while it is unknown, `ucast_solicit`
/// while it is probed.
pub(super) const SOLICITATIONS: u32 = 3;
/// Frames that wait for an answer: what `unres_qlen` says by default.
pub(super) const HELD_MAX: usize = 101;

/// What is known of one neighbour.
#[derive(Debug)]
pub(super) struct Entry {
    state: NeighbourState,
    /// Holds no meaning unless the state is one with a known address.
    mac: EthernetAddress,
    /// When the state or the address last changed.
    updated: Instant,
    /// When it was last proven reachable.
    confirmed: Option<Instant>,
    /// When a frame last went the slow way, that is in any state but the connected ones.
    used: Instant,
    /// Solicitations sent in this state.
    probes: u32,
    timer: Option<Instant>,
    reachable_time: Duration,
    held: VecDeque<Vec<u8>>,
}

/// What a message says of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It answers (`NUD_REACHABLE`).
    Reachable,
    /// It exists (`NUD_STALE`).
    Stale,
}

/// What a message may do to an entry that knows another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Override {
    /// Nothing.
    Never,
    /// Cast doubt on it if it is reachable (`NEIGH_UPDATE_F_WEAK_OVERRIDE`; RFC 4861 §7.2.5).
    Suspect,
    /// Replace the address (`NEIGH_UPDATE_F_OVERRIDE`).
    Replace,
}

/// What becomes of a frame for a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It leaves.
    Send(EthernetAddress),
    /// It waits for an answer to a solicitation under way.
    Hold,
    /// It waits, and a first solicitation is due.
    Solicit,
}

/// What a timer that went off asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// A solicitation: to this station, or to all.
    Solicit(Option<EthernetAddress>),
    /// The neighbour is gone, and this many frames that waited for it.
    GiveUp(usize),
}

impl Entry {
    /// A neighbour of which nothing is known.
    pub(super) fn new(now: Instant, reachable_time: Duration) -> Self {
        Entry {
            state: NeighbourState::Failed,
            mac: EthernetAddress::default(),
            updated: now,
            confirmed: None,
            used: now,
            probes: 0,
            timer: None,
            reachable_time,
            held: VecDeque::new(),
        }
    }

    /// A neighbour whose address the administrator fixed.
    pub(super) fn fixed(mac: EthernetAddress) -> Self {
        let mut entry = Entry::new(Instant::ZERO, Duration::ZERO);
        entry.state = NeighbourState::Permanent;
        entry.mac = mac;
        entry
    }

    pub(super) fn state(&self) -> NeighbourState {
        self.state
    }

    /// Its address, if one is known.
    pub(super) fn mac(&self) -> Option<EthernetAddress> {
        self.state.is_valid().then_some(self.mac)
    }

    pub(super) fn updated(&self) -> Instant {
        self.updated
    }

    /// Begins the locktime anew.
    pub(super) fn touch(&mut self, now: Instant) {
        self.updated = now;
    }

    pub(super) fn timer(&self) -> Option<Instant> {
        self.timer
    }

    /// Takes in what a message says (`neigh_update`); true if frames that waited may leave now.
    pub(super) fn update(
        &mut self,
        now: Instant,
        mac: Option<EthernetAddress>,
        claim: Claim,
        over: Override,
    ) -> bool {
        let known = self.mac();
        let Some(mut mac) = mac.or(known) else { return false };
        if self.state == NeighbourState::Permanent {
            return false;
        }
        let mut state = match claim {
            Claim::Reachable => NeighbourState::Reachable,
            Claim::Stale => NeighbourState::Stale,
        };
        if claim == Claim::Reachable {
            // Even when the message then changes nothing, as the kernel has it.
            self.confirmed = Some(now);
        }
        match known {
            None => {}
            // The same address again disproves nothing.
            Some(known) if known == mac && claim == Claim::Stale => state = self.state,
            Some(known) if known == mac => {}
            Some(known) => match over {
                Override::Replace => {}
                Override::Suspect if self.state == NeighbourState::Reachable => {
                    mac = known;
                    state = NeighbourState::Stale;
                }
                Override::Suspect | Override::Never => return false,
            },
        }
        let moved = known != Some(mac);
        if moved && state != NeighbourState::Reachable {
            self.confirmed = None;
        }
        self.mac = mac;
        // Only a change counts: a repetition must not prolong the locktime.
        if state != self.state {
            let timer = (state == NeighbourState::Reachable).then(|| now + self.reachable_time);
            self.enter(now, state, timer);
        } else if moved {
            self.updated = now;
        }
        known.is_none()
    }

    /// A frame wants to leave (`neigh_event_send`).
    pub(super) fn use_now(&mut self, now: Instant) -> Use {
        match self.state {
            NeighbourState::Permanent | NeighbourState::Reachable => return Use::Send(self.mac),
            NeighbourState::Delay | NeighbourState::Probe | NeighbourState::Incomplete => {}
            NeighbourState::Stale => self.enter(now, NeighbourState::Delay, Some(now + DELAY)),
            NeighbourState::Failed => {
                self.enter(now, NeighbourState::Incomplete, Some(now + RETRANS));
                self.probes = 1;
                self.used = now;
                return Use::Solicit;
            }
        }
        self.used = now;
        self.mac().map_or(Use::Hold, Use::Send)
    }

    /// Keeps a frame until the address is known; returns how many older ones it displaced.
    pub(super) fn hold(&mut self, frame: Vec<u8>) -> u64 {
        let full = self.held.len() == HELD_MAX;
        if full {
            self.held.pop_front();
        }
        self.held.push_back(frame);
        u64::from(full)
    }

    /// The frames that waited.
    pub(super) fn release(&mut self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.held)
    }

    /// Does what is due (`neigh_timer_handler`).
    pub(super) fn expire(&mut self, now: Instant) -> Due {
        if self.timer.is_none_or(|at| at > now) {
            return Due::Nothing;
        }
        self.timer = None;
        match self.state {
            NeighbourState::Reachable => self.outlive(now),
            NeighbourState::Delay => match self.confirmed {
                // An answer that was refused for its address proved something all the same.
                Some(at) if now <= at + DELAY => {
                    let timer = at + self.reachable_time;
                    self.enter(now, NeighbourState::Reachable, Some(timer));
                }
                Some(_) | None => {
                    self.enter(now, NeighbourState::Probe, Some(now + RETRANS));
                    self.probes = 0;
                }
            },
            NeighbourState::Incomplete | NeighbourState::Probe => self.timer = Some(now + RETRANS),
            NeighbourState::Stale | NeighbourState::Failed | NeighbourState::Permanent => {}
        }
        self.solicit(now)
    }

    /// The time for which a reachable neighbour is believed in may be over.
    fn outlive(&mut self, now: Instant) {
        let end = self.confirmed.map_or(now, |at| at + self.reachable_time);
        if now < end {
            self.timer = Some(end);
        } else if now <= self.used + DELAY {
            self.enter(now, NeighbourState::Delay, Some(now + DELAY));
        } else {
            self.enter(now, NeighbourState::Stale, None);
        }
    }

    fn solicit(&mut self, now: Instant) -> Due {
        let soliciting = matches!(self.state, NeighbourState::Incomplete | NeighbourState::Probe);
        if !soliciting {
            return Due::Nothing;
        }
        if self.probes >= SOLICITATIONS {
            self.enter(now, NeighbourState::Failed, None);
            return Due::GiveUp(self.release().len());
        }
        self.probes += 1;
        Due::Solicit(self.mac())
    }

    fn enter(&mut self, now: Instant, state: NeighbourState, timer: Option<Instant>) {
        self.state = state;
        self.updated = now;
        self.timer = timer;
    }
}
