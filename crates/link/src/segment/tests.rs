//! The switch, its queues and its cables, on virtual time.

use std::cell::RefCell;
use std::rc::Rc;

use smoltcp::phy::{Device, RxToken as _, TxToken as _};
use smoltcp::time::Instant as SmolInstant;

use super::rule::Verdict;
use super::*;

const BROADCAST: u8 = 0xff;
const MS: Duration = Duration::from_millis(1);

/// A frame between stations named by one byte, with that one byte of payload.
fn frame(to: u8, from: u8, payload: u8) -> Vec<u8> {
    let address = |station| if station == BROADCAST { [0xff; 6] } else { [2, 0, 0, 0, 0, station] };
    let mut bytes = [address(to), address(from)].concat();
    bytes.extend([0x88, 0xb5, payload]);
    bytes
}

fn station(name: u8) -> EthernetAddress {
    EthernetAddress([2, 0, 0, 0, 0, name])
}

/// A segment with three ports; by convention station 1 is on the first, and so on.
fn three(config: Config) -> (Segment, [PortId; 3]) {
    let mut segment = Segment::new(config);
    let ports = [segment.add_port(), segment.add_port(), segment.add_port()];
    (segment, ports)
}

/// The payloads that wait at each port.
fn heard(segment: &mut Segment, ports: [PortId; 3]) -> [Vec<u8>; 3] {
    ports.map(|port| {
        let mut payloads = Vec::new();
        while let Some(payload) = segment.recv(port, |frame| frame[14]) {
            payloads.push(payload);
        }
        payloads
    })
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[test]
fn unknown_destinations_flood_until_their_answer_teaches_the_switch() {
    let (mut segment, [a, b, c]) = three(Config::default());
    segment.send(at(0), a, &frame(2, 1, 10));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![], vec![10], vec![10]]);
    segment.send(at(1), b, &frame(1, 2, 20));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![20], vec![], vec![]]);
    segment.send(at(2), a, &frame(2, 1, 11));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![], vec![11], vec![]]);
    let expected = SwitchCounters { forwarded: 2, flooded: 1, learned: 2, ..Default::default() };
    assert_eq!(segment.counters(), expected);
}

#[test]
fn broadcast_and_multicast_reach_everyone_but_the_sender() {
    let (mut segment, [a, b, c]) = three(Config::default());
    segment.send(at(0), b, &frame(BROADCAST, 2, 1));
    let mut multicast = frame(BROADCAST, 2, 2);
    multicast[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
    segment.send(at(0), b, &multicast);
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![1, 2], vec![], vec![1, 2]]);
}

#[test]
fn a_gratuitous_frame_moves_a_station_to_its_new_port() {
    let (mut segment, [a, b, c]) = three(Config::default());
    segment.send(at(0), a, &frame(BROADCAST, 9, 0));
    assert_eq!(segment.station(station(9)), Some(a));
    segment.send(at(1), b, &frame(BROADCAST, 9, 0));
    assert_eq!(segment.station(station(9)), Some(b));
    heard(&mut segment, [a, b, c]);
    segment.send(at(2), c, &frame(9, 3, 7));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![], vec![7], vec![]]);
    assert_eq!(segment.counters().moved, 1);
}

#[test]
fn a_silent_station_ages_out_and_a_talking_one_does_not() {
    let (mut segment, [a, b, c]) = three(Config { ageing: 100 * MS, ..Config::default() });
    segment.send(at(0), a, &frame(BROADCAST, 1, 0));
    segment.send(at(60), a, &frame(BROADCAST, 1, 0));
    segment.poll(at(159));
    assert_eq!(segment.station(station(1)), Some(a));
    segment.poll(at(160));
    assert_eq!(segment.station(station(1)), None);
    heard(&mut segment, [a, b, c]);
    segment.send(at(161), b, &frame(1, 2, 5));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![5], vec![], vec![5]], "it floods again");
    segment.send(at(162), a, &frame(2, 1, 6));
    assert_eq!(segment.counters().learned, 3, "an aged station is learned anew");
}

#[test]
fn a_full_table_floods_counts_and_recovers_by_ageing() {
    let config = Config { stations_max: 2, ageing: 10 * MS, ..Config::default() };
    let (mut segment, [a, b, _]) = three(config);
    for name in 1..=3 {
        segment.send(at(0), a, &frame(BROADCAST, name, 0));
    }
    assert_eq!(segment.counters().table_full, 1);
    assert_eq!(segment.station(station(3)), None);
    segment.send(at(10), b, &frame(BROADCAST, 3, 0));
    assert_eq!(segment.station(station(3)), Some(b));
}

#[test]
fn a_frame_for_a_neighbour_on_the_same_port_or_for_the_bridge_goes_nowhere() {
    let (mut segment, [a, b, c]) = three(Config::default());
    segment.send(at(0), a, &frame(BROADCAST, 1, 0));
    heard(&mut segment, [a, b, c]);
    segment.send(at(0), a, &frame(1, 4, 1));
    let mut to_bridge = frame(2, 1, 2);
    to_bridge[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0x0e]);
    segment.send(at(0), a, &to_bridge);
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![], vec![], vec![]]);
    assert_eq!(segment.counters().filtered, 2);
}

#[test]
fn a_port_that_is_down_neither_sends_nor_receives_and_is_forgotten() {
    let (mut segment, [a, b, c]) = three(Config::default());
    segment.send(at(0), b, &frame(BROADCAST, 2, 0));
    segment.send(at(0), a, &frame(2, 1, 1));
    segment.set_up(b, false);
    assert!(!segment.is_up(b));
    assert_eq!(segment.rx_len(b), 0, "what waited is lost");
    segment.send(at(1), b, &frame(BROADCAST, 2, 2));
    heard(&mut segment, [a, b, c]);
    segment.send(at(1), a, &frame(2, 1, 3));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![], vec![], vec![3]], "flooded: forgotten");
    assert_eq!(segment.port_counters(b).lost_down, 3);
    segment.set_up(b, true);
    segment.send(at(2), a, &frame(2, 1, 4));
    assert_eq!(heard(&mut segment, [a, b, c])[1], [4]);
}

#[test]
fn a_cable_cut_one_way_still_carries_the_other() {
    let (mut segment, [a, b, c]) = three(Config::default());
    segment.set_cut(a, Direction::Transmit, true);
    segment.send(at(0), a, &frame(BROADCAST, 1, 1));
    segment.send(at(0), b, &frame(BROADCAST, 2, 2));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![2], vec![], vec![2]]);
    segment.set_cut(a, Direction::Transmit, false);
    segment.set_cut(a, Direction::Receive, true);
    segment.send(at(1), a, &frame(BROADCAST, 1, 3));
    segment.send(at(1), b, &frame(BROADCAST, 2, 4));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![], vec![3], vec![3, 4]]);
    assert_eq!(segment.port_counters(a).lost_cut, 2);
    segment.set_cut(a, Direction::Receive, false);
    segment.send(at(2), b, &frame(BROADCAST, 2, 5));
    assert_eq!(heard(&mut segment, [a, b, c])[0], [5]);
}

#[test]
fn a_full_queue_drops_the_newest_and_counts() {
    let (mut segment, [a, b, c]) = three(Config { queue_depth: 2, ..Config::default() });
    for payload in 0..5 {
        segment.send(at(0), a, &frame(BROADCAST, 1, payload));
    }
    assert_eq!(segment.port_counters(b).lost_queue_full, 3);
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![], vec![0, 1], vec![0, 1]]);
}

#[test]
fn too_many_frames_on_their_way_are_dropped_and_counted() {
    let (mut segment, [a, b, c]) = three(Config { in_flight_max: 3, ..Config::default() });
    segment.set_latency(b, MS);
    segment.set_latency(c, MS);
    segment.send(at(0), a, &frame(BROADCAST, 1, 0));
    segment.send(at(0), a, &frame(BROADCAST, 1, 1));
    segment.poll(at(1));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![], vec![0, 1], vec![0]]);
    assert_eq!(segment.port_counters(c).lost_in_flight_full, 1);
}

#[test]
fn a_switch_learns_from_a_frame_when_it_arrives_not_when_it_leaves() {
    let (mut segment, [a, b, c]) = three(Config::default());
    segment.set_latency(a, 5 * MS);
    segment.send(at(0), a, &frame(BROADCAST, 1, 0));
    segment.send(at(1), b, &frame(BROADCAST, 1, 1));
    assert_eq!(segment.station(station(1)), Some(b));
    segment.poll(at(5));
    assert_eq!(segment.station(station(1)), Some(a), "the late frame moves the station back");
    segment.send(at(6), c, &frame(1, 3, 2));
    segment.poll(at(11));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![1, 2], vec![0], vec![1, 0]]);
}

#[test]
fn an_impaired_cable_counts_what_it_does_and_leaves_the_others_alone() {
    let (mut segment, [a, b, c]) = three(Config::default());
    let all = Impairment { loss: 1.0, ..Impairment::default() };
    segment.set_impairment(b, Direction::Receive, all, 1);
    let twice = Impairment { duplicate: 1.0, ..Impairment::default() };
    segment.set_impairment(a, Direction::Transmit, twice, 1);
    segment.send(at(0), a, &frame(BROADCAST, 1, 0));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![], vec![], vec![0, 0]]);
    assert_eq!(segment.port_counters(b).lost_random, 2);
    assert_eq!((segment.port_counters(a).tx, segment.port_counters(a).duplicated), (1, 1));
}

#[test]
fn oversize_and_malformed_frames_are_dropped_and_counted() {
    let (mut segment, [a, b, _]) = three(Config::default());
    for len in [0, 13, 1519] {
        segment.send(at(0), a, &vec![2; len]);
    }
    let mut from_group = frame(2, 1, 0);
    from_group[6] = 1;
    segment.send(at(0), a, &from_group);
    assert_eq!(segment.rx_len(b), 0);
    let counters = segment.port_counters(a);
    assert_eq!((counters.lost_malformed, counters.lost_oversize, counters.tx), (3, 1, 0));
    let mut longest = frame(BROADCAST, 1, 0);
    longest.resize(1518, 0);
    segment.send(at(0), a, &longest);
    assert_eq!(segment.rx_len(b), 1);
}

#[test]
fn latency_is_the_sum_of_both_cables_and_tells_the_next_delivery() {
    let (mut segment, [a, b, c]) = three(Config::default());
    segment.set_latency(a, 2 * MS);
    segment.set_latency(b, 3 * MS);
    assert_eq!(segment.next_delivery(), None);
    segment.send(at(10), a, &frame(BROADCAST, 1, 1));
    assert_eq!(segment.next_delivery(), Some(at(12)));
    segment.poll(at(12));
    assert_eq!(heard(&mut segment, [a, b, c]), [vec![], vec![], vec![1]]);
    assert_eq!(segment.next_delivery(), Some(at(15)));
    segment.poll(Instant::from_nanos(14_999_999));
    assert_eq!(segment.rx_len(b), 0);
    segment.poll(at(15));
    assert_eq!(segment.rx_len(b), 1);
    assert_eq!(segment.next_delivery(), None);
}

#[test]
fn a_frame_in_flight_meets_the_port_as_it_is_on_arrival() {
    let (mut segment, [a, b, _]) = three(Config::default());
    segment.set_latency(a, 2 * MS);
    segment.send(at(0), a, &frame(BROADCAST, 1, 1));
    segment.set_cut(b, Direction::Receive, true);
    segment.poll(at(2));
    assert_eq!(segment.port_counters(b).lost_cut, 1);
}

#[test]
fn frames_keep_their_order_even_when_time_is_told_backwards() {
    let (mut segment, [a, b, _]) = three(Config::default());
    segment.set_latency(a, MS);
    segment.send(at(5), a, &frame(BROADCAST, 1, 1));
    segment.send(at(5), a, &frame(BROADCAST, 1, 2));
    segment.send(at(3), a, &frame(BROADCAST, 1, 3));
    // Due at 6 ms, thus before what leaves a cable without latency at 6 ms.
    segment.set_latency(a, Duration::ZERO);
    segment.send(at(6), a, &frame(BROADCAST, 1, 4));
    assert_eq!(heard(&mut segment, [a, b, PortId(2)])[1], [1, 2, 3, 4]);
}

#[test]
fn rules_are_asked_in_order_delays_add_up_and_a_drop_is_final() {
    let (mut segment, [a, b, c]) = three(Config::default());
    let asked = Rc::new(RefCell::new(Vec::new()));
    let note = |name: &'static str, verdict: Verdict| {
        let asked = Rc::clone(&asked);
        move |hop: &Hop<'_>| {
            asked.borrow_mut().push((name, hop.to));
            if hop.to == PortId(1) { verdict } else { Verdict::Pass }
        }
    };
    let first = segment.install(note("first", Verdict::Delay(2 * MS)));
    let second = segment.install(note("second", Verdict::Delay(MS)));
    segment.send(at(0), a, &frame(BROADCAST, 1, 1));
    assert_eq!(*asked.borrow(), [("first", b), ("second", b), ("first", c), ("second", c)]);
    assert_eq!((segment.rx_len(c), segment.next_delivery()), (1, Some(at(3))));

    assert!(segment.remove(first) && !segment.remove(first));
    segment.install(note("drop", Verdict::Drop));
    segment.install(note("never", Verdict::Pass));
    asked.borrow_mut().clear();
    segment.send(at(4), a, &frame(BROADCAST, 1, 2));
    let expected = [("second", b), ("drop", b), ("second", c), ("drop", c), ("never", c)];
    assert_eq!(*asked.borrow(), expected);
    assert_eq!(segment.port_counters(b).lost_rule, 1);
    assert!(segment.remove(second));
}

#[test]
fn observers_see_every_frame_with_its_fate_at_its_time() {
    let (mut segment, [a, b, c]) = three(Config { queue_depth: 1, ..Config::default() });
    let log = Rc::new(RefCell::new(Vec::new()));
    let writer = Rc::clone(&log);
    segment.observe(move |seen| {
        writer.borrow_mut().push((seen.at, seen.port, seen.direction, seen.frame[14], seen.fate));
    });
    segment.set_latency(b, MS);
    segment.set_cut(c, Direction::Transmit, true);
    segment.send(at(0), a, &frame(BROADCAST, 1, 7));
    segment.send(at(5), c, &frame(BROADCAST, 3, 8));
    let (tx, rx) = (Direction::Transmit, Direction::Receive);
    let expected = [
        (at(0), a, tx, 7, Fate::Passed),
        (at(0), c, rx, 7, Fate::Passed),
        (at(1), b, rx, 7, Fate::Passed),
        (at(5), c, tx, 8, Fate::Lost(Loss::Cut)),
    ];
    assert_eq!(*log.borrow(), expected);
}

/// Everything that an observer can see of a busy, lossy segment.
fn transcript() -> Vec<(Instant, PortId, Direction, Vec<u8>, Fate)> {
    let (mut segment, ports) =
        three(Config { queue_depth: 3, in_flight_max: 7, ..Config::default() });
    let log = Rc::new(RefCell::new(Vec::new()));
    let writer = Rc::clone(&log);
    segment.observe(move |seen| {
        let frame = seen.frame.to_vec();
        writer.borrow_mut().push((seen.at, seen.port, seen.direction, frame, seen.fate));
    });
    let mut count = 0u32;
    segment.install(move |_: &Hop<'_>| {
        count += 1;
        match count % 5 {
            0 => Verdict::Drop,
            1 => Verdict::Delay(count % 3 * MS),
            2.. => Verdict::Pass,
        }
    });
    for step in 0..200u8 {
        let from = ports[usize::from(step % 3)];
        let to = if step % 4 == 0 { BROADCAST } else { step % 7 };
        segment.send(at(step.into()), from, &frame(to, step % 5, step));
        if step % 9 == 0 {
            heard(&mut segment, ports);
        }
    }
    drop(segment);
    Rc::into_inner(log).expect("the observer is gone").into_inner()
}

#[test]
fn the_same_calls_give_the_same_deliveries() {
    let first = transcript();
    assert!(first.len() > 300);
    assert!(first.iter().any(|(.., fate)| *fate == Fate::Lost(Loss::Rule)));
    assert_eq!(first, transcript());
}

#[test]
fn ports_are_devices() {
    let segment = Rc::new(RefCell::new(Segment::new(Config::default())));
    let (mut alice, mut bob) = (Port::attach(&segment), Port::attach(&segment));
    assert_eq!(alice.capabilities().max_transmission_unit, 1514);
    segment.borrow_mut().set_latency(bob.id(), MS);
    let now = |millis| SmolInstant::from_millis(millis);

    assert!(bob.receive(now(0)).is_none());
    let bytes = frame(BROADCAST, 1, 42);
    let tx = alice.transmit(now(0)).expect("always room");
    tx.consume(bytes.len(), |buffer| buffer.copy_from_slice(&bytes));
    assert!(bob.receive(now(0)).is_none(), "not before its time");
    let (rx, tx) = bob.receive(now(1)).expect("a frame is due");
    assert_eq!(rx.consume(<[u8]>::to_vec), bytes);
    let reply = frame(1, 2, 43);
    tx.consume(reply.len(), |buffer| buffer.copy_from_slice(&reply));
    let (rx, _) = alice.receive(now(2)).expect("the reply is due");
    assert_eq!(rx.consume(<[u8]>::to_vec), reply);
}

#[test]
fn two_stacks_on_a_segment_reach_each_other() {
    use smoltcp::iface::{Config as IfaceConfig, Interface, SocketSet};
    use smoltcp::socket::udp;
    use smoltcp::wire::{IpAddress, IpCidr};

    let segment = Rc::new(RefCell::new(Segment::new(Config::default())));
    let mut hosts = [1u8, 2].map(|name| {
        let mut port = Port::attach(&segment);
        let config = IfaceConfig::new(station(name).into());
        let mut interface = Interface::new(config, &mut port, SmolInstant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let address = IpCidr::new(IpAddress::v4(10, 0, 0, name), 24);
            addresses.push(address).expect("room for one address");
        });
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 64]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(7).expect("a free port");
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        (port, interface, sockets, handle)
    });
    let [(_, _, sockets, handle), _] = &mut hosts;
    let socket = sockets.get_mut::<udp::Socket<'_>>(*handle);
    socket.send_slice(b"ping", (IpAddress::v4(10, 0, 0, 2), 7)).expect("room");
    for millis in 0..5 {
        for (port, interface, sockets, _) in &mut hosts {
            interface.poll(SmolInstant::from_millis(millis), port, sockets);
        }
    }
    let [_, (_, _, sockets, handle)] = &mut hosts;
    let (bytes, from) = sockets.get_mut::<udp::Socket<'_>>(*handle).recv().expect("it arrived");
    assert_eq!((bytes, from.endpoint.addr), (&b"ping"[..], IpAddress::v4(10, 0, 0, 1)));
}

/// A cable with nothing but a latency.
fn slow(latency: Duration) -> Impairment {
    Impairment { latency, ..Impairment::default() }
}

#[test]
fn a_late_poll_changes_neither_order_nor_times_of_arrival() {
    let (mut segment, [a, b, c]) = three(Config::default());
    let log = Rc::new(RefCell::new(Vec::new()));
    let writer = Rc::clone(&log);
    segment.observe(move |seen| {
        if seen.port == c {
            writer.borrow_mut().push((seen.at, seen.frame[14]));
        }
    });
    segment.set_impairment(a, Direction::Transmit, slow(10 * MS), 1);
    segment.set_impairment(c, Direction::Receive, slow(5 * MS), 1);
    segment.send(at(0), a, &frame(BROADCAST, 1, 1));
    segment.send(at(8), b, &frame(BROADCAST, 2, 2));
    // Nobody looked at 13 ms and at 15 ms.
    segment.poll(at(20));
    assert_eq!(*log.borrow(), [(at(13), 2), (at(15), 1)]);
    assert_eq!(heard(&mut segment, [a, b, c])[2], [2, 1]);
}

#[test]
fn a_damaged_frame_differs_in_one_bit() {
    let (mut segment, [a, b, _]) = three(Config::default());
    let with = Impairment { corrupt: 1.0, ..Impairment::default() };
    segment.set_impairment(b, Direction::Receive, with, 1);
    let sent = frame(BROADCAST, 1, 0);
    for count in 1..=100 {
        segment.send(at(0), a, &sent);
        let received = segment.recv(b, <[u8]>::to_vec).expect("it is damaged, not lost");
        let flipped: u32 = sent.iter().zip(&received).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!((received.len(), flipped), (sent.len(), 1));
        assert_eq!(segment.port_counters(b).corrupted, count);
    }
}

/// What of 200 frames from the first port reaches the second, on cables that lose half, while the
/// third is silent or talks to the first.
fn survivors(third_talks: bool) -> Vec<u8> {
    let (mut segment, [a, b, c]) = three(Config::default());
    let half = Impairment { loss: 0.5, ..Impairment::default() };
    for port in [a, b, c] {
        segment.set_impairment(port, Direction::Transmit, half.clone(), 1);
        segment.set_impairment(port, Direction::Receive, half.clone(), 1);
    }
    segment.install(
        move |hop: &Hop<'_>| {
            if hop.from == c && hop.to == b { Verdict::Drop } else { Verdict::Pass }
        },
    );
    for payload in 0..200 {
        segment.send(at(0), a, &frame(BROADCAST, 1, payload));
        if third_talks {
            segment.send(at(0), c, &frame(BROADCAST, 3, payload));
        }
    }
    let [_, survivors, _] = heard(&mut segment, [a, b, c]);
    survivors
}

#[test]
fn what_chance_does_on_a_cable_does_not_depend_on_traffic_elsewhere() {
    let alone = survivors(false);
    assert!((20..=80).contains(&alone.len()), "a quarter of 200: {}", alone.len());
    assert_eq!(alone, survivors(true));
}

#[test]
fn every_frame_is_accounted_for_on_the_worst_of_cables() {
    let mut segment =
        Segment::new(Config { queue_depth: 8, in_flight_max: 24, ..Config::default() });
    // Of two ports each frame leaves by the other, so that no copies of floods confuse the sum.
    let ports = [segment.add_port(), segment.add_port()];
    let bad = Impairment {
        latency: MS,
        jitter: 5 * MS,
        loss: 0.1,
        burst: Some(impair::Burst { enter: 0.05, leave: 0.3, loss: 0.9 }),
        duplicate: 0.2,
        reorder: 0.2,
        reorder_by: 3 * MS,
        corrupt: 0.3,
        bandwidth: Some(120_000),
        queue: Some(60),
    };
    let directions = [Direction::Transmit, Direction::Receive];
    for port in ports {
        for way in directions {
            segment.set_impairment(port, way, bad.clone(), port.index() as u64);
        }
    }
    let sent = 4_000;
    for step in 0..sent {
        let now = Instant::from_micros(step * 700);
        let [from, to] = if step % 2 == 0 { [1, 2] } else { [2, 1] };
        segment.send(now, ports[from as usize - 1], &frame(to, from, 0));
        segment.set_cut(ports[0], Direction::Receive, step % 500 < 50);
        if step % 40 == 0 {
            for port in ports {
                while segment.recv(port, |_| ()).is_some() {}
            }
        }
    }
    segment.poll(at(60_000));
    assert_eq!(segment.next_delivery(), None);
    let [a, b] = ports.map(|port| segment.port_counters(port));
    let sum = |counter: fn(&PortCounters) -> u64| counter(&a) + counter(&b);
    let losses: [fn(&PortCounters) -> u64; 6] = [
        |c| c.lost_cut,
        |c| c.lost_queue_full,
        |c| c.lost_in_flight_full,
        |c| c.lost_random,
        |c| c.lost_congestion,
        |c| c.lost_malformed,
    ];
    let lost = losses.map(sum);
    assert!(lost.iter().all(|lost| *lost > 0), "each kind is met: {lost:?}");
    assert!(sum(|c| c.duplicated) > 0 && sum(|c| c.held_back) > 0 && sum(|c| c.corrupted) > 0);
    let gone = lost.iter().sum::<u64>() + segment.counters().filtered;
    assert_eq!(sent + sum(|c| c.duplicated), sum(|c| c.rx) + gone);
}
