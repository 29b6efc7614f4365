//! A status as Prometheus reads it: its text format, version 0.0.4.
//!
//! Names begin with `locum_` and end with their unit, those of counters with `_total`; times are in seconds. A choice
//! (mode, health, protection) is one gauge per possible value, of which one is 1. Every counter of the status is
//! here, named after its part: `locum_gate_…_total`.

use std::collections::BTreeMap;
use std::fmt::Write;

use locum_types::{Health, Mode, Protection};

use super::{Counters, FollowerStatus, NodeStatus, PeerStatus, ReplicationStatus, risk};

/// What an HTTP answer says of this text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const HEALTHS: [Health; 3] = [Health::Ok, Health::Degraded, Health::Failed];
const PROTECTIONS: [Protection; 6] = [
    Protection::Protected,
    Protection::Unprotected,
    Protection::InSync,
    Protection::Joining,
    Protection::Stale,
    Protection::Alone,
];

/// All metrics of a node.
pub fn render(status: &NodeStatus) -> String {
    let mut page = Page::default();
    node(&mut page, status);
    links(&mut page, status);
    peers(&mut page, &status.peers);
    flows(&mut page, status);
    if let Some(replication) = &status.replication {
        self::replication(&mut page, replication);
    }
    takeovers(&mut page, status);
    for (part, counters) in status.parts() {
        self::counters(&mut page, part, counters);
    }
    page.text
}

fn node(page: &mut Page, status: &NodeStatus) {
    let (group, node) = (status.group.to_string(), status.node.to_string());
    let info: [(&str, &str); 4] =
        [("version", &status.version), ("group", &group), ("node", &node), ("name", &status.name)];
    page.family(GAUGE, "locum_info", "Who this is; always 1.", [(labels(info), 1.0)]);
    page.gauge("locum_uptime_seconds", "Time since the start.", seconds_of_ms(status.uptime_ms));
    let modes = Mode::ALL.map(|mode| (mode.name(), mode == status.mode));
    page.choice("locum_mode", "What the node is doing.", modes);
    page.gauge("locum_mode_age_seconds", "Time in this mode.", seconds_of_ms(status.since.ms));
    page.gauge("locum_term", "The term the node is in.", status.term as f64);
    page.gauge("locum_priority", "The node's rank in elections.", status.priority.into());
    let healths = HEALTHS.map(|health| (health.name(), health == status.health));
    page.choice("locum_health", "How well its services are.", healths);
    let risks = risk::risks(status).len() as f64;
    page.gauge(
        "locum_risks",
        "What keeps the death of the active node from going unnoticed.",
        risks,
    );
    let realtime = &status.realtime;
    let granted = [("scheduling", realtime.scheduling), ("memory_locked", realtime.memory_locked)];
    let help = "What the kernel granted to the hot threads.";
    page.family(
        GAUGE,
        "locum_realtime",
        help,
        granted.map(|(of, is)| (labels([("of", of)]), flag(is))),
    );
    page.gauge("locum_warden", "Whether a warden holds the last will.", flag(status.warden));
}

fn links(page: &mut Page, status: &NodeStatus) {
    let up = status.links.iter().map(|link| (labels([("tap", &link.tap)]), flag(link.up)));
    page.family(GAUGE, "locum_link_up", "Whether the link carries frames.", up);
}

fn peers(page: &mut Page, peers: &[PeerStatus]) {
    let mut each = |name, help, value: &dyn Fn(&PeerStatus) -> Option<f64>| {
        let known = |peer| Some((labels([("peer", &peer_id(peer))]), value(peer)?));
        page.family(GAUGE, name, help, peers.iter().filter_map(known));
    };
    each("locum_peer_alive", "Whether the peer was heard within the detection time.", &|peer| {
        Some(flag(peer.alive))
    });
    each("locum_peer_hears_us", "Whether it hears this node, by its last beat.", &|peer| {
        peer.hears_us.map(flag)
    });
    each("locum_peer_last_heard_seconds", "The age of its last beat.", &|peer| {
        peer.last_heard_ms.map(|ms| ms / 1e3)
    });
    each("locum_peer_rtt_seconds", "The smoothed round-trip time of beats.", &|peer| {
        peer.rtt_us.map(seconds_of_us)
    });
    each("locum_peer_loss_ratio", "The share of its last beats that were lost.", &|peer| peer.loss);
    each("locum_peer_loss_out_ratio", "The share of our last beats that it lost.", &|peer| {
        peer.loss_out
    });
    let modes = peers.iter().filter_map(|peer| Some((peer, peer.mode?)));
    let modes = modes.flat_map(|(peer, now)| {
        Mode::ALL.map(|mode| {
            (labels([("peer", peer_id(peer).as_str()), ("mode", mode.name())]), flag(mode == now))
        })
    });
    page.family(GAUGE, "locum_peer_mode", "What the peer is doing, by its last beat.", modes);
}

fn peer_id(peer: &PeerStatus) -> String {
    peer.id.to_string()
}

fn flows(page: &mut Page, status: &NodeStatus) {
    let flows = status.flows;
    page.gauge("locum_flows_open", "Connections, half-open ones included.", flows.open as f64);
    page.gauge("locum_flows_half_open", "Half-open connections.", flows.half_open as f64);
    page.gauge("locum_flows_limit", "How many connections there may be.", flows.limit as f64);
}

fn replication(page: &mut Page, replication: &ReplicationStatus) {
    let now = replication.protection;
    let names = PROTECTIONS.map(|protection| (protection.name().replace(' ', "_"), protection));
    let choices = names.iter().map(|(name, protection)| (name.as_str(), *protection == now));
    page.choice("locum_protection", "What would survive if the active node died now.", choices);
    let position = replication.position as f64;
    page.gauge("locum_log_position", "The last entry of the log that the node has.", position);
    let held = replication.frames_held as f64;
    page.gauge("locum_frames_held", "Frames that wait for followers.", held);
    let mut each = |name, help, value: &dyn Fn(&FollowerStatus) -> f64| {
        let followers = replication.followers.iter();
        let sample = |it: &FollowerStatus| (labels([("follower", &it.id.to_string())]), value(it));
        page.family(GAUGE, name, help, followers.map(sample));
    };
    each("locum_follower_in_sync", "Whether the follower has everything that has left.", &|it| {
        flag(it.in_sync)
    });
    each("locum_follower_lag_entries", "Entries that it has not confirmed.", &|it| {
        it.lag_entries as f64
    });
    each("locum_follower_lag_bytes", "Bytes of these.", &|it| it.lag_bytes as f64);
    let carried = replication.flows_carried;
    page.counter("locum_flows_carried_total", "Connections that were to go on here.", carried);
    let lost = replication.flows_lost_by.reasons();
    let lost = lost.map(|(reason, count)| (labels([("reason", reason)]), count as f64));
    let help = "Connections that could not go on here after takeovers, per reason.";
    page.family(COUNTER, "locum_flows_lost_total", help, lost);
}

fn takeovers(page: &mut Page, status: &NodeStatus) {
    let takeovers = &status.takeovers;
    page.counter("locum_takeovers_total", "Activations of this node.", takeovers.count);
    if let Some(detection) = takeovers.list.last().and_then(|last| last.detection_us) {
        let help = "From the predecessor's last beat to the latest activation.";
        page.gauge("locum_takeover_detection_seconds", help, seconds_of_us(detection));
    }
    let conflicts = "Claims of a service address by somebody outside the group.";
    page.counter("locum_conflicts_total", conflicts, status.conflicts);
    let asked = [("arp", status.asked.arp), ("ndp", status.asked.ns)];
    let asked = asked.map(|(by, count)| (labels([("by", by)]), count as f64));
    let help = "Requests for the service addresses that were seen, in any mode.";
    page.family(COUNTER, "locum_asked_total", help, asked);
}

/// The counters of a part, by name. Times among them (`_us`) are no counts; what each TAP has counted bears its name.
fn counters(page: &mut Page, part: &str, counters: &Counters) {
    let mut families: BTreeMap<&str, Vec<(String, u64)>> = BTreeMap::new();
    for (path, &count) in counters {
        let of_tap = path.rsplit_once('.').filter(|_| part == "link");
        let (name, labels) = match of_tap {
            Some((tap, name)) => (name, labels([("tap", tap)])),
            None => (path.as_str(), String::new()),
        };
        families.entry(name).or_default().push((labels, count));
    }
    for (name, samples) in families {
        let words = name.replace(['.', '_'], " ");
        let name = name.replace('.', "_");
        match name.strip_suffix("_us") {
            Some(name) => {
                let help = format!("A time of {part}: {}.", name.replace('_', " "));
                let samples = samples.into_iter().map(|(labels, us)| (labels, seconds_of_us(us)));
                page.family(GAUGE, &format!("locum_{part}_{name}_seconds"), &help, samples);
            }
            None => {
                let help = format!("A count of {part}: {words}.");
                let samples = samples.into_iter().map(|(labels, count)| (labels, count as f64));
                page.family(COUNTER, &format!("locum_{part}_{name}_total"), &help, samples);
            }
        }
    }
}

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

/// The text in the making: one family of samples after the other.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(GAUGE, name, help, [(String::new(), value)]);
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) {
        self.family(COUNTER, name, help, [(String::new(), count as f64)]);
    }

    /// One gauge per choice, labelled with what `name` ends in.
    fn choice<'a>(
        &mut self,
        name: &str,
        help: &str,
        choices: impl IntoIterator<Item = (&'a str, bool)>,
    ) {
        let label = name.trim_start_matches("locum_");
        let sample = |(choice, is): (&str, bool)| (labels([(label, choice)]), flag(is));
        self.family(GAUGE, name, help, choices.into_iter().map(sample));
    }

    /// A family without samples says nothing.
    fn family(
        &mut self,
        kind: &str,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{name}{labels} {value}");
        }
    }
}

/// `{tap="tap0"}`, values escaped.
fn labels<const N: usize>(pairs: [(&str, impl AsRef<str>); N]) -> String {
    let escape =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs = pairs.map(|(name, value)| format!("{name}=\"{}\"", escape(value.as_ref())));
    format!("{{{}}}", pairs.join(","))
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn seconds_of_ms(ms: u64) -> f64 {
    ms as f64 / 1e3
}

fn seconds_of_us(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests;
