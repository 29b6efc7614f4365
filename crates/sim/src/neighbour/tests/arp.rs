//! What ARP may do (`arp_process` of `net/ipv4/arp.c`).

use super::*;

/// A request from the neighbour at `mac` for `target`.
fn request(mac: EthernetAddress, target: Ipv4Address) -> Vec<u8> {
    arp(ArpOperation::Request, (mac, PEER_V4), (NOBODY, target), ALL)
}

/// A table that knows `OLD` since a change at time zero, as stale.
fn stale() -> NeighbourTable {
    let mut table = table();
    table.receive(at(0), &request(OLD, US_V4));
    drain(&mut table);
    table
}

#[test]
fn a_request_for_us_is_answered_and_creates_a_stale_entry() {
    // "in the case of requests for us we add the requester to the arp cache": neigh_event_ns.
    let mut table = table();
    table.receive(at(0), &request(OLD, US_V4));
    assert_eq!(v4(&table), (Some(NeighbourState::Stale), Some(OLD)));
    let sent = drain(&mut table);
    assert_eq!(sent.len(), 1);
    assert_eq!(destination_mac(&sent[0]), OLD);
    let expected = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: US,
        source_protocol_addr: US_V4,
        target_hardware_addr: OLD,
        target_protocol_addr: PEER_V4,
    };
    assert_eq!(arp_in(&sent[0]), expected);
}

#[test]
fn a_request_for_us_moves_an_entry_within_the_locktime() {
    // neigh_event_ns: NEIGH_UPDATE_F_OVERRIDE whatever the locktime.
    let mut table = warm();
    table.receive(at(1), &request(NEW, US_V4));
    assert_eq!(v4(&table), (Some(NeighbourState::Stale), Some(NEW)));
}

#[test]
fn a_request_from_a_known_address_changes_nothing() {
    // neigh_update: "If entry was valid and address is not changed, do not change entry state, if
    // new one is STALE."
    let mut table = warm();
    table.receive(at(5_000), &request(OLD, US_V4));
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(OLD)));
}

#[test]
fn a_request_for_somebody_else_creates_nothing_but_moves_an_entry_after_the_locktime() {
    // arp_process: __neigh_lookup(..., creat = 0); override = time_after(jiffies, updated + LOCKTIME).
    let elsewhere = Ipv4Address::new(10, 0, 0, 77);
    let mut table = table();
    table.receive(at(0), &request(OLD, elsewhere));
    assert_eq!(v4(&table), (None, None));
    assert_eq!(drain(&mut table), Vec::<Vec<u8>>::new());
    let mut table = warm();
    table.receive(at(1_000), &request(NEW, elsewhere));
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(OLD)), "not a moment too soon");
    table.receive(at(1_001), &request(NEW, elsewhere));
    assert_eq!(v4(&table), (Some(NeighbourState::Stale), Some(NEW)));
}

#[test]
fn a_probe_is_answered_and_teaches_nothing() {
    // arp_process: "Special case: IPv4 duplicate address detection packet (RFC2131)".
    let mut table = table();
    let nobody = Ipv4Address::UNSPECIFIED;
    table.receive(at(0), &arp(ArpOperation::Request, (OLD, nobody), (NOBODY, US_V4), ALL));
    let sent = drain(&mut table);
    assert_eq!(sent.len(), 1);
    assert!(matches!(
        arp_in(&sent[0]),
        ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: US,
            source_protocol_addr: US_V4,
            target_hardware_addr: OLD,
            target_protocol_addr: Ipv4Address::UNSPECIFIED,
        }
    ));
    table.receive(at(0), &arp(ArpOperation::Request, (OLD, nobody), (NOBODY, PEER_V4), ALL));
    assert_eq!(drain(&mut table), Vec::<Vec<u8>>::new());
    assert!(table.entries.is_empty());
}

#[test]
fn a_reply_to_us_creates_nothing_that_was_not_asked_for() {
    // arp_accept = 0.
    let mut table = table();
    table.receive(at(0), &reply(OLD, US));
    assert_eq!(v4(&table), (None, None));
}

#[test]
fn a_broadcast_reply_does_not_prove_reachability() {
    // "Broadcast replies and request packets do not assert neighbour reachability."
    let mut table = table();
    table.send(at(0), packet(PEER_V4.into()));
    table.receive(at(1), &reply(OLD, ALL));
    // Stale, and in use at once by the packet that waited.
    assert_eq!(v4(&table), (Some(NeighbourState::Delay), Some(OLD)));
}

#[test]
fn of_two_answers_the_first_wins_for_the_locktime() {
    // "If several different ARP replies follows back-to-back, use the FIRST one." Repetitions of
    // the first do not prolong that: updated changes only with the entry.
    let mut table = warm();
    table.receive(at(900), &reply(OLD, US));
    table.receive(at(1_000), &reply(NEW, US));
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(OLD)));
    table.receive(at(1_001), &reply(NEW, US));
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(NEW)));
}

#[test]
fn a_gratuitous_announcement_moves_an_entry_within_the_locktime() {
    // arp_is_garp: override, since Linux 4.13. The entry is not reachable by it: STALE.
    for operation in [ArpOperation::Request, ArpOperation::Reply] {
        let mut table = warm();
        table.receive(at(1), &announcement(operation, NEW));
        assert_eq!(v4(&table), (Some(NeighbourState::Stale), Some(NEW)), "{operation:?}");
        let mut table = stale();
        table.receive(at(1), &announcement(operation, NEW));
        assert_eq!(v4(&table), (Some(NeighbourState::Stale), Some(NEW)), "{operation:?}");
    }
}

#[test]
fn a_gratuitous_reply_that_names_another_station_waits_for_the_locktime() {
    // arp_is_garp: "Gratuitous ARP _replies_ also require target hwaddr to be the same as source."
    let half = arp(ArpOperation::Reply, (NEW, PEER_V4), (ALL, PEER_V4), ALL);
    let mut table = warm();
    table.receive(at(1_000), &half);
    assert_eq!(v4(&table).1, Some(OLD));
    table.receive(at(1_001), &half);
    assert_eq!(v4(&table).1, Some(NEW));
}

#[test]
fn before_linux_4_13_an_announcement_waits_for_the_locktime() {
    // arp_process without is_garp in `override`.
    let habits = Habits { garp_overrides_locktime: false, ..Habits::default() };
    let mut table = warm_with(habits);
    table.receive(at(1_000), &announcement(ArpOperation::Request, NEW));
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(OLD)));
    table.receive(at(1_001), &announcement(ArpOperation::Request, NEW));
    assert_eq!(v4(&table), (Some(NeighbourState::Stale), Some(NEW)));
}

#[test]
fn before_linux_4_13_only_an_announcement_after_a_pause_moves_an_entry() {
    // neigh_update set `updated` before it looked at the override flag: refused announcements
    // prolong the locktime that refuses them.
    let mut table = warm_with(Habits::before_linux_4_13());
    for millis in (500..5_000).step_by(500) {
        table.receive(at(millis), &announcement(ArpOperation::Request, NEW));
        assert_eq!(v4(&table).1, Some(OLD), "at {millis} ms");
    }
    table.receive(at(4_500 + 1_001), &announcement(ArpOperation::Request, NEW));
    assert_eq!(v4(&table).1, Some(NEW));
}

#[test]
fn the_locktime_is_a_habit() {
    let habits = Habits { locktime: Duration::ZERO, ..Habits::default() };
    let mut table = warm_with(habits);
    table.receive(at(1), &reply(NEW, US));
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(NEW)));
}

#[test]
fn an_announcement_creates_no_entry() {
    // arp_accept = 0: "Unsolicited ARP is not accepted by default."
    let mut table = table();
    table.receive(at(0), &announcement(ArpOperation::Request, OLD));
    table.receive(at(0), &announcement(ArpOperation::Reply, OLD));
    assert_eq!(v4(&table), (None, None));
}

#[test]
fn an_announcement_creates_an_entry_where_that_is_accepted() {
    // arp_accept = 1: gratuitous packets, and any reply.
    let habits = Habits { accepts_gratuitous: true, ..Habits::default() };
    let announced = announcement(ArpOperation::Request, OLD);
    for (frame, state) in
        [(announced, NeighbourState::Stale), (reply(OLD, US), NeighbourState::Reachable)]
    {
        let mut table = table_with(habits.clone());
        table.receive(at(0), &frame);
        assert_eq!(v4(&table), (Some(state), Some(OLD)));
    }
    let mut table = table_with(habits);
    table.receive(at(0), &request(OLD, Ipv4Address::new(10, 0, 0, 77)));
    assert_eq!(v4(&table), (None, None), "a request for somebody else is neither");
}

#[test]
fn an_announcement_answers_who_is_waited_for() {
    // neigh_update: INCOMPLETE is not NUD_VALID, so any address will do, and the queue is sent.
    let mut table = table();
    table.send(at(0), packet(PEER_V4.into()));
    drain(&mut table);
    table.receive(at(1), &announcement(ArpOperation::Request, OLD));
    assert_eq!(destination_mac(&drain(&mut table)[0]), OLD);
    assert_eq!(table.state(PEER_V4.into()), Some(NeighbourState::Delay));
}

#[test]
fn an_announcement_revives_a_failed_neighbour() {
    // neigh_update: FAILED is not NUD_VALID -> STALE.
    let mut table = table();
    table.send(at(0), packet(PEER_V4.into()));
    run(&mut table, at(10_000));
    table.receive(at(10_001), &announcement(ArpOperation::Request, OLD));
    assert_eq!(v4(&table), (Some(NeighbourState::Stale), Some(OLD)));
}

#[test]
fn an_announcement_of_the_known_address_leaves_a_probe_under_way() {
    // neigh_update: same address, new state STALE -> state stays; it is answered or fails.
    let mut table = warm();
    run(&mut table, at(60_000));
    table.send(at(60_000), packet(PEER_V4.into()));
    run(&mut table, at(65_000));
    table.receive(at(65_500), &announcement(ArpOperation::Request, OLD));
    assert_eq!(v4(&table), (Some(NeighbourState::Probe), Some(OLD)));
    table.receive(at(65_600), &announcement(ArpOperation::Request, NEW));
    assert_eq!(v4(&table), (Some(NeighbourState::Stale), Some(NEW)));
    assert_eq!(run(&mut table, at(80_000)), [], "no probe goes on");
}

#[test]
fn who_ignores_announcements_keeps_what_it_knows() {
    // drop_gratuitous_arp; what it asks for itself it does hear.
    let mut table = warm_with(Habits { ignores_gratuitous: true, ..Habits::default() });
    for operation in [ArpOperation::Request, ArpOperation::Reply] {
        table.receive(at(5_000), &announcement(operation, NEW));
    }
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(OLD)));
    table.receive(at(5_000), &reply(NEW, US));
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(NEW)));
}

#[test]
fn nobody_makes_the_host_its_own_neighbour() {
    // A forged claim to the host's own address: the source is RTN_LOCAL, a martian.
    let mut table = table_with(Habits { accepts_gratuitous: true, ..Habits::default() });
    table.receive(at(0), &arp(ArpOperation::Request, (NEW, US_V4), (NOBODY, US_V4), ALL));
    table.receive(at(0), &arp(ArpOperation::Reply, (NEW, US_V4), (US, US_V4), US));
    assert!(table.entries.is_empty());
    assert_eq!(drain(&mut table), Vec::<Vec<u8>>::new());
}

#[test]
fn garbage_is_not_heard() {
    let mut table = warm();
    let good = reply(NEW, US);
    for len in 0..good.len() {
        assert_eq!(table.receive(at(5_000), &good[..len]), None);
    }
    let multicast =
        arp(ArpOperation::Reply, (NEW, PEER_V4), (US, Ipv4Address::new(224, 0, 0, 1)), US);
    table.receive(at(5_000), &multicast);
    let unknown = arp(ArpOperation::Unknown(9), (NEW, PEER_V4), (US, US_V4), US);
    table.receive(at(5_000), &unknown);
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(OLD)));
}
