//! A case: its network, its group of nodes, what happens, and the judgement at the end.

use std::env;
use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use locum_lab::locum::{Config, Group};
use locum_lab::{Lab, Topology, enter, room};

/// Names a directory that gets the files of failed trials.
const KEEP: &str = "LOCUM_LAB_KEEP";

/// Runs of one trial, at most, until one is not void.
const RUNS_MAX: usize = 3;

/// One trial.
pub(crate) struct Case {
    /// What is claimed.
    pub(crate) name: &'static str,
    topology: Topology,
    body: Body,
    needs: Option<Need>,
}

/// What need not be there.
enum Need {
    /// A program.
    Tool(&'static str),
    /// Whatever this misses, if it does.
    Other(fn() -> Option<String>),
}

enum Body {
    /// The lab itself, without locum.
    Lab(fn(&Lab) -> Result<()>),
    /// A group that has come up: one node active, all others waiting.
    Group { config: Config, play: Play, divided: bool },
}

/// Why a run failed.
struct Failure {
    /// Everything one needs to understand it.
    text: String,
    /// The node under which the machine stalled: the run says nothing about the claim.
    stalled: Option<u8>,
}

/// What happens to a group.
pub(crate) type Play = fn(&Lab, &mut Group<'_>) -> Result<()>;

impl Case {
    /// A trial of the lab.
    pub(crate) fn lab(
        name: &'static str,
        topology: Topology,
        play: fn(&Lab) -> Result<()>,
    ) -> Case {
        Case { name, topology, body: Body::Lab(play), needs: None }
    }

    /// A trial of a group in its default configuration.
    pub(crate) fn group(name: &'static str, topology: Topology, play: Play) -> Case {
        Case::configured(name, topology, Config::default(), play)
    }

    /// A trial of a group.
    pub(crate) fn configured(
        name: &'static str,
        topology: Topology,
        config: Config,
        play: Play,
    ) -> Case {
        let body = Body::Group { config, play, divided: false };
        Case { name, topology, body, needs: None }
    }

    /// The trial divides the network: two nodes may speak for a while, each on its own side, and the
    /// trial itself says who had to be silent when.
    pub(crate) fn divided(mut self) -> Case {
        if let Body::Group { divided, .. } = &mut self.body {
            *divided = true;
        }
        self
    }

    /// The trial makes more frames than tcpdump can write down on a busy machine: nobody looks whose turn it was.
    pub(crate) fn unwatched(self) -> Case {
        self.divided()
    }

    /// The trial needs a program that need not be there.
    pub(crate) fn needs(mut self, tool: &'static str) -> Case {
        self.needs = Some(Need::Tool(tool));
        self
    }

    /// The trial needs something else that need not be there: `lacks` says what is missing, and how to get it.
    pub(crate) fn needs_what(mut self, lacks: fn() -> Option<String>) -> Case {
        self.needs = Some(Need::Other(lacks));
        self
    }

    /// Why it cannot run, if it cannot.
    pub(crate) fn lacks(&self) -> Option<String> {
        match self.needs.as_ref()? {
            Need::Tool(tool) => {
                let lacks = || format!("no `{tool}`: apt-get install {tool}");
                enter::find_tool(tool).is_none().then(lacks)
            }
            Need::Other(lacks) => lacks(),
        }
    }

    /// Runs it. The error of a failure has everything one needs to understand it.
    ///
    /// A run that failed, and in which the machine stalled so that a node lost its lease although the trial never stopped
    /// its process, is void: it begins anew, a few times.
    pub(crate) fn play(&self) -> Result<(), String> {
        for run in 1..RUNS_MAX {
            match self.run() {
                Ok(()) => return Ok(()),
                Err(Failure { text, stalled: None }) => return Err(text),
                Err(Failure { stalled: Some(node), .. }) => {
                    let name = self.name;
                    let void = "is void, the machine stalled under node";
                    let _ = writeln!(stderr(), "netns: {name}: run {run} {void} {node}: again");
                }
            }
        }
        self.run().map_err(|Failure { text, stalled }| match stalled {
            Some(node) => format!("node {node} stalled, in the last of {RUNS_MAX} runs:\n{text}"),
            None => text,
        })
    }

    fn run(&self) -> Result<(), Failure> {
        let sound = |text| Failure { text, stalled: None };
        let lab = Lab::new("t", self.topology).map_err(|error| sound(format!("{error:#}")))?;
        let played = match &self.body {
            Body::Lab(play) => guarded(|| play(&lab)).map_err(|error| sound(format!("{error:#}"))),
            Body::Group { config, play, divided } => play_group(&lab, config, *play, *divided),
        };
        played.map_err(|Failure { text, stalled }| {
            let kept = keep(self.name, lab.files());
            Failure { text: format!("{text}\n{}{kept}", lab.logs()), stalled }
        })
    }
}

fn play_group(lab: &Lab, config: &Config, play: Play, divided: bool) -> Result<(), Failure> {
    let binary = Path::new(env!("CARGO_BIN_EXE_locum"));
    let mut group = Group::prepare(lab, binary, config)
        .map_err(|error| Failure { text: format!("prepare: {error:#}"), stalled: None })?;
    let played = guarded(|| {
        group.bring_up().context("start")?;
        play(lab, &mut group)?;
        if divided { Ok(()) } else { group.require_turns() }
    });
    played.map_err(|error| Failure {
        text: format!("{error:#}\n{}", group.report()),
        stalled: group.stalled(),
    })
}

/// A failed assertion is reported with the logs, as any other failure.
fn guarded(play: impl FnOnce() -> Result<()>) -> Result<()> {
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(anyhow!("panicked: {}", text.unwrap_or("without words")))
    })
}

fn keep(name: &str, files: &Path) -> String {
    let Some(target) = env::var_os(KEEP) else {
        return format!("({KEEP}=DIR keeps the logs and captures)");
    };
    let target = Path::new(&target).join(name);
    match room::keep(files, &target) {
        Ok(()) => format!("logs and captures are in {}", target.display()),
        Err(error) => format!("cannot keep logs and captures: {error:#}"),
    }
}
