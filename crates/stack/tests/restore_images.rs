//! A restored connection is exactly the one of its image: what it says of itself, and what it says first.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::raw::{Answer, Raw, poll, run};
use common::{
    CLIENT, CLIENT_MAC, PORT, SERVER, SERVER_MAC, config, pattern, seconds, server_with_mtu,
};
use locum_gate::FrameQueue;
use locum_stack::forge::Negotiated;
use locum_stack::neighbours::introduction;
use locum_stack::service::FlowId;
use locum_stack::{FlowImage, FlowsLost, Limits, RestoreRefused, Stack, TcpState, Tuple};
use locum_types::Instant;
use proptest::prelude::*;
use smoltcp::wire::TcpControl;

const NOW: Instant = Instant::from_millis(1_000);
const MTU: usize = 9_040;
const BUFFER: usize = 20_000;
/// What smoltcp sends before anything is acknowledged.
const CONGESTION_WINDOW: usize = 2_048;

fn limits() -> Limits {
    Limits { rx_buffer: BUFFER, tx_buffer: BUFFER, ..Limits::default() }
}

/// An established connection without anything in flight.
fn idle() -> FlowImage {
    FlowImage {
        id: FlowId(7),
        tuple: Tuple {
            remote: "10.0.0.2:40000".parse().unwrap(),
            local: "10.0.0.1:7".parse().unwrap(),
        },
        negotiated: Negotiated { mss: 1_460, window_scale: Some(7), sack: true },
        local_isn: 1_000,
        remote_isn: 5_000,
        via: CLIENT_MAC.0,
        delivered: 0,
        held: Vec::new(),
        acked: 0,
        unacked: Vec::new(),
        window: 60_000,
        opened: true,
        paused: false,
        client_fin: false,
        finished: false,
        closing: false,
        fin_acked: false,
    }
}

prop_compose! {
    /// Any image that can be, in every state.
    fn image()(
        ipv6 in any::<bool>(),
        id in 1u64..1 << 40,
        numbers in any::<[u32; 2]>(),
        delivered in any::<u64>(),
        acked in any::<u64>(),
        lens in (prop_oneof![Just(0), 0..=BUFFER], prop_oneof![Just(0), 0..=BUFFER]),
        negotiated in (536u16..=9_000, prop::option::of(0u8..=14), any::<bool>()),
        window in prop_oneof![Just(0), any::<u16>()],
        state in 0..7usize,
        paused in any::<bool>(),
        told in any::<bool>(),
    ) -> FlowImage {
        let (mss, window_scale, sack) = negotiated;
        let half_open = state == 6;
        let client_fin = matches!(state, 1 | 4 | 5);
        let fin_acked = matches!(state, 3 | 5);
        let finished = client_fin && told;
        let (held, unacked) = lens;
        let tuple = match ipv6 {
            false => idle().tuple,
            true => Tuple {
                remote: "[fd00::2]:40000".parse().unwrap(),
                local: "[fd00::1]:7".parse().unwrap(),
            },
        };
        FlowImage {
            id: FlowId(id),
            tuple,
            negotiated: Negotiated { mss, window_scale, sack },
            local_isn: numbers[0],
            remote_isn: numbers[1],
            via: CLIENT_MAC.0,
            delivered: if half_open { 0 } else { delivered },
            held: pattern(1, if half_open || finished { 0 } else { held }),
            acked: if half_open { 0 } else { acked },
            unacked: pattern(2, if half_open || fin_acked { 0 } else { unacked }),
            window,
            opened: !half_open,
            paused,
            client_fin,
            finished,
            closing: matches!(state, 2..=5),
            fin_acked,
        }
    }
}

fn stack() -> Stack<FrameQueue> {
    let (mut stack, service) = server_with_mtu(config(limits()), MTU);
    service.notes().mute = true;
    let frame = introduction(SERVER_MAC, SERVER, CLIENT_MAC, CLIENT).unwrap();
    stack.device_mut().push(&frame);
    stack.poll(NOW);
    while stack.device_mut().pop_transmit(|_| ()).is_some() {}
    stack
}

/// What is sent first, checked to be in order; how much output, and whether it ends with FIN.
fn check_output(image: &FlowImage, answers: &[Answer]) -> (usize, bool) {
    let negotiated = image.negotiated;
    let (mut next, mut fin) = (image.local_unacked(), false);
    let mss = usize::from(negotiated.mss).min(MTU - 40);
    for answer in answers {
        assert_eq!(answer.sequence, next, "{answers:?}");
        assert_eq!(answer.ack, Some(image.remote_next()), "{answers:?}");
        assert!(answer.len <= mss, "{} bytes for a client with MSS {mss}", answer.len);
        fin |= answer.control == TcpControl::Fin;
        next = next.wrapping_add((answer.len + usize::from(fin)) as u32);
    }
    (answers.iter().map(|answer| answer.len).sum(), fin)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_image_of_a_restored_flow_is_the_image_it_was_restored_from(image in image()) {
        let mut stack = stack();
        prop_assert_eq!(stack.restore(NOW, &image), Ok(()));
        prop_assert_eq!(stack.image(image.id), Some(image));
    }

    #[test]
    fn its_first_words_are_what_the_client_has_to_hear(image in image()) {
        // Half-open ones have a test of their own. A paused service leaves what is held where it is.
        prop_assume!(image.opened);
        let image = FlowImage { paused: true, tuple: idle().tuple, ..image };
        let mut stack = stack();
        stack.restore(NOW, &image).unwrap();
        let answers = poll(&mut stack, NOW);
        let room = (BUFFER - image.held.len()) as u16;
        prop_assert!(answers.iter().all(|answer| answer.window == room), "{:?}", answers);

        let waits = !image.client_fin && room > 0;
        if image.state() == TcpState::TimeWait {
            prop_assert_eq!(answers, []);
            return Ok(());
        }
        let scale = image.negotiated.window_scale.unwrap_or(0);
        let window = usize::from(image.window) << scale;
        // What the client may have received: nothing below it is heard.
        let outstanding = image.unacked.len() + usize::from(image.state() == TcpState::FinWait1);
        let ahead = outstanding.min(window.saturating_sub(1));
        let nudges = match (waits, outstanding) {
            (false, _) => 0,
            (true, 0) => 3,
            (true, _) => 4,
        };
        let (first, duplicates) = answers.split_at(answers.len() - nudges);
        if window == 0 && !image.unacked.is_empty() {
            // A probe, which counts for nothing, and the acknowledgement.
            let lens: Vec<_> = first.iter().map(|answer| answer.len).collect();
            prop_assert_eq!(lens, [1, 0]);
            check_output(&image, &first[..1]);
            check_output(&image, &first[1..]);
        } else {
            let (sent, fin) = check_output(&image, first);
            let whole = sent == image.unacked.len();
            let mss = usize::from(image.negotiated.mss).min(MTU - 40);
            let most = image.unacked.len().min(window);
            prop_assert!(sent <= most, "{} bytes into a window of {}", sent, window);
            prop_assert!(sent >= most.min(mss).min(CONGESTION_WINDOW), "{} of {}", sent, most);
            let owed = image.state() == TcpState::FinWait1 || image.state() == TcpState::Closing;
            prop_assert_eq!(fin, whole && owed);
            prop_assert!(sent > 0 || first.len() == 1, "{:?}", first);
        }
        for duplicate in duplicates {
            prop_assert_eq!((duplicate.len, duplicate.control), (0, TcpControl::None));
            prop_assert_eq!(duplicate.sequence, image.local_unacked().wrapping_add(ahead as u32));
            prop_assert_eq!(duplicate.ack, Some(image.remote_next()));
        }
        prop_assert_eq!(stack.status().counters.clients_nudged, u64::from(waits));
        let mut now = NOW;
        let later = common::raw::run(&mut stack, &mut now, NOW + common::millis(900));
        prop_assert_eq!(later, [], "it goes on nudging");
    }
}

#[test]
fn a_half_open_connection_answers_its_syn_again() {
    let image = FlowImage { opened: false, window: 0, ..idle() };
    let mut stack = stack();
    stack.restore(NOW, &image).unwrap();
    let answers = poll(&mut stack, NOW);
    let [answer] = answers[..] else { panic!("{answers:?}") };
    assert_eq!((answer.control, answer.sequence), (TcpControl::Syn, 1_000));
    assert_eq!((answer.ack, answer.window), (Some(5_001), BUFFER as u16));
    assert_eq!((stack.status().flows, stack.status().half_open), (1, 1));
}

#[test]
fn a_half_open_connection_takes_data_that_comes_before_anything_is_sent() {
    let mut stack = stack();
    stack.restore(NOW, &FlowImage { opened: false, ..idle() }).unwrap();
    let client = Raw { sequence: 5_001, ack: Some(1_001), ..Raw::new(40_000) };
    let answers = client.send(&mut stack, NOW, TcpControl::Psh, b"at once");
    assert_eq!(answers.last().unwrap().ack, Some(5_008), "{answers:?}");
    assert_eq!(stack.image(idle().id).unwrap().delivered, 7);
}

#[test]
fn an_acknowledgement_with_an_old_number_counts_as_it_did_before() {
    let mut stack = stack();
    let image = FlowImage { delivered: 10, unacked: pattern(1, 100), ..idle() };
    stack.restore(NOW, &image).unwrap();
    poll(&mut stack, NOW);
    let client = Raw { sequence: image.remote_next() - 5, ack: Some(1_101), ..Raw::new(40_000) };
    client.send(&mut stack, NOW, TcpControl::None, &[]);
    assert_eq!(stack.image(image.id).unwrap().acked, 100);
}

/// Its node died, and took with it what the client has seen: no segment would ever fit again.
#[test]
fn a_client_that_has_seen_more_than_is_known_is_reset_and_not_left_to_wait() {
    let mut stack = stack();
    stack.restore(NOW, &FlowImage { unacked: pattern(1, 100), ..idle() }).unwrap();
    poll(&mut stack, NOW);
    let known = Raw { sequence: 5_001, ack: Some(1_101), ..Raw::new(40_000) };
    known.send(&mut stack, NOW, TcpControl::None, b"x");
    assert_eq!(stack.image(idle().id).unwrap().delivered, 1);
    let guessed = Raw { sequence: 5_002, ack: Some(1_101 + BUFFER as u32 + 1), ..known };
    assert!(guessed.send(&mut stack, NOW, TcpControl::None, b"x").iter().all(|it| !it.is_reset()));
    let ahead = Raw { sequence: 5_002, ack: Some(1_102), ..known };
    let answers = ahead.send(&mut stack, NOW, TcpControl::None, b"y");
    assert!(answers.iter().any(Answer::is_reset), "{answers:?}");
    let lost = FlowsLost { forsaken: 1, ..FlowsLost::default() };
    assert_eq!((stack.status().flows, stack.status().counters.flows_lost), (0, lost));
}

/// It went on with the other side of a partition for long: more than a window lies between.
#[test]
fn a_client_that_is_far_ahead_is_reset_when_it_is_first_heard() {
    let mut stack = stack();
    stack.restore(NOW, &idle()).unwrap();
    poll(&mut stack, NOW);
    let ahead = Raw { sequence: 5_001 + 900_000, ack: Some(1_001 + 700_000), ..Raw::new(40_000) };
    let answers = ahead.send(&mut stack, NOW, TcpControl::None, b"y");
    assert!(answers.iter().any(Answer::is_reset), "{answers:?}");
}

/// Another node has acknowledged what is missing here: nobody would ever send it again.
#[test]
fn a_client_that_never_sends_what_is_missing_is_reset_in_the_end() {
    let mut stack = stack();
    stack.restore(NOW, &idle()).unwrap();
    let mut now = NOW;
    poll(&mut stack, now);
    let ahead = Raw { sequence: 5_101, ack: Some(1_001), ..Raw::new(40_000) };
    ahead.send(&mut stack, now, TcpControl::None, b"y");
    run(&mut stack, &mut now, NOW + seconds(9));
    assert_eq!(stack.status().flows, 1, "it may be lost on the way, and more than once");
    let answers = run(&mut stack, &mut now, NOW + seconds(11));
    assert!(answers.iter().any(Answer::is_reset), "{answers:?}");
    assert_eq!(stack.status().flows, 0);
}

#[test]
fn what_cannot_be_restored_is_refused() {
    let mut stack = stack();
    let refused =
        |stack: &mut Stack<FrameQueue>, image: &FlowImage| stack.restore(NOW, image).unwrap_err();
    let impossible = RestoreRefused::Impossible { flow: idle().id };
    let mut elsewhere = idle();
    elsewhere.tuple.local.set_port(PORT + 1);
    let no_service = RestoreRefused::NoService { port: PORT + 1 };
    assert_eq!(refused(&mut stack, &elsewhere), no_service);
    for image in [
        FlowImage { held: vec![0; BUFFER + 1], ..idle() },
        FlowImage { unacked: vec![0; BUFFER + 1], ..idle() },
        FlowImage { finished: true, ..idle() },
        FlowImage { fin_acked: true, ..idle() },
        FlowImage { opened: false, delivered: 1, ..idle() },
        FlowImage { opened: false, closing: true, ..idle() },
    ] {
        assert_eq!(refused(&mut stack, &image), impossible, "{image:?}");
    }
    assert_eq!(stack.status().flows, 0);
    stack.restore(NOW, &idle()).unwrap();
    let known = RestoreRefused::Known { flow: idle().id };
    let mut same_id = idle();
    same_id.tuple.remote.set_port(40_001);
    assert_eq!(refused(&mut stack, &same_id), known);
    let same_ends = FlowImage { id: FlowId(8), ..idle() };
    assert_eq!(refused(&mut stack, &same_ends), RestoreRefused::Known { flow: FlowId(8) });

    let limits = Limits { flows_max: 0, ..limits() };
    let (mut full, _) = server_with_mtu(config(limits), MTU);
    assert_eq!(refused(&mut full, &idle()), RestoreRefused::Full { flows_max: 0 });
}

#[test]
fn flows_accepted_later_have_later_ids() {
    let mut stack = stack();
    stack.restore(NOW, &FlowImage { id: FlowId(41), ..idle() }).unwrap();
    poll(&mut stack, NOW);
    Raw::new(40_001).connect(&mut stack, NOW);
    let image = stack.image(FlowId(42)).unwrap();
    assert_eq!(image.tuple.remote.port(), 40_001);
}
