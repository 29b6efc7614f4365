//! What the switch does to pings, streams and its own counters.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use locum_l2switch::Handle;
use locum_lab::process::Process;
use locum_lab::wait;
use locum_lab::{Namespace, Packets};
use locum_link::{PacketSocket, Sent};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::pair::{Ends, Pair};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

const STREAM_LEN: usize = 4 << 20;

/// A test, by its name.
pub(crate) type Test = (&'static str, fn() -> Result<()>);

pub(crate) const TESTS: &[Test] = &[
    ("pings_pass_between_interfaces", || pings_pass(Ends::Interfaces)),
    ("pings_pass_between_taps", || pings_pass(Ends::Taps)),
    ("latency_shows_in_the_round_trip", latency_shows_in_the_round_trip),
    ("a_cut_of_one_way_stops_all_until_it_heals", a_cut_of_one_way_stops_all_until_it_heals),
    ("a_cable_that_loses_everything_passes_nothing", a_cable_that_loses_everything_passes_nothing),
    ("a_stream_arrives_intact_between_interfaces", || a_stream_arrives_intact(Ends::Interfaces)),
    ("a_stream_arrives_intact_between_taps", || a_stream_arrives_intact(Ends::Taps)),
    ("a_stream_survives_a_bad_cable", a_stream_survives_a_bad_cable),
    ("tagged_frames_do_not_come_out_untagged", tagged_frames_do_not_come_out_untagged),
    ("a_deleted_interface_is_unplugged", a_deleted_interface_is_unplugged),
    ("the_program_obeys_captures_and_cleans_up", the_program_obeys_captures_and_cleans_up),
    ("the_program_ends_with_its_input_if_told_so", the_program_ends_with_its_input_if_told_so),
];

fn tell(switch: &Handle, line: &str) -> Result<String> {
    Ok(switch.send(line.parse().with_context(|| line.to_owned())?)?)
}

fn stats(switch: &Handle) -> Result<Value> {
    Ok(serde_json::from_str(&tell(switch, "stats")?)?)
}

fn number(stats: &Value, pointer: &str) -> Result<u64> {
    stats.pointer(pointer).and_then(Value::as_u64).with_context(|| format!("{pointer} in {stats}"))
}

fn pings_pass(ends: Ends) -> Result<()> {
    let pair = Pair::new("pass", ends)?;
    ensure!(!pair.reaches()?, "there is no switch yet");
    let switch = pair.switch(ends)?;
    let times = pair.round_trips(50)?;
    ensure!(times.len() == 50, "{times:?}");

    let stats = stats(&switch)?;
    for port in ["a", "b"] {
        // 50 pings, at least one question or answer of ARP.
        let (tx, rx) = (format!("/ports/{port}/cable/tx"), format!("/ports/{port}/cable/rx"));
        let (tx, rx) = (number(&stats, &tx)?, number(&stats, &rx)?);
        ensure!(tx > 50 && rx > 50, "{stats}");
        for (cable, device) in [(tx, "rx_frames"), (rx, "tx_frames")] {
            let device = number(&stats, &format!("/ports/{port}/device/{device}"))?;
            ensure!(device == cable, "{port}: {device} and {cable}: {stats}");
        }
    }
    let sum = |name: &str| -> Result<u64> {
        Ok(number(&stats, &format!("/ports/a/cable/{name}"))?
            + number(&stats, &format!("/ports/b/cable/{name}"))?)
    };
    // Of two ports each frame leaves by the other.
    ensure!(sum("tx")? == sum("rx")?, "{stats}");
    let routed = number(&stats, "/switch/forwarded")? + number(&stats, "/switch/flooded")?;
    ensure!(routed == sum("rx")?, "{stats}");

    switch.stop()?;
    ensure!(!pair.reaches()?, "the switch is gone");
    Ok(())
}

fn latency_shows_in_the_round_trip() -> Result<()> {
    let pair = Pair::new("late", Ends::Interfaces)?;
    let switch = pair.switch(Ends::Interfaces)?;
    ensure!(pair.reaches()?, "it forwards");
    // Each ping passes the cable of `a` twice, once in each direction.
    tell(&switch, "impair a both latency=5ms")?;
    let times = pair.round_trips(50)?;
    ensure!(times.len() == 50 && times.iter().all(|time| *time >= 10.0), "{times:?}");
    // The best of fifty, on a busy machine too.
    ensure!(times.iter().any(|time| *time < 12.0), "{times:?}");
    ensure!(number(&stats(&switch)?, "/late/count")? >= 100);
    tell(&switch, "clear a")?;
    let times = pair.round_trips(50)?;
    ensure!(times.iter().any(|time| *time < 5.0), "{times:?}");
    Ok(())
}

fn a_cut_of_one_way_stops_all_until_it_heals() -> Result<()> {
    let pair = Pair::new("cut", Ends::Taps)?;
    let switch = pair.switch(Ends::Taps)?;
    ensure!(pair.reaches()?, "it forwards");
    for line in ["cut b tx", "cut b rx", "down b"] {
        tell(&switch, line)?;
        ensure!(!pair.reaches()?, "{line}");
        tell(&switch, "heal b both")?;
        tell(&switch, "up b")?;
        ensure!(pair.reaches()?, "after {line}");
    }
    let stats = stats(&switch)?;
    // Three pings of each trial: the answers were lost, then the questions.
    ensure!(number(&stats, "/ports/b/cable/lost_cut")? >= 6, "{stats}");
    ensure!(number(&stats, "/ports/b/cable/lost_down")? >= 3, "{stats}");
    Ok(())
}

fn a_cable_that_loses_everything_passes_nothing() -> Result<()> {
    let pair = Pair::new("loss", Ends::Interfaces)?;
    let switch = pair.switch(Ends::Interfaces)?;
    ensure!(pair.reaches()?, "it forwards");
    tell(&switch, "impair b rx loss=1.0")?;
    ensure!(!pair.reaches()?, "everything is lost");
    ensure!(number(&stats(&switch)?, "/ports/b/cable/lost_random")? >= 3);
    tell(&switch, "clear b")?;
    ensure!(pair.reaches()?, "the cable is whole again");
    Ok(())
}

fn stream() -> Vec<u8> {
    (0..STREAM_LEN as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Sends a stream from one namespace to the other, whose address is 10.1.0.2; how long it takes.
fn transfer(from: &Namespace, to: &Namespace) -> Result<Duration> {
    let listener = to.run(|| Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 7))?))?;
    let start = Instant::now();
    thread::scope(|scope| {
        let receiver = scope.spawn(move || -> Result<Vec<u8>> {
            let mut received = Vec::with_capacity(STREAM_LEN);
            let (mut connection, _) = listener.accept()?;
            connection.set_read_timeout(Some(PATIENCE))?;
            connection.read_to_end(&mut received)?;
            Ok(received)
        });
        from.run(|| {
            let address = (Ipv4Addr::new(10, 1, 0, 2), 7).into();
            let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
            connection.set_write_timeout(Some(PATIENCE))?;
            connection.write_all(&stream())?;
            Ok(connection.shutdown(Shutdown::Write)?)
        })?;
        let Ok(received) = receiver.join() else { bail!("the receiver panicked") };
        ensure!(received? == stream(), "what arrived is not what was sent");
        Ok(start.elapsed())
    })
}

fn a_stream_arrives_intact(ends: Ends) -> Result<()> {
    let pair = Pair::new("stream", ends)?;
    let switch = pair.switch(ends)?;
    transfer(&pair.a, &pair.b)?;
    let stats = stats(&switch)?;
    // No frame was longer than the cable allows, so the stream went through in pieces.
    ensure!(number(&stats, "/ports/a/cable/lost_oversize")? == 0, "{stats}");
    ensure!(number(&stats, "/ports/a/cable/tx")? >= (STREAM_LEN / 1448) as u64, "{stats}");
    if ends == Ends::Interfaces {
        // Otherwise this has not tested what the kernel leaves to the hardware.
        ensure!(number(&stats, "/ports/a/device/rx_cut")? > 0, "{stats}");
    }
    Ok(())
}

fn a_stream_survives_a_bad_cable() -> Result<()> {
    let pair = Pair::new("bad", Ends::Interfaces)?;
    let switch = pair.switch(Ends::Interfaces)?;
    tell(
        &switch,
        "impair a both latency=200us jitter=100us loss=0.005 duplicate=0.01 reorder=0.01 reorder_by=500us",
    )?;
    transfer(&pair.a, &pair.b)?;
    let stats = stats(&switch)?;
    for counter in ["lost_random", "duplicated", "held_back"] {
        ensure!(number(&stats, &format!("/ports/a/cable/{counter}"))? > 0, "{stats}");
    }
    Ok(())
}

fn tagged_frames_do_not_come_out_untagged() -> Result<()> {
    let pair = Pair::new("vlan", Ends::Interfaces)?;
    let switch = pair.switch(Ends::Interfaces)?;
    let machine = pair.a.run(|| Ok(PacketSocket::open("eth0")?))?;
    // A broadcast in VLAN 5, of the local experimental EtherType 1.
    let tagged = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0x81, 0, 0, 5], &[0x88, 0xb5], &[0; 42]];
    ensure!(machine.send(&tagged.concat()) == Sent::Done);
    wait::until("a tagged frame", PATIENCE, || {
        let stats = stats(&switch).map_err(|error| error.to_string())?;
        let tagged =
            number(&stats, "/ports/a/device/rx_tagged").map_err(|error| error.to_string())?;
        if tagged > 0 { Ok(()) } else { Err(stats.to_string()) }
    })?;
    let stats = stats(&switch)?;
    ensure!(number(&stats, "/ports/a/cable/tx")? == 0, "{stats}");
    Ok(())
}

fn a_deleted_interface_is_unplugged() -> Result<()> {
    let pair = Pair::new("gone", Ends::Taps)?;
    let switch = pair.switch(Ends::Taps)?;
    ensure!(pair.reaches()?, "it forwards");
    pair.lan.ip("link del tap-b\n")?;
    wait::until("port b unplugged", PATIENCE, || match stats(&switch) {
        Ok(stats) if stats["ports"]["b"]["device"].is_null() => Ok(()),
        Ok(stats) => Err(stats.to_string()),
        Err(error) => Err(error.to_string()),
    })?;
    ensure!(!pair.reaches()?, "b is not there");
    Ok(())
}

fn the_program_obeys_captures_and_cleans_up() -> Result<()> {
    let pair = Pair::new("cli", Ends::Interfaces)?;
    let files = &pair.room.files;
    let socket = files.join("control");
    // A TAP that the program makes itself, beside the cables.
    let words = ["--port", "a=if:port-a", "--port", "b=if:port-b", "--port", "c=tap:new0"];
    let more = ["--control", "control", "--seed", "3", "--ageing", "30s", "--pcap", "."];
    let program = Path::new(env!("CARGO_BIN_EXE_l2switch"));
    let mut switch =
        Process::spawn(&pair.lan, files, "l2switch", program, &[&words[..], &more].concat())?;
    switch.wait_for_text("switching between 3 ports", PATIENCE)?;
    ensure!(pair.reaches()?, "it forwards");

    let mut control = UnixStream::connect(&socket)?;
    control.set_read_timeout(Some(PATIENCE))?;
    let mut answers = BufReader::new(control.try_clone()?).lines();
    let mut ask = |line: &str| -> Result<String> {
        control.write_all(format!("{line}\n").as_bytes())?;
        Ok(answers.next().context("hung up")??)
    };
    ensure!(ask("cut a both")? == "ok");
    ensure!(!pair.reaches()?, "it is cut");
    ensure!(ask("heal a both")? == "ok");
    ensure!(ask("heal x both")? == "error: no port \"x\": there is a, b, c");
    let answer = ask("stats")?;
    let stats: Value = serde_json::from_str(answer.strip_prefix("ok ").context("ok")?)?;
    let from_a = number(&stats, "/ports/a/cable/tx")? + number(&stats, "/ports/a/cable/lost_cut")?;
    ensure!(from_a >= 6, "{stats}");
    ensure!(
        pair.lan.packets("new0").is_ok_and(|Packets { received, .. }| received > 0),
        "c hears floods"
    );

    kill_process(switch.pid(), Signal::TERM)?;
    let status = switch.wait(PATIENCE)?;
    ensure!(status.success(), "{status}: {}", switch.stderr());
    ensure!(!socket.exists(), "the socket is removed");
    ensure!(pair.lan.packets("new0").is_err(), "its TAP is gone");
    ensure!(std::fs::metadata(files.join("a.pcap"))?.len() > 24, "the capture has frames");
    Ok(())
}

fn the_program_ends_with_its_input_if_told_so() -> Result<()> {
    let pair = Pair::new("input", Ends::Interfaces)?;
    let mut switch = pair.lan.run(|| {
        Ok(Command::new(env!("CARGO_BIN_EXE_l2switch"))
            .args(["--port", "a=if:port-a", "--port", "b=if:port-b", "--exit-with-stdin"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?)
    })?;
    let mut input = switch.stdin.take().context("it is piped")?;
    wait::until("forwarding", PATIENCE, || match pair.reaches() {
        Ok(true) => Ok(()),
        Ok(false) => Err("no answer".to_owned()),
        Err(error) => Err(error.to_string()),
    })?;
    input.write_all(b"words that mean nothing\n")?;
    ensure!(pair.reaches()?, "words do not stop it");
    ensure!(switch.try_wait()?.is_none(), "it runs while its input is open");
    drop(input);
    let status = wait::until("the end of the switch", PATIENCE, || {
        let ended = switch.try_wait().map_err(|error| error.to_string())?;
        ended.ok_or_else(|| "it still runs".to_owned())
    })?;
    ensure!(status.success(), "{status}");
    Ok(())
}
