//! The configuration of a node: from a TOML file to values that cannot be wrong.
//!
//! [`Config::load`] reads a file, checks everything that can be known without starting the node,
//! and reports *all* that is wrong at once. [`Config`] is what the rest of the program sees:
//! every value resolved, every default filled in, every path absolute or relative to the working
//! directory.

mod check;
mod outside;
mod print;
mod read;
mod reload;
mod section;
mod surface;
mod value;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locum_appliance::Prefer;
use locum_gate::MacMode;
use locum_services::ServiceConfig;
use locum_types::{GroupId, NodeId, Priority};
use locum_wire::Key;
use log::LevelFilter;
use smoltcp::wire::{IpAddress, IpCidr};
use toml::de::DeTable;

pub use locum_diagnosis::{Problem, Report};
pub use outside::{FileSystem, Nowhere, Outside};
pub use reload::Reload;
pub use section::Wrong;

use read::{Draft, Reader};
use section::{Problems, Section};

/// The UDP port of beats, unless the file says otherwise.
pub const PORT: u16 = 3780;
/// How often to beat, unless the file says otherwise.
pub const INTERVAL: Duration = Duration::from_millis(10);
/// The TCP port on which the log is given, unless the file says otherwise.
pub const REPLICATION_PORT: u16 = 3781;
/// Bytes of recent entries that are kept for followers, unless the file says otherwise.
pub const REPLICATION_BUFFER: usize = 64 * 1024 * 1024;
/// The priority of a node, unless the file says otherwise.
pub const PRIORITY: u8 = 100;
/// How long a node with `preempt` waits in step before it takes over.
pub const PREEMPT_DELAY: Duration = Duration::from_secs(5);
/// Where control sockets are, unless the file says otherwise.
pub const SOCKET_DIR: &str = "/run/locum";

/// A whole configuration, resolved and validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from; read again on SIGHUP.
    pub file: PathBuf,
    /// What the nodes share.
    pub group: Group,
    /// This node.
    pub node: Node,
    /// The other nodes, 1 to 15 of them, by ascending id.
    pub peers: Vec<Peer>,
    /// How nodes notice each other's death.
    pub heartbeat: Heartbeat,
    /// `Some(delay)`: take over from a node of lower priority after this time in step.
    pub preempt: Option<Duration>,
    /// How connections and services survive this node; `None`: they do not.
    pub replication: Option<Replication>,
    /// What runs behind the service address.
    pub services: Vec<Service>,
    /// Bounds of the service stack.
    pub limits: Limits,
    /// The unix socket that answers `locum status` and `locum handover`.
    pub socket: PathBuf,
    /// The program to run on every mode change.
    pub on_change: Option<PathBuf>,
    /// How much to log; `RUST_LOG` wins.
    pub log: LevelFilter,
    /// Whether a parent process holds the link and the last will.
    pub warden: bool,
}

/// What all nodes of a group share: the same on each of them.
#[derive(Clone, Debug)]
pub struct Group {
    /// The group's number; the virtual MAC derives from it.
    pub id: GroupId,
    /// The service addresses with their subnets, 1 to 8.
    pub addresses: Vec<IpCidr>,
    /// Where the key was read from.
    pub key_file: PathBuf,
    /// Authenticates beats.
    pub key: Key,
    /// Next hops for clients beyond the link, at most one per family.
    pub gateways: Vec<IpAddress>,
    /// Which MAC answers for the service addresses.
    pub mac: MacMode,
}

/// This node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Unique in the group.
    pub id: NodeId,
    /// What people call it; `node<id>` unless the file says otherwise.
    pub name: String,
    /// The node's own address with its subnet.
    pub address: IpCidr,
    /// Rank in elections; higher wins.
    pub priority: Priority,
    /// The TAP that carries the service address.
    pub tap: String,
}

/// Another node of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub id: NodeId,
    /// Its node address, in the subnet of ours.
    pub address: IpAddress,
}

/// How nodes notice each other's death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// How often to beat.
    pub interval: Duration,
    /// After how long a silence a peer is dead; at least two intervals.
    pub dead_after: Duration,
    /// A TAP for beats alone; `None`: they share the node's.
    pub tap: Option<String>,
    /// The UDP port of beats.
    pub port: u16,
    /// Ask for real-time scheduling and locked memory.
    pub realtime: bool,
}

/// How a node keeps copies of its connections and services on others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replication {
    /// The TCP port of node addresses on which the log is given.
    pub port: u16,
    /// Bytes of recent entries that are kept for followers.
    pub buffer: usize,
    /// What matters more when nodes cannot know enough.
    pub prefer: Prefer,
}

/// A service and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// TCP and UDP port.
    pub port: u16,
    /// What listens there.
    pub service: ServiceConfig,
    /// Whether it survives a takeover, where anything does.
    pub replicate: bool,
}

/// Bounds of the service stack; `None`: the stack's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub flows: Option<usize>,
    /// Connections at once whose handshake is not complete.
    pub half_open: Option<usize>,
    /// Closes a connection after this time without a byte.
    pub idle: Option<Duration>,
    /// Receive buffer of a connection, in bytes.
    pub rx_buffer: Option<usize>,
    /// Transmit buffer of a connection, in bytes.
    pub tx_buffer: Option<usize>,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Config, Report> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot read the configuration: {error}");
            let fix = "name a TOML file; docs/OPERATING.md has one to start from".to_owned();
            let problem = Problem { span: None, key: String::new(), what, fix };
            Report::new(name.clone(), String::new(), vec![problem])
        })?;
        let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Config::parse(&text, &file, &name, &FileSystem)
    }

    /// Checks `text` as the content of `file`, which is called `name` in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        text: &str,
        file: &Path,
        name: &str,
        outside: &dyn Outside,
    ) -> Result<Config, Report> {
        let report = |problems| Report::new(name.to_owned(), text.to_owned(), problems);
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            // What could be recovered would only give echoes of these.
            return Err(report(errors.into_iter().map(Problem::from).collect()));
        }
        let problems = Problems::default();
        let base = file.parent().unwrap_or(Path::new(""));
        let section = Section::document(document.get_ref(), &problems);
        let draft = Reader { base, outside, problems: &problems }.read(&section);
        check::check(&draft, &problems);
        let found = problems.into_inner();
        if !found.is_empty() {
            return Err(report(found));
        }
        let config = draft.resolve(file);
        Ok(config.expect("a required value that is absent has been reported"))
    }
}

impl Draft {
    /// The configuration, if nothing is missing.
    fn resolve(self, file: &Path) -> Option<Config> {
        let name = self.node.resolved_name()?;
        let interval = self.heartbeat.resolved_interval();
        let dead_after = self.heartbeat.resolved_dead_after();
        let (key_file, key) = self.group.key?;
        let peer = |peer: read::DraftPeer| {
            Some(Peer { id: peer.id?.value, address: peer.address?.value.into() })
        };
        let service = |service: read::DraftService| {
            Some(Service {
                port: service.port?.value,
                service: service.service?.0,
                replicate: service.replicate,
            })
        };
        let mut peers = self.peers?.into_iter().map(peer).collect::<Option<Vec<Peer>>>()?;
        peers.sort_by_key(|peer| peer.id);
        Some(Config {
            file: file.to_owned(),
            group: Group {
                id: self.group.id?,
                addresses: self.group.addresses.iter().map(|at| at.value).collect(),
                key_file,
                key,
                gateways: self.group.gateways.iter().map(|at| at.value.into()).collect(),
                mac: self.group.mac,
            },
            node: Node {
                id: self.node.id?.value,
                name,
                address: self.node.address?.value,
                priority: self.node.priority?,
                tap: self.node.tap?,
            },
            peers,
            heartbeat: Heartbeat {
                interval,
                dead_after,
                tap: self.heartbeat.tap.map(|at| at.value),
                port: self.heartbeat.port.unwrap_or(PORT),
                realtime: self.heartbeat.realtime.unwrap_or(true),
            },
            preempt: self.preempt,
            replication: self.replication,
            services: self.services.into_iter().map(service).collect::<Option<_>>()?,
            limits: self.limits,
            socket: self.socket?,
            on_change: self.on_change,
            log: self.log,
            warden: self.warden,
        })
    }
}

/// The control socket of a node whose file names none.
fn default_socket(name: &str) -> PathBuf {
    Path::new(SOCKET_DIR).join(format!("{name}.sock"))
}
