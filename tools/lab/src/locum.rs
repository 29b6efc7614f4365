//! Locum in the lab: a group of real `locum run` processes, known from outside alone.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::capture::{self, Capture};
use crate::frame::{Mac, parse};
use crate::leak::{Identity, Leak};
use crate::process::{Output, Process};
use crate::topology::{Lab, SERVICE_V4, SERVICE_V6};
use crate::wait;

/// How long a node may take for what should take milliseconds, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(5);

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

/// What the configuration files of a group say.
#[derive(Clone, Debug)]
pub struct Config {
    /// `group.mac`.
    pub mac: MacMode,
    /// `heartbeat.interval` and `heartbeat.dead_after`; `None` leaves locum's defaults.
    pub heartbeat: Option<(Duration, Duration)>,
    /// Whether heartbeats have their own network (see [`crate::Topology::heartbeat_network`]).
    pub heartbeat_tap: bool,
    /// `election.preempt`.
    pub preempt: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config { mac: MacMode::Virtual, heartbeat: None, heartbeat_tap: false, preempt: false }
    }
}

impl Config {
    /// The file of one node. Services: echo on port 7, discard on 9, http on 80 out of `www`.
    pub fn text(&self, lab: &Lab, node: u8) -> String {
        let mac = match self.mac {
            MacMode::Virtual => "virtual",
            MacMode::Own => "own",
        };
        let address = lab.node(node).address();
        // The lower id is preferred; far enough apart for a stagger to show.
        let priority = 210 - 10 * u32::from(node);
        let mut text = format!(
            "[group]\nid = {GROUP}\naddresses = [\"{SERVICE_V4}/24\", \"{SERVICE_V6}/64\"]\n\
             key_file = \"group.key\"\nmac = \"{mac}\"\n\
             [node]\nid = {node}\naddress = \"{address}/24\"\npriority = {priority}\ntap = \"tap0\"\n"
        );
        for peer in lab.nodes().iter().filter(|peer| peer.id() != node) {
            text += &format!("[[peer]]\nid = {}\naddress = \"{}\"\n", peer.id(), peer.address());
        }
        text += "[heartbeat]\n";
        if let Some((interval, dead_after)) = self.heartbeat {
            text += &format!("interval = {:?}\n", humantime(interval));
            text += &format!("dead_after = {:?}\n", humantime(dead_after));
        }
        if self.heartbeat_tap {
            text += "tap = \"hb0\"\n";
        }
        text += &format!("[election]\npreempt = {}\n", self.preempt);
        text += "[[service]]\nkind = \"echo\"\nport = 7\n";
        text += "[[service]]\nkind = \"discard\"\nport = 9\n";
        text += "[[service]]\nkind = \"http\"\nport = 80\nroot = \"www\"\n";
        text += &format!("[control]\nsocket = {:?}\n", socket(lab, node));
        text
    }
}

/// A group of nodes, with a recording of every frame that each of them sends.
#[derive(Debug)]
pub struct Group<'lab> {
    lab: &'lab Lab,
    binary: PathBuf,
    mac: MacMode,
    nodes: Vec<Option<Process>>,
    captures: Vec<Vec<Capture>>,
}

/// What the status of a node must say, for [`Group::wait_for`].
pub type Expected<'a> = (u8, &'a str);

impl<'lab> Group<'lab> {
    /// Writes key, configuration and web site, starts the recordings, but no node yet.
    ///
    /// # Errors
    /// When `locum keygen` or tcpdump fail.
    pub fn prepare(lab: &'lab Lab, binary: &Path, config: &Config) -> Result<Group<'lab>> {
        let key = lab.files().join("group.key");
        let keygen = Command::new(binary).arg("keygen").arg(&key).output().context("run locum")?;
        let why = String::from_utf8_lossy(&keygen.stderr);
        ensure!(keygen.status.success(), "locum keygen: {}", why.trim());
        let www = lab.files().join("www");
        fs::create_dir_all(&www)?;
        fs::write(www.join("index.html"), "the same on every node\n")?;
        let mut captures = Vec::new();
        for node in lab.nodes() {
            fs::write(config_file(lab, node.id()), config.text(lab, node.id()))?;
            let mut recorded = vec![node.capture("tap0")?];
            if config.heartbeat_tap {
                recorded.push(node.capture("hb0")?);
            }
            captures.push(recorded);
        }
        let nodes = lab.nodes().iter().map(|_| None).collect();
        Ok(Group { lab, binary: binary.to_owned(), mac: config.mac, nodes, captures })
    }

    /// Prepares a group, starts all nodes, and waits for one active node, all others waiting.
    ///
    /// # Errors
    /// When they do not come up.
    pub fn start(lab: &'lab Lab, binary: &Path, config: &Config) -> Result<Group<'lab>> {
        let mut group = Group::prepare(lab, binary, config)?;
        for node in lab.nodes() {
            group.start_node(node.id())?;
        }
        group.wait_steady()?;
        Ok(group)
    }

    /// Starts a node that does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_node(&mut self, node: u8) -> Result<()> {
        let config = config_file(self.lab, node).to_string_lossy().into_owned();
        let process = self.lab.node(node).spawn("locum", &self.binary, &["run", "-c", &config])?;
        *self.slot(node)? = Some(process);
        Ok(())
    }

    /// The process of a node: its warden.
    ///
    /// # Errors
    /// When the node does not run.
    pub fn process(&mut self, node: u8) -> Result<&mut Process> {
        self.slot(node)?.as_mut().with_context(|| format!("node {node} was not started"))
    }

    fn slot(&mut self, node: u8) -> Result<&mut Option<Process>> {
        let index = usize::from(node).checked_sub(1).context("node ids start at 1")?;
        self.nodes.get_mut(index).with_context(|| format!("no node {node}"))
    }

    /// What `locum status --json` says of a node.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn status(&self, node: u8) -> Result<Value> {
        let output = self.command(node, &["status", "--json"])?;
        serde_json::from_str(&output).with_context(|| format!("status of node {node}: {output}"))
    }

    /// Asks a node to hand over.
    ///
    /// # Errors
    /// When it refuses.
    pub fn handover(&self, node: u8) -> Result<()> {
        self.command(node, &["handover"]).map(drop)
    }

    fn command(&self, node: u8, words: &[&str]) -> Result<String> {
        let socket = socket(self.lab, node);
        let output = Command::new(&self.binary).args(words).arg("-s").arg(socket).output()?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let output = Output {
            status: output.status,
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        output.success().with_context(|| format!("locum {} of node {node}", words.join(" ")))
    }

    /// The mode of a node, or why it does not say.
    pub fn mode(&self, node: u8) -> String {
        match self.status(node) {
            Ok(status) => status["mode"].as_str().unwrap_or("no mode in its status").to_owned(),
            Err(error) => format!("{error:#}"),
        }
    }

    /// Waits until nodes are in the given modes, all at once.
    ///
    /// # Errors
    /// When they are not within [`PATIENCE`].
    pub fn wait_for(&self, expected: &[Expected<'_>]) -> Result<()> {
        let wanted: Vec<String> =
            expected.iter().map(|(node, mode)| format!("node {node} {mode}")).collect();
        wait::until(&wanted.join(", "), PATIENCE, || {
            let modes: Vec<_> = expected.iter().map(|&(node, _)| (node, self.mode(node))).collect();
            let all = modes.iter().zip(expected).all(|((_, mode), (_, wanted))| mode == wanted);
            if all { Ok(()) } else { Err(format!("{modes:?}")) }
        })
    }

    /// Requires that a node is in its mode for this reason, as its status words it.
    ///
    /// # Errors
    /// When it gives another one.
    pub fn require_cause(&self, node: u8, cause: &str) -> Result<()> {
        let status = self.status(node)?;
        let given = status["since"]["cause"].as_str();
        ensure!(given == Some(cause), "node {node}: {given:?} where {cause:?} is right");
        Ok(())
    }

    /// Waits until one running node is active and all others wait, and returns the active one.
    ///
    /// # Errors
    /// When it is not so within [`PATIENCE`].
    pub fn wait_steady(&self) -> Result<u8> {
        wait::until("one active node, the others waiting", PATIENCE, || self.steady())
    }

    /// The active node, when one is and all other running nodes wait.
    ///
    /// # Errors
    /// The modes, when it is not so.
    pub fn steady(&self) -> Result<u8, String> {
        let running = self.lab.nodes().iter().zip(&self.nodes).filter(|(_, slot)| slot.is_some());
        let modes: Vec<_> = running.map(|(node, _)| (node.id(), self.mode(node.id()))).collect();
        let waiting = modes.iter().filter(|(_, mode)| mode == "waiting").count();
        match modes.iter().find(|(_, mode)| mode == "active") {
            Some(&(active, _)) if waiting + 1 == modes.len() => Ok(active),
            Some(_) | None => Err(format!("{modes:?}")),
        }
    }

    /// Ends a node at once: warden and worker by SIGKILL.
    ///
    /// # Errors
    /// When the node does not run.
    pub fn kill(&mut self, node: u8) -> Result<()> {
        self.process(node)?.kill();
        *self.slot(node)? = None;
        Ok(())
    }

    /// Waits for the end of a node that was told to stop.
    ///
    /// # Errors
    /// When it goes on.
    pub fn wait_for_end(&mut self, node: u8) -> Result<std::process::ExitStatus> {
        let status = self.process(node)?.wait(PATIENCE)?;
        *self.slot(node)? = None;
        Ok(status)
    }

    /// What only the active node may speak for.
    pub fn identity(&self) -> Identity {
        Identity {
            service: vec![IpAddr::V4(SERVICE_V4), IpAddr::V6(SERVICE_V6)],
            virtual_mac: virtual_mac(),
        }
    }

    /// The MAC address at which clients reach the service while `node` is active.
    pub fn service_mac(&self, node: u8) -> Mac {
        match self.mac {
            MacMode::Virtual => virtual_mac(),
            MacMode::Own => node_mac(node),
        }
    }

    /// Everything a node has sent, on all its TAPs.
    ///
    /// # Errors
    /// When the recording is not complete.
    pub fn sent(&self, node: u8) -> Result<Vec<capture::Frame>> {
        let index = usize::from(node).checked_sub(1).context("node ids start at 1")?;
        let captures = self.captures.get(index).with_context(|| format!("no node {node}"))?;
        let mut frames = Vec::new();
        for capture in captures {
            frames.extend(capture.drain()?);
        }
        frames.sort_by_key(|frame| frame.at);
        Ok(frames)
    }

    /// Requires that a node was silent from `from` (see [`capture::now`]) until now.
    ///
    /// # Errors
    /// The frames it sent for the service.
    pub fn require_silence(&self, node: u8, from: u64) -> Result<()> {
        let until = capture::now();
        let frames = self.sent(node)?;
        no_leaks(&self.identity().leaks(node, &frames, from..until))
    }

    /// Requires that no node ever spoke out of turn. Not for a network that was divided.
    ///
    /// # Errors
    /// The frames that nodes sent out of turn, or that none was sent at all.
    pub fn require_turns(&self) -> Result<()> {
        let mut recorded = Vec::new();
        for node in self.lab.nodes() {
            recorded.push((node.id(), self.sent(node.id())?));
        }
        let spoken: usize = recorded.iter().map(|(_, frames)| self.identity().spoken(frames)).sum();
        ensure!(spoken > 0, "no node ever spoke for the service: the recordings prove nothing");
        no_leaks(&self.identity().out_of_turn(&recorded))
    }

    /// The statuses and the last frames of all nodes, for the report of a failure.
    pub fn report(&self) -> String {
        let mut report = String::new();
        for node in self.lab.nodes() {
            let id = node.id();
            match self.status(id) {
                Ok(status) => report += &format!("--- status of node {id}\n{status:#}\n"),
                Err(error) => report += &format!("--- status of node {id}: {error:#}\n"),
            }
            let frames = self.sent(id).unwrap_or_default();
            let spoken = self.identity().spoken(&frames);
            let _ = writeln!(
                report,
                "--- node {id} sent {} frames, {spoken} for the service",
                frames.len()
            );
            for frame in frames.iter().rev().take(20).rev() {
                let text =
                    parse(&frame.bytes).map_or("truncated".into(), |frame| frame.to_string());
                let _ = writeln!(report, "{} ms  {text}", frame.at / 1_000_000);
            }
        }
        report
    }
}

fn no_leaks(leaks: &[Leak]) -> Result<()> {
    if leaks.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = leaks.iter().take(20).map(Leak::to_string).collect();
    bail!("{} frames leaked:\n{}", leaks.len(), lines.join("\n"))
}

/// `02:4c:6f:GG:GG:00`.
fn virtual_mac() -> Mac {
    let [high, low] = GROUP.to_be_bytes();
    Mac([0x02, 0x4c, 0x6f, high, low, 0])
}

/// `02:4c:6f:GG:GG:NN`.
fn node_mac(node: u8) -> Mac {
    let [high, low] = GROUP.to_be_bytes();
    Mac([0x02, 0x4c, 0x6f, high, low, node])
}

/// Where the configuration file of a node is.
pub fn config_file(lab: &Lab, node: u8) -> PathBuf {
    lab.files().join(format!("node{node}.toml"))
}

fn socket(lab: &Lab, node: u8) -> PathBuf {
    lab.files().join(format!("node{node}.sock"))
}

/// A duration as the configuration writes it.
fn humantime(duration: Duration) -> String {
    format!("{}us", duration.as_micros())
}
