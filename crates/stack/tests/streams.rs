//! Byte streams between a service and clients with a TCP of their own.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::script::{Order, Seen};
use common::{SERVER, SERVER_V6, World, millis, pattern, seconds};
use locum_stack::Limits;
use locum_stack::service::CloseReason;
use smoltcp::socket::tcp;
use smoltcp::wire::IpAddress;

const WINDOW: usize = 16 * 1024;

/// Echoes `len` bytes over each of `count` connections at once, and closes them.
fn echo(world: &mut World, to: IpAddress, count: u64, len: usize) {
    let handles: Vec<_> = (0..count).map(|_| world.client.connect(to, WINDOW)).collect();
    let streams: Vec<_> = (0..count).map(|index| pattern(index, len)).collect();
    let mut outputs: Vec<&[u8]> = streams.iter().map(Vec::as_slice).collect();
    let mut inputs = vec![Vec::new(); count as usize];
    world.run_until(seconds(900), |world| {
        for (index, &handle) in handles.iter().enumerate() {
            world.client.exchange(handle, &mut outputs[index], &mut inputs[index]);
            if outputs[index].is_empty() {
                world.client.tcp(handle).close();
            }
        }
        world.stack.status().flows == 0
            && handles.iter().all(|&handle| {
                let state = world.client.tcp(handle).state();
                matches!(state, tcp::State::Closed | tcp::State::TimeWait)
            })
    });
    assert!(inputs == streams, "bytes were lost or changed");
    world.service.notes().check_order();
    assert_eq!(world.service.notes().closed(), vec![CloseReason::Finished; count as usize]);
}

#[test]
fn many_connections_to_one_port_are_served_at_once() {
    let mut world = World::new(Limits::default());
    echo(&mut world, SERVER, 200, 5_000);
    assert_eq!(world.stack.status().counters.flows_opened, 200);
}

#[test]
fn ipv6_connections_are_served() {
    let mut world = World::new(Limits::default());
    echo(&mut world, SERVER_V6, 20, 50_000);
}

#[test]
fn a_lossy_link_changes_no_byte() {
    for seed in 0..8 {
        let mut world = World::new(Limits::default());
        world.lose(seed, 5);
        echo(&mut world, if seed % 2 == 0 { SERVER } else { SERVER_V6 }, 4, 60_000);
        assert_eq!(world.stack.status().counters.flows_wedged, 0, "seed {seed}");
    }
}

#[test]
fn a_service_that_closes_first_still_hears_the_client_out() {
    let mut world = World::new(Limits::default());
    world.service.notes().mute = true;
    let handle = world.client.connect(SERVER, WINDOW);
    world.run(millis(5));
    let flow = world.service.notes().opened()[0];
    world.service.order(Order::Send(flow, pattern(1, 100)));
    world.service.order(Order::Close(flow));
    world.run(millis(5));
    let mut input = Vec::new();
    world.client.read(handle, &mut input);
    assert_eq!(input, pattern(1, 100));
    assert!(!world.client.tcp(handle).may_recv(), "no FIN after the output");

    world.client.tcp(handle).send_slice(&pattern(2, 3_000)).unwrap();
    world.run(millis(5));
    world.client.tcp(handle).close();
    world.run(seconds(11));
    let notes = world.service.notes();
    assert_eq!(notes.received[&flow.0], pattern(2, 3_000));
    notes.check_order();
    assert_eq!(notes.closed(), [CloseReason::Finished]);
}

#[test]
fn a_client_that_does_not_read_gets_no_more_than_its_window_and_the_credit() {
    let limits = Limits { tx_buffer: 8_192, ..Limits::default() };
    let mut world = World::new(limits);
    world.service.notes().mute = true;
    let handle = world.client.connect(SERVER, 4_096);
    world.run(millis(5));
    let flow = world.service.notes().opened()[0];
    world.service.order(Order::Send(flow, pattern(3, 100_000)));
    world.run(seconds(5));
    let acked: usize = world.service.notes().of(flow).iter().map(acked_bytes).sum();
    assert_eq!(acked, 4_096, "the client's window");

    let mut input = Vec::new();
    world.run_until(seconds(120), |world| {
        world.client.read(handle, &mut input);
        input.len() == 100_000
    });
    assert_eq!(input, pattern(3, 100_000));
    assert!(world.service.notes().of(flow).iter().all(|seen| acked_bytes(seen) <= 8_192));
}

fn acked_bytes(seen: &Seen) -> usize {
    match seen {
        Seen::Acked(bytes) => *bytes,
        Seen::Opened | Seen::Data(_) | Seen::Finished | Seen::Closed(_) => 0,
    }
}

#[test]
fn a_paused_flow_is_told_nothing_and_loses_nothing() {
    let limits = Limits { rx_buffer: 4_096, ..Limits::default() };
    let mut world = World::new(limits);
    (world.service.notes().paused, world.service.notes().mute) = (true, true);
    let handle = world.client.connect(SERVER, WINDOW);
    world.run(millis(5));
    world.client.tcp(handle).send_slice(&pattern(4, 20_000)).unwrap();
    world.client.tcp(handle).close();
    world.run(seconds(3));
    let flow = world.service.notes().opened()[0];
    assert_eq!(world.service.notes().of(flow), [Seen::Opened]);

    world.service.order(Order::Resume(flow));
    world.run(seconds(10));
    let notes = world.service.notes();
    assert_eq!(notes.received[&flow.0], pattern(4, 20_000));
    assert_eq!(notes.of(flow).last(), Some(&Seen::Finished));
    notes.check_order();
}

#[test]
fn an_aborted_flow_is_reset_and_its_last_event_is_its_end() {
    let mut world = World::new(Limits::default());
    let handle = world.client.connect(SERVER, WINDOW);
    world.run(millis(5));
    let flow = world.service.notes().opened()[0];
    world.client.tcp(handle).send_slice(b"unheard").unwrap();
    world.service.order(Order::Abort(flow));
    world.service.order(Order::Send(flow, vec![1]));
    world.run(millis(5));
    assert_eq!(world.client.tcp(handle).state(), tcp::State::Closed, "no RST");
    assert_eq!(world.service.notes().closed(), [CloseReason::Aborted]);
    world.service.notes().check_order();
    assert_eq!(world.stack.status().flows, 0);
}

#[test]
fn a_client_that_resets_is_reported() {
    let mut world = World::new(Limits::default());
    let handle = world.client.connect(SERVER, WINDOW);
    world.run(millis(5));
    world.client.tcp(handle).abort();
    world.run(millis(5));
    assert_eq!(world.service.notes().closed(), [CloseReason::Reset]);
}

#[test]
fn abandoning_is_silent() {
    let mut world = World::new(Limits::default());
    let handles: Vec<_> = (0..3).map(|_| world.client.connect(SERVER, WINDOW)).collect();
    world.run(millis(5));
    world.client.tcp(handles[0]).send_slice(&pattern(5, 40_000)).unwrap();
    world.stack.poll(world.now);
    world.sent.clear();
    while world.stack.device_mut().pop_transmit(|_| ()).is_some() {}
    world.stack.abandon(world.now);
    assert!(!world.stack.poll(world.now));
    assert_eq!(world.stack.device_mut().pop_transmit(<[u8]>::to_vec), None);
    assert_eq!(world.service.notes().closed(), [CloseReason::Aborted; 3]);
    assert_eq!((world.stack.status().flows, world.stack.status().half_open), (0, 0));
}

#[test]
fn the_same_frames_at_the_same_times_give_the_same_bytes() {
    let run = || {
        let mut world = World::new(Limits::default());
        world.lose(3, 10);
        echo(&mut world, SERVER, 5, 20_000);
        (world.sent, world.stack.status())
    };
    assert!(run() == run(), "two equal runs differ");
}

#[test]
fn a_quiet_connection_is_reset_after_the_idle_time() {
    let limits = Limits { idle: seconds(30), keep_alive: Some(seconds(5)), ..Limits::default() };
    let mut world = World::new(limits);
    let handle = world.client.connect(SERVER, WINDOW);
    world.run(seconds(29));
    assert_eq!(world.client.tcp(handle).state(), tcp::State::Established);
    assert!(world.stack.status().counters.keep_alives >= 4, "{:?}", world.stack.status());
    world.run(seconds(2));
    assert_eq!(world.client.tcp(handle).state(), tcp::State::Closed);
    assert_eq!(world.stack.status().counters.flows_idle, 1);
    assert_eq!(world.service.notes().closed(), [CloseReason::TimedOut]);
}

#[test]
fn a_client_that_is_gone_is_noticed_by_keep_alive() {
    let limits =
        Limits { keep_alive: Some(seconds(5)), unanswered: seconds(10), ..Limits::default() };
    let mut world = World::new(limits);
    world.client.connect(SERVER, WINDOW);
    world.run(seconds(20));
    assert_eq!(world.stack.status().flows, 1, "a client that answers was given up");
    world.to_stack = Box::new(|_| false);
    world.run(seconds(20));
    assert_eq!(world.service.notes().closed(), [CloseReason::TimedOut]);
    assert_eq!(world.stack.status().counters.flows_unanswered, 1);
}

#[test]
fn a_client_that_never_closes_its_half_is_reset() {
    let limits = Limits { fin_wait: seconds(8), ..Limits::default() };
    let mut world = World::new(limits);
    let handle = world.client.connect(SERVER, WINDOW);
    world.run(millis(5));
    let flow = world.service.notes().opened()[0];
    world.service.order(Order::Close(flow));
    world.run(seconds(7));
    assert_eq!(world.stack.status().flows, 1);
    world.run(seconds(2));
    assert_eq!(world.stack.status().counters.flows_fin_wait, 1);
    assert_eq!(world.client.tcp(handle).state(), tcp::State::Closed);
    assert_eq!(world.service.notes().closed(), [CloseReason::TimedOut]);
}
