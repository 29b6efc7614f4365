//! What neighbour discovery may do (`ndisc_recv_ns`, `ndisc_recv_na` of `net/ipv6/ndisc.c`; RFC
//! 4861 §7.2).

use super::*;

const SOLICITED: NdiscNeighborFlags = NdiscNeighborFlags::SOLICITED;
const OVERRIDE: NdiscNeighborFlags = NdiscNeighborFlags::OVERRIDE;
const NONE: NdiscNeighborFlags = NdiscNeighborFlags::empty();

/// A table that waits for the neighbour's address.
fn waiting() -> NeighbourTable {
    let mut table = table();
    table.send(at(0), packet(PEER_V6.into()));
    drain(&mut table);
    table
}

/// A table at one minute, whose knowledge has aged.
fn stale() -> NeighbourTable {
    let mut table = warm();
    run(&mut table, at(60_000));
    assert_eq!(v6(&table), (Some(NeighbourState::Stale), Some(OLD)));
    table
}

#[test]
fn an_unknown_neighbour_is_asked_for_by_its_group() {
    // ndisc_solicit; RFC 4861 §7.2.2.
    let mut table = table();
    table.send(at(0), packet(PEER_V6.into()));
    let sent = drain(&mut table);
    assert_eq!(sent.len(), 1);
    assert_eq!(destination_mac(&sent[0]), EthernetAddress([0x33, 0x33, 0xff, 1, 0, 9]));
    let (source, to, message) = ndp_in(&sent[0]);
    assert_eq!((source, to), (US_V6, solicited_node(PEER_V6)));
    let expected = NdiscRepr::NeighborSolicit { target_addr: PEER_V6, lladdr: Some(US.into()) };
    assert_eq!(message, expected);
}

#[test]
fn a_stale_neighbour_in_use_is_probed_at_its_own_station() {
    // ndisc_solicit: probes < ucast_solicit; RFC 4861 §7.3.3.
    let mut table = stale();
    table.send(at(60_000), packet(PEER_V6.into()));
    drain(&mut table);
    let probes = run(&mut table, at(65_000));
    assert_eq!(probes.len(), 1);
    assert_eq!(destination_mac(&probes[0].1), OLD);
    assert_eq!(ndp_in(&probes[0].1).1, PEER_V6);
    table.receive(at(65_001), &advert_with(OLD, SOLICITED, US_V6, None));
    assert_eq!(v6(&table), (Some(NeighbourState::Reachable), Some(OLD)), "no address is needed");
}

#[test]
fn the_first_answer_is_taken_whatever_its_flags() {
    // RFC 4861 §7.2.5, state INCOMPLETE: S decides between REACHABLE and STALE, O is ignored. The
    // packet that waited then uses the stale entry: DELAY.
    for (flags, state) in [
        (SOLICITED, NeighbourState::Reachable),
        (SOLICITED_OVERRIDE, NeighbourState::Reachable),
        (NONE, NeighbourState::Delay),
        (OVERRIDE, NeighbourState::Delay),
    ] {
        let mut table = waiting();
        let to = if flags.contains(SOLICITED) { US_V6 } else { ALL_NODES };
        table.receive(at(1), &advert(OLD, flags, to));
        assert_eq!(v6(&table), (Some(state), Some(OLD)), "{flags:?}");
        assert_eq!(drain(&mut table).len(), 1, "the packet that waited leaves");
    }
}

#[test]
fn an_answer_without_an_address_is_no_answer_to_one_who_waits() {
    // RFC 4861 §7.2.5: "If no Target Link-Layer Address option is included, the receiving node
    // SHOULD silently discard the received advertisement."
    let mut table = waiting();
    table.receive(at(1), &advert_with(OLD, SOLICITED, US_V6, None));
    assert_eq!(v6(&table), (Some(NeighbourState::Incomplete), None));
}

#[test]
fn without_override_another_address_casts_doubt_on_a_reachable_one_and_is_not_taken() {
    // RFC 4861 §7.2.5 I.a: REACHABLE -> STALE, "but do not update the entry in any other way";
    // NEIGH_UPDATE_F_WEAK_OVERRIDE.
    for (flags, to) in [(SOLICITED, US_V6), (NONE, ALL_NODES)] {
        let mut table = warm();
        table.receive(at(1), &advert(NEW, flags, to));
        assert_eq!(v6(&table), (Some(NeighbourState::Stale), Some(OLD)), "{flags:?}");
    }
}

#[test]
fn without_override_another_address_is_ignored_in_any_other_state() {
    // RFC 4861 §7.2.5 I.b.
    for (flags, to) in [(SOLICITED, US_V6), (NONE, ALL_NODES)] {
        let mut table = stale();
        table.receive(at(60_001), &advert(NEW, flags, to));
        assert_eq!(v6(&table), (Some(NeighbourState::Stale), Some(OLD)), "{flags:?}");
        table.send(at(60_002), packet(PEER_V6.into()));
        table.receive(at(60_003), &advert(NEW, flags, to));
        assert_eq!(v6(&table), (Some(NeighbourState::Delay), Some(OLD)), "{flags:?}");
    }
}

#[test]
fn with_override_another_address_is_taken_at_once() {
    // RFC 4861 §7.2.5 II: S -> REACHABLE, else STALE since the address changed. There is no locktime.
    for (make, now) in [(warm as fn() -> NeighbourTable, 1), (stale, 60_001)] {
        let mut table = make();
        table.receive(at(now), &advert(NEW, OVERRIDE, ALL_NODES));
        assert_eq!(v6(&table), (Some(NeighbourState::Stale), Some(NEW)));
        let mut table = make();
        table.receive(at(now), &advert(NEW, SOLICITED_OVERRIDE, US_V6));
        assert_eq!(v6(&table), (Some(NeighbourState::Reachable), Some(NEW)));
    }
}

#[test]
fn an_unsolicited_advertisement_of_the_known_address_changes_nothing() {
    // RFC 4861 §7.2.5 II: STALE only if the address differs.
    let mut table = warm();
    table.receive(at(1), &advert(OLD, OVERRIDE, ALL_NODES));
    assert_eq!(v6(&table), (Some(NeighbourState::Reachable), Some(OLD)));
}

#[test]
fn an_advertisement_creates_no_entry() {
    // RFC 4861 §7.2.5: "If no entry exists, the advertisement SHOULD be silently discarded."
    let mut table = table_with(Habits { accepts_gratuitous: true, ..Habits::default() });
    table.receive(at(0), &advert(OLD, OVERRIDE, ALL_NODES));
    table.receive(at(0), &advert(OLD, SOLICITED_OVERRIDE, US_V6));
    assert_eq!(v6(&table), (None, None));
}

#[test]
fn an_advertisement_does_not_revive_a_failed_neighbour() {
    // ndisc_recv_na: NUD_FAILED -> goto out; ARP differs here.
    let mut table = waiting();
    run(&mut table, at(10_000));
    table.receive(at(10_001), &advert(OLD, OVERRIDE, ALL_NODES));
    assert_eq!(v6(&table), (Some(NeighbourState::Failed), None));
}

#[test]
fn who_ignores_announcements_hears_answers_alone() {
    // drop_unsolicited_na.
    let mut table = warm_with(Habits { ignores_gratuitous: true, ..Habits::default() });
    table.receive(at(5_000), &advert(NEW, OVERRIDE, ALL_NODES));
    assert_eq!(v6(&table), (Some(NeighbourState::Reachable), Some(OLD)));
    table.receive(at(5_000), &advert(NEW, SOLICITED_OVERRIDE, US_V6));
    assert_eq!(v6(&table), (Some(NeighbourState::Reachable), Some(NEW)));
}

#[test]
fn a_solicitation_for_us_is_answered_and_creates_a_stale_entry() {
    // ndisc_recv_ns; RFC 4861 §7.2.3, §7.2.4: to a group O = 1 and the address must be told.
    let mut table = table();
    table.receive(at(0), &solicit((OLD, PEER_V6), solicited_node(US_V6), Some(OLD)));
    let sent = drain(&mut table);
    assert_eq!(sent.len(), 1);
    assert_eq!(destination_mac(&sent[0]), OLD);
    let (source, to, message) = ndp_in(&sent[0]);
    assert_eq!((source, to), (US_V6, PEER_V6));
    let (flags, lladdr) = (SOLICITED_OVERRIDE, Some(US.into()));
    assert_eq!(message, NdiscRepr::NeighborAdvert { flags, target_addr: US_V6, lladdr });
    // STALE by what was heard, DELAY by the answer that used it.
    assert_eq!(v6(&table), (Some(NeighbourState::Delay), Some(OLD)));
}

#[test]
fn a_solicitation_with_another_address_moves_an_entry() {
    // ndisc_recv_ns: NEIGH_UPDATE_F_OVERRIDE; RFC 4861 §7.2.3: the answer goes to the new address.
    let mut table = warm();
    table.receive(at(1), &solicit((NEW, PEER_V6), solicited_node(US_V6), Some(NEW)));
    assert_eq!(v6(&table).1, Some(NEW));
    assert_eq!(destination_mac(&drain(&mut table)[0]), NEW);
}

#[test]
fn a_unicast_probe_is_answered_without_address_and_override() {
    // ndisc_recv_ns: override and option only if the solicitation was multicast.
    let mut table = warm();
    table.receive(at(1), &solicit((OLD, PEER_V6), US_V6, None));
    let sent = drain(&mut table);
    let (_, _, message) = ndp_in(&sent[0]);
    let expected = NdiscRepr::NeighborAdvert { flags: SOLICITED, target_addr: US_V6, lladdr: None };
    assert_eq!(message, expected);
}

#[test]
fn one_who_does_not_say_where_it_is_must_be_known_or_ask_us_alone() {
    // ndisc_recv_ns: __neigh_lookup(..., creat = !inc || lladdr).
    let mut table = table();
    table.receive(at(0), &solicit((OLD, PEER_V6), solicited_node(US_V6), None));
    assert_eq!((drain(&mut table).len(), v6(&table)), (0, (None, None)));
    table.receive(at(0), &solicit((OLD, PEER_V6), US_V6, None));
    assert_eq!(v6(&table), (Some(NeighbourState::Incomplete), None), "the answer must ask first");
    assert_eq!(ndp_in(&drain(&mut table)[0]).1, solicited_node(PEER_V6));
}

#[test]
fn duplicate_address_detection_for_us_is_answered_to_all() {
    // ndisc_recv_ns: dad; RFC 4861 §7.2.4: S = 0, to all nodes.
    let nobody = Ipv6Address::UNSPECIFIED;
    let mut table = table();
    table.receive(at(0), &solicit((OLD, nobody), solicited_node(US_V6), None));
    let sent = drain(&mut table);
    assert_eq!(sent.len(), 1);
    let (source, to, message) = ndp_in(&sent[0]);
    assert_eq!((source, to), (US_V6, ALL_NODES));
    let lladdr = Some(US.into());
    assert_eq!(message, NdiscRepr::NeighborAdvert { flags: OVERRIDE, target_addr: US_V6, lladdr });
    // RFC 4861 §7.1.1: to the group, and without an address of its own.
    table.receive(at(0), &solicit((OLD, nobody), US_V6, None));
    table.receive(at(0), &solicit((OLD, nobody), solicited_node(US_V6), Some(OLD)));
    assert_eq!(drain(&mut table).len(), 0);
    assert!(table.entries.is_empty());
}

#[test]
fn what_passed_a_router_or_was_damaged_is_not_heard() {
    // RFC 4861 §7.1.1, §7.1.2: hop limit 255, valid checksum.
    const HOP_LIMIT: usize = HEADER_LEN + 7;
    let good = advert(NEW, OVERRIDE, ALL_NODES);
    let mut table = warm();
    for len in HEADER_LEN + 41..good.len() {
        assert_eq!(table.receive(at(1), &good[..len]), None);
        assert_eq!(v6(&table).1, Some(OLD));
    }
    let mut routed = good.clone();
    routed[HOP_LIMIT] = 254;
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for frame in [routed, damaged] {
        assert_eq!(table.receive(at(1), &frame), None);
        assert_eq!(v6(&table).1, Some(OLD));
    }
    let impossible = advert(NEW, SOLICITED_OVERRIDE, ALL_NODES);
    table.receive(at(1), &impossible);
    assert_eq!(v6(&table).1, Some(OLD), "a solicited answer is never multicast");
}

#[test]
fn echo_requests_are_for_the_stack() {
    let mut table = warm();
    let echo = Icmpv6Repr::EchoRequest { ident: 1, seq_no: 1, data: &[] };
    let mut frame = packet(US_V6.into());
    frame[HEADER_LEN + 6] = IpProtocol::Icmpv6.into();
    frame.resize(frame.len() + echo.buffer_len(), 128);
    ethernet((OLD, US), EthernetProtocol::Ipv6, &mut frame);
    assert_eq!(table.receive(at(1), &frame), Some(&frame[HEADER_LEN..]));
}
