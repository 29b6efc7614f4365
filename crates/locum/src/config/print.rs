//! A configuration as TOML: every value resolved, so that reading it again gives the same.

use std::fmt::Display;
use std::path::Path;

use locum_appliance::Prefer;
use locum_gate::MacMode;
use locum_services::ServiceConfig;
use toml::Value;

use super::Config;

impl Config {
    /// The whole configuration as TOML, defaults written out and paths absolute.
    pub fn to_toml(&self) -> String {
        let mut out = Printer::default();
        self.print_group(&mut out);
        self.print_node(&mut out);
        for peer in &self.peers {
            out.item("peer");
            out.bare("id", peer.id);
            out.text("address", peer.address);
        }
        self.print_heartbeat(&mut out);
        self.print_replication(&mut out);
        for service in &self.services {
            out.item("service");
            out.text("kind", service.service.kind());
            out.bare("port", service.port);
            out.bare("replicate", service.replicate);
            if let ServiceConfig::Http { root } = &service.service {
                out.path("root", root);
            }
            if let ServiceConfig::Kv { memory_limit: Some(bytes) } = &service.service {
                out.bare("memory_limit", bytes);
            }
        }
        self.print_limits(&mut out);
        out.section("control");
        out.path("socket", &self.socket);
        if let Some(program) = &self.on_change {
            out.section("hooks");
            out.path("on_change", program);
        }
        out.section("log");
        out.text("level", self.log.as_str().to_lowercase());
        out.section("warden");
        out.bare("enabled", self.warden);
        out.0
    }

    fn print_group(&self, out: &mut Printer) {
        let group = &self.group;
        out.section("group");
        out.bare("id", group.id);
        out.texts("addresses", &group.addresses);
        out.path("key_file", &group.key_file);
        if !group.gateways.is_empty() {
            out.texts("gateway", &group.gateways);
        }
        let mac = match group.mac {
            MacMode::Virtual => "virtual",
            MacMode::Own => "own",
        };
        out.text("mac", mac);
    }

    fn print_node(&self, out: &mut Printer) {
        let node = &self.node;
        out.section("node");
        out.bare("id", node.id);
        out.text("name", &node.name);
        out.text("address", node.address);
        out.bare("priority", node.priority);
        out.text("tap", &node.tap);
    }

    fn print_heartbeat(&self, out: &mut Printer) {
        let heartbeat = &self.heartbeat;
        out.section("heartbeat");
        out.text("interval", humantime::format_duration(heartbeat.interval));
        out.text("dead_after", humantime::format_duration(heartbeat.dead_after));
        if let Some(tap) = &heartbeat.tap {
            out.text("tap", tap);
        }
        out.bare("port", heartbeat.port);
        out.bare("realtime", heartbeat.realtime);
        out.section("election");
        out.bare("preempt", self.preempt.is_some());
        if let Some(delay) = self.preempt {
            out.text("preempt_delay", humantime::format_duration(delay));
        }
    }

    fn print_replication(&self, out: &mut Printer) {
        out.section("replication");
        out.bare("enabled", self.replication.is_some());
        if let Some(replication) = &self.replication {
            out.bare("port", replication.port);
            out.bare("buffer", replication.buffer);
            out.text(
                "prefer",
                match replication.prefer {
                    Prefer::Availability => "availability",
                    Prefer::Consistency => "consistency",
                },
            );
        }
    }

    fn print_limits(&self, out: &mut Printer) {
        let limits = &self.limits;
        if *limits == super::Limits::default() {
            return;
        }
        out.section("limits");
        let mut number = |key, limit: Option<usize>| {
            if let Some(limit) = limit {
                out.bare(key, limit);
            }
        };
        number("flows", limits.flows);
        number("half_open", limits.half_open);
        number("rx_buffer", limits.rx_buffer);
        number("tx_buffer", limits.tx_buffer);
        if let Some(idle) = limits.idle {
            out.text("idle", humantime::format_duration(idle));
        }
    }
}

#[derive(Default)]
struct Printer(String);

impl Printer {
    fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.0.push_str(&format!("{gap}[{name}]\n"));
    }

    /// A section of which there may be several.
    fn item(&mut self, name: &str) {
        self.section(&format!("[{name}]"));
    }

    /// A number or a flag.
    fn bare(&mut self, key: &str, value: impl Display) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.bare(key, Value::String(value.to_string()));
    }

    fn texts(&mut self, key: &str, values: &[impl Display]) {
        let values = values.iter().map(|value| Value::String(value.to_string())).collect();
        self.bare(key, Value::Array(values));
    }

    fn path(&mut self, key: &str, path: &Path) {
        self.text(key, path.display());
    }
}
