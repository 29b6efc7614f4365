//! The announcements that move the service addresses to this node: what is due, and when.
//!
//! Pure schedule and contents; [`crate::Gate`] sends them, through the same check as every other
//! frame.

use std::time::Duration;

use locum_types::Instant;
use locum_types::sabotage::{Sabotage, sabotaged};
use smoltcp::wire::{EthernetAddress, Ipv4Address, Ipv6Address};

use crate::Identity;
use crate::craft::{self, ALL_NODES, Buffer};
use crate::frame::solicited_node;

/// Between the rounds of gratuitous ARP. Linux refuses a second change of an entry within 1 s
/// (`locktime`), so five rounds follow at just over that: a client that learned of the former
/// active node a moment ago gets the last word.
const ARP_GAPS: [Duration; 7] = [
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(1_100),
    Duration::from_millis(1_100),
    Duration::from_millis(1_100),
    Duration::from_millis(1_100),
    Duration::from_millis(1_100),
];
/// Between the rounds of unsolicited advertisements: at most three, a second or more apart (RFC
/// 4861 §7.2.6).
const ADVERT_GAPS: [Duration; 2] = [Duration::from_secs(1); 2];
/// Between the rounds after the burst: keeps the forwarding tables of bridges warm (RFC 9568 §7.2).
const REFRESH: Duration = Duration::from_secs(60);
/// Rounds that join the solicited-node groups first: a report may get lost (RFC 3810 §9.1:
/// robustness 2).
const JOIN_ROUNDS: usize = 2;

/// One frame to announce a service address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// Gratuitous ARP as a request (RFC 5227 §2.3, RFC 9568 §6.4.2).
    ArpRequest(Ipv4Address),
    /// Gratuitous ARP as a reply, which some stations heed where they ignore requests (RFC 5944
    /// §4.6).
    ArpReply(Ipv4Address),
    /// A multicast listener report for the solicited-node group of the address: what a switch that
    /// snoops needs before questions for the address reach this node (RFC 9568 §6.4.2: join before
    /// announcing).
    Join(Ipv6Address),
    /// An unsolicited neighbour advertisement, S = 0, O = 1, R = 0 (RFC 4861 §7.2.6, RFC 9568
    /// §6.4.2).
    Advert(Ipv6Address),
}

impl Announcement {
    /// Writes the frame, from the service MAC `mac`, and returns its length.
    pub(crate) fn emit(
        self,
        mac: EthernetAddress,
        source: JoinSource,
        buffer: &mut Buffer,
    ) -> usize {
        match self {
            Announcement::ArpRequest(address) => craft::announcement_request(mac, address, buffer),
            Announcement::ArpReply(address) => craft::announcement_reply(mac, address, buffer),
            Announcement::Join(address) => {
                craft::join((mac, source.0), solicited_node(address), buffer)
            }
            Announcement::Advert(address) => {
                let everyone = (craft::multicast_mac(ALL_NODES), ALL_NODES);
                craft::advert((mac, address), everyone, buffer)
            }
        }
    }
}

/// The source of listener reports: a link-local service address, or `::` (RFC 3810 §5.2.13).
#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinSource(Ipv6Address);

impl JoinSource {
    pub(crate) fn of(identity: &Identity) -> Self {
        let link_local = identity.service_v6().find(|address| address.is_unicast_link_local());
        JoinSource(link_local.unwrap_or(Ipv6Address::UNSPECIFIED))
    }
}

/// When which announcement is due.
#[derive(Clone, Debug)]
pub struct Announcer {
    v4: Vec<Ipv4Address>,
    v6: Vec<Ipv6Address>,
    arp: Schedule,
    advert: Schedule,
}

impl Announcer {
    /// An announcer that has nothing to say until it is told to.
    pub fn new(identity: &Identity) -> Self {
        Announcer {
            v4: identity.service_v4().collect(),
            v6: identity.service_v6().collect(),
            arp: Schedule::new(&ARP_GAPS),
            advert: Schedule::new(&ADVERT_GAPS),
        }
    }

    /// This node has become active: the burst begins at once.
    pub fn activate(&mut self, now: Instant) {
        if sabotaged(Sabotage::Unannounced) {
            return;
        }
        self.arp.start(now);
        self.advert.start(now);
    }

    /// The burst begins again, after a sign of a rival or a healed link. Unlike an activation it
    /// keeps the least distance to the round before: a second for IPv6 (RFC 4861 §7.2.6: MUST), 20
    /// ms for IPv4.
    pub fn restart(&mut self, now: Instant) {
        self.arp.restart(now);
        self.advert.restart(now);
    }

    /// This node is no longer active: nothing is due any more.
    pub fn stop(&mut self) {
        self.arp.stop();
        self.advert.stop();
    }

    /// When [`Announcer::poll`] will have something to say.
    pub fn poll_deadline(&self) -> Option<Instant> {
        [self.arp.due(self.v4.len()), self.advert.due(self.v6.len())].into_iter().flatten().min()
    }

    /// The next announcement that is due, if any; ask again until there is none.
    pub fn poll(&mut self, now: Instant) -> Option<Announcement> {
        self.poll_arp(now).or_else(|| self.poll_advert(now))
    }

    fn poll_arp(&mut self, now: Instant) -> Option<Announcement> {
        let item = self.arp.take(now, 2 * self.v4.len())?;
        let address = *self.v4.get(item / 2)?;
        Some(match item % 2 {
            0 => Announcement::ArpRequest(address),
            _ => Announcement::ArpReply(address),
        })
    }

    fn poll_advert(&mut self, now: Instant) -> Option<Announcement> {
        let joins = if self.advert.round < JOIN_ROUNDS { self.v6.len() } else { 0 };
        let item = self.advert.take(now, joins + self.v6.len())?;
        match item.checked_sub(joins) {
            None => self.v6.get(item).copied().map(Announcement::Join),
            Some(index) => self.v6.get(index).copied().map(Announcement::Advert),
        }
    }
}

/// Rounds of items: a burst with given gaps, then one round per [`REFRESH`].
#[derive(Clone, Debug)]
struct Schedule {
    gaps: &'static [Duration],
    due: Option<Instant>,
    round: usize,
    item: usize,
    /// When the last round began.
    last: Option<Instant>,
}

impl Schedule {
    fn new(gaps: &'static [Duration]) -> Self {
        Schedule { gaps, due: None, round: 0, item: 0, last: None }
    }

    fn start(&mut self, now: Instant) {
        self.due = Some(now);
        self.round = 0;
        self.item = 0;
    }

    fn restart(&mut self, now: Instant) {
        let gap = self.gaps.first().copied().unwrap_or(REFRESH);
        let earliest = self.last.map_or(now, |last| (last + gap).max(now));
        self.start(earliest);
    }

    fn stop(&mut self) {
        self.due = None;
    }

    fn due(&self, items: usize) -> Option<Instant> {
        self.due.filter(|_| items != 0)
    }

    /// The next item of the round that is due, out of `items`.
    fn take(&mut self, now: Instant, items: usize) -> Option<usize> {
        let due = self.due(items)?;
        if now < due {
            return None;
        }
        if self.item == 0 {
            self.last = Some(now);
        }
        let item = self.item;
        self.item += 1;
        if self.item >= items {
            // Counted from when the round was sent: late rounds do not bunch up.
            self.due = Some(now + self.gaps.get(self.round).copied().unwrap_or(REFRESH));
            self.round += 1;
            self.item = 0;
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests;
