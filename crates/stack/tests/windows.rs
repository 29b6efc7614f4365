//! Windows that are full, at one end or at both.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::raw::{Raw, poll};
use common::script::{Handle, Order, Seen};
use common::{config, pattern, server};
use locum_gate::FrameQueue;
use locum_stack::service::FlowId;
use locum_stack::{Limits, Stack};
use locum_types::Instant;
use smoltcp::wire::TcpControl;

const NOW: Instant = Instant::from_millis(1_000);
/// Our window.
const ROOM: usize = 1_000;

/// A connection to a service that takes nothing and says nothing.
fn connected() -> (Stack<FrameQueue>, Handle, Raw, FlowId) {
    let limits = Limits { rx_buffer: ROOM, ..Limits::default() };
    let (mut stack, service) = server(config(limits));
    service.notes().paused = true;
    service.notes().mute = true;
    let mut client = Raw::new(40_000);
    client.connect(&mut stack, NOW);
    let flow = service.notes().opened()[0];
    (stack, service, client, flow)
}

impl Raw {
    /// The same end after `len` more bytes.
    fn after(self, len: usize) -> Self {
        Raw { sequence: self.sequence.wrapping_add(len as u32), ..self }
    }
}

#[test]
fn a_fin_waits_for_the_bytes_that_the_window_cut() {
    let (mut stack, service, client, flow) = connected();
    let bytes = pattern(1, ROOM + 1);
    client.send(&mut stack, NOW, TcpControl::None, &bytes[..900]);
    let answers = client.after(900).send(&mut stack, NOW, TcpControl::Fin, &bytes[900..]);
    let acks: Vec<_> = answers.iter().map(|answer| (answer.ack, answer.window)).collect();
    assert_eq!(
        acks,
        [(Some(client.after(ROOM).sequence), 0)],
        "the rest and the FIN are not taken"
    );

    service.order(Order::Resume(flow));
    poll(&mut stack, NOW);
    let answers = client.after(ROOM).send(&mut stack, NOW, TcpControl::Fin, &bytes[ROOM..]);
    assert_eq!(answers.last().unwrap().ack, Some(client.after(ROOM + 2).sequence));
    assert_eq!(service.notes().received[&flow.0], bytes);
    assert_eq!(service.notes().of(flow).last(), Some(&Seen::Finished));
}

/// Both ends have filled the other's window, and the last segment of the client was lost: its window update bears a
/// number beyond ours, and is valid all the same (RFC 9293 §3.10.7.4).
#[test]
fn a_window_update_is_heard_beyond_a_full_window() {
    for lost in [0, 1] {
        let (mut stack, service, client, flow) = connected();
        let client = Raw { window: 0, ..client };
        client.send(&mut stack, NOW, TcpControl::None, &pattern(1, ROOM));
        service.order(Order::Send(flow, pattern(2, 300)));
        let probes: usize = poll(&mut stack, NOW).iter().map(|answer| answer.len).sum();
        assert!(probes <= 1, "there is no room at the client");
        let update = Raw { window: 200, ..client.after(ROOM + lost) };
        let answers = update.send(&mut stack, NOW, TcpControl::None, &[]);
        let sent: usize = answers.iter().map(|answer| answer.len).sum();
        assert_eq!(sent, 200, "{lost} lost: {answers:?}");
    }
}

/// smoltcp takes no window from a segment that acknowledges nothing once both ends have closed.
#[test]
fn a_window_that_opens_again_is_seen_after_both_ends_have_closed() {
    let (mut stack, service, client, flow) = connected();
    let client = Raw { window: 200, ..client };
    client.send(&mut stack, NOW, TcpControl::None, &[1]);
    service.order(Order::Send(flow, pattern(2, 300)));
    let sent: usize = poll(&mut stack, NOW).iter().map(|answer| answer.len).sum();
    assert_eq!(sent, 200);
    client.after(1).send(&mut stack, NOW, TcpControl::Fin, &[]);
    service.order(Order::Resume(flow));
    service.order(Order::Close(flow));
    poll(&mut stack, NOW);
    let ack = client.ack.map(|ack| ack.wrapping_add(200));
    let full = Raw { window: 0, ack, ..client.after(2) };
    full.send(&mut stack, NOW, TcpControl::None, &[]);
    let open = Raw { window: 200, ..full };
    let answers = open.send(&mut stack, NOW, TcpControl::None, &[]);
    let sent: usize = answers.iter().map(|answer| answer.len).sum();
    assert_eq!(sent, 100, "{answers:?}");
    assert!(answers.iter().any(|answer| answer.control == TcpControl::Fin), "{answers:?}");
}
