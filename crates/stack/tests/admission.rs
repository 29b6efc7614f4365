//! Who gets a connection, how it is kept, and who is told that there is none.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::raw::{Answer, Raw, poll, run};
use common::script::{Order, Seen};
use common::{CLIENT_MAC, PORT, SERVER, config, millis, pattern, seconds, server};
use locum_stack::forge::Negotiated;
use locum_stack::service::{CloseReason, FlowId};
use locum_stack::{FlowImage, Limits, RestoreRefused, Tuple};
use locum_types::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, TcpControl};

const NOW: Instant = Instant::from_millis(1_000);

#[test]
fn initial_numbers_follow_key_tuple_and_clock_and_nothing_else() {
    let number = |seed: u64, key: u8, port: u16, now: Instant| {
        let mut config = config(Limits::default());
        (config.seed, config.isn_key) = (seed, [key; 16]);
        let (mut stack, _) = server(config);
        Raw::new(port).connect(&mut stack, now).sequence
    };
    let base = number(1, 7, 40_000, NOW);
    assert_eq!(base, number(2, 7, 40_000, NOW), "the seed changed it");
    assert_ne!(base, number(1, 8, 40_000, NOW), "the key did not");
    assert_ne!(base, number(1, 7, 40_001, NOW), "the tuple did not");
    // RFC 6528: a tick every 4 µs.
    assert_eq!(number(1, 7, 40_000, NOW + millis(4)).wrapping_sub(base), 1_000);
}

#[test]
fn timestamps_are_never_negotiated() {
    let (mut stack, _) = server(config(Limits::default()));
    assert!(!Raw::new(40_000).connect(&mut stack, NOW).timestamps);
}

#[test]
fn a_flood_of_syns_is_bounded_and_keeps_no_honest_client_out() {
    let limits = Limits { half_open_max: 64, flows_max: 128, ..Limits::default() };
    let (mut stack, service) = server(config(limits));
    let mut now = NOW;
    for round in 0..100 {
        for index in 0..40 {
            let mut attacker = Raw::new(1_024 + round * 40 + index);
            attacker.from = IpAddress::v4(10, 0, 0, 77);
            attacker.send(&mut stack, now, TcpControl::Syn, &[]);
        }
        if round < 60 {
            Raw::new(40_000 + round).connect(&mut stack, now);
        }
        assert!(stack.status().half_open <= 64);
        assert!(stack.status().flows <= 128);
        now += millis(1);
    }
    assert_eq!(service.notes().opened().len(), 60);
    assert_eq!(stack.status().counters.half_open_evicted, 4_000 + 60 - 60 - 64);
}

#[test]
fn damaged_syns_displace_nobody() {
    let limits = Limits { half_open_max: 1, ..Limits::default() };
    let (mut stack, _) = server(config(limits));
    Raw::new(40_000).send(&mut stack, NOW, TcpControl::Syn, &[]);
    let mut damaged = Raw::new(40_001).frame(TcpControl::Syn, &[]);
    *damaged.last_mut().unwrap() ^= 1;
    stack.device_mut().push(&damaged);
    assert_eq!(poll(&mut stack, NOW), []);
    assert_eq!(stack.status().counters.half_open_evicted, 0);
    assert_eq!(stack.status().counters.frames_malformed, 1);
}

#[test]
fn connections_beyond_the_limit_are_not_accepted() {
    let limits = Limits { flows_max: 2, ..Limits::default() };
    let (mut stack, _) = server(config(limits));
    let mut first = Raw::new(40_000);
    first.connect(&mut stack, NOW);
    Raw::new(40_001).connect(&mut stack, NOW);
    let third = Raw::new(40_002);
    assert_eq!(third.send(&mut stack, NOW, TcpControl::Syn, &[]), []);
    assert_eq!(stack.status().counters.syns_over_limit, 1);
    first.send(&mut stack, NOW, TcpControl::Rst, &[]);
    assert_eq!(third.send(&mut stack, NOW, TcpControl::Syn, &[]).len(), 1);
}

#[test]
fn half_open_connections_age() {
    let (mut stack, service) = server(config(Limits::default()));
    let mut now = NOW;
    Raw::new(40_000).send(&mut stack, now, TcpControl::Syn, &[]);
    let again = run(&mut stack, &mut now, NOW + millis(4_900));
    assert!(!again.is_empty(), "the SYN|ACK is sent again");
    assert_eq!(stack.status().half_open, 1);
    run(&mut stack, &mut now, NOW + millis(5_100));
    assert_eq!((stack.status().flows, stack.status().half_open), (0, 0));
    assert_eq!(stack.status().counters.half_open_expired, 1);
    assert_eq!(service.notes().seen, [], "the service never knew of it");
}

#[test]
fn a_reset_half_open_connection_is_gone_at_once() {
    let (mut stack, _) = server(config(Limits::default()));
    let mut raw = Raw::new(40_000);
    raw.send(&mut stack, NOW, TcpControl::Syn, &[]);
    raw.sequence += 1;
    assert_eq!(raw.send(&mut stack, NOW, TcpControl::Rst, &[]), []);
    assert_eq!((stack.status().flows, stack.status().half_open), (0, 0));
}

#[test]
fn nobody_connects_to_an_address_that_is_not_ours_or_from_one_that_is() {
    let (mut stack, _) = server(config(Limits::default()));
    let raw = Raw::new(40_000);
    let elsewhere = Raw { to: IpAddress::v4(10, 0, 0, 9), ..raw };
    let shouted = Raw { to_mac: EthernetAddress::BROADCAST, ..raw };
    let other_mac = Raw { to_mac: CLIENT_MAC, ..raw };
    let ourselves = Raw { from: SERVER, from_port: PORT, ..raw };
    let everybody = Raw { from: IpAddress::v4(255, 255, 255, 255), ..raw };
    for odd in [elsewhere, shouted, other_mac, ourselves, everybody] {
        odd.send(&mut stack, NOW, TcpControl::Syn, &[]);
        assert_eq!(stack.status().flows, 0, "{odd:?}");
    }
}

/// RFC 9293 §3.10.7.1.
#[test]
fn segments_of_no_connection_are_answered_by_reset() {
    let (mut stack, _) = server(config(Limits::default()));
    let closed = Raw { to_port: PORT + 1, ..Raw::new(40_000) };
    let reset = |sequence, ack| Answer {
        control: TcpControl::Rst,
        to_port: 40_000,
        sequence,
        ack,
        window: 0,
        len: 0,
        window_scale: None,
        timestamps: false,
    };
    assert_eq!(closed.send(&mut stack, NOW, TcpControl::Syn, &[]), [reset(0, Some(1_001))]);
    let late = Raw { ack: Some(5_555), ..Raw::new(40_000) };
    assert_eq!(late.send(&mut stack, NOW, TcpControl::None, b"late"), [reset(5_555, None)]);
    assert_eq!(late.send(&mut stack, NOW, TcpControl::Rst, &[]), []);
    assert_eq!(stack.status().counters.segments_stray, 3);
    assert_eq!(stack.status().flows, 0);
}

#[test]
fn only_an_exact_reset_closes() {
    let (mut stack, service) = server(config(Limits::default()));
    let mut raw = Raw::new(40_000);
    raw.connect(&mut stack, NOW);
    raw.send(&mut stack, NOW, TcpControl::Psh, b"abc");
    raw.sequence += 3;
    for offset in [1, 100, 30_000, u32::MAX] {
        let blind = Raw { sequence: raw.sequence.wrapping_add(offset), ..raw };
        blind.send(&mut stack, NOW, TcpControl::Rst, &[]);
    }
    assert_eq!(service.notes().closed(), []);
    assert_eq!(stack.status().counters.resets_inexact, 4);
    raw.send(&mut stack, NOW, TcpControl::Rst, &[]);
    assert_eq!(service.notes().closed(), [CloseReason::Reset]);
}

/// RFC 5961 §3.2: whoever meant it says it again, with the number that the challenge names.
#[test]
fn a_reset_in_the_window_is_challenged_now_and_then() {
    let limits = Limits { rx_buffer: 32 * 1024, ..Limits::default() };
    let (mut stack, service) = server(config(limits));
    let mut raw = Raw::new(40_000);
    let syn_ack = raw.connect(&mut stack, NOW);
    let reset_at = |stack: &mut _, at, offset| {
        let inexact = Raw { sequence: raw.sequence.wrapping_add(offset), ..raw };
        inexact.send(stack, at, TcpControl::Rst, &[])
    };
    let answers = reset_at(&mut stack, NOW, 100);
    let [challenge] = &answers[..] else { panic!("not one answer: {answers:?}") };
    assert_eq!((challenge.control, challenge.ack), (TcpControl::None, Some(raw.sequence)));
    assert_eq!(challenge.sequence, syn_ack.sequence.wrapping_add(1));
    assert_eq!(reset_at(&mut stack, NOW + millis(400), 100), [], "not so often");
    let later = NOW + seconds(2);
    for outside in [u32::MAX, 32 * 1024, 1 << 31] {
        assert_eq!(reset_at(&mut stack, later, outside), [], "{outside} is not in the window");
    }
    assert_eq!(reset_at(&mut stack, later, 1).len(), 1);
    assert_eq!(service.notes().closed(), []);
}

/// With a scaled window smoltcp takes its SYN|ACK's window for a larger one, and panics on what a client
/// sends into it before the next segment of ours: hence no receive buffer above 65 535 bytes.
#[test]
fn a_first_flight_beyond_the_window_does_no_harm() {
    let limits = Limits { rx_buffer: 65_536, ..Limits::default() };
    let (mut stack, service) = server(config(limits));
    let mut raw = Raw::new(40_000);
    let syn_ack = raw.connect(&mut stack, NOW);
    assert_eq!(syn_ack.window_scale, Some(0), "the window is scaled");
    // All but the first segment of the flight: the stack has nothing new to acknowledge in between.
    let bytes = pattern(9, 120_000);
    let mut late = Vec::new();
    for (index, chunk) in bytes.chunks(1_460).enumerate() {
        let frame = raw.frame(TcpControl::None, chunk);
        raw.sequence = raw.sequence.wrapping_add(chunk.len() as u32);
        if index == 0 {
            late = frame;
        } else {
            stack.device_mut().push(&frame);
        }
    }
    poll(&mut stack, NOW);
    stack.device_mut().push(&late);
    poll(&mut stack, NOW);
    let flow = service.notes().opened()[0];
    let received = service.notes().received[&flow.0].clone();
    assert!(received.len() >= usize::from(syn_ack.window) / 2);
    assert!(bytes.starts_with(&received));
}

#[test]
fn a_lost_fin_is_sent_again_whatever_is_acknowledged_twice() {
    let (mut stack, service) = server(config(Limits::default()));
    let mut now = NOW;
    let mut raw = Raw::new(40_000);
    raw.connect(&mut stack, now);
    let flow = service.notes().opened()[0];
    service.order(Order::Close(flow));
    let fins = |answers: &[Answer]| {
        answers.iter().filter(|answer| answer.control == TcpControl::Fin).count()
    };
    assert_eq!(fins(&poll(&mut stack, now)), 1);
    // The FIN is lost, and the client repeats itself.
    for _ in 0..4 {
        raw.send(&mut stack, now, TcpControl::None, &[]);
    }
    assert!(fins(&run(&mut stack, &mut now, NOW + seconds(4))) >= 1, "the FIN was forgotten");
    assert!(stack.status().counters.acks_of_fin_repeated >= 3);
}

#[test]
fn a_client_that_takes_its_window_back_is_asked_until_it_opens_it() {
    let (mut stack, service) = server(config(Limits::default()));
    service.notes().mute = true;
    let mut now = NOW;
    let mut raw = Raw::new(40_000);
    let syn_ack = raw.connect(&mut stack, now);
    let flow = service.notes().opened()[0];
    service.order(Order::Send(flow, pattern(1, 500)));
    assert_eq!(poll(&mut stack, now).len(), 1);
    // The data is lost; the window shrinks to nothing without an acknowledgement.
    raw.window = 0;
    raw.send(&mut stack, now, TcpControl::None, &[]);
    let asked = run(&mut stack, &mut now, NOW + seconds(8));
    assert!(!asked.is_empty(), "smoltcp fell silent and nobody noticed");
    assert!(stack.status().counters.flows_nudged >= 1);
    // The answer to the question, and later the opened window.
    raw.send(&mut stack, now, TcpControl::None, &[]);
    run(&mut stack, &mut now, NOW + seconds(12));
    raw.window = 10_000;
    let mut sent = raw.send(&mut stack, now, TcpControl::None, &[]);
    sent.extend(run(&mut stack, &mut now, NOW + seconds(20)));
    let first = syn_ack.sequence.wrapping_add(1);
    assert!(sent.iter().any(|answer| answer.sequence == first && answer.len == 500), "{sent:?}");
    assert_eq!(stack.status().flows, 1);
}

#[test]
fn a_flow_that_nothing_gets_going_is_reset() {
    let (mut stack, service) = server(config(Limits::default()));
    let mut now = NOW;
    let mut raw = Raw::new(40_000);
    raw.connect(&mut stack, now);
    let flow = service.notes().opened()[0];
    service.order(Order::Send(flow, pattern(1, 500)));
    poll(&mut stack, now);
    raw.window = 0;
    raw.send(&mut stack, now, TcpControl::None, &[]);
    // The client never answers again.
    run(&mut stack, &mut now, NOW + seconds(200));
    assert_eq!(stack.status().flows, 0);
    assert_eq!(service.notes().of(flow).last(), Some(&Seen::Closed(CloseReason::TimedOut)));
}

#[test]
fn a_new_connection_may_follow_in_time_wait() {
    let (mut stack, service) = server(config(Limits::default()));
    let mut raw = Raw::new(40_000);
    raw.connect(&mut stack, NOW);
    let flow = service.notes().opened()[0];
    service.order(Order::Close(flow));
    poll(&mut stack, NOW);
    raw.ack = raw.ack.map(|ack| ack.wrapping_add(1));
    raw.send(&mut stack, NOW, TcpControl::Fin, &[]);
    assert_eq!(stack.status().flows, 1, "not in TIME-WAIT");

    let mut old = Raw { sequence: raw.sequence - 500, ack: None, ..raw };
    old.send(&mut stack, NOW, TcpControl::Syn, &[]);
    assert_eq!(service.notes().opened().len(), 1, "an old SYN opened a connection");
    old.sequence = raw.sequence + 500;
    old.connect(&mut stack, NOW + seconds(2));
    assert_eq!(service.notes().opened().len(), 2);
    assert_eq!(service.notes().closed(), [CloseReason::Finished]);
    service.notes().check_order();
}

#[test]
fn a_stack_at_rest_sets_no_deadline_closer_than_its_limits() {
    let limits = Limits { keep_alive: None, ..Limits::default() };
    let (mut stack, _) = server(config(limits));
    let mut raw = Raw::new(40_000);
    raw.connect(&mut stack, NOW);
    raw.send(&mut stack, NOW, TcpControl::Psh, b"ping");
    (raw.sequence, raw.ack) = (raw.sequence + 4, raw.ack.map(|ack| ack.wrapping_add(4)));
    raw.send(&mut stack, NOW, TcpControl::None, &[]);
    let mut now = NOW;
    assert_eq!(run(&mut stack, &mut now, NOW + seconds(10)), []);
    let (at, _) = stack.poll_deadline().unwrap();
    assert_eq!(at, NOW + Limits::default().idle);
}

/// A connection that was established elsewhere, as both ends know it.
fn established() -> (FlowImage, Raw) {
    let image = FlowImage {
        id: FlowId(9),
        tuple: Tuple {
            remote: "10.0.0.2:40000".parse().unwrap(),
            local: "10.0.0.1:7".parse().unwrap(),
        },
        negotiated: Negotiated { mss: 1_000, window_scale: None, sack: true },
        local_isn: 76,
        remote_isn: 4_294_967_289,
        via: CLIENT_MAC.0,
        delivered: 0,
        held: Vec::new(),
        acked: 0,
        unacked: Vec::new(),
        window: 5_000,
        opened: true,
        paused: false,
        client_fin: false,
        finished: false,
        closing: false,
        fin_acked: false,
    };
    let client = Raw { sequence: 4_294_967_290, ack: Some(77), window: 5_000, ..Raw::new(40_000) };
    (image, client)
}

#[test]
fn a_restored_connection_goes_on_with_its_own_numbers() {
    let (mut stack, service) = server(config(Limits::default()));
    let (image, mut client) = established();
    assert_eq!(stack.restore(NOW, &image), Ok(()));
    let again = stack.restore(NOW, &image);
    assert_eq!(again, Err(RestoreRefused::Known { flow: image.id }));
    let mut number = 77;
    for round in 0..3 {
        let bytes = pattern(round, 1_500);
        for chunk in bytes.chunks(750) {
            let echoed = client.send(&mut stack, NOW, TcpControl::Psh, chunk);
            client.sequence = client.sequence.wrapping_add(750);
            let [echo] = echoed[..] else { panic!("{echoed:?}") };
            assert_eq!((echo.sequence, echo.ack), (number, Some(client.sequence)));
            number += 750;
            client.ack = Some(number);
        }
    }
    assert_eq!(service.notes().opened(), [], "the service knew already");
    assert_eq!((stack.status().flows, stack.status().half_open), (1, 0));
    assert_eq!(stack.status().counters.clients_nudged, 0, "the client spoke first");
}

#[test]
fn a_flow_whose_reset_finds_no_way_is_forgotten() {
    let (mut stack, service) = server(config(Limits::default()));
    let (image, _) = established();
    assert_eq!(stack.restore(NOW, &image), Ok(()));
    // Nothing was ever heard of the client, so its MAC is unknown.
    service.order(Order::Abort(image.id));
    let mut now = NOW;
    run(&mut stack, &mut now, NOW + seconds(3));
    assert_eq!(stack.status().flows, 0);
    assert_eq!(service.notes().closed(), [CloseReason::Aborted]);
}

#[test]
fn a_short_keep_alive_leaves_time_wait_alone() {
    let limits =
        Limits { keep_alive: Some(seconds(1)), unanswered: seconds(2), ..Limits::default() };
    let (mut stack, service) = server(config(limits));
    let mut raw = Raw::new(40_000);
    raw.connect(&mut stack, NOW);
    let flow = service.notes().opened()[0];
    service.order(Order::Close(flow));
    poll(&mut stack, NOW);
    raw.ack = raw.ack.map(|ack| ack.wrapping_add(1));
    raw.send(&mut stack, NOW, TcpControl::Fin, &[]);
    let mut now = NOW;
    assert_eq!(run(&mut stack, &mut now, NOW + seconds(11)), []);
    assert_eq!(service.notes().closed(), [CloseReason::Finished]);
}

#[test]
fn answers_wait_for_room_and_are_all_sent() {
    let (mut stack, service) = server(config(Limits::default()));
    let mut raw = Raw::new(40_000);
    raw.connect(&mut stack, NOW);
    let flow = service.notes().opened()[0];
    // Nobody takes frames away: the queue to the wire is full.
    while stack.device_mut().push_transmit(&[0; 60]) {}
    service.order(Order::Send(flow, pattern(1, 10_000)));
    for _ in 0..100 {
        assert!(stack.poll(NOW), "it gave up");
    }
    while stack.device_mut().pop_transmit(|_| ()).is_some() {}
    let sent: usize = poll(&mut stack, NOW).iter().map(|answer| answer.len).sum();
    assert!(sent >= 1_460, "nothing was sent once there was room");
}
