//! What the gate did, per direction and reason. Everything adds up: each frame is counted once as
//! seen, and once as what became of it.

use locum_types::sabotage::{Sabotage, sabotaged};

use crate::frame::Kind;
use crate::policy::{EgressDrop, IngressDrop};

macro_rules! kind_counters {
    ($($(#[$doc:meta])* $field:ident: $kind:ident,)*) => {
        /// Frames per [`Kind`].
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct KindCounters {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl KindCounters {
            pub(crate) fn note(&mut self, kind: Kind) {
                match kind {
                    $(Kind::$kind => self.$field += 1,)*
                }
            }

            /// Frames of any kind.
            pub fn total(&self) -> u64 {
                0 $(+ self.$field)*
            }
        }
    };
}

kind_counters! {
    /// ARP requests.
    arp_request: ArpRequest,
    /// ARP probes, sender 0.0.0.0 (RFC 5227).
    arp_probe: ArpProbe,
    /// ARP replies.
    arp_reply: ArpReply,
    /// Gratuitous ARP, request and reply form.
    arp_announcement: ArpAnnouncement,
    /// Neighbour solicitations.
    neighbor_solicit: NeighborSolicit,
    /// Solicitations from `::`: duplicate address detection.
    dad_solicit: DadSolicit,
    /// Neighbour advertisements.
    neighbor_advert: NeighborAdvert,
    /// Router discovery and redirects.
    router: Router,
    /// Multicast listener discovery.
    mld: Mld,
    /// Internet group management.
    igmp: Igmp,
    /// ICMP and ICMPv6.
    icmp: Icmp,
    /// TCP segments without RST.
    tcp: Tcp,
    /// TCP segments with RST.
    tcp_reset: TcpReset,
    /// UDP datagrams.
    udp: Udp,
    /// IP fragments.
    fragment: Fragment,
    /// Other protocols over IP.
    other_ip: OtherIp,
    /// Other protocols over Ethernet.
    other_ethernet: OtherEthernet,
    /// Frames that cannot be read.
    malformed: Malformed,
}

/// Everything the gate counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct GateCounters {
    /// Frames from the link to the service stack.
    pub ingress: IngressCounters,
    /// Frames from the service stack to the link.
    pub egress: EgressCounters,
    /// Questions for a service address, in any mode.
    pub asked: AskedCounters,
    /// Frames that the gate itself sent.
    pub sent: SentCounters,
    /// Others' claims to a service address.
    pub claims: ClaimCounters,
}

/// Frames from the link. `frames` = `passed` + `answered` + [`IngressCounters::dropped`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct IngressCounters {
    /// Frames that arrived.
    pub frames: u64,
    /// Handed to the stack.
    pub passed: u64,
    /// Answered by the gate in place of the stack.
    pub answered: u64,
    /// Dropped because the node was not active, by kind.
    pub not_active: KindCounters,
    /// Dropped: unreadable, or inconsistent.
    pub malformed: u64,
    /// Dropped: VLAN-tagged.
    pub tagged: u64,
    /// Dropped: from the service MAC itself. A loop, or a second active node.
    pub echo: u64,
    /// Dropped: unicast to another MAC.
    pub not_for_us: u64,
    /// Dropped: neighbour discovery with a hop limit below 255.
    pub hop_limit: u64,
    /// Dropped: IP fragments.
    pub fragment: u64,
    /// Dropped: ARP or neighbour discovery in which someone else claims a service address.
    pub claim: u64,
    /// Dropped: IP packets whose source is a service address, or a group address.
    pub source_address: u64,
    /// Dropped: questions that the gate was to answer while too many answers waited.
    pub answers_full: u64,
}

impl IngressCounters {
    pub(crate) fn note_drop(&mut self, reason: IngressDrop) {
        if sabotaged(Sabotage::DropsUncounted) {
            return;
        }
        match reason {
            IngressDrop::NotActive(kind) => self.not_active.note(kind),
            IngressDrop::Malformed => self.malformed += 1,
            IngressDrop::Tagged => self.tagged += 1,
            IngressDrop::Echo => self.echo += 1,
            IngressDrop::NotForUs => self.not_for_us += 1,
            IngressDrop::HopLimit => self.hop_limit += 1,
            IngressDrop::Fragment => self.fragment += 1,
            IngressDrop::Claim => self.claim += 1,
            IngressDrop::SourceAddress => self.source_address += 1,
            IngressDrop::AnswersFull => self.answers_full += 1,
        }
    }

    /// Frames dropped for any reason.
    pub fn dropped(&self) -> u64 {
        self.not_active.total()
            + self.malformed
            + self.tagged
            + self.echo
            + self.not_for_us
            + self.hop_limit
            + self.fragment
            + self.claim
            + self.source_address
            + self.answers_full
    }
}

/// Frames of the service stack. `frames` = `passed` + `rewritten` + [`EgressCounters::dropped`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct EgressCounters {
    /// Frames that the stack sent.
    pub frames: u64,
    /// Left as they were.
    pub passed: u64,
    /// Left repaired: advertisements with the override flag set, listener reports that join.
    pub rewritten: u64,
    /// Suppressed because the node was not active, by kind.
    pub not_active: KindCounters,
    /// Dropped: unreadable.
    pub malformed: u64,
    /// Dropped: VLAN-tagged.
    pub tagged: u64,
    /// Dropped: the Ethernet source is not the service MAC.
    pub source_mac: u64,
    /// Dropped: the source or sender is not a service address.
    pub source_address: u64,
    /// Dropped: offers another MAC than the service MAC.
    pub offered_mac: u64,
    /// Dropped: a protocol that the service has no business with.
    pub protocol: u64,
}

impl EgressCounters {
    pub(crate) fn note_drop(&mut self, reason: EgressDrop) {
        match reason {
            EgressDrop::NotActive(kind) => self.not_active.note(kind),
            EgressDrop::Malformed => self.malformed += 1,
            EgressDrop::Tagged => self.tagged += 1,
            EgressDrop::SourceMac => self.source_mac += 1,
            EgressDrop::SourceAddress => self.source_address += 1,
            EgressDrop::OfferedMac => self.offered_mac += 1,
            EgressDrop::Protocol => self.protocol += 1,
        }
    }

    /// Frames dropped for any reason.
    pub fn dropped(&self) -> u64 {
        self.not_active.total()
            + self.malformed
            + self.tagged
            + self.source_mac
            + self.source_address
            + self.offered_mac
            + self.protocol
    }
}

/// Questions for a service address that arrived, in any mode. A client that asks a waiting node's
/// link again and again is a hint that the active node is deaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct AskedCounters {
    /// ARP requests.
    pub arp_request: u64,
    /// ARP probes, peers' and strangers'.
    pub arp_probe: u64,
    /// Neighbour solicitations.
    pub neighbor_solicit: u64,
    /// Duplicate address detection, peers' and strangers'.
    pub dad_solicit: u64,
}

/// Frames that the gate itself sent, or would have sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SentCounters {
    /// Announcements: gratuitous ARP, unsolicited advertisements, listener reports.
    pub announcements: u64,
    /// Bursts of announcements begun.
    pub bursts: u64,
    /// Answers in place of the stack.
    pub answers: u64,
    /// Announcements in defence against a conflict (RFC 5227 §2.4).
    pub defences: u64,
    /// Answers and defences thrown away because the node was no longer active.
    pub stale: u64,
    /// Frames of the gate's own that its egress check refused: none, unless the gate is wrong.
    pub refused: u64,
}

/// Others' claims to a service address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ClaimCounters {
    /// Frames in which someone outside the group claimed a service address (RFC 5227), in any mode.
    pub strangers: u64,
    /// Frames in which another node of the group did, while this one was active.
    pub peers: u64,
    /// Claims not reported: the same one was a moment ago.
    pub repeated: u64,
    /// Claims not reported: too many wait to be drained.
    pub unreported: u64,
}
