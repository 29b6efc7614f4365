//! The TAP itself, and the watch on its link.

use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, ensure};
use locum_link::{Clock, LinkWatch, Poller, Received, Sent, Tap, TapError, TapOptions};
use locum_types::Instant;
use smoltcp::wire::{Ipv4Address, TcpPacket, checksum};

use crate::Test;
use crate::support::{PATIENCE, PacketSocket, frame, ip};

pub(crate) const TESTS: &[Test] = &[
    ("a_sent_frame_is_received_by_the_kernel", a_sent_frame_is_received_by_the_kernel),
    ("the_kernel_answers_an_arp_request", the_kernel_answers_an_arp_request),
    ("a_link_that_goes_down_and_up_is_survived", a_link_that_goes_down_and_up_is_survived),
    ("a_lost_carrier_is_seen", a_lost_carrier_is_seen),
    ("a_deleted_tap_is_gone_and_can_be_opened_anew", a_deleted_tap_is_gone),
    ("an_existing_tap_is_used_and_left_as_it_was", an_existing_tap_is_used_and_left_as_it_was),
    ("a_held_tap_is_busy", a_held_tap_is_busy),
    ("an_interface_that_is_no_tap_is_refused", an_interface_that_is_no_tap_is_refused),
    ("a_new_tap_has_the_wanted_mtu_and_a_silent_kernel", a_new_tap_is_as_wanted),
    ("a_frame_longer_than_the_buffer_is_dropped", a_frame_longer_than_the_buffer_is_dropped),
    ("the_kernel_cuts_a_long_frame", the_kernel_cuts_a_long_frame),
    ("frames_of_two_threads_stay_whole", frames_of_two_threads_stay_whole),
    ("what_the_kernel_refuses_is_counted", what_the_kernel_refuses_is_counted),
];

fn open(name: &str) -> Result<Tap> {
    Ok(Tap::open(name, TapOptions::default())?)
}

fn a_sent_frame_is_received_by_the_kernel() -> Result<()> {
    let socket = PacketSocket::open()?;
    let tap = open("sent0")?;
    ensure!(tap.link_up() && tap.name() == "sent0" && tap.mtu() == 1500);
    ensure!(tap.send(&frame(b"sent: hello")) == Sent::Done);
    ensure!(socket.next(b"sent")? == b"sent: hello");
    let counters = tap.counters();
    ensure!((counters.tx_frames, counters.rx_frames) == (1, 0), "{counters:?}");
    Ok(())
}

/// An ARP request from 10.91.0.2 for 10.91.0.1, to all.
fn arp_request() -> Vec<u8> {
    let header: [&[u8]; 3] = [&[0xff; 6], &[2, 0, 0, 0, 0, 7], &[8, 6]];
    let request = [0, 1, 8, 0, 6, 4, 0, 1];
    let sender = [2, 0, 0, 0, 0, 7, 10, 91, 0, 2];
    let target = [0, 0, 0, 0, 0, 0, 10, 91, 0, 1];
    [&header.concat()[..], &request, &sender, &target].concat()
}

fn is_arp_reply(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[8, 6])
        && frame.get(20..22) == Some(&[0, 2])
        && frame.get(28..32) == Some(&[10, 91, 0, 1])
}

/// Reads until `wanted` sees what it wants.
fn read_until(
    tap: &Tap,
    buf: &mut [u8],
    mut wanted: impl FnMut(Received, &[u8]) -> bool,
) -> Result<()> {
    let deadline = Clock.now() + PATIENCE;
    loop {
        let received = tap.recv(buf);
        let frame = match received {
            Received::Frame(len) => buf.get(..len).unwrap_or(&[]),
            Received::Empty | Received::Oversize | Received::LinkDown | Received::Gone => &[],
        };
        if wanted(received, frame) {
            return Ok(());
        }
        if received == Received::Empty {
            ensure!(Clock.now() < deadline, "nothing of interest was read");
            Poller.wait(&[tap.as_fd()], Some(deadline))?;
        }
    }
}

fn the_kernel_answers_an_arp_request() -> Result<()> {
    let tap = open("arp0")?;
    ip("addr add 10.91.0.1/24 dev arp0")?;
    ensure!(tap.send(&arp_request()) == Sent::Done);
    let mut buf = vec![0; tap.buffer_len()];
    read_until(&tap, &mut buf, |_, frame| is_arp_reply(frame))?;
    ensure!(tap.counters().rx_frames >= 1);
    Ok(())
}

/// Waits for a change that leaves the link in this state.
fn await_link(tap: &Tap, watch: &LinkWatch, up: bool) -> Result<()> {
    let deadline = Clock.now() + PATIENCE;
    while !(watch.drain() && tap.link_up() == up) {
        ensure!(Clock.now() < deadline, "no word of a link that is {up}");
        Poller.wait(&[watch.as_fd()], Some(deadline))?;
    }
    Ok(())
}

fn a_link_that_goes_down_and_up_is_survived() -> Result<()> {
    let socket = PacketSocket::open()?;
    let tap = open("flap0")?;
    let watch = LinkWatch::new(&[tap.index()])?;
    let mut buf = vec![0; tap.buffer_len()];
    for round in 1..=3 {
        ip("link set flap0 down")?;
        await_link(&tap, &watch, false)?;
        ensure!(tap.send(&frame(b"flap: lost")) == Sent::LinkDown);
        ensure!(tap.recv(&mut buf) != Received::Gone);
        let ready = Poller.wait(&[tap.as_fd()], Some(Instant::ZERO))?;
        ensure!(!ready.broken(0), "a loop that polls a TAP whose link is down would spin");
        ip("link set flap0 up")?;
        await_link(&tap, &watch, true)?;
        ensure!(tap.send(&frame(b"flap: heard")) == Sent::Done);
        ensure!(socket.next(b"flap")? == b"flap: heard");
        let counters = tap.counters();
        ensure!((counters.tx_link_down, counters.tx_frames) == (round, round), "{counters:?}");
    }
    Ok(())
}

fn a_lost_carrier_is_seen() -> Result<()> {
    let tap = open("wire0")?;
    let watch = LinkWatch::new(&[tap.index()])?;
    ip("link set wire0 carrier off")?;
    await_link(&tap, &watch, false)?;
    ip("link set wire0 carrier on")?;
    await_link(&tap, &watch, true)
}

fn a_deleted_tap_is_gone() -> Result<()> {
    let tap = open("gone0")?;
    let watch = LinkWatch::new(&[tap.index()])?;
    ip("link del gone0")?;
    await_link(&tap, &watch, false)?;
    let mut buf = vec![0; tap.buffer_len()];
    ensure!(tap.send(&frame(b"gone")) == Sent::Gone);
    ensure!(tap.recv(&mut buf) == Received::Gone);
    ensure!(Poller.wait(&[tap.as_fd()], None)?.broken(0));
    ensure!(tap.counters().gone == 2);
    let anew = open("gone0")?;
    ensure!(anew.link_up() && anew.send(&frame(b"gone")) == Sent::Done);
    ensure!(tap.send(&frame(b"gone")) == Sent::Gone, "the old descriptor stays dead");
    Ok(())
}

fn an_existing_tap_is_used_and_left_as_it_was() -> Result<()> {
    ip("tuntap add stay0 mode tap")?;
    ip("link set stay0 mtu 1400")?;
    let tap = open("stay0")?;
    ensure!(tap.link_up() && tap.mtu() == 1400);
    drop(tap);
    ensure!(ip("link show stay0")?.contains("mtu 1400"));
    ip("link del stay0")?;
    Ok(())
}

fn a_held_tap_is_busy() -> Result<()> {
    let _holder = open("busy0")?;
    let error = Tap::open("busy0", TapOptions::default()).err().context("opened twice")?;
    ensure!(matches!(error, TapError::Busy { .. }), "{error}");
    Ok(())
}

fn an_interface_that_is_no_tap_is_refused() -> Result<()> {
    let error = Tap::open("lo", TapOptions::default()).err().context("the loopback was opened")?;
    ensure!(matches!(error, TapError::NotATap { .. }), "{error}");
    Ok(())
}

fn a_new_tap_is_as_wanted() -> Result<()> {
    let tap = Tap::open("new0", TapOptions { mtu: Some(9000) })?;
    ensure!(tap.mtu() == 9000 && tap.buffer_len() == 9029);
    ensure!(ip("link show new0")?.contains("mtu 9000"));
    ensure!(!ip("-6 addr show dev new0")?.contains("fe80"), "the kernel made itself an address");
    Ok(())
}

/// A TCP segment of 4000 bytes of payload, without a checksum, in one IPv4 packet.
fn long_segment() -> Vec<u8> {
    let payload: Vec<u8> = (0..4000).map(|i| i as u8).collect();
    let len = (40 + payload.len()) as u16;
    let [high, low] = len.to_be_bytes();
    let mut ip = [0x45, 0, high, low, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 92, 0, 1, 10, 92, 0, 2];
    let checksum = !checksum::data(&ip);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let tcp = [0x1f, 0x90, 0x1f, 0x91, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0];
    let ethernet = [2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 7, 8, 0];
    [&ethernet[..], &ip, &tcp, &payload].concat()
}

fn the_kernel_cuts_a_long_frame() -> Result<()> {
    let (from, to) = (open("cuta0")?, open("cutb0")?);
    ip("link add cutbr0 type bridge")?;
    for line in
        ["link set cuta0 master cutbr0", "link set cutb0 master cutbr0", "link set cutbr0 up"]
    {
        ip(line)?;
    }
    let size = NonZeroU16::new(1448).context("not 0")?;
    ensure!(from.send_in_segments(&long_segment(), size) == Sent::Done);
    let ends = (Ipv4Address::new(10, 92, 0, 1).into(), Ipv4Address::new(10, 92, 0, 2).into());
    let (mut buf, mut payload) = (vec![0; to.buffer_len()], Vec::new());
    for len in [1448, 1448, 1104] {
        read_until(&to, &mut buf, |received, frame| {
            let Received::Frame(end) = received else { return false };
            let segment = frame.get(34..end).filter(|_| frame[12..14] == [8, 0]);
            let Some(Ok(tcp)) = segment.map(TcpPacket::new_checked) else { return false };
            let is_next = tcp.payload().len() == len && tcp.verify_checksum(&ends.0, &ends.1);
            payload.extend_from_slice(if is_next { tcp.payload() } else { &[] });
            is_next
        })?;
    }
    ensure!(long_segment().ends_with(&payload) && payload.len() == 4000);
    ip("link del cutbr0")?;
    Ok(())
}

fn a_frame_longer_than_the_buffer_is_dropped() -> Result<()> {
    let tap = open("long0")?;
    ip("addr add 10.91.0.1/24 dev long0")?;
    ensure!(tap.send(&arp_request()) == Sent::Done);
    let mut short = [0; 32];
    read_until(&tap, &mut short, |received, _| received == Received::Oversize)?;
    ensure!(tap.counters().rx_oversize == 1);
    ensure!(tap.recv(&mut [0; 4096]) != Received::Oversize);
    Ok(())
}

fn frames_of_two_threads_stay_whole() -> Result<()> {
    const EACH: usize = 100;
    let socket = PacketSocket::open()?;
    let tap = Arc::new(open("two0")?);
    let senders = [b'a', b'b'].map(|name| {
        let tap = Arc::clone(&tap);
        let payload = [&b"two: "[..], &[name; 200]].concat();
        thread::spawn(move || (0..EACH).all(|_| tap.send(&frame(&payload)) == Sent::Done))
    });
    let mut counts = [0; 2];
    for _ in 0..2 * EACH {
        let payload = socket.next(b"two: ")?;
        let body = payload.get(5..).context("a body")?;
        ensure!(
            body.len() == 200 && (body == [b'a'; 200] || body == [b'b'; 200]),
            "torn: {body:?}"
        );
        counts[usize::from(body[0] == b'b')] += 1;
    }
    ensure!(counts == [EACH; 2], "{counts:?}");
    for sender in senders {
        ensure!(sender.join().ok().context("a sender panicked")?, "a frame was not sent");
    }
    Ok(())
}

fn what_the_kernel_refuses_is_counted() -> Result<()> {
    let tap = open("runt0")?;
    ensure!(tap.send(&[0; 5]) == Sent::Refused);
    ensure!(tap.counters().tx_refused == 1);
    Ok(())
}
