//! The nodes of a run: their processes, and what was done to them when.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use locum_lab::Namespace;
use locum_lab::capture::{self, Capture};
use locum_lab::node::{Locum, MacMode, NodeFile};
use locum_lab::process::{Process, family};
use locum_lab::wait;
use locum_types::Mode;
use rustix::process::{Pid, Signal, kill_process};

use super::life;
use super::log::{self, LoggedChange};
use super::plant::Plant;
use crate::model::{self, Mac, PRIORITY, Scenario};

/// The TAP of every node, in its own namespace.
pub(super) const TAP: &str = "tap0";

/// How long a node may take for what should take milliseconds, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: u8,
    pub(super) capture: Capture,
    namespace: Namespace,
    files: PathBuf,
    process: Option<Process>,
    /// How long its log was when it was last looked at for news, and how many changes it told.
    looked: (u64, usize),
    /// What was done to the process, and what became of it, in order.
    pub(super) life: Vec<(u64, Life)>,
}

/// A turn in the life of a process. Times are nanoseconds of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Started,
    Frozen,
    Thawed,
    Ended,
}

/// All nodes of a run.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) locum: Locum,
    all: Vec<Node>,
}

impl Nodes {
    /// Writes the configuration files and starts the recordings, but no node yet.
    pub(super) fn prepare(scenario: &Scenario, plant: &Plant, locum: &Path) -> Result<Nodes> {
        let locum = Locum::new(locum, plant.files());
        locum.prepare()?;
        let mut all = Vec::new();
        for node in scenario.nodes.iter().map(|node| node.get_ref()) {
            node_file(scenario, node, plant).write()?;
            let namespace = plant.node(node.id)?.clone();
            let files = plant.files().to_owned();
            let capture = Capture::start(&namespace, &files, &format!("node{}", node.id), TAP)?;
            all.push(Node {
                id: node.id,
                capture,
                namespace,
                files,
                process: None,
                looked: (0, 0),
                life: Vec::new(),
            });
        }
        all.sort_by_key(|node| node.id);
        Ok(Nodes { locum, all })
    }

    pub(super) fn all(&self) -> &[Node] {
        &self.all
    }

    /// Starts the nodes that run from the beginning, until one is active and all others wait.
    pub(super) fn settle(&mut self, scenario: &Scenario) -> Result<()> {
        let nodes = scenario.nodes.iter().map(|node| node.get_ref());
        let mut starting: Vec<&model::Node> = nodes.filter(|node| node.starts).collect();
        starting.sort_by_key(|node| (node.priority.unwrap_or(PRIORITY), node.id));
        // The best first: an election among processes that all start now would be won by the fastest.
        let best = starting.pop().context("no node starts with the scenario")?;
        self.start(best.id)?;
        self.wait_for(best.id, Mode::Active)?;
        for node in &starting {
            self.start(node.id)?;
        }
        for node in &starting {
            self.wait_for(node.id, Mode::Waiting)?;
        }
        Ok(())
    }

    /// Waits until one of the nodes that run is active, and all others wait.
    pub(super) fn wait_steady(&mut self) -> Result<()> {
        wait::until("one active node, the others waiting", PATIENCE, || {
            self.notice_ends();
            let running = self.all.iter().filter(|node| node.process.is_some());
            let modes: Vec<Option<Mode>> = running.map(Node::mode).collect();
            let count = |mode| modes.iter().filter(|&&other| other == Some(mode)).count();
            match count(Mode::Active) == 1 && count(Mode::Waiting) + 1 == modes.len() {
                true => Ok(()),
                false => Err(format!("they are {modes:?}")),
            }
        })
    }

    fn wait_for(&mut self, id: u8, mode: Mode) -> Result<()> {
        let node = self.node(id)?;
        wait::until(&format!("node {id} {mode}"), PATIENCE, || {
            node.notice_end().map_err(|error| error.to_string())?;
            match node.mode() {
                Some(now) if now == mode => Ok(()),
                Some(now) => Err(format!("it is {now}")),
                None => Err("it has said nothing".to_owned()),
            }
        })
    }

    fn node(&mut self, id: u8) -> Result<&mut Node> {
        let node = self.all.iter_mut().find(|node| node.id == id);
        node.with_context(|| format!("the scenario has no node {id}"))
    }

    /// Notes which processes have ended since it last looked.
    pub(super) fn notice_ends(&mut self) {
        for node in &mut self.all {
            // To end is no error here: the judge decides whether it should have.
            let _ = node.notice_end();
        }
    }

    /// A node whose loop stood still for longer than its lease, though nothing was done to its process.
    pub(super) fn stalled(&self) -> Option<u8> {
        self.all
            .iter()
            .find(|node| life::has_stalled(&node.life, &node.changes()))
            .map(|node| node.id)
    }

    /// The changes of mode that the nodes have logged since it was last called.
    pub(super) fn news(&mut self) -> Vec<(u8, LoggedChange)> {
        let news = |node: &mut Node| -> Vec<(u8, LoggedChange)> {
            node.news().into_iter().map(|change| (node.id, change)).collect()
        };
        self.all.iter_mut().flat_map(news).collect()
    }

    pub(super) fn start(&mut self, id: u8) -> Result<()> {
        let binary = self.locum.binary().to_owned();
        let node = self.node(id)?;
        // A warden whose worker was killed needs a moment.
        let _ = node.notice_end();
        ensure!(node.process.is_none(), "node {id} runs already");
        let config = node.files.join(format!("node{id}.toml"));
        let args = ["run".as_ref(), "-c".as_ref(), config.as_os_str()];
        let name = node.log_name();
        node.life.push((capture::now(), Life::Started));
        node.process = Some(Process::spawn(&node.namespace, &node.files, &name, &binary, &args)?);
        Ok(())
    }

    /// The warden lives on and says goodbye.
    pub(super) fn kill_worker(&mut self, id: u8) -> Result<()> {
        let node = self.node(id)?;
        let worker = node.running()?.worker()?;
        node.signal(&[worker], Signal::KILL, Life::Ended)
    }

    pub(super) fn kill(&mut self, id: u8) -> Result<()> {
        let node = self.node(id)?;
        let all = family(node.running()?.pid());
        // Stopped first: a warden must not see its worker die. The rest reaps.
        node.signal(&all, Signal::STOP, Life::Ended)?;
        node.process = None;
        Ok(())
    }

    /// SIGTERM; [`notice_ends`](Self::notice_ends) sees when it has ended.
    pub(super) fn terminate(&mut self, id: u8) -> Result<()> {
        self.node(id)?.running()?.terminate()
    }

    pub(super) fn freeze(&mut self, id: u8) -> Result<()> {
        let node = self.node(id)?;
        let all = family(node.running()?.pid());
        node.signal(&all, Signal::STOP, Life::Frozen)
    }

    pub(super) fn thaw(&mut self, id: u8) -> Result<()> {
        let node = self.node(id)?;
        let all = family(node.running()?.pid());
        node.signal(&all, Signal::CONT, Life::Thawed)
    }

    /// What the nodes that run say of themselves, by id.
    pub(super) fn statuses(&self) -> Vec<serde_json::Value> {
        let status = |node: &Node| match node.life.last() {
            Some((_, Life::Started | Life::Thawed)) => self.locum.status(node.id),
            // A stopped process does not answer.
            Some((_, Life::Frozen | Life::Ended)) | None => Ok(serde_json::Value::Null),
        };
        self.all.iter().map(|node| status(node).unwrap_or_default()).collect()
    }
}

impl Node {
    /// Every change of mode so far.
    pub(super) fn changes(&self) -> Vec<LoggedChange> {
        // There is none before the first start.
        log::mode_changes(&std::fs::read_to_string(self.log()).unwrap_or_default())
    }

    /// The mode it was in when it last logged a change.
    fn mode(&self) -> Option<Mode> {
        self.changes().last().map(|change| change.to)
    }

    fn news(&mut self) -> Vec<LoggedChange> {
        let len = self.log().metadata().map_or(0, |log| log.len());
        let (looked, told) = self.looked;
        if len == looked {
            return Vec::new();
        }
        let news = self.changes().split_off(told);
        self.looked = (len, told + news.len());
        news
    }

    fn log(&self) -> PathBuf {
        self.files.join(format!("{}.err", self.log_name()))
    }

    fn log_name(&self) -> String {
        format!("node{}-locum", self.id)
    }

    fn running(&mut self) -> Result<&mut Process> {
        let id = self.id;
        self.process.as_mut().with_context(|| format!("node {id} does not run"))
    }

    /// An error when the process has ended by itself.
    fn notice_end(&mut self) -> Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        if process.is_running() {
            return Ok(());
        }
        self.process = None;
        if !matches!(self.life.last(), Some((_, Life::Ended))) {
            self.life.push((capture::now(), Life::Ended));
        }
        bail!("node {} has ended", self.id)
    }

    /// Noted before it happens, so that nobody's answer to it comes first. Children before their parents,
    /// which so never see what happens to them.
    fn signal(&mut self, members: &[Pid], signal: Signal, turn: Life) -> Result<()> {
        self.life.push((capture::now(), turn));
        for pid in members.iter().rev() {
            kill_process(*pid, signal)
                .with_context(|| format!("{signal:?} to node {}", self.id))?;
        }
        Ok(())
    }
}

fn node_file(scenario: &Scenario, node: &model::Node, plant: &Plant) -> NodeFile {
    let group = &scenario.group;
    let ids = scenario.nodes.iter().map(|node| node.get_ref().id);
    NodeFile {
        id: node.id,
        priority: node.priority.unwrap_or(PRIORITY),
        peers: ids.filter(|&id| id != node.id).collect(),
        mac: match group.mac {
            Mac::Virtual => MacMode::Virtual,
            Mac::Own => MacMode::Own,
        },
        interval: Some(group.interval()),
        dead_after: Some(group.dead_after()),
        heartbeat_tap: false,
        replication: group.replicate(),
        preempt: group.preempt_delay.map(|span| span.0),
        files: plant.files().to_owned(),
    }
}
