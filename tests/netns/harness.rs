//! The lab itself: a harness that cannot see a leak, or leaves things behind, proves nothing.

use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::net::IpAddr;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use locum_lab::capture;
use locum_lab::enter::{self, Entered};
use locum_lab::frame::{Mac, parse};
use locum_lab::keepalived::{self, Keepalived};
use locum_lab::leak::Identity;
use locum_lab::process::family;
use locum_lab::{Lab, NodeKind, SERVICE_V4, Topology, wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::trial::Case;

/// As the first argument makes this program hold a lab open until it is killed.
pub(crate) const HOLD: &str = "hold-a-lab";

const SOON: Duration = Duration::from_secs(5);

pub(crate) fn cases() -> Vec<Case> {
    let kernel = Topology { kind: NodeKind::Kernel, clients: 2, ..Topology::default() };
    vec![
        Case::lab("lab_forwards_frames", kernel, forwards_frames),
        Case::lab("lab_cuts_and_heals_a_cable", kernel, cuts_and_heals),
        Case::lab("lab_divides_a_network_without_a_carrier_change", kernel, divides),
        Case::lab("lab_records_what_a_device_receives", kernel, records),
        Case::lab("lab_oracle_sees_a_node_that_speaks_for_the_service", kernel, sees_a_leak),
        Case::lab("lab_vanishes_when_its_process_is_terminated", kernel, |_| {
            vanishes(Signal::TERM)
        }),
        Case::lab("lab_vanishes_when_its_process_is_killed", kernel, |_| vanishes(Signal::KILL)),
        Case::lab("lab_moves_an_address_with_keepalived", kernel, keepalived_takes_over)
            .needs("keepalived"),
    ]
}

fn ping(lab: &Lab, client: u8, target: IpAddr) -> Result<bool> {
    let target = target.to_string();
    let ping = lab.client(client).run("ping", &["-c", "1", "-W", "0.3", &target])?;
    Ok(ping.status.success())
}

/// For a kernel that has just failed to resolve an address: it asks again only after a second.
fn reach(lab: &Lab, client: u8, target: IpAddr) -> Result<()> {
    wait::until(&format!("an answer from {target}"), SOON, || match ping(lab, client, target) {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })
}

fn forwards_frames(lab: &Lab) -> Result<()> {
    ensure!(ping(lab, 1, lab.client(2).address().into())?, "client to client");
    ensure!(ping(lab, 1, lab.client(2).address_v6().into())?, "client to client by IPv6");
    ensure!(ping(lab, 1, lab.node(1).address().into())?, "client to node");
    Ok(())
}

fn cuts_and_heals(lab: &Lab) -> Result<()> {
    lab.cut(1)?;
    ensure!(!ping(lab, 1, lab.node(1).address().into())?, "node 1 answers over a cut cable");
    ensure!(ping(lab, 1, lab.node(2).address().into())?, "node 2 is cut, too");
    lab.heal(1)?;
    reach(lab, 1, lab.node(1).address().into()).context("after the heal")
}

fn divides(lab: &Lab) -> Result<()> {
    lab.partition(&[2], &[2])?;
    ensure!(!ping(lab, 1, lab.node(2).address().into())?, "across the division");
    ensure!(ping(lab, 1, lab.node(1).address().into())?, "on this side");
    ensure!(ping(lab, 2, lab.node(2).address().into())?, "on the other side");
    let carrier = lab.node(2).spawn("carrier", "ip".as_ref(), &["-o", "link", "show", "eth0"])?;
    ensure!(carrier.output(SOON)?.success()?.contains("LOWER_UP"), "the carrier is gone");
    lab.reunite(&[2], &[2])?;
    reach(lab, 1, lab.node(2).address().into()).context("after the reunion")
}

fn records(lab: &Lab) -> Result<()> {
    let capture = lab.node(1).capture("eth0")?;
    let before = capture::now();
    ensure!(ping(lab, 1, lab.node(1).address().into())?, "no ping, no frames");
    let frames = capture.drain()?;
    let asks = format!("who-has {} tell {}", lab.node(1).address(), lab.client(1).address());
    let asked = frames.iter().any(|frame| {
        frame.at >= before && parse(&frame.bytes).is_some_and(|it| it.to_string().contains(&asks))
    });
    ensure!(asked, "no ARP request among {} frames", frames.len());
    Ok(())
}

/// A client that sends an ARP request in the name of the service is caught at the node's end.
fn sees_a_leak(lab: &Lab) -> Result<()> {
    let capture = lab.node(1).capture("eth0")?;
    let service = SERVICE_V4.to_string();
    lab.client(1).namespace().ip(&format!("addr add {service}/32 dev eth0\n"))?;
    let own = lab.node(2).address().to_string();
    // Nobody answers somebody who has the service address but no business with it.
    lab.client(1).run("arping", &["-c", "1", "-W", "0.1", "-i", "eth0", "-S", &service, &own])?;
    let identity = Identity { service: vec![SERVICE_V4.into()], virtual_mac: Mac([2; 6]) };
    let frames = capture.drain()?;
    let leaks = identity.leaks(1, &frames, 0..capture::now());
    ensure!(!leaks.is_empty(), "not seen in {} frames", frames.len());
    Ok(())
}

/// Runs in a process of its own: builds a lab inside the lab, says so, and waits for its end.
pub(crate) fn hold() -> ExitCode {
    match enter::enter(&[]) {
        Entered::Inside => {}
        Entered::Finished(code) => return code,
        Entered::Unable(_) => return ExitCode::FAILURE,
    }
    let Ok(_lab) = Lab::new("held", Topology::default()) else { return ExitCode::FAILURE };
    let _ = writeln!(stdout(), "ready");
    loop {
        std::thread::park();
    }
}

fn vanishes(signal: Signal) -> Result<()> {
    let mut outside = Command::new(env::current_exe()?)
        .arg(HOLD)
        .env_remove("LOCUM_LAB_INSIDE")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(outside.stdout.take().context("piped")?).read_line(&mut line)?;
    ensure!(line == "ready\n", "the lab inside was not built: {line:?}");
    let pid = Pid::from_child(&outside);
    let all = family(pid);
    ensure!(all.len() >= 3, "program, unshare, and program again: {all:?}");
    kill_process(pid, signal)?;
    outside.wait()?;
    wait::until("an empty lab", SOON, || {
        let left: Vec<_> = all.iter().filter(|pid| lives(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} live")) }
    })
}

/// A process that waits to be reaped is dead.
fn lives(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn keepalived_takes_over(lab: &Lab) -> Result<()> {
    let config = keepalived::Config::FASTEST;
    let _pair = [Keepalived::start(lab, 1, &config)?, Keepalived::start(lab, 2, &config)?];
    let holder = || keepalived::holder(lab).map_err(|error| error.to_string());
    let first = wait::until("a keepalived with the address", SOON, holder)?;
    ensure!(ping(lab, 1, SERVICE_V4.into())?, "the address does not answer");
    lab.cut(first)?;
    let second = wait::until("the other keepalived with the address", SOON, || match holder()? {
        now if now != first => Ok(now),
        now => Err(format!("node {now} still has it")),
    })?;
    reach(lab, 1, SERVICE_V4.into()).with_context(|| format!("node {second}"))
}
