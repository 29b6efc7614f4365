//! A status for people: words first, then tables, in columns that line up.

pub(crate) mod grid;

use std::fmt::Write;
use std::time::Duration;

use locum_types::{Health, Mode};

use self::grid::{Cell, Colour, Grid};
use super::{Counters, FollowerStatus, NodeStatus, PeerStatus, ReplicationStatus};

/// How many of the latest takeovers are shown.
const TAKEOVERS_SHOWN: usize = 5;
/// What stands for something unknown.
const UNKNOWN: &str = "-";

/// The status of a node as text, several lines with a newline at the end; with ANSI colours if
/// `colour`.
pub fn render(status: &NodeStatus, colour: bool) -> String {
    let mut text = headline(status, colour);
    for (title, grid) in [
        ("", facts(status)),
        ("peers", peers(&status.peers)),
        ("takeovers", takeovers(status)),
        ("counters", counters(status)),
    ] {
        if grid.is_empty() {
            continue;
        }
        if !title.is_empty() {
            text.push('\n');
            text.push_str(title);
            text.push('\n');
        }
        text.push_str(&grid.render(colour));
    }
    text
}

/// What the node is doing and since when: what most readers came for.
fn headline(status: &NodeStatus, colour: bool) -> String {
    let mode = mode_cell(status.mode, status.mode.name().to_uppercase()).paint(colour);
    let (name, since) = (&status.name, age(status.since.ms));
    let mut line = format!("{name} has been {mode} for {since}: {}\n", status.since.cause);
    if status.mode == Mode::Active && !status.peers.iter().any(|peer| peer.alive) {
        let warning =
            Cell::new("no other node is alive: nobody would take over").colour(Colour::Red);
        // Writing to a String cannot fail.
        let _ = writeln!(line, "{}", warning.paint(colour));
    }
    line
}

/// One fact per line, its name before it.
fn facts(status: &NodeStatus) -> Grid {
    let mut grid = Grid::default();
    let mut fact = |name: &str, text: Cell| grid.row([Cell::new(name).colour(Colour::Dim), text]);
    let (node, group, term) = (status.node, status.group, status.term);
    fact(
        "node",
        Cell::new(format!("{node} of group {group}, priority {}, term {term}", status.priority)),
    );
    fact("address", Cell::new(&status.address));
    let shared = status.service_addresses.join(", ");
    fact("service", Cell::new(format!("{shared} at {}", status.service_mac)));
    let listening: Vec<String> = status
        .services
        .iter()
        .map(|service| {
            let left_out = if service.replicated { "" } else { " (not replicated)" };
            format!("{} {}{left_out}", service.kind, service.port)
        })
        .collect();
    fact("listening", Cell::new(or_none(&listening)));
    fact("health", health_cell(status.health));
    for link in &status.links {
        let up = if link.up { Cell::new("up") } else { Cell::new("DOWN").colour(Colour::Red) };
        fact(&link.tap, up);
    }
    if status.isolated {
        fact("isolated", Cell::new("nobody is heard on the service link").colour(Colour::Red));
    }
    let flows = status.flows;
    let (open, half_open) = (flows.open, flows.half_open);
    fact("flows", Cell::new(format!("{open} of {}, {half_open} of them half-open", flows.limit)));
    if let Some(replication) = &status.replication {
        replication_facts(replication, &mut fact);
    }
    let asked = status.asked;
    fact("asked for", Cell::new(format!("{} times by ARP, {} by NDP", asked.arp, asked.ns)));
    let conflicts = Cell::new(status.conflicts.to_string());
    fact(
        "conflicts",
        if status.conflicts == 0 { conflicts } else { conflicts.colour(Colour::Red) },
    );
    fact("realtime", realtime_cell(status));
    fact("warden", Cell::new(if status.warden { "holds the last will" } else { "none" }));
    let (version, pid) = (&status.version, status.pid);
    fact("process", Cell::new(format!("locum {version}, pid {pid}, up {}", age(status.uptime_ms))));
    grid
}

/// What would survive, who has what, and what came of takeovers.
fn replication_facts(replication: &ReplicationStatus, fact: &mut impl FnMut(&str, Cell)) {
    let protection = replication.protection;
    let cell = Cell::new(format!("{protection}, entry {}", replication.position));
    fact("protection", if protection.is_good() { cell } else { cell.colour(Colour::Yellow) });
    for follower in &replication.followers {
        let FollowerStatus { id, in_sync, lag_entries: entries, lag_bytes: bytes } = follower;
        let standing = if *in_sync { "in sync" } else { "catching up" };
        let words = format!("node {id} {standing}, {entries} entries ({bytes} bytes) behind");
        fact("follower", Cell::new(words));
    }
    let lost = replication.flows_lost_by;
    let cell = Cell::new(format!("{} flows, {lost}", replication.flows_carried));
    fact("carried over", if lost.total() == 0 { cell } else { cell.colour(Colour::Yellow) });
    let millis = |us: u64| format!("{:.1} ms", us as f64 / 1e3);
    let join = replication.join_us.map(|us| format!("last join took {}", millis(us)));
    let pause = replication.snapshot_pause_max_us;
    let pause = pause.map(|us| format!("longest pause for a snapshot {}", millis(us)));
    let copies: Vec<String> = join.into_iter().chain(pause).collect();
    if !copies.is_empty() {
        fact("copies", Cell::new(copies.join(", ")));
    }
}

fn realtime_cell(status: &NodeStatus) -> Cell {
    let realtime = &status.realtime;
    let scheduling = if realtime.scheduling { "yes" } else { "no" };
    let memory = if realtime.memory_locked { "locked" } else { "not locked" };
    let gap = status.loop_gap_max_us as f64 / 1e3;
    let words = format!("{scheduling}, memory {memory}, longest loop gap {gap:.1} ms");
    match &realtime.refused {
        Some(why) => Cell::new(format!("{words} ({why})")).colour(Colour::Yellow),
        None => Cell::new(words),
    }
}

fn peers(peers: &[PeerStatus]) -> Grid {
    let mut grid = Grid::default();
    if peers.is_empty() {
        return grid;
    }
    let titles = ["node", "address", "mode", "term", "priority", "health", "heard", "rtt", "loss"];
    grid.row(titles.map(|title| Cell::new(title).colour(Colour::Dim)));
    for peer in peers {
        let mode = match (peer.alive, peer.mode) {
            (true, Some(mode)) if peer.hears_us == Some(false) => {
                Cell::new(format!("{mode}, deaf to us")).colour(Colour::Yellow)
            }
            (true, Some(mode)) => mode_cell(mode, mode.name().to_owned()),
            (false, Some(_)) => Cell::new("dead").colour(Colour::Red),
            (true | false, None) => Cell::new("never heard").colour(Colour::Red),
        };
        grid.row([
            Cell::new(peer.id.to_string()),
            Cell::new(&peer.address),
            mode,
            known(peer.term, |term| term.to_string()),
            known(peer.priority, |priority| priority.to_string()),
            peer.health.map_or(Cell::new(UNKNOWN), health_cell),
            known(peer.last_heard_ms, |ms| format!("{} ago", fine_age(ms))),
            known(peer.rtt_us, |us| format!("{us} µs")),
            known(peer.loss, |loss| format!("{:.1} %", loss * 100.0)),
        ]);
    }
    grid
}

fn takeovers(status: &NodeStatus) -> Grid {
    let mut grid = Grid::default();
    let list = &status.takeovers.list;
    for takeover in list.iter().rev().take(TAKEOVERS_SHOWN) {
        let detection = known(takeover.detection_us, |us| {
            format!("{:.1} ms after the last beat", us as f64 / 1e3)
        });
        grid.row([
            Cell::new(format!("{} ago", age(takeover.ago_ms))),
            Cell::new(format!("term {}", takeover.term)),
            Cell::new(&takeover.cause),
            detection,
        ]);
    }
    let shown = list.len().min(TAKEOVERS_SHOWN) as u64;
    if status.takeovers.count > shown {
        grid.row([Cell::new(format!("and {} before", status.takeovers.count - shown))]);
    }
    grid
}

/// What has been counted, one line per part of the node; counts of zero say nothing.
fn counters(status: &NodeStatus) -> Grid {
    let mut grid = Grid::default();
    for (part, counters) in status.parts() {
        for line in count_lines(counters) {
            grid.row([Cell::new(part).colour(Colour::Dim), Cell::new(line)]);
        }
    }
    grid
}

/// Counts as `name 12, other 3`, broken into lines of readable length. Times are shown elsewhere.
fn count_lines(counters: &Counters) -> Vec<String> {
    const LINE_LEN: usize = 84;
    let mut lines: Vec<String> = Vec::new();
    let counts = counters.iter().filter(|(name, count)| **count > 0 && !name.ends_with("_us"));
    for (name, count) in counts {
        let item = format!("{} {count}", name.replace('_', " "));
        match lines.last_mut() {
            Some(line) if line.len() + 2 + item.len() <= LINE_LEN => {
                line.push_str(", ");
                line.push_str(&item);
            }
            Some(_) | None => lines.push(item),
        }
    }
    lines
}

fn mode_cell(mode: Mode, text: String) -> Cell {
    Cell::new(text).colour(match mode {
        Mode::Active => Colour::Green,
        Mode::Waiting => Colour::Plain,
        Mode::Joining => Colour::Yellow,
        Mode::Fenced => Colour::Red,
    })
}

fn health_cell(health: Health) -> Cell {
    Cell::new(health.name()).colour(match health {
        Health::Ok => Colour::Plain,
        Health::Degraded => Colour::Yellow,
        Health::Failed => Colour::Red,
    })
}

fn known<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> Cell {
    Cell::new(value.map_or_else(|| UNKNOWN.to_owned(), text))
}

fn or_none(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// A time in the two largest units: `3h 12m`, or in milliseconds if it is short.
fn age(ms: u64) -> String {
    if ms < 1_000 {
        return format!("{ms} ms");
    }
    let text = humantime::format_duration(Duration::from_secs(ms / 1_000)).to_string();
    let units: Vec<&str> = text.split(' ').take(2).collect();
    units.join(" ")
}

/// As [`age`], but with the tenths of a millisecond that matter between beats.
fn fine_age(ms: f64) -> String {
    if ms < 1_000.0 { format!("{ms:.1} ms") } else { age(ms as u64) }
}

#[cfg(test)]
mod tests;
