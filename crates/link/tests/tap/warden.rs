//! The warden, with real processes that die real deaths.
//!
//! Each test starts this program again in a *role*: it splits into a warden and a worker on a TAP
//! that exists already, and the worker then behaves as the role says.

use std::io::Read;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use locum_link::{Role, Tap, TapOptions, Warden, Will, WillWriter};
use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::Test;
use crate::support::{PacketSocket, frame, ip};

pub(crate) const TESTS: &[Test] = &[
    ("a_killed_worker_s_will_is_sent_on_each_tap", a_killed_workers_will_is_sent_on_each_tap),
    ("a_worker_that_panics_or_fails_has_its_will_sent", a_failing_workers_will_is_sent),
    ("a_worker_that_says_goodbye_has_no_will", a_worker_that_says_goodbye_has_no_will),
    ("a_revoked_will_is_not_sent", a_revoked_will_is_not_sent),
    ("signals_reach_the_worker", signals_reach_the_worker),
    ("a_worker_ends_when_its_warden_is_killed", a_worker_ends_when_its_warden_is_killed),
];

const ROLE: &str = "LOCUM_LINK_TEST_ROLE";
const TAP: &str = "LOCUM_LINK_TEST_TAP";

/// The role this process was started in.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Plays the role, on both sides of the fork.
pub(crate) fn play(role: &str) -> ExitCode {
    match try_play(role) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{role}: {error:?}");
            ExitCode::from(99)
        }
    }
}

fn try_play(role: &str) -> Result<ExitCode> {
    let name = std::env::var(TAP)?;
    let open = |name: &str| Tap::open(name, TapOptions::default());
    let taps = [open(&format!("{name}a"))?, open(&format!("{name}b"))?];
    match Warden::split()? {
        Role::Worker(wills) => work(role, &name, &wills),
        Role::Warden(warden) => {
            let farewell = warden.run(&taps.each_ref())?;
            let exit_code = farewell.end.exit_code();
            // The last word, by which the test knows that nothing more will be sent.
            println!("frames {}", farewell.frames);
            Ok(ExitCode::from(u8::try_from(exit_code)?))
        }
    }
}

fn work(role: &str, name: &str, wills: &WillWriter) -> Result<ExitCode> {
    let mut will = Will::new();
    will.push(0, &frame(format!("{name}: old").as_bytes()))?;
    wills.write(&will)?;
    will = Will::new();
    will.push(0, &frame(format!("{name}: to a").as_bytes()))?;
    will.push(1, &frame(format!("{name}: to b").as_bytes()))?;
    will.push(9, &frame(format!("{name}: nowhere").as_bytes()))?;
    wills.write(&will)?;
    match role {
        "killed" => kill_process(getpid(), Signal::KILL)?,
        "panics" => panic!("as the role says"),
        "fails" => return Ok(ExitCode::from(3)),
        "goodbye" => return Ok(ExitCode::SUCCESS),
        "revokes" => {
            wills.write(&Will::new())?;
            kill_process(getpid(), Signal::KILL)?;
        }
        "waits" => {
            println!("ready");
            loop {
                // Only a signal ends this.
                std::thread::park();
            }
        }
        other => bail!("no role {other}"),
    }
    bail!("role {role} should have ended")
}

/// A warden and a worker at two TAPs of their own, which outlive them.
struct Pair {
    warden: Child,
}

impl Pair {
    fn start(role: &str, name: &str) -> Result<Pair> {
        for tap in ["a", "b"] {
            ip(&format!("tuntap add {name}{tap} mode tap"))?;
        }
        // Whoever runs the tests may ignore some (`nohup`, a shell's `&`), which its children inherit.
        let warden = Command::new("env")
            .arg("--default-signal=HUP,INT,TERM")
            .arg(std::env::current_exe()?)
            .env(ROLE, role)
            .env(TAP, name)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Pair { warden })
    }

    /// The worker's "ready", without a buffer that might swallow what follows.
    fn await_ready(&mut self) -> Result<()> {
        let stdout = self.warden.stdout.as_mut().context("stdout is piped")?;
        let mut word = [0; 6];
        stdout.read_exact(&mut word)?;
        ensure!(&word == b"ready\n");
        Ok(())
    }

    /// What the rest of the output is, once warden *and* worker are gone, and the exit code.
    fn await_end(mut self) -> Result<(String, Option<i32>)> {
        let mut output = String::new();
        self.warden.stdout.take().context("stdout is piped")?.read_to_string(&mut output)?;
        Ok((output, self.warden.wait()?.code()))
    }
}

/// The distinct payloads that the TAPs of a finished pair have sent, in order.
fn sent(socket: &PacketSocket, name: &str) -> Result<Vec<String>> {
    // A frame of our own marks the end: whatever the warden sent is before it.
    let tap = Tap::open(&format!("{name}a"), TapOptions::default())?;
    let end = format!("{name}: end");
    tap.send(&frame(end.as_bytes()));
    let mut payloads: Vec<String> = Vec::new();
    loop {
        let payload = String::from_utf8(socket.next(format!("{name}: ").as_bytes())?)?;
        if payload == end {
            return Ok(payloads);
        }
        payloads.push(payload);
    }
}

/// Frames that the kernel has received from this interface.
fn received_by(interface: &str) -> Result<u64> {
    let table = std::fs::read_to_string("/proc/net/dev")?;
    let prefix = format!("{interface}:");
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(&prefix));
    // Received bytes, received packets, ...
    let packets = line.and_then(|line| line.split_whitespace().nth(1)).context("no such line")?;
    Ok(packets.parse()?)
}

/// Three times each, to the TAP that its port number counts, and nothing of the older will.
fn ensure_will_sent(socket: &PacketSocket, name: &str) -> Result<()> {
    let payloads = sent(socket, name)?;
    let (a, b) = (format!("{name}: to a"), format!("{name}: to b"));
    let expected: Vec<&String> = [&a, &b].repeat(3);
    ensure!(payloads.iter().collect::<Vec<_>>() == expected, "{payloads:?}");
    // The marker of `sent` went to the first TAP as well.
    for (tap, frames) in [("a", 4), ("b", 3)] {
        let received = received_by(&format!("{name}{tap}"))?;
        ensure!(received == frames, "{name}{tap} carried {received} frames, not {frames}");
    }
    Ok(())
}

fn a_killed_workers_will_is_sent_on_each_tap() -> Result<()> {
    let socket = PacketSocket::open()?;
    let (output, code) = Pair::start("killed", "kill")?.await_end()?;
    ensure!((output.as_str(), code) == ("frames 2\n", Some(137)), "{output} {code:?}");
    ensure_will_sent(&socket, "kill")
}

fn a_failing_workers_will_is_sent() -> Result<()> {
    for (role, expected) in [("panics", 101), ("fails", 3)] {
        let socket = PacketSocket::open()?;
        let (output, code) = Pair::start(role, role)?.await_end()?;
        ensure!((output.as_str(), code) == ("frames 2\n", Some(expected)), "{output} {code:?}");
        ensure_will_sent(&socket, role)?;
    }
    Ok(())
}

fn a_worker_that_says_goodbye_has_no_will() -> Result<()> {
    let socket = PacketSocket::open()?;
    let (output, code) = Pair::start("goodbye", "bye")?.await_end()?;
    ensure!((output.as_str(), code) == ("frames 0\n", Some(0)), "{output} {code:?}");
    ensure!(sent(&socket, "bye")?.is_empty());
    Ok(())
}

fn a_revoked_will_is_not_sent() -> Result<()> {
    let socket = PacketSocket::open()?;
    let (output, code) = Pair::start("revokes", "revo")?.await_end()?;
    ensure!((output.as_str(), code) == ("frames 0\n", Some(137)), "{output} {code:?}");
    ensure!(sent(&socket, "revo")?.is_empty());
    Ok(())
}

fn signals_reach_the_worker() -> Result<()> {
    for (signal, expected, name) in
        [(Signal::TERM, 143, "term"), (Signal::INT, 130, "int"), (Signal::HUP, 129, "hup")]
    {
        let mut pair = Pair::start("waits", name)?;
        pair.await_ready()?;
        kill_process(Pid::from_child(&pair.warden), signal)?;
        let (output, code) = pair.await_end()?;
        ensure!((output.as_str(), code) == ("frames 2\n", Some(expected)), "{output} {code:?}");
    }
    Ok(())
}

fn a_worker_ends_when_its_warden_is_killed() -> Result<()> {
    let mut pair = Pair::start("waits", "orph")?;
    pair.await_ready()?;
    pair.warden.kill()?;
    // The output ends only when the worker, which also holds it, has ended.
    let (output, code) = pair.await_end()?;
    ensure!((output.as_str(), code) == ("", None), "{output} {code:?}");
    Ok(())
}
