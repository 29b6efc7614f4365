//! From the document to a [`Draft`]: each section by itself. What must hold between values is in
//! `check`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locum_appliance::Prefer;
use locum_gate::MacMode;
use locum_services::ServiceConfig;
use locum_stack::service::Transports;
use locum_types::{GroupId, NodeId, Priority};
use locum_wire::Key;
use log::LevelFilter;
use smoltcp::wire::IpCidr;

use super::outside::Outside;
use super::section::{At, Place, Problems, Section, Wrong};
use super::{
    INTERVAL, Limits, PREEMPT_DELAY, PRIORITY, REPLICATION_BUFFER, REPLICATION_PORT, Replication,
    value,
};
use crate::logging;

const INTERVAL_MIN: Duration = Duration::from_millis(1);
const DEAD_AFTER_MAX: Duration = Duration::from_secs(10);
/// A peer is dead after two intervals at the earliest.
const INTERVAL_MAX: Duration = Duration::from_secs(5);
const PREEMPT_DELAY_MAX: Duration = Duration::from_secs(3600);
const IDLE_MIN: Duration = Duration::from_secs(1);
const IDLE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
const FLOWS_MAX: usize = 1_000_000;
/// Less than this much memory is no store.
const MEMORY_LIMIT_MIN: u64 = 1 << 20;
const BUFFER_MIN: usize = 1024;
/// Above it smoltcp scales the window, and can be made to panic by it.
const RX_BUFFER_MAX: usize = 65_535;
/// A window of one peer.
const REPLICATION_BUFFER_MIN: usize = 64 * 1024;
const REPLICATION_BUFFER_MAX: usize = 4 << 30;
const TX_BUFFER_MAX: usize = 1 << 20;

/// What was in the file and makes sense by itself. `None`: absent, or reported already.
pub(super) struct Draft {
    pub(super) group: DraftGroup,
    pub(super) node: DraftNode,
    pub(super) peers: Option<Vec<DraftPeer>>,
    pub(super) heartbeat: DraftHeartbeat,
    pub(super) preempt: Option<Duration>,
    pub(super) replication: Option<Replication>,
    pub(super) services: Vec<DraftService>,
    pub(super) limits: Limits,
    pub(super) socket: Option<PathBuf>,
    pub(super) on_change: Option<PathBuf>,
    pub(super) log: LevelFilter,
    pub(super) warden: bool,
}

pub(super) struct DraftGroup {
    pub(super) id: Option<GroupId>,
    pub(super) addresses: Vec<At<IpCidr>>,
    pub(super) key: Option<(PathBuf, Key)>,
    pub(super) gateways: Vec<At<IpAddr>>,
    pub(super) mac: MacMode,
}

pub(super) struct DraftNode {
    pub(super) id: Option<At<NodeId>>,
    pub(super) name: Option<String>,
    pub(super) address: Option<At<IpCidr>>,
    pub(super) priority: Option<Priority>,
    pub(super) tap: Option<String>,
}

pub(super) struct DraftPeer {
    pub(super) place: Place,
    pub(super) id: Option<At<NodeId>>,
    pub(super) address: Option<At<IpAddr>>,
}

pub(super) struct DraftHeartbeat {
    pub(super) interval: Option<At<Duration>>,
    pub(super) dead_after: Option<At<Duration>>,
    pub(super) tap: Option<At<String>>,
    pub(super) port: Option<u16>,
    pub(super) realtime: Option<bool>,
}

pub(super) struct DraftService {
    pub(super) port: Option<At<u16>>,
    pub(super) service: Option<(ServiceConfig, Transports)>,
    pub(super) replicate: bool,
}

/// The plain value of a key that needs no place any more.
fn plain<T>(at: Option<At<T>>) -> Option<T> {
    at.map(|at| at.value)
}

/// What reading needs besides the document.
pub(super) struct Reader<'a> {
    /// The directory that relative paths start at.
    pub(super) base: &'a Path,
    pub(super) outside: &'a dyn Outside,
    pub(super) problems: &'a Problems,
}

impl Reader<'_> {
    pub(super) fn read(&self, document: &Section<'_>) -> Draft {
        document.report_unknown();
        // In the order of the surface, which is the order of reports without a place.
        let group = self.group(&document.section("group"));
        let node = self.node(&document.section("node"));
        let peers = document.sections("peer");
        let services = document.sections("service").unwrap_or_default();
        Draft {
            group,
            peers: peers.map(|peers| peers.iter().map(|section| self.peer(section)).collect()),
            heartbeat: self.heartbeat(&document.section("heartbeat")),
            preempt: self.election(&document.section("election")),
            replication: self.replication(&document.section("replication")),
            services: services.iter().map(|section| self.service(section)).collect(),
            limits: self.limits(&document.section("limits")),
            socket: self.control(&document.section("control"), &node),
            on_change: self.hooks(&document.section("hooks")),
            log: self.log(&document.section("log")),
            warden: self.warden(&document.section("warden")),
            node,
        }
    }

    /// Passes on what the outside said; what it refused is reported at `place`.
    fn accept<T>(&self, place: &Place, answer: Result<T, Wrong>) -> Option<T> {
        answer.map_err(|Wrong { what, fix }| self.problems.report(place, what, fix)).ok()
    }

    fn group(&self, section: &Section<'_>) -> DraftGroup {
        section.report_unknown();
        let id = section.required("id", "7", value::id(1..=u16::MAX, GroupId::new));
        let addresses = section.list("addresses", "[\"10.77.0.100/24\"]", value::cidr);
        match section.place_of("addresses") {
            None => section.report_missing("addresses", "[\"10.77.0.100/24\"]"),
            Some(place) if section.is_empty_list("addresses") => {
                let fix = "name at least one address that the nodes share";
                self.problems.report(&place, "must not be empty", fix);
            }
            Some(_) => {}
        }
        let key = section.required("key_file", "\"group.key\"", value::path(self.base));
        let macs = [("virtual", MacMode::Virtual), ("own", MacMode::Own)];
        DraftGroup {
            id: plain(id),
            addresses,
            key: key.and_then(|At { value: path, place }| {
                let key = self.accept(&place, self.outside.key(&path))?;
                Some((path, key))
            }),
            gateways: section.list("gateway", "\"10.77.0.1\"", value::address),
            mac: plain(section.optional("mac", "\"virtual\"", value::word(&macs)))
                .unwrap_or(MacMode::Virtual),
        }
    }

    fn node(&self, section: &Section<'_>) -> DraftNode {
        section.report_unknown();
        DraftNode {
            id: section.required("id", "1", value::id(1..=254, NodeId::new)),
            name: plain(section.optional("name", "\"node1\"", value::name)),
            address: section.required("address", "\"10.77.0.11/24\"", value::cidr),
            priority: plain(section.optional("priority", "200", value::id(1..=254, Priority::new)))
                .or_else(|| Priority::new(PRIORITY).ok()),
            tap: plain(section.required("tap", "\"tap0\"", value::interface)),
        }
    }

    fn peer(&self, section: &Section<'_>) -> DraftPeer {
        section.report_unknown();
        DraftPeer {
            place: section.place().clone(),
            id: section.required("id", "2", value::id(1..=254, NodeId::new)),
            address: section.required("address", "\"10.77.0.12\"", value::address),
        }
    }

    fn heartbeat(&self, section: &Section<'_>) -> DraftHeartbeat {
        section.report_unknown();
        let interval = value::duration(INTERVAL_MIN..=INTERVAL_MAX);
        let dead_after = value::duration(INTERVAL_MIN * 2..=DEAD_AFTER_MAX);
        DraftHeartbeat {
            interval: section.optional("interval", "\"10ms\"", interval),
            dead_after: section.optional("dead_after", "\"30ms\"", dead_after),
            tap: section.optional("tap", "\"hb0\"", value::interface),
            port: plain(section.optional("port", "3780", value::number(1..=u16::MAX))),
            realtime: plain(section.optional("realtime", "true", value::flag)),
        }
    }

    fn election(&self, section: &Section<'_>) -> Option<Duration> {
        section.report_unknown();
        let preempt = plain(section.optional("preempt", "true", value::flag));
        let range = Duration::ZERO..=PREEMPT_DELAY_MAX;
        let delay = section.optional("preempt_delay", "\"5s\"", value::duration(range));
        if let Some(delay) = &delay
            && preempt != Some(true)
        {
            let fix = "add `preempt = true`, or remove the delay";
            self.problems.report(&delay.place, "means nothing without `preempt = true`", fix);
        }
        preempt?.then(|| plain(delay).unwrap_or(PREEMPT_DELAY))
    }

    fn replication(&self, section: &Section<'_>) -> Option<Replication> {
        section.report_unknown();
        let enabled = plain(section.optional("enabled", "true", value::flag)).unwrap_or(true);
        let port = section.optional("port", "3781", value::number(1..=u16::MAX));
        let range = REPLICATION_BUFFER_MIN..=REPLICATION_BUFFER_MAX;
        let buffer = section.optional("buffer", "67108864", value::number(range));
        let wishes = [("availability", Prefer::Availability), ("consistency", Prefer::Consistency)];
        let prefer = section.optional("prefer", "\"availability\"", value::word(&wishes));
        enabled.then(|| Replication {
            port: plain(port).unwrap_or(REPLICATION_PORT),
            buffer: plain(buffer).unwrap_or(REPLICATION_BUFFER),
            prefer: plain(prefer).unwrap_or_default(),
        })
    }

    fn service(&self, section: &Section<'_>) -> DraftService {
        section.report_unknown();
        let kinds = ServiceConfig::KINDS.map(|kind| (kind, kind));
        let kind = plain(section.required("kind", "\"echo\"", value::word(&kinds)));
        let port = section.required("port", "7", value::number(1..=u16::MAX));
        let root = if kind == Some("http") {
            section.required("root", "\"www\"", value::path(self.base))
        } else {
            self.report_foreign(section, kind, "root", "http");
            None
        };
        let memory_limit = if kind == Some("kv") {
            let bytes = value::number(MEMORY_LIMIT_MIN..=i64::MAX as u64);
            plain(section.optional("memory_limit", "1073741824", bytes))
        } else {
            self.report_foreign(section, kind, "memory_limit", "kv");
            None
        };
        let replicate = plain(section.optional("replicate", "true", value::flag)).unwrap_or(true);
        let place = root.as_ref().map_or(section.place(), |root| &root.place).clone();
        let config = match kind {
            Some("echo") => Some(ServiceConfig::Echo),
            Some("discard") => Some(ServiceConfig::Discard),
            Some("chargen") => Some(ServiceConfig::Chargen),
            Some("http") => root.map(|root| ServiceConfig::Http { root: root.value }),
            Some("kv") => Some(ServiceConfig::Kv { memory_limit }),
            Some(_) | None => None,
        };
        let service = config.and_then(|config| {
            let transports = self.accept(&place, self.outside.transports(&config))?;
            Some((config, transports))
        });
        DraftService { port, service, replicate }
    }

    /// Reports a key that belongs to another kind of service.
    fn report_foreign(
        &self,
        section: &Section<'_>,
        kind: Option<&str>,
        key: &'static str,
        owner: &str,
    ) {
        if let (Some(kind), Some(place)) = (kind, section.place_of(key)) {
            let fix = format!("remove it, or make the kind \"{owner}\"");
            self.problems.report(&place, format!("means nothing for \"{kind}\""), &fix);
        }
    }

    fn limits(&self, section: &Section<'_>) -> Limits {
        section.report_unknown();
        let flows = value::number(1..=FLOWS_MAX);
        let rx_buffer = value::number(BUFFER_MIN..=RX_BUFFER_MAX);
        let tx_buffer = value::number(BUFFER_MIN..=TX_BUFFER_MAX);
        let idle = value::duration(IDLE_MIN..=IDLE_MAX);
        let half_open = section.optional("half_open", "1024", &flows);
        let flows = plain(section.optional("flows", "65536", &flows));
        if let (Some(flows), Some(half_open)) = (flows, &half_open)
            && half_open.value > flows
        {
            let what = format!("is {}, more than `flows` has in all", half_open.value);
            self.problems.report(&half_open.place, what, format!("make it at most {flows}"));
        }
        Limits {
            flows,
            half_open: plain(half_open),
            idle: plain(section.optional("idle", "\"10m\"", idle)),
            rx_buffer: plain(section.optional("rx_buffer", "65535", &rx_buffer)),
            tx_buffer: plain(section.optional("tx_buffer", "131072", &tx_buffer)),
        }
    }

    /// The socket, by default `/run/locum/<name>.sock`.
    fn control(&self, section: &Section<'_>, node: &DraftNode) -> Option<PathBuf> {
        section.report_unknown();
        let example = "\"/run/locum/node1.sock\"";
        let Some(_) = section.place_of("socket") else {
            return Some(super::default_socket(&node.resolved_name()?));
        };
        let At { value: path, place } =
            section.optional("socket", example, value::socket(self.base))?;
        self.accept(&place, self.outside.socket(&path))?;
        Some(path)
    }

    fn hooks(&self, section: &Section<'_>) -> Option<PathBuf> {
        section.report_unknown();
        let At { value: path, place } =
            section.optional("on_change", "\"/etc/locum/notify\"", value::path(self.base))?;
        self.accept(&place, self.outside.program(&path))?;
        Some(path)
    }

    fn log(&self, section: &Section<'_>) -> LevelFilter {
        section.report_unknown();
        let level = section.optional("level", "\"info\"", value::word(&value::LEVELS));
        plain(level).unwrap_or(logging::LEVEL)
    }

    fn warden(&self, section: &Section<'_>) -> bool {
        section.report_unknown();
        plain(section.optional("enabled", "true", value::flag)).unwrap_or(true)
    }
}

impl DraftNode {
    /// `node<id>`, unless the file gives a name.
    pub(super) fn resolved_name(&self) -> Option<String> {
        match (&self.name, &self.id) {
            (Some(name), _) => Some(name.clone()),
            (None, Some(id)) => Some(format!("node{}", id.value)),
            (None, None) => None,
        }
    }
}

impl DraftHeartbeat {
    pub(super) fn resolved_interval(&self) -> Duration {
        self.interval.as_ref().map_or(INTERVAL, |interval| interval.value)
    }

    /// Three intervals, unless the file says otherwise.
    pub(super) fn resolved_dead_after(&self) -> Duration {
        let three = || (self.resolved_interval() * 3).min(DEAD_AFTER_MAX);
        self.dead_after.as_ref().map_or_else(three, |dead_after| dead_after.value)
    }
}
