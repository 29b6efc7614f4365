//! Locum in the lab: a group of real `locum run` processes, known from outside alone.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::capture::{self, Capture};
use crate::frame::{Mac, parse};
use crate::leak::{Identity, Leak};
pub use crate::node::MacMode;
use crate::node::{self, Locum, NodeFile, node_mac, virtual_mac};
use crate::process::Process;
use crate::topology::{Lab, Node};
use crate::wait;

/// How long a node may take for what should take milliseconds, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What the configuration files of a group say.
#[derive(Clone, Debug)]
pub struct Config {
    /// `group.mac`.
    pub mac: MacMode,
    /// `heartbeat.interval` and `heartbeat.dead_after`; `None` leaves locum's defaults.
    pub heartbeat: Option<(Duration, Duration)>,
    /// Whether heartbeats have their own network (see [`crate::Topology::heartbeat_network`]).
    pub heartbeat_tap: bool,
    /// `replication.enabled`.
    pub replication: bool,
    /// Whether every frame is recorded, which costs more than locum does: not where that is measured.
    pub recorded: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mac: MacMode::Virtual,
            heartbeat: None,
            heartbeat_tap: false,
            replication: true,
            recorded: true,
        }
    }
}

impl Config {
    /// The file of one node.
    pub fn file(&self, lab: &Lab, node: u8) -> NodeFile {
        let peers = lab.nodes().iter().map(Node::id).filter(|&peer| peer != node);
        NodeFile {
            id: node,
            // The lower id is preferred; far enough apart for a stagger to show.
            priority: 210u8.saturating_sub(node.saturating_mul(10)),
            peers: peers.collect(),
            mac: self.mac,
            interval: self.heartbeat.map(|(interval, _)| interval),
            dead_after: self.heartbeat.map(|(_, dead_after)| dead_after),
            heartbeat_tap: self.heartbeat_tap,
            replication: self.replication,
            preempt: None,
            files: lab.files().to_owned(),
        }
    }
}

/// A group of nodes, with a recording of every frame that each of them sends unless [`Config::recorded`] says otherwise.
#[derive(Debug)]
pub struct Group<'lab> {
    lab: &'lab Lab,
    locum: Locum,
    mac: MacMode,
    nodes: Vec<Option<Process>>,
    captures: Vec<Vec<Capture>>,
    /// Nodes that were ever stopped by [`Group::freeze`].
    frozen: BTreeSet<u8>,
}

/// What the status of a node must say, for [`Group::wait_for`].
pub type Expected<'a> = (u8, &'a str);

impl<'lab> Group<'lab> {
    /// Writes key, configuration and web site, starts the recordings if there are to be any, but no node yet.
    ///
    /// # Errors
    /// When `locum keygen` or tcpdump fail.
    pub fn prepare(lab: &'lab Lab, binary: &Path, config: &Config) -> Result<Group<'lab>> {
        let locum = Locum::new(binary, lab.files());
        locum.prepare()?;
        let mut captures = Vec::new();
        for node in lab.nodes() {
            config.file(lab, node.id()).write()?;
            let taps: &[&str] = match (config.recorded, config.heartbeat_tap) {
                (false, _) => &[],
                (true, false) => &["tap0"],
                (true, true) => &["tap0", "hb0"],
            };
            captures.push(taps.iter().map(|tap| node.capture(tap)).collect::<Result<_>>()?);
        }
        let nodes = lab.nodes().iter().map(|_| None).collect();
        Ok(Group { lab, locum, mac: config.mac, nodes, captures, frozen: BTreeSet::new() })
    }

    /// Prepares a group, starts all nodes, and waits for one active node, all others waiting.
    ///
    /// # Errors
    /// When they do not come up.
    pub fn start(lab: &'lab Lab, binary: &Path, config: &Config) -> Result<Group<'lab>> {
        let mut group = Group::prepare(lab, binary, config)?;
        group.bring_up()?;
        Ok(group)
    }

    /// Starts all nodes, and waits for one active node, all others waiting.
    ///
    /// # Errors
    /// When they do not come up.
    pub fn bring_up(&mut self) -> Result<()> {
        for (index, node) in self.lab.nodes().iter().enumerate() {
            self.start_node(node.id())?;
            if index == 0 {
                // On a starved machine several that start at once may claim at once, which is no trial's subject.
                self.wait_for(&[(node.id(), "active")])?;
            }
        }
        self.wait_steady().map(drop)
    }

    /// Starts a node that does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_node(&mut self, node: u8) -> Result<()> {
        let config = config_file(self.lab, node).to_string_lossy().into_owned();
        let process =
            self.lab.node(node).spawn("locum", self.locum.binary(), &["run", "-c", &config])?;
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
        self.locum.status(node)
    }

    /// Asks a node to hand over.
    ///
    /// # Errors
    /// When it refuses.
    pub fn handover(&self, node: u8) -> Result<()> {
        self.locum.handover(node, None)
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

    /// Waits until the active node is protected, and all others that run are in sync.
    ///
    /// # Errors
    /// What each said last, when it is not so within [`PATIENCE`].
    pub fn wait_protected(&self) -> Result<()> {
        wait::until("a protected group", PATIENCE, || self.protected())
    }

    /// Whether the active node is protected, and all others that run are in sync.
    ///
    /// # Errors
    /// What each says, when it is not so.
    pub fn protected(&self) -> Result<(), String> {
        let running = self.lab.nodes().iter().zip(&self.nodes).filter(|(_, slot)| slot.is_some());
        let words: Vec<String> = running
            .map(|(node, _)| match self.status(node.id()) {
                Ok(status) => status["replication"]["protection"].to_string(),
                Err(error) => format!("{error:#}"),
            })
            .collect();
        let good = |word: &String| word == "\"protected\"" || word == "\"in_sync\"";
        if words.iter().all(good) { Ok(()) } else { Err(format!("{words:?}")) }
    }

    /// Stops the worker of a node: SIGSTOP. What its log says of stalls from then on is the trial's doing.
    ///
    /// # Errors
    /// When the node does not run.
    pub fn freeze(&mut self, node: u8) -> Result<()> {
        self.frozen.insert(node);
        self.process(node)?.signal_worker(Signal::STOP)
    }

    /// Lets the worker of a node go on: SIGCONT.
    ///
    /// # Errors
    /// When the node does not run.
    pub fn thaw(&mut self, node: u8) -> Result<()> {
        self.process(node)?.signal_worker(Signal::CONT)
    }

    /// A node whose loop stood still for longer than its lease, by its own log, though nobody ever froze it: the machine
    /// under it stalled.
    pub fn stalled(&self) -> Option<u8> {
        let mut nodes = self.lab.nodes().iter().map(Node::id);
        nodes.find(|node| !self.frozen.contains(node) && tells_of_stall(&self.log(*node)))
    }

    /// What a node has logged so far, over all of its starts.
    fn log(&self, node: u8) -> String {
        let file = self.lab.files().join(format!("node{node}-locum.err"));
        // There is none before the first start.
        std::fs::read_to_string(file).unwrap_or_default()
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
        node::identity()
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

/// `[2026-11-23T08:56:48.756588Z INFO  locum] mode from=active to=fenced cause=stall term=2`
fn tells_of_stall(log: &str) -> bool {
    let mut changes = log.lines().filter(|line| line.contains("] mode from="));
    changes.any(|line| line.contains(" cause=stall "))
}

fn no_leaks(leaks: &[Leak]) -> Result<()> {
    if leaks.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = leaks.iter().take(20).map(Leak::to_string).collect();
    bail!("{} frames leaked:\n{}", leaks.len(), lines.join("\n"))
}

/// Where the configuration file of a node is.
pub fn config_file(lab: &Lab, node: u8) -> PathBuf {
    node::config_file(lab.files(), node)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FENCED: &str = "[2026-11-23T08:56:48.756588Z INFO  locum::daemon::event_log] \
        mode from=active to=fenced cause=stall term=2 detection_ms=0.0\n";

    #[test]
    fn a_stall_is_a_change_of_mode_with_that_cause() {
        assert!(tells_of_stall(FENCED));
        assert!(!tells_of_stall(&FENCED.replace("cause=stall", "cause=silence(node 1)")));
        assert!(!tells_of_stall("[x WARN  locum] the disk is cause=stall of it\n"));
    }
}
