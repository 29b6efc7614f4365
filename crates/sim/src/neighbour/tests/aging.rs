//! States that time and frames move an entry through (`net/core/neighbour.c`; RFC 4861 §7.3).

use super::*;

const RETRANS: u64 = 1_000;

/// When the timer of a reachable entry goes off, known to be between half and one and a half of
/// the base.
fn end_of_reachable(table: &NeighbourTable) -> Instant {
    table.poll_deadline().expect("a reachable entry has a timer")
}

#[test]
fn an_unknown_neighbour_is_asked_for_three_times_and_given_up() {
    // neigh_event_send: NONE -> INCOMPLETE, asked at once; neigh_timer_handler: mcast_solicit = 3,
    // retrans_time 1 s, then FAILED, and neigh_invalidate drops what waited.
    let mut table = table();
    table.send(at(0), packet(PEER_V4.into()));
    assert_eq!(v4(&table), (Some(NeighbourState::Incomplete), None));
    let first = drain(&mut table);
    assert_eq!(first.len(), 1, "the packet waits, the question leaves");
    let later = run(&mut table, at(60_000));
    let times: Vec<_> = later.iter().map(|(now, _)| now.as_millis()).collect();
    assert_eq!(times, [RETRANS, 2 * RETRANS]);
    for frame in first.iter().chain(later.iter().map(|(_, frame)| frame)) {
        assert_eq!(destination_mac(frame), ALL);
    }
    assert_eq!(v4(&table), (Some(NeighbourState::Failed), None));
    assert_eq!(table.counters().unreachable, 1);
}

#[test]
fn a_failed_neighbour_is_asked_for_again_when_it_is_wanted() {
    // neigh_event_send: neither STALE nor INCOMPLETE -> INCOMPLETE, with fresh probes.
    let mut table = table();
    table.send(at(0), packet(PEER_V4.into()));
    run(&mut table, at(3_000));
    drain(&mut table);
    table.send(at(9_000), packet(PEER_V4.into()));
    assert_eq!(table.state(PEER_V4.into()), Some(NeighbourState::Incomplete));
    assert_eq!(drain(&mut table).len() + run(&mut table, at(60_000)).len(), 3);
}

#[test]
fn frames_wait_for_the_answer_and_leave_in_order() {
    // neigh_update_process_arp_queue.
    let mut table = table();
    for length in 0..3 {
        let mut frame = packet(PEER_V4.into());
        frame.resize(frame.len() + length, 0);
        table.send(at(0), frame);
    }
    assert_eq!(drain(&mut table).len(), 1, "one question for all");
    table.receive(at(5), &reply(OLD, US));
    let sent = drain(&mut table);
    let lengths: Vec<_> = sent.iter().map(Vec::len).collect();
    assert_eq!(lengths, [34, 35, 36]);
    for frame in &sent {
        let ethernet = EthernetFrame::new_checked(frame).unwrap();
        assert_eq!((ethernet.src_addr(), ethernet.dst_addr()), (US, OLD));
        assert_eq!(ethernet.ethertype(), EthernetProtocol::Ipv4);
    }
}

#[test]
fn the_oldest_waiting_frames_make_room() {
    // __neigh_event_send drops from the head of arp_queue when unres_qlen is reached.
    let mut table = table();
    for length in 0..110 {
        let mut frame = packet(PEER_V4.into());
        frame.resize(frame.len() + length, 0);
        table.send(at(0), frame);
    }
    drain(&mut table);
    assert_eq!(table.counters().displaced, 110 - 101);
    table.receive(at(5), &reply(OLD, US));
    let sent = drain(&mut table);
    assert_eq!((sent.len(), sent[0].len()), (101, 34 + 9));
}

#[test]
fn a_reachable_neighbour_becomes_stale_in_half_to_one_and_a_half_of_the_base() {
    // neigh_timer_handler: REACHABLE -> STALE; neigh_rand_reach_time.
    let ends = (0..50).map(|seed| {
        let v4_address = IpCidr::Ipv4(Ipv4Cidr::new(US_V4, 24));
        let mut table = NeighbourTable::new(US, &[v4_address], Habits::default(), seed);
        table.send(at(0), packet(PEER_V4.into()));
        table.receive(at(0), &reply(OLD, US));
        run(&mut table, at(14_999));
        assert_eq!(table.state(PEER_V4.into()), Some(NeighbourState::Reachable));
        let end = end_of_reachable(&table);
        assert!(end <= at(45_000), "{end}");
        run(&mut table, end);
        assert_eq!(v4(&table), (Some(NeighbourState::Stale), Some(OLD)));
        assert_eq!(table.poll_deadline(), None, "stale entries have no timer");
        end
    });
    let ends: std::collections::BTreeSet<_> = ends.collect();
    assert!(ends.len() > 40, "the seed decides: {ends:?}");
}

#[test]
fn an_answer_while_reachable_prolongs_it() {
    // neigh_timer_handler: still within confirmed + reachable_time, "still alive".
    let mut table = warm();
    let end = end_of_reachable(&table);
    table.receive(at(10_000), &reply(OLD, US));
    table.receive(at(10_000), &advert(OLD, SOLICITED_OVERRIDE, US_V6));
    run(&mut table, end + Duration::from_millis(9_999));
    assert_eq!(table.state(PEER_V4.into()), Some(NeighbourState::Reachable));
    run(&mut table, at(60_000));
    assert_eq!(table.state(PEER_V4.into()), Some(NeighbourState::Stale));
}

#[test]
fn a_stale_neighbour_in_use_is_believed_for_five_seconds_then_probed() {
    // neigh_event_send: STALE -> DELAY; timer: DELAY -> PROBE after delay_first_probe_time 5 s;
    // arp_solicit: the first ucast_solicit = 3 go to the station itself; then FAILED.
    let mut table = warm();
    run(&mut table, at(60_000));
    table.send(at(60_000), packet(PEER_V4.into()));
    assert_eq!(v4(&table), (Some(NeighbourState::Delay), Some(OLD)));
    assert_eq!(destination_mac(&drain(&mut table)[0]), OLD, "frames leave meanwhile");
    run(&mut table, at(64_999));
    assert_eq!(table.state(PEER_V4.into()), Some(NeighbourState::Delay));
    let probes = run(&mut table, at(67_999));
    let times: Vec<_> = probes.iter().map(|(now, _)| now.as_millis()).collect();
    assert_eq!(times, [65_000, 66_000, 67_000]);
    for (_, frame) in &probes {
        assert_eq!(destination_mac(frame), OLD);
        assert!(matches!(
            arp_in(frame),
            ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Request,
                source_protocol_addr: US_V4,
                target_protocol_addr: PEER_V4,
                ..
            }
        ));
    }
    assert_eq!(v4(&table), (Some(NeighbourState::Probe), Some(OLD)));
    table.send(at(67_999), packet(PEER_V4.into()));
    assert_eq!(drain(&mut table).len(), 1, "frames leave while it is probed");
    assert_eq!(run(&mut table, at(68_000)), []);
    assert_eq!(v4(&table), (Some(NeighbourState::Failed), None));
}

#[test]
fn an_answer_to_a_probe_makes_it_reachable() {
    // arp_process: a reply to this station -> NUD_REACHABLE.
    let mut table = warm();
    run(&mut table, at(60_000));
    table.send(at(60_000), packet(PEER_V4.into()));
    run(&mut table, at(65_000));
    table.receive(at(65_001), &reply(OLD, US));
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(OLD)));
}

#[test]
fn a_neighbour_used_the_slow_way_moments_ago_is_delayed_not_stale() {
    // neigh_timer_handler: REACHABLE, but used within delay_first_probe_time -> DELAY. `used` is
    // set by neigh_event_send alone, so the last slow frame must be this close to the end.
    let mut entry = Entry::new(at(0), Duration::from_secs(4));
    assert_eq!(entry.use_now(at(0)), Use::Solicit);
    entry.update(at(1), Some(OLD), Claim::Reachable, Override::Never);
    assert_eq!(entry.expire(at(4_001)), Due::Nothing);
    assert_eq!(entry.state(), NeighbourState::Delay);
    assert_eq!(entry.timer(), Some(at(9_001)));
}

#[test]
fn a_refused_answer_confirms_a_delayed_neighbour_all_the_same() {
    // neigh_update sets `confirmed` before it looks at the override flag; neigh_timer_handler:
    // DELAY, confirmed within delay_first_probe_time -> REACHABLE.
    let mut table = warm();
    run(&mut table, at(60_000));
    table.send(at(60_000), packet(PEER_V4.into()));
    table.receive(at(60_500), &reply(NEW, US));
    assert_eq!(v4(&table), (Some(NeighbourState::Delay), Some(OLD)));
    run(&mut table, at(65_000));
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(OLD)));
}

#[test]
fn a_full_table_gives_up_idle_neighbours_and_else_refuses() {
    // neigh_alloc: gc_thresh3; neigh_forced_gc spares what changed in the last five seconds.
    let mut table = table();
    let stranger = |n: u16| {
        let [high, low] = n.to_be_bytes();
        let sender = Ipv4Address::new(10, 1, high, low);
        arp(ArpOperation::Request, (OLD, sender), (NOBODY, US_V4), ALL)
    };
    for n in 0..ENTRIES_MAX as u16 {
        table.receive(at(u64::from(n)), &stranger(n));
        drain(&mut table);
    }
    assert_eq!(table.counters().table_full, 0);
    table.receive(at(4_000), &stranger(2_000));
    assert_eq!(table.counters().table_full, 1);
    assert_eq!(
        drain(&mut table),
        Vec::<Vec<u8>>::new(),
        "arp_process answers nobody it cannot keep"
    );
    table.send(at(6_000), packet(PEER_V4.into()));
    assert_eq!(table.state(PEER_V4.into()), Some(NeighbourState::Incomplete));
    assert_eq!(table.state(Ipv4Address::new(10, 1, 0, 0).into()), None, "the oldest made room");
    assert_eq!(table.entries.len(), ENTRIES_MAX);
}

#[test]
fn frames_that_nobody_takes_are_dropped_and_counted() {
    let mut table = warm();
    for _ in 0..FRAMES_MAX + 3 {
        table.send(at(1), packet(PEER_V4.into()));
    }
    assert_eq!(table.counters().transmit_full, 3);
    assert_eq!(drain(&mut table).len(), FRAMES_MAX);
}

#[test]
fn groups_need_no_neighbour_and_strangers_have_none() {
    // arp_mc_map, ndisc_mc_map (RFC 1112 §6.4, RFC 2464 §7); no route, no neighbour.
    let mut table = table();
    for (to, mac) in [
        (Ipv4Address::BROADCAST.into(), ALL),
        (Ipv4Address::new(10, 0, 0, 255).into(), ALL),
        (Ipv4Address::new(239, 129, 2, 3).into(), EthernetAddress([1, 0, 0x5e, 1, 2, 3])),
        (IpAddress::Ipv6(ALL_NODES), EthernetAddress([0x33, 0x33, 0, 0, 0, 1])),
    ] {
        table.send(at(0), packet(to));
        let sent = drain(&mut table);
        assert_eq!(sent.len(), 1, "{to}");
        assert_eq!(destination_mac(&sent[0]), mac, "{to}");
    }
    table.send(at(0), packet(Ipv4Address::new(192, 0, 2, 1).into()));
    table.send(at(0), vec![0; 20]);
    assert_eq!(table.counters().unroutable, 2);
    assert!(table.entries.is_empty());
}

#[test]
fn frames_for_other_stations_are_not_heard() {
    // arp_rcv, ip_rcv: PACKET_OTHERHOST.
    let mut table = warm();
    assert_eq!(table.receive(at(2_000), &reply(NEW, NEW)), None);
    assert_eq!(v4(&table).1, Some(OLD));
    let mut frame = packet(US_V4.into());
    ethernet((OLD, NEW), EthernetProtocol::Ipv4, &mut frame);
    assert_eq!(table.receive(at(2_000), &frame), None);
    ethernet((OLD, US), EthernetProtocol::Ipv4, &mut frame);
    assert_eq!(table.receive(at(2_000), &frame), Some(&frame[HEADER_LEN..]));
}

#[test]
fn static_entries_never_change() {
    // neigh_update: without NEIGH_UPDATE_F_ADMIN, NUD_PERMANENT stays.
    let static_entries = vec![(PEER_V4.into(), OLD), (PEER_V6.into(), OLD)];
    let mut table = table_with(Habits { static_entries, ..Habits::default() });
    table.receive(at(5_000), &announcement(ArpOperation::Request, NEW));
    table.receive(at(5_000), &reply(NEW, US));
    table.receive(at(5_000), &advert(NEW, SOLICITED_OVERRIDE, US_V6));
    assert_eq!(v4(&table), (Some(NeighbourState::Permanent), Some(OLD)));
    assert_eq!(v6(&table), (Some(NeighbourState::Permanent), Some(OLD)));
    table.send(at(99_000), packet(PEER_V4.into()));
    assert_eq!(destination_mac(&drain(&mut table)[0]), OLD);
    assert_eq!(table.poll_deadline(), None);
}
