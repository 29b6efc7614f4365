//! One node of locum as the lab knows it: its configuration file, its addresses and its command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::frame::Mac;
use crate::leak::Identity;
use crate::process::Output;
use crate::topology::{SERVICE_V4, SERVICE_V6};

/// The group id of every lab.
const GROUP: u16 = 7;

/// Which MAC address the service address has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacMode {
    /// The group's shared, virtual MAC.
    Virtual,
    /// The active node's own.
    Own,
}

/// What the configuration file of a node says; `None` leaves locum's default.
#[derive(Clone, Debug)]
pub struct NodeFile {
    /// `node.id`.
    pub id: u8,
    /// `node.priority`.
    pub priority: u8,
    /// The ids of the other nodes.
    pub peers: Vec<u8>,
    /// `group.mac`.
    pub mac: MacMode,
    /// `heartbeat.interval`.
    pub interval: Option<Duration>,
    /// `heartbeat.dead_after`.
    pub dead_after: Option<Duration>,
    /// Whether heartbeats have their own TAP, `hb0`.
    pub heartbeat_tap: bool,
    /// `replication.enabled`.
    pub replication: bool,
    /// Pre-emption, after this delay.
    pub preempt: Option<Duration>,
    /// Where its files are: the key, the web site, its control socket.
    pub files: PathBuf,
}

impl NodeFile {
    /// The file. Services: echo on port 7, discard on 9, http on 80 out of `www`, kv on 6379, and chargen on 19, which
    /// is not replicated.
    pub fn text(&self) -> String {
        let NodeFile { id, priority, .. } = *self;
        let mac = match self.mac {
            MacMode::Virtual => "virtual",
            MacMode::Own => "own",
        };
        let mut text = format!(
            "[group]\nid = {GROUP}\naddresses = [\"{SERVICE_V4}/24\", \"{SERVICE_V6}/64\"]\n\
             key_file = \"group.key\"\nmac = \"{mac}\"\n\
             [node]\nid = {id}\naddress = \"{}/24\"\npriority = {priority}\ntap = \"tap0\"\n",
            address(id)
        );
        for peer in &self.peers {
            text += &format!("[[peer]]\nid = {peer}\naddress = \"{}\"\n", address(*peer));
        }
        text += "[heartbeat]\n";
        for (key, time) in [("interval", self.interval), ("dead_after", self.dead_after)] {
            text += &time.map_or_else(String::new, |time| format!("{key} = {}\n", quoted(time)));
        }
        if self.heartbeat_tap {
            text += "tap = \"hb0\"\n";
        }
        if let Some(delay) = self.preempt {
            text += &format!("[election]\npreempt = true\npreempt_delay = {}\n", quoted(delay));
        }
        text += &format!("[replication]\nenabled = {}\n", self.replication);
        text += "[[service]]\nkind = \"echo\"\nport = 7\n";
        text += "[[service]]\nkind = \"discard\"\nport = 9\n";
        text += "[[service]]\nkind = \"http\"\nport = 80\nroot = \"www\"\n";
        text += "[[service]]\nkind = \"kv\"\nport = 6379\n";
        text += "[[service]]\nkind = \"chargen\"\nport = 19\nreplicate = false\n";
        text += &format!("[control]\nsocket = {:?}\n", socket(&self.files, id));
        text
    }

    /// Writes the file and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<PathBuf> {
        let path = config_file(&self.files, self.id);
        std::fs::write(&path, self.text()).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// The command line of locum, for the nodes whose files are in one directory.
#[derive(Clone, Debug)]
pub struct Locum {
    binary: PathBuf,
    files: PathBuf,
}

impl Locum {
    /// The program `binary`, and the directory of the nodes' files.
    pub fn new(binary: &Path, files: &Path) -> Locum {
        Locum { binary: binary.to_owned(), files: files.to_owned() }
    }

    /// The program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Makes the key and the web site that all nodes share.
    ///
    /// # Errors
    /// When `locum keygen` fails.
    pub fn prepare(&self) -> Result<()> {
        let key = self.files.join("group.key");
        let keygen =
            Command::new(&self.binary).arg("keygen").arg(&key).output().context("run locum")?;
        let why = String::from_utf8_lossy(&keygen.stderr);
        ensure!(keygen.status.success(), "locum keygen: {}", why.trim());
        let www = self.files.join("www");
        std::fs::create_dir_all(&www)?;
        std::fs::write(www.join("index.html"), "the same on every node\n")?;
        Ok(())
    }

    /// What `locum status --json` says of a node.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn status(&self, node: u8) -> Result<Value> {
        let output = self.command(node, &["status", "--json"])?;
        serde_json::from_str(&output).with_context(|| format!("status of node {node}: {output}"))
    }

    /// Asks a node to hand over, to a certain node or to the best one.
    ///
    /// # Errors
    /// When it refuses.
    pub fn handover(&self, node: u8, to: Option<u8>) -> Result<()> {
        let to = to.map(|to| to.to_string());
        let words: Vec<&str> =
            ["handover"].into_iter().chain(to.iter().flat_map(|to| ["--to", to])).collect();
        self.command(node, &words).map(drop)
    }

    fn command(&self, node: u8, words: &[&str]) -> Result<String> {
        let socket = socket(&self.files, node);
        let output = Command::new(&self.binary).args(words).arg("-s").arg(socket).output()?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let output = Output {
            status: output.status,
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        output.success().with_context(|| format!("locum {} of node {node}", words.join(" ")))
    }
}

/// A node's own IPv4 address: `10.77.0.10+id`.
pub fn address(id: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 10 + id)
}

/// What only the active node may speak for.
pub fn identity() -> Identity {
    Identity {
        service: vec![IpAddr::V4(SERVICE_V4), IpAddr::V6(SERVICE_V6)],
        virtual_mac: virtual_mac(),
    }
}

/// `02:4c:6f:GG:GG:00`.
pub(crate) fn virtual_mac() -> Mac {
    node_mac(0)
}

/// `02:4c:6f:GG:GG:NN`.
pub(crate) fn node_mac(node: u8) -> Mac {
    let [high, low] = GROUP.to_be_bytes();
    Mac([0x02, 0x4c, 0x6f, high, low, node])
}

pub(crate) fn config_file(files: &Path, node: u8) -> PathBuf {
    files.join(format!("node{node}.toml"))
}

fn socket(files: &Path, node: u8) -> PathBuf {
    files.join(format!("node{node}.sock"))
}

/// A duration as the configuration writes it.
fn quoted(duration: Duration) -> String {
    format!("\"{}us\"", duration.as_micros())
}
