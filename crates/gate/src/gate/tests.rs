use std::sync::Arc;

use locum_types::{Grant, NodeId, Term};
use proptest::prelude::*;
use smoltcp::phy::{RxToken as _, TxToken as _};
use smoltcp::wire::Ipv6Address;

use super::*;
use crate::conflict::Claim;
use crate::frame::Kind;
use crate::testing::*;
use crate::{FrameQueue, MacMode, Member};

mod stack;

const T0: Instant = Instant::from_millis(1);

struct Bench {
    gate: Gate<FrameQueue>,
    cell: Arc<ModeCell>,
    identity: Identity,
}

impl Bench {
    fn new(mode: Mode, mac_mode: MacMode) -> Self {
        Bench::with_depth(mode, mac_mode, 64)
    }

    fn with_depth(mode: Mode, mac_mode: MacMode, depth: usize) -> Self {
        let (identity, cell) = (identity(mac_mode), cell(mode));
        let queue = FrameQueue::new(1500, depth);
        Bench { gate: Gate::new(queue, identity.clone(), Arc::clone(&cell)), cell, identity }
    }

    /// An active gate whose first announcements are out of the way.
    fn announced() -> Self {
        Bench::announced_as(MacMode::Virtual)
    }

    fn announced_as(mac_mode: MacMode) -> Self {
        let mut bench = Bench::new(Mode::Active, mac_mode);
        bench.gate.poll(T0);
        bench.sent();
        bench
    }

    /// What the stack gets of a frame that arrives.
    fn arrive(&mut self, now: Instant, frame: &[u8]) -> Vec<u8> {
        assert!(self.gate.inner_mut().push(frame));
        let (rx, _tx) = self.gate.receive(now.into()).expect("a frame is queued");
        rx.consume(<[u8]>::to_vec)
    }

    /// The stack sends a frame.
    fn say(&mut self, now: Instant, frame: &[u8]) {
        let token = self.gate.transmit(now.into()).expect("the queue has room");
        token.consume(frame.len(), |room| room.copy_from_slice(frame));
    }

    /// What left since the last call.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let queue = self.gate.inner_mut();
        std::iter::from_fn(|| queue.pop_transmit(<[u8]>::to_vec)).collect()
    }

    fn sent_kinds(&mut self) -> Vec<Kind> {
        self.sent().iter().map(|frame| view(frame).kind()).collect()
    }

    fn sightings(&mut self) -> Vec<Sighting> {
        std::iter::from_fn(|| self.gate.poll_sighting()).collect()
    }
}

// RFC 9568 §6.4.2; smoltcp takes no frame at all for the end of its loop.
#[test]
fn a_node_that_is_not_active_hands_up_empty_frames_and_still_offers_tokens() {
    for mode in SILENT {
        let mut bench = Bench::new(mode, MacMode::Virtual);
        let frames = traffic(&bench.identity);
        for frame in &frames {
            assert_eq!(bench.arrive(T0, frame), []);
            bench.say(T0, frame);
        }
        bench.gate.poll(T0);
        bench.gate.announce(T0);
        assert_eq!(bench.sent(), Vec::<Vec<u8>>::new());
        let counters = bench.gate.counters();
        let seen = frames.len() as u64;
        assert_eq!(counters.ingress.not_active.total(), seen);
        assert_eq!(counters.egress.not_active.total(), seen);
        assert_eq!(counters.asked.arp_request + counters.asked.arp_probe, 2);
        assert_eq!(counters.asked.neighbor_solicit + counters.asked.dad_solicit, 3);
        assert_eq!(bench.gate.poll_deadline(), None);
    }
}

#[test]
fn an_active_gate_passes_frames_unchanged() {
    for mac_mode in MAC_MODES {
        let mut bench = Bench::announced_as(mac_mode);
        let incoming = syn(client(), service(&bench.identity));
        assert_eq!(bench.arrive(T0, &incoming), incoming);
        let outgoing = udp(service(&bench.identity), client(), b"hello");
        bench.say(T0, &outgoing);
        assert_eq!(bench.sent(), [outgoing]);
        let counters = bench.gate.counters();
        assert_eq!((counters.ingress.passed, counters.egress.passed), (1, 1));
    }
}

// Defence in depth: PEERS §0.1, default deny also while active.
#[test]
fn an_active_gate_drops_what_is_not_the_services_to_say() {
    let mut bench = Bench::announced();
    bench.say(T0, &udp((bench.identity.node_mac(), NODE.into()), client(), b"x"));
    bench.say(T0, &udp((bench.identity.service_mac(), NODE.into()), client(), b"x"));
    assert_eq!(bench.sent(), Vec::<Vec<u8>>::new());
    let egress = &bench.gate.counters().egress;
    assert_eq!((egress.source_mac, egress.source_address, egress.dropped()), (1, 1, 2));
}

// The heartbeat thread grants while the stack is being polled: a late frame must not be answered
// before the announcement.
#[test]
fn an_activation_counts_from_the_poll_that_announces_it() {
    let mut bench = Bench::new(Mode::Waiting, MacMode::Virtual);
    bench.gate.poll(T0);
    grant(&bench.cell, Mode::Active, 2);
    let probe = arp_request(peer_mac(), NOBODY, SIP);
    assert_eq!(bench.arrive(T0, &probe), []);
    bench.say(T0, &udp(service(&bench.identity), client(), b"early"));
    assert_eq!(bench.sent(), Vec::<Vec<u8>>::new());
    bench.gate.poll(T0);
    assert_eq!(bench.sent().len(), 4, "the announcements alone");
    bench.arrive(T0, &probe);
    bench.gate.poll(T0);
    assert_eq!(bench.sent_kinds(), [Kind::ArpReply]);
}

// RFC 4861 §7.2.4.
#[test]
fn the_stacks_advertisements_leave_with_the_override_flag() {
    let mut bench = Bench::announced();
    let mac = bench.identity.service_mac();
    let right = crafted(|buffer| craft::advert((mac, SIP6), (CLIENT_MAC, CLIENT6), buffer));
    let mut smoltcps = right.clone();
    smoltcps[58] = 0x40;
    refresh_icmpv6_checksum(&mut smoltcps);
    bench.say(T0, &smoltcps);
    assert_eq!(bench.sent(), [right]);
    assert_eq!(bench.gate.counters().egress.rewritten, 1);
}

// RFC 9568 §6.4.2: at the transition, per address, join and announce.
#[test]
fn an_activation_is_noticed_and_announced_in_the_same_poll() {
    let mut bench = Bench::new(Mode::Waiting, MacMode::Virtual);
    bench.gate.poll(T0);
    assert_eq!(bench.gate.poll_deadline(), None);
    grant(&bench.cell, Mode::Active, 2);
    assert_eq!(bench.gate.poll_deadline(), Some((Instant::ZERO, "mode to notice")));
    bench.gate.poll(T0);
    let burst = [Kind::ArpAnnouncement, Kind::ArpAnnouncement, Kind::Mld, Kind::NeighborAdvert];
    assert_eq!(bench.sent_kinds(), burst);
    assert_eq!(bench.gate.poll_deadline(), Some((T0 + ms(20), "announcement")));
    bench.gate.poll(T0 + ms(20));
    assert_eq!(bench.sent_kinds(), burst[..2]);
    let sent = &bench.gate.counters().sent;
    assert_eq!((sent.bursts, sent.announcements, sent.refused), (1, 6, 0));
}

#[test]
fn a_new_term_is_a_new_activation() {
    let mut bench = Bench::announced();
    grant(&bench.cell, Mode::Active, 2);
    bench.gate.poll(T0 + ms(1));
    assert_eq!(bench.sent().len(), 4);
}

#[test]
fn the_end_of_an_activation_ends_its_announcements() {
    for mode in SILENT {
        let mut bench = Bench::announced();
        grant(&bench.cell, mode, 1);
        bench.gate.poll(T0 + ms(20));
        assert_eq!(bench.sent(), Vec::<Vec<u8>>::new());
        assert_eq!(bench.gate.poll_deadline(), None);
    }
}

// The monitor's word may arrive before the gate has looked at the cell: one burst, not two.
#[test]
fn an_announcement_that_comes_with_the_activation_is_one_burst() {
    let mut bench = Bench::new(Mode::Active, MacMode::Virtual);
    bench.gate.announce(T0);
    bench.gate.poll(T0);
    assert_eq!(bench.sent().len(), 4);
    assert_eq!(bench.gate.counters().sent.bursts, 1);
}

// RFC 9568 §6.4.3: re-teach the bridges after a rival.
#[test]
fn announcing_again_restarts_the_burst() {
    let mut bench = Bench::announced();
    let later = T0 + ms(30_000);
    for millis in (0..30_000).step_by(10) {
        bench.gate.poll(T0 + ms(millis));
    }
    bench.sent();
    bench.gate.announce(later);
    bench.gate.poll(later);
    assert_eq!(bench.sent().len(), 4);
    assert_eq!(bench.gate.poll_deadline(), Some((later + ms(20), "announcement")));
}

#[test]
fn while_a_successor_may_have_announced_itself_nothing_is_announced() {
    let mut bench = Bench::announced();
    bench.gate.hold_announcements(true);
    bench.gate.announce(T0);
    bench.gate.poll(T0 + ms(1_000));
    assert_eq!(bench.gate.poll_deadline(), None);
    assert!(bench.sent().is_empty());
    bench.gate.hold_announcements(false);
    bench.gate.poll(T0 + ms(1_000));
    assert!(!bench.sent().is_empty());
}

#[test]
fn an_announcement_waits_for_room_and_nothing_is_lost() {
    let mut bench = Bench::with_depth(Mode::Active, MacMode::Virtual, 1);
    let mut kinds = Vec::new();
    for _ in 0..4 {
        bench.gate.poll(T0);
        kinds.extend(bench.sent_kinds());
    }
    assert_eq!(kinds.len(), 4);
    assert_eq!(kinds[3], Kind::NeighborAdvert);
}

// The lease ends between two frames: nothing leaves from that microsecond on.
#[test]
fn the_gate_is_silent_from_the_microsecond_at_which_the_lease_ends() {
    let mut bench = Bench::announced();
    let frame = udp(service(&bench.identity), client(), b"x");
    // The cell rounds a lease down to 64 µs; this one is a multiple.
    let end = Instant::from_micros(640_000);
    bench.cell.store(Grant { mode: Mode::Active, term: Term(1), lease: end });
    let before = end.saturating_sub(std::time::Duration::from_micros(1));
    bench.say(before, &frame);
    assert_eq!(bench.sent().len(), 1);
    assert!(!bench.arrive(before, &arp_request(CLIENT_MAC, CLIENT, SIP)).is_empty());
    assert!(bench.arrive(before, &arp_request(CLIENT_MAC, NOBODY, SIP)).is_empty());
    bench.say(end, &frame);
    assert!(bench.arrive(end, &frame).is_empty());
    bench.gate.poll(end);
    assert_eq!(bench.sent(), Vec::<Vec<u8>>::new());
    assert_eq!(bench.gate.counters().sent.stale, 1, "the answer to the probe");
    assert_eq!(bench.gate.poll_deadline(), None, "no spinning on an expired lease");
}

#[test]
fn a_renewed_lease_begins_another_burst() {
    let mut bench = Bench::announced();
    bench.cell.store(Grant { mode: Mode::Active, term: Term(1), lease: T0 });
    bench.gate.poll(T0 + ms(1));
    grant(&bench.cell, Mode::Active, 1);
    bench.gate.poll(T0 + ms(2));
    assert_eq!(bench.sent().len(), 4);
}

// RFC 5227 §2.1.1, RFC 826: exactly one answer, from the service MAC, to the one who asked.
#[test]
fn an_arp_probe_is_answered_to_its_sender() {
    for mac_mode in MAC_MODES {
        let mut bench = Bench::new(Mode::Active, mac_mode);
        bench.gate.poll(T0);
        bench.sent();
        assert_eq!(bench.arrive(T0, &arp_request(CLIENT_MAC, NOBODY, SIP)), []);
        assert_eq!(bench.gate.poll_deadline(), Some((Instant::ZERO, "answers to send")));
        bench.gate.poll(T0);
        let mac = bench.identity.service_mac();
        assert_eq!(bench.sent(), [arp_reply((mac, SIP), (CLIENT_MAC, NOBODY))]);
        let counters = bench.gate.counters();
        assert_eq!((counters.ingress.answered, counters.sent.answers), (1, 1));
    }
}

// RFC 4861 §7.2.4.
#[test]
fn dad_is_answered_to_all_and_bare_solicitations_to_their_sender() {
    let mut bench = Bench::announced();
    let mac = bench.identity.service_mac();
    bench.arrive(T0, &solicitation(CLIENT_MAC, Ipv6Address::UNSPECIFIED, SIP6));
    bench.arrive(T0, &bare_solicitation(mac, SIP6));
    bench.gate.poll(T0);
    let solicited = crafted(|buffer| craft::advert((mac, SIP6), (CLIENT_MAC, CLIENT6), buffer));
    assert_eq!(bench.sent(), [advert_to_all(mac, SIP6), solicited]);
}

#[test]
fn an_answer_leaves_before_the_next_frame_is_looked_at() {
    let mut bench = Bench::announced();
    bench.arrive(T0, &arp_request(CLIENT_MAC, NOBODY, SIP));
    bench.arrive(T0, &udp(client(), service(&bench.identity), b"x"));
    assert_eq!(bench.sent_kinds(), [Kind::ArpReply]);
}

#[test]
fn answers_are_bounded_and_the_rest_is_counted() {
    let mut bench = Bench::with_depth(Mode::Active, MacMode::Virtual, 1);
    bench.gate.inner_mut().push_transmit(&[0; 60]);
    let probe = arp_request(CLIENT_MAC, NOBODY, SIP);
    let judge = |gate: &mut Gate<FrameQueue>| {
        let GateCounters { ingress, asked, claims, .. } = &mut gate.counters;
        let (identity, watch) = (&gate.identity, &mut gate.watch);
        let (now, mode) = (T0, Mode::Active);
        let judge = Judge { now, mode, identity, watch, ingress, asked, claims };
        judge.admits(&probe)
    };
    for _ in 0..100 {
        assert!(!judge(&mut bench.gate));
    }
    let ingress = &bench.gate.counters().ingress;
    assert_eq!((ingress.answered, ingress.answers_full), (64, 36));
}

// RFC 5227 §2.4 (c): defend, at most once per 10 s; the role does not change.
#[test]
fn a_conflict_is_reported_and_defended_once_per_interval() {
    let mut bench = Bench::announced();
    let claim_frame = arp_request(CLIENT_MAC, SIP, SIP);
    let mut defences = 0;
    for millis in (0..25_000).step_by(100) {
        let now = T0 + ms(millis);
        assert_eq!(bench.arrive(now, &claim_frame), [], "the stack does not learn from it");
        bench.gate.send_replies(now);
        for frame in bench.sent() {
            assert_eq!(frame, arp_request(bench.identity.service_mac(), SIP, SIP));
            defences += 1;
        }
    }
    assert_eq!(defences, 3, "at 0, 10 and 20 s");
    let claim = Claim { mac: CLIENT_MAC, address: SIP.into(), kind: Kind::ArpAnnouncement };
    let sightings = bench.sightings();
    assert_eq!(sightings[0], Sighting::Claim(claim));
    assert_eq!(sightings.len(), 16, "bounded, for nobody drained them");
    let claims = bench.gate.counters().claims;
    assert_eq!((claims.strangers, claims.repeated, claims.unreported), (250, 225, 9));
}

// RFC 9568 §6.4.2: a waiting node sends nothing, not even in defence.
#[test]
fn a_waiting_node_reports_a_conflict_and_stays_silent() {
    let mut bench = Bench::new(Mode::Waiting, MacMode::Virtual);
    bench.arrive(T0, &advert_to_all(CLIENT_MAC, SIP6));
    grant(&bench.cell, Mode::Active, 1);
    bench.gate.poll(T0);
    assert_eq!(bench.sent().len(), 4, "the burst alone");
    assert_eq!(bench.sightings().len(), 1);
    assert_eq!(bench.gate.counters().sent.defences, 0);
}

// RFC 9568 §6.4.3: a peer's claim while active is a second active node; while waiting it is the
// active one.
#[test]
fn a_peers_claim_is_reported_while_active_alone() {
    let frame = arp_request(peer_mac(), SIP, SIP);
    let mut waiting = Bench::new(Mode::Waiting, MacMode::Own);
    waiting.arrive(T0, &frame);
    assert_eq!(waiting.sightings(), []);
    let mut active = Bench::announced_as(MacMode::Own);
    active.arrive(T0, &frame);
    let claim = Claim { mac: peer_mac(), address: SIP.into(), kind: Kind::ArpAnnouncement };
    let member = Member::Node(NodeId::new(2).expect("in range"));
    assert_eq!(active.sightings(), [Sighting::PeerClaim { claim, member }]);
    assert_eq!(active.gate.counters().sent.defences, 0);
}

#[test]
fn an_own_frame_that_comes_back_is_counted_and_reported() {
    let mut bench = Bench::announced();
    let echo = arp_request(bench.identity.service_mac(), SIP, SIP);
    assert_eq!(bench.arrive(T0, &echo), []);
    assert_eq!(bench.gate.counters().ingress.echo, 1);
    let sightings = bench.sightings();
    assert!(matches!(sightings[..], [Sighting::PeerClaim { member: Member::Virtual, .. }]));
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let mac_mode = prop_oneof![Just(MacMode::Virtual), Just(MacMode::Own)];
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let mutated = (
        mac_mode,
        any::<prop::sample::Index>(),
        prop::collection::vec(change, 0..4),
        prop::option::of(any::<prop::sample::Index>()),
    )
        .prop_map(|(mac_mode, pick, changes, cut)| {
            let identity = identity(mac_mode);
            let mut frames = traffic(&identity);
            frames.push(arp_reply((identity.service_mac(), SIP), client_pair()));
            frames.push(udp(service(&identity), client(), b"answer"));
            let mut frame = frames.swap_remove(pick.index(frames.len()));
            for (at, value) in changes {
                let at = at.index(frame.len());
                frame[at] = value;
            }
            if let Some(cut) = cut {
                frame.truncate(cut.index(frame.len()));
            }
            frame
        });
    let random = prop::collection::vec(any::<u8>(), 0..120);
    prop_oneof![4 => mutated, 1 => random]
}

fn client_pair() -> (smoltcp::wire::EthernetAddress, smoltcp::wire::Ipv4Address) {
    (CLIENT_MAC, CLIENT)
}

fn any_mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(&Mode::ALL[..])
}

proptest! {
    // The fuzz target's promises, on frames that are nearly right.
    #[test]
    fn the_fuzz_target_holds_on_mutated_frames(frame in any_frame()) {
        crate::fuzzing::gate(&frame);
    }

    // PEERS §0.1: default deny. Whatever arrives, whatever the stack says, whenever the gate is
    // polled.
    #[test]
    fn a_node_that_is_not_active_emits_no_byte(
        mode in prop::sample::select(&SILENT[..]),
        own in any::<bool>(),
        frames in prop::collection::vec((any_frame(), any::<bool>()), 1..40),
    ) {
        let mac_mode = if own { MacMode::Own } else { MacMode::Virtual };
        let mut bench = Bench::new(mode, mac_mode);
        for (step, (frame, incoming)) in (0..).zip(frames) {
            let now = T0 + ms(step);
            if incoming {
                prop_assert!(bench.arrive(now, &frame).is_empty());
            } else {
                bench.say(now, &frame);
            }
            bench.gate.poll(now);
            bench.gate.announce(now);
        }
        prop_assert_eq!(bench.sent(), Vec::<Vec<u8>>::new());
    }

    // Every frame is counted once as seen and once as what became of it; what leaves is the
    // service's to say.
    #[test]
    fn the_counters_balance_and_only_the_service_speaks(
        frames in prop::collection::vec((any_frame(), any::<bool>(), any_mode()), 1..60),
    ) {
        let mut bench = Bench::new(Mode::Waiting, MacMode::Virtual);
        let mut arrived = 0;
        let mut said = 0;
        let mut left = 0;
        for (step, (frame, incoming, mode)) in (0..).zip(frames) {
            let now = T0 + ms(step);
            grant(&bench.cell, mode, 1);
            if incoming {
                arrived += 1;
                bench.arrive(now, &frame);
            } else {
                said += 1;
                bench.say(now, &frame);
            }
            bench.gate.poll(now);
            for frame in bench.sent() {
                left += 1;
                let verdict = policy::egress(Mode::Active, &bench.identity, &view(&frame));
                prop_assert!(!matches!(verdict, Egress::Drop(_)));
                prop_assert_eq!(mode, Mode::Active);
            }
        }
        let counters = bench.gate.counters();
        let (ingress, egress, sent) = (&counters.ingress, &counters.egress, &counters.sent);
        prop_assert_eq!(ingress.frames, arrived);
        prop_assert_eq!(ingress.frames, ingress.passed + ingress.answered + ingress.dropped());
        prop_assert_eq!(egress.frames, said);
        prop_assert_eq!(egress.frames, egress.passed + egress.rewritten + egress.dropped());
        let own = sent.announcements + sent.answers + sent.defences;
        prop_assert_eq!(left, egress.passed + egress.rewritten + own);
        prop_assert_eq!(sent.refused, 0);
    }
}
