//! What the switch costs per frame, and how punctual it is: `cargo run --release -p locum-l2switch
//! --example switch_cost`, where namespaces are permitted.
//!
//! The cost is the processor time of the switch's own thread. Lateness is what a station sees: from
//! before it sends a frame to after the other has read it, minus the latency of the cable.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures, and tells")]

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use locum_l2switch::{Command, Handle, Switch, hurry};
use locum_lab::Namespace;
use locum_lab::enter::{Entered, enter};
use locum_lab::wiring::MUTE;
use locum_link::{Clock, PacketBuffer, PacketSocket, Poller, Received, Tap, TapOptions};
use serde_json::Value;

/// Frames on their way at once, which the stations can keep up with.
const WINDOW: usize = 32;
const ROUNDS: usize = 4_000;
const PUNCTUAL_ROUNDS: usize = 1_000;
const LATENCY: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> Result<ExitCode> {
    match enter(&[]) {
        Entered::Finished(code) => return Ok(code),
        Entered::Unable(missing) => bail!("{missing}"),
        Entered::Inside => {}
    }
    let [lan]: [Namespace; 1] =
        Namespace::create(&["lan".to_owned()])?.try_into().ok().context("one namespace")?;
    lan.sysctl(&MUTE)?;
    let cables = ["a", "b"].map(|end| {
        format!("link add port-{end} type veth peer name eth-{end}\nlink set port-{end} up\nlink set eth-{end} up\n")
    });
    lan.ip(&cables.concat())?;
    lan.run(measure)?;
    Ok(ExitCode::SUCCESS)
}

fn measure() -> Result<()> {
    // The stations of a TAP speak through its kernel side.
    let between_taps = start(|switch| {
        for end in ["a", "b"] {
            let tap = Tap::open(&format!("tap-{end}"), TapOptions::default());
            switch.add_tap(end, tap.map_err(io::Error::other)?)?;
        }
        Ok(())
    })?;
    report("TAP to TAP", &between_taps, "tap")?;
    drop(between_taps);
    let between_cables = start(|switch| {
        switch.add_interface("a", "port-a")?;
        switch.add_interface("b", "port-b")
    })?;
    report("veth to veth", &between_cables, "eth")
}

fn start(plug_in: impl FnOnce(&mut Switch) -> io::Result<()> + Send + 'static) -> Result<Handle> {
    let build = || {
        let mut switch = Switch::new(1);
        plug_in(&mut switch)?;
        Ok(switch)
    };
    Handle::start(build).context("start the switch")
}

fn report(what: &str, switch: &Handle, device: &str) -> Result<()> {
    let mut stations = Stations::open(device)?;
    for len in [60, 1_514] {
        let frame = frame(len);
        stations.pass(&frame, WINDOW)?;
        let before = switch_time()?;
        for _ in 0..ROUNDS {
            stations.pass(&frame, WINDOW)?;
        }
        let nanos = (switch_time()? - before).as_nanos() / (ROUNDS * WINDOW) as u128;
        println!("{what}, {len} bytes: {nanos} ns of processor time per frame");
    }
    hurry();
    println!("{what}, one frame at a time: {}", lateness(&mut stations, Duration::ZERO)?);
    switch.send("impair a tx latency=5ms".parse()?)?;
    println!("{what}, {LATENCY:?} of latency: late by {}", lateness(&mut stations, LATENCY)?);
    let stats: Value = serde_json::from_str(&switch.send(Command::Stats)?)?;
    println!("{what}, as the switch sees it: {}", stats["late"]);
    Ok(())
}

/// By how much more than `latency` frames are late, one at a time.
fn lateness(stations: &mut Stations, latency: Duration) -> Result<String> {
    let frame = frame(60);
    let mut late = Vec::with_capacity(PUNCTUAL_ROUNDS);
    for _ in 0..PUNCTUAL_ROUNDS {
        let start = Clock.now();
        stations.pass(&frame, 1)?;
        let took = Clock.now() - start;
        ensure!(took >= latency, "{took:?} is too early");
        late.push(took - latency);
    }
    late.sort_unstable();
    let at =
        |percent: usize| late.get((late.len() - 1) * percent / 100).copied().unwrap_or_default();
    Ok(format!("{:?} (median), {:?} (99 %), {:?} (worst)", at(50), at(99), at(100)))
}

fn frame(len: usize) -> Vec<u8> {
    // IEEE 802 local experimental EtherType 1: no kernel looks at it.
    let mut frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0x88, 0xb5]].concat();
    frame.resize(len, 0);
    frame
}

/// The two stations behind the switch.
struct Stations {
    a: PacketSocket,
    b: PacketSocket,
    buffer: PacketBuffer,
}

impl Stations {
    fn open(device: &str) -> Result<Stations> {
        let open = |end| PacketSocket::open(&format!("{device}-{end}"));
        Ok(Stations { a: open("a")?, b: open("b")?, buffer: PacketBuffer::default() })
    }

    /// Sends `count` frames from `a` and waits until `b` has them all.
    fn pass(&mut self, frame: &[u8], count: usize) -> Result<()> {
        for _ in 0..count {
            self.a.send(frame);
        }
        let deadline = Clock.now() + PATIENCE;
        let mut heard = 0;
        while heard < count {
            match self.b.recv(&mut self.buffer, |_| heard += 1) {
                Received::Frame(_) => {}
                Received::Empty => {
                    ensure!(Clock.now() < deadline, "{heard} of {count} frames came");
                    Poller.wait(&[self.b.as_fd()], Some(deadline))?;
                }
                other @ (Received::Oversize | Received::LinkDown | Received::Gone) => {
                    bail!("a station read {other:?}")
                }
            }
        }
        Ok(())
    }
}

/// The processor time that the thread of the switch has used.
fn switch_time() -> Result<Duration> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "l2switch" {
            let stat = fs::read_to_string(task.join("schedstat"))?;
            let nanos = stat.split(' ').next().context("an empty schedstat")?.parse()?;
            return Ok(Duration::from_nanos(nanos));
        }
    }
    bail!("the switch has no thread")
}
