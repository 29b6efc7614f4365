//! Whatever arrives, the stack stands, stays within its bounds and comes to rest.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::raw::{Answer, Raw, poll, run};
use common::{CLIENT_V6, SERVER_V6, config, millis, seconds, server};
use locum_stack::Limits;
use locum_types::Instant;
use proptest::prelude::*;
use smoltcp::wire::TcpControl;

const NOW: Instant = Instant::from_millis(1_000);

/// Something to do to a stack.
#[derive(Clone, Debug)]
enum Step {
    /// A segment near the connection's numbers, then damaged.
    Segment {
        port: u8,
        control: u8,
        sequence: i32,
        ack: Option<i32>,
        window: u16,
        len: u16,
        damage: Vec<(u16, u8)>,
        truncate: Option<u16>,
    },
    Frame(Vec<u8>),
    Wait(u16),
    Abandon,
}

fn segment() -> impl Strategy<Value = Step> {
    let near = prop_oneof![3 => Just(0), 3 => -3_000..3_000, 1 => any::<i32>()];
    let ack = prop::option::of(prop_oneof![2 => Just(0), 1 => -3_000..3_000, 1 => any::<i32>()]);
    let damage = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec((0..120u16, any::<u8>()), 1..4)];
    let window = prop_oneof![Just(0), Just(65_535), any::<u16>()];
    (
        0..4u8,
        0..5u8,
        near,
        ack,
        window,
        0..1_460u16,
        damage,
        prop::option::weighted(0.1, 0..1_500u16),
    )
        .prop_map(|(port, control, sequence, ack, window, len, damage, truncate)| {
            Step::Segment { port, control, sequence, ack, window, len, damage, truncate }
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => segment(),
        1 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Step::Frame),
        3 => (0..5_000u16).prop_map(Step::Wait),
        1 => Just(Step::Abandon),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_segments_upsets_the_stack(
        steps in prop::collection::vec(step(), 1..80),
        ipv6 in any::<bool>(),
    ) {
        let limits = Limits { half_open_max: 2, flows_max: 3, ..Limits::default() };
        let (mut stack, service) = server(config(limits));
        let mut now = NOW;
        let mut peers: Vec<_> = (0..4).map(|port| Raw::new(40_000 + port)).collect();
        if ipv6 {
            for peer in &mut peers {
                (peer.from, peer.to) = (CLIENT_V6, SERVER_V6);
            }
        }
        for step in steps {
            match step {
                Step::Segment { port, control, sequence, ack, window, len, damage, truncate } => {
                    let peer = &mut peers[usize::from(port)];
                    let control = [
                        TcpControl::None, TcpControl::Psh, TcpControl::Syn, TcpControl::Fin, TcpControl::Rst,
                    ][usize::from(control)];
                    let mut raw = *peer;
                    raw.sequence = raw.sequence.wrapping_add(sequence as u32);
                    raw.window = window;
                    raw.ack = ack.and_then(|ack| raw.ack.map(|own| own.wrapping_add(ack as u32)));
                    let mut frame = raw.frame(control, &vec![1; usize::from(len)]);
                    for (place, value) in damage {
                        if let Some(byte) = frame.get_mut(usize::from(place)) {
                            *byte = value;
                        }
                    }
                    frame.truncate(truncate.map_or(frame.len(), usize::from));
                    stack.device_mut().push(&frame);
                    for answer in poll(&mut stack, now) {
                        let Some(peer) = peers.get_mut(usize::from(answer.to_port.wrapping_sub(40_000)))
                        else { continue };
                        peer.sequence = answer.ack.unwrap_or(peer.sequence);
                        let len = answer.len + usize::from(answer.control == TcpControl::Syn);
                        peer.ack = Some(answer.sequence.wrapping_add(len as u32));
                    }
                }
                Step::Frame(frame) => {
                    stack.device_mut().push(&frame);
                    poll(&mut stack, now);
                }
                Step::Wait(time) => {
                    let until = now + millis(time.into());
                    run(&mut stack, &mut now, until);
                }
                Step::Abandon => stack.abandon(now),
            }
            let status = stack.status();
            prop_assert!(status.flows <= 3 && status.half_open <= 2, "{status:?}");
        }
        service.notes().check_order();
        let until = now + seconds(4_000);
        run(&mut stack, &mut now, until);
        prop_assert_eq!(stack.status().flows, 0, "a flow outlives every limit");
        service.notes().check_order();
        prop_assert_eq!(service.notes().opened().len(), service.notes().closed().len());
    }
}

#[test]
fn fragments_are_nobodys_segments() {
    let (mut stack, _) = server(config(Limits::default()));
    let mut frame = Raw::new(40_000).frame(TcpControl::Syn, &[]);
    // More fragments follow.
    frame[14 + 6] |= 0x20;
    stack.device_mut().push(&frame);
    assert_eq!(poll(&mut stack, NOW), []);
    assert_eq!((stack.status().flows, stack.status().counters.frames_tcp), (0, 0));
}

/// The filter sees segments before smoltcp does. None of its verdicts may rest on a damaged one: a flipped bit in an
/// acknowledgement number reads as a client that another node has answered.
#[test]
fn a_damaged_segment_does_nothing() {
    for control in [TcpControl::Psh, TcpControl::None, TcpControl::Rst, TcpControl::Fin] {
        let (mut stack, service) = server(config(Limits::default()));
        let mut peer = Raw::new(40_000);
        peer.connect(&mut stack, NOW);
        let whole = peer.frame(control, b"data");
        // From the IP header on: nothing protects the addresses of the frame here.
        for bit in 14 * 8..whole.len() * 8 {
            let mut frame = whole.clone();
            frame[bit / 8] ^= 1 << (bit % 8);
            stack.device_mut().push(&frame);
            assert_eq!(poll(&mut stack, NOW), [], "{control:?}, bit {bit}");
        }
        assert_eq!(stack.status().flows, 1);
        assert!(service.notes().closed().is_empty());
    }
}

/// Every two seconds for a minute a segment with numbers of its own; `agrees`: the client answers probes. Returns
/// whether it was told, by the number that it expects, that the connection is over.
fn is_ended_by(far: &Raw, agrees: bool) -> bool {
    let (mut stack, _) = server(config(Limits::default()));
    let mut now = NOW;
    let mut client = Raw::new(40_000);
    client.connect(&mut stack, now);
    for _ in 0..30 {
        stack.device_mut().push(&far.frame(TcpControl::Psh, b"data"));
        let until = now + seconds(2);
        let answers = run(&mut stack, &mut now, until);
        let is_end = |answer: &Answer| answer.is_reset() && Some(answer.sequence) == far.ack;
        if answers.iter().any(is_end) {
            assert_eq!(stack.status().flows, 0);
            return true;
        }
        if agrees && answers.iter().any(|answer| answer.len == 1) {
            client.send(&mut stack, now, TcpControl::None, &[]);
        }
    }
    assert_eq!(stack.status().flows, 1);
    false
}

/// After two nodes were active, one of them knows less than a client. Whoever only guesses is contradicted by the client.
#[test]
fn a_client_that_went_on_elsewhere_is_told_unless_somebody_only_says_so() {
    let (mut stack, _) = server(config(Limits::default()));
    let mut client = Raw::new(40_000);
    client.connect(&mut stack, NOW);
    let ack = client.ack.unwrap();
    let sequence = client.sequence.wrapping_add(200_000);
    for far in [Raw { sequence, ..client }, Raw { ack: Some(ack.wrapping_add(200_000)), ..client }]
    {
        assert!(is_ended_by(&far, false), "{far:?}");
    }
    let far = Raw { sequence, ..client };
    assert!(!is_ended_by(&far, true), "{far:?}");
}
