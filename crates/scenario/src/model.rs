//! The file format, as data. What must hold between the parts is in `check`.
//!
//! Times count from the moment at which the group has settled: every node that starts with the
//! scenario has joined, one of them is active, and every client was answered once.

mod attack;
mod cable;

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize as _};
use toml::Spanned;

pub(crate) use cable::shares;
pub use locum_link::segment::impair::Impairment;

/// The priority of a node whose scenario gives none.
pub const PRIORITY: u8 = 100;

/// One scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Where it came from.
    #[serde(skip)]
    pub source: Source,
    /// What happens, and what must come of it, in a sentence or two.
    pub about: String,
    /// When it ends.
    pub duration: Span,
    /// The worlds it runs in; both unless it says otherwise.
    #[serde(default = "World::all")]
    pub worlds: Vec<World>,
    /// By how much an outage in network namespaces may exceed the simulator's.
    #[serde(default = "tolerance")]
    pub tolerance: Span,
    /// What the nodes share.
    #[serde(default)]
    pub group: Group,
    /// The switches; one named `lan` if there is none.
    #[serde(default, rename = "segment")]
    pub segments: Vec<Spanned<Segment>>,
    /// Cables between switches.
    #[serde(default, rename = "trunk")]
    pub trunks: Vec<Spanned<Trunk>>,
    /// The nodes.
    #[serde(rename = "node")]
    pub nodes: Vec<Spanned<Node>>,
    /// The client machines.
    #[serde(default, rename = "client")]
    pub clients: Vec<Spanned<Client>>,
    /// Machines that mean harm.
    #[serde(default, rename = "hostile")]
    pub hostiles: Vec<Spanned<Hostile>>,
    /// What is done to them all.
    #[serde(default, rename = "step")]
    pub steps: Vec<Spanned<Step>>,
    /// What must be true.
    #[serde(default, rename = "expect")]
    pub expectations: Vec<Spanned<Expectation>>,
}

/// The file of a scenario, to point into.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The scenario's name: that of its file, without `.toml`.
    pub name: String,
    /// What the file says.
    pub text: String,
}

impl Source {
    /// The number of the line at which `place` begins, from 1.
    pub fn line(&self, place: &Place) -> usize {
        let before = self.text.bytes().take(place.start);
        before.filter(|&byte| byte == b'\n').count() + 1
    }
}

/// Where a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// The simulator: virtual time.
    Sim,
    /// Network namespaces: real processes, real time.
    Netns,
}

impl World {
    /// Its name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            World::Sim => "sim",
            World::Netns => "netns",
        }
    }

    fn all() -> Vec<World> {
        vec![World::Sim, World::Netns]
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What the nodes share. The addresses are the laboratory's, always.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// `virtual` or `own`.
    pub mac: Mac,
    /// How often nodes beat; 10 ms unless it says otherwise.
    pub interval: Option<Span>,
    /// After how long a silence a node is dead; three intervals unless it says otherwise.
    pub dead_after: Option<Span>,
    /// Pre-emption, after this delay; without it a node that comes back waits.
    pub preempt_delay: Option<Span>,
    /// Whether connections survive a node; they do unless it says otherwise.
    pub replicate: Option<bool>,
}

impl Group {
    /// Whether connections survive a node.
    pub fn replicate(&self) -> bool {
        self.replicate.unwrap_or(true)
    }

    /// How often nodes beat.
    pub fn interval(&self) -> Duration {
        self.interval.map_or(Duration::from_millis(10), |interval| interval.0)
    }

    /// After how long a silence a node is dead.
    pub fn dead_after(&self) -> Duration {
        self.dead_after.map_or(self.interval() * 3, |dead_after| dead_after.0)
    }
}

/// Whose MAC address the service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mac {
    /// The group's.
    #[default]
    Virtual,
    /// The active node's own.
    Own,
}

/// One learning switch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// When it forgets a silent station; 300 s unless it says otherwise. Zero makes it a hub.
    pub ageing: Option<Span>,
}

/// A cable between two switches; its transmit side is the first's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trunk {
    /// Its name, for steps.
    pub name: String,
    /// The switches it joins.
    pub between: [String; 2],
}

/// One node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its id, 1 to 16. Its cable is called `node<id>`.
    pub id: u8,
    /// Its rank; 100 unless it says otherwise.
    pub priority: Option<u8>,
    /// The switch it is plugged into; the first unless it says otherwise.
    pub segment: Option<String>,
    /// Whether it runs from the beginning; yes unless it says otherwise.
    #[serde(default = "yes")]
    pub starts: bool,
}

/// One client machine. Its cable has its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// The switch it is plugged into; the first unless it says otherwise.
    pub segment: Option<String>,
    /// What runs on it.
    pub programs: Vec<Program>,
}

/// A program that asks the service again and again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// What it sends.
    pub kind: ProgramKind,
    /// How often; 10 ms unless it says otherwise.
    pub every: Option<Span>,
}

impl Program {
    /// How often it sends.
    pub fn every(&self) -> Duration {
        self.every.map_or(Duration::from_millis(10), |every| every.0)
    }
}

/// What a program sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramKind {
    /// Datagrams to the echo service.
    UdpEcho,
    /// Datagrams to the echo service at its IPv6 address.
    UdpEcho6,
    /// Requests of 64 bytes on one connection to the echo service, made again when it is lost.
    TcpEcho,
    /// ICMP echo requests.
    Ping,
    /// ICMPv6 echo requests.
    Ping6,
}

impl std::fmt::Display for ProgramKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

/// A machine that means harm. Its cable has its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hostile {
    /// Its name.
    pub name: String,
    /// The switch it is plugged into; the first unless it says otherwise.
    pub segment: Option<String>,
}

/// One thing that is done. Which of the optional keys an action needs is in docs/SCENARIOS.md.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When.
    pub at: Span,
    /// What.
    #[serde(rename = "do")]
    pub action: Action,
    /// To which node.
    pub node: Option<u8>,
    /// To which cable: of a node (`node1`), of a client or hostile (its name), or a trunk.
    pub link: Option<String>,
    /// Which direction of the cable, as its owner sees it; both unless it says otherwise.
    pub way: Option<Way>,
    /// Hand-over: to which node.
    pub to: Option<u8>,
    /// Impair: what happens to frames.
    pub with: Option<Impairment>,
    /// Attack: which hostile machine.
    pub hostile: Option<String>,
    /// Attack: with what; the names are those of `locum_sim::Weapon`.
    pub weapons: Option<Vec<String>>,
    /// Attack: how often; every 2 ms unless it says otherwise.
    pub every: Option<Span>,
    /// Jump-clock: by how much, forward.
    pub by: Option<Span>,
}

impl std::fmt::Display for Step {
    /// For people: `kill node 1`, `cut node2 (tx)`, `jump-clock node 1 by 2s`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.action)?;
        if let Some(node) = self.node {
            write!(f, " node {node}")?;
        }
        if let Some(to) = self.to {
            write!(f, " to node {to}")?;
        }
        if let Some(link) = &self.link {
            write!(f, " {link}")?;
        }
        match self.way {
            Some(Way::Tx) => f.write_str(" (tx)")?,
            Some(Way::Rx) => f.write_str(" (rx)")?,
            Some(Way::Both) | None => {}
        }
        if let Some(hostile) = &self.hostile {
            write!(f, " by {hostile}")?;
        }
        if let Some(with) = &self.with {
            write!(f, " with {}", cable::words(with))?;
        }
        if let Some(weapons) = &self.weapons {
            write!(f, " with {}", weapons.join(", "))?;
        }
        match self.by {
            Some(by) => write!(f, " by {by}"),
            None => Ok(()),
        }
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Starts a node that is not running.
    Start,
    /// SIGKILL to the worker: its warden says goodbye.
    KillWorker,
    /// SIGKILL to worker and warden at once: nobody says goodbye.
    Kill,
    /// SIGTERM.
    Terminate,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Thaw,
    /// The operator's `locum handover`.
    HandOver,
    /// Cuts a cable, where nobody sees it.
    Cut,
    /// Mends it.
    Heal,
    /// Takes the port at the switch down; both ends see it.
    LinkDown,
    /// Takes it up again.
    LinkUp,
    /// Makes a cable a bad one.
    Impair,
    /// Makes it a good one again.
    Clear,
    /// Sets a hostile machine to work.
    Attack,
    /// Calls it off.
    Cease,
    /// The wall clock of a node's machine jumps (simulator: the monotonic one, as after a VM pause).
    JumpClock,
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

/// A direction of a cable, as its owner sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Both.
    #[default]
    Both,
    /// From the owner into the switch.
    Tx,
    /// From the switch to the owner.
    Rx,
}

/// One thing that must be true. It is about modes (`active`, `waiting`, `fenced`, `joining`, `dead`),
/// about a client (`client` and its bounds), about a counter, or about the whole run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expectation {
    /// The moment it is about.
    pub at: Option<Span>,
    /// The period it is about: from here; the beginning unless it says otherwise.
    pub from: Option<Span>,
    /// To here; the end unless it says otherwise.
    pub to: Option<Span>,
    /// Exactly these nodes are active, and run, at that moment or all through the period.
    pub active: Option<Vec<u8>>,
    /// Among others, these nodes wait.
    pub waiting: Option<Vec<u8>>,
    /// Among others, these are fenced.
    pub fenced: Option<Vec<u8>>,
    /// Among others, these are not running.
    pub dead: Option<Vec<u8>>,
    /// The client it is about; every client unless it says otherwise.
    pub client: Option<String>,
    /// The program of that client it is about; each of them unless it says otherwise.
    pub program: Option<ProgramKind>,
    /// The longest silence it may see, less the time between its requests.
    pub outage_max: Option<Span>,
    /// And the shortest that the longest one must have: a fault that is not felt proves nothing.
    pub outage_min: Option<Span>,
    /// Requests that may stay without an answer.
    pub lost_max: Option<u64>,
    /// Connections that may be lost.
    pub connections_lost_max: Option<u64>,
    /// The node whose counter it is about.
    pub node: Option<u8>,
    /// The counter, by its path in `locum status --json`, such as `heartbeat.monitor.takeovers`.
    pub counter: Option<String>,
    /// Its least value at the end.
    pub min: Option<u64>,
    /// Its greatest value at the end.
    pub max: Option<u64>,
    /// How many changes to active there may be in the period.
    pub takeovers_max: Option<u64>,
    /// And how many there must be.
    pub takeovers_min: Option<u64>,
    /// How long, in all, more than one node may be active in the period.
    pub overlap_max: Option<Span>,
}

/// How the complaint about a duration that is none begins.
pub(crate) const NOT_A_DURATION: &str = "is not a duration";

/// Nothing in a scenario takes longer.
pub(crate) const SPAN_MAX: Duration = Duration::from_secs(3600);

/// A duration written as people do: `"30ms"`, `"1.5s"` is `"1s 500ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let span = humantime::parse_duration(&text)
            .map_err(|error| serde::de::Error::custom(format!("{NOT_A_DURATION}: {error}")))?;
        if span > SPAN_MAX {
            return Err(serde::de::Error::custom("is more than an hour, and scenarios are short"));
        }
        Ok(Span(span))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// Where something stands in the file, in bytes.
pub type Place = Range<usize>;

fn tolerance() -> Span {
    Span(Duration::from_millis(35))
}

fn yes() -> bool {
    true
}
