//! A waiting node is silent, whatever is thrown at it.
//!
//! The bridges are hubs here: every frame for the service reaches every node, as when a switch has
//! forgotten where the virtual MAC is.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use locum_lab::locum::Group;
use locum_lab::{Client, Lab, Node, SERVICE_V4, SERVICE_V6, Topology, capture};

use crate::trial::{Case, Play};

pub(crate) fn cases() -> Vec<Case> {
    let case = |name, play: Play| Case::group(name, hub(), play);
    vec![
        case("arp_is_answered_by_the_active_node_alone", |lab, group| {
            bombard(lab, group, arp_requests)
        }),
        case("waiting_nodes_answer_no_arp_probe", |lab, group| bombard(lab, group, arp_probes)),
        case("waiting_nodes_are_silent_under_a_ping_flood", |lab, group| {
            bombard(lab, group, ping_flood)
        }),
        case("waiting_nodes_answer_no_syn", |lab, group| bombard(lab, group, syns)),
        case("waiting_nodes_answer_no_udp", |lab, group| bombard(lab, group, udp)),
        case("waiting_nodes_answer_no_neighbour_solicitation", |lab, group| {
            bombard(lab, group, neighbour_solicitations)
        }),
    ]
}

fn hub() -> Topology {
    Topology { nodes: 3, ageing: Duration::ZERO, ..Topology::default() }
}

/// Lets a client loose on the service, and requires that the waiting nodes heard it all and said nothing.
fn bombard(
    lab: &Lab,
    group: &Group<'_>,
    attack: fn(&Client, &Group<'_>) -> Result<u64>,
) -> Result<()> {
    let active = group.wait_steady()?;
    let waiting: Vec<_> = lab.nodes().iter().filter(|node| node.id() != active).collect();
    let start = capture::now();
    let heard_before: Vec<u64> = waiting.iter().map(|node| heard(node)).collect::<Result<_>>()?;
    let frames = attack(lab.client(1), group)?;
    for (node, before) in waiting.iter().zip(heard_before) {
        let heard = heard(node)? - before;
        ensure!(heard >= frames, "node {} heard {heard} frames of {frames}", node.id());
        ensure!(asked(group, node.id())? > 0, "node {} counts no request", node.id());
        group.require_silence(node.id(), start)?;
    }
    ensure!(group.wait_steady()? == active, "the active node changed");
    Ok(())
}

/// How many frames the kernel has handed to the node.
fn heard(node: &Node) -> Result<u64> {
    Ok(node.namespace().packets("tap0")?.sent)
}

/// How many ARP requests and neighbour solicitations for the service a node says it has seen.
fn asked(group: &Group<'_>, node: u8) -> Result<u64> {
    let status = group.status(node)?;
    let count = |kind: &str| status["asked"][kind].as_u64().context("no count of requests");
    Ok(count("arp")? + count("ns")?)
}

/// Every request gets exactly one answer, and the service's MAC address.
fn arp_requests(client: &Client, group: &Group<'_>) -> Result<u64> {
    let active = group.wait_steady()?;
    require_answers(client, &["-c", "5", "-W", "0.1"], 5, &group.service_mac(active).to_string())
}

/// As an operating system asks before it takes an address: an address without an answer is free.
fn arp_probes(client: &Client, group: &Group<'_>) -> Result<u64> {
    let active = group.wait_steady()?;
    let probe = ["-0", "-c", "5", "-W", "0.1"];
    require_answers(client, &probe, 5, &group.service_mac(active).to_string())
}

fn require_answers(client: &Client, options: &[&str], count: usize, mac: &str) -> Result<u64> {
    let target = SERVICE_V4.to_string();
    let args = [options, &["-i", "eth0", &target]].concat();
    let answers = client.run("arping", &args)?.success()?;
    let right = answers.lines().filter(|line| line.contains("bytes from") && line.contains(mac));
    let all = answers.lines().filter(|line| line.contains("bytes from"));
    let (right, all) = (right.count(), all.count());
    ensure!(right == count && all == count, "{right} right of {all} answers:\n{answers}");
    Ok(count as u64)
}

fn ping_flood(client: &Client, _: &Group<'_>) -> Result<u64> {
    let target = SERVICE_V4.to_string();
    let flood = client.run("ping", &["-f", "-q", "-c", "2000", &target])?.success()?;
    ensure!(flood.contains(" 0% packet loss"), "{flood}");
    ensure!(!flood.contains("duplicates"), "somebody else answered, too:\n{flood}");
    Ok(2000)
}

/// An open port must open and closed ports must refuse: from the active node, once.
fn syns(client: &Client, _: &Group<'_>) -> Result<u64> {
    let target = SERVICE_V4.to_string();
    client.run("nc", &["-n", "-z", "-w", "2", &target, "7"])?.success()?;
    let closed = client.run("nc", &["-n", "-z", "-v", "-w", "2", &target, "1000-1200"])?;
    let refused = closed.stderr.matches("refused").count();
    ensure!(refused == 201, "{refused} of 201 closed ports refused:\n{}", closed.stderr);
    Ok(202)
}

/// The echo service answers each datagram once; the port behind it is closed.
fn udp(client: &Client, _: &Group<'_>) -> Result<u64> {
    let script = format!(
        "for i in $(seq 30); do echo hello | nc -n -u -W 1 -w 2 {SERVICE_V4} 7; \
         echo hello | nc -n -u -q 0 -w 1 {SERVICE_V4} 999; done"
    );
    let answers = client.run("sh", &["-c", &script])?;
    let echoed = answers.stdout.matches("hello").count();
    ensure!(echoed == 30, "{echoed} of 30 datagrams came back:\n{}", answers.stderr);
    Ok(60)
}

fn neighbour_solicitations(client: &Client, group: &Group<'_>) -> Result<u64> {
    let active = group.wait_steady()?;
    let mac = group.service_mac(active).to_string();
    let target = SERVICE_V6.to_string();
    let mut total = 0;
    for _ in 0..5 {
        // `-m`: waits for all answers there are.
        let answers = client.run("ndisc6", &["-m", "-r", "1", "-w", "500", &target, "eth0"])?;
        let answers = answers.stdout.to_lowercase();
        let found = answers.matches("link-layer address").count();
        ensure!(
            found >= 1 && answers.matches(&mac).count() == found,
            "{found} answers:\n{answers}"
        );
        total += found;
    }
    // The active node's own announcements, one and two seconds after its activation, look the same, and so do its answers
    // to the other nodes, which asked for the address as they joined. Who said all this is judged by what was recorded.
    ensure!(total <= 5 + 2 + 4, "{total} answers to 5 solicitations");
    Ok(5)
}
