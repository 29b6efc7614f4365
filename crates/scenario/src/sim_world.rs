//! The world of the simulator: whole nodes and clients in one process, in virtual time.
//!
//! What belongs here: building the scenario's world, doing to it what the scenario says, and telling
//! what came of it as an [`Outcome`]. What does not: whether that is what was expected.

mod capture;
mod hands;
mod stage;
mod status;
mod tracks;

use std::path::Path;
use std::time::Duration;

use self::capture::Captures;
use self::hands::carry_out;
use self::stage::Stage;
use self::tracks::Tracks;
use crate::model::{Scenario, Span, Step, World};
use crate::outcome::{Fault, News, Outcome, overlaps};

/// A group has this long to settle, in virtual time: enough for the retries of any client.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// And this long in terms of its detection time, twice of which joining takes.
const SETTLED_AFTER_DETECTIONS: u32 = 20;

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The beginning never ended: not every node joined, no single one is active, or a client was
    /// never answered.
    #[error(
        "the group does not settle within {limit} of virtual time: {why}; check its times and its network"
    )]
    NeverSettled {
        /// How long it had.
        limit: Span,
        /// What is missing.
        why: String,
    },
    /// A capture cannot be written.
    #[error("cannot write a capture: {0}")]
    Capture(#[from] std::io::Error),
}

/// Runs a scenario. The same scenario and seed give the same outcome.
///
/// `keep` is a directory that gets a capture of every cable. `tell` hears of everything as it happens.
///
/// # Errors
/// When the group does not settle, or a capture cannot be written.
pub fn run(
    scenario: &Scenario,
    seed: u64,
    keep: Option<&Path>,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Outcome, RunError> {
    let mut stage = Stage::build(scenario, seed);
    let captures = keep.map(|directory| Captures::start(&mut stage, directory)).transpose()?;
    let mut tracks = Tracks::watch(&mut stage);
    stage.start_nodes(scenario);
    let limit = SETTLED_AFTER.max(scenario.group.dead_after() * SETTLED_AFTER_DETECTIONS);
    let limit = Span(limit);
    settle(
        &mut stage,
        &mut tracks,
        limit,
        "one node is not active, or another joins",
        Stage::has_joined,
    )?;
    stage.start_programs(scenario);
    settle(&mut stage, &mut tracks, limit, "a client is not answered", Stage::is_answered)?;
    tracks.begin(&stage);
    let mut steps: Vec<&Step> = scenario.steps.iter().map(|step| step.get_ref()).collect();
    steps.sort_by_key(|step| step.at);
    let mut faults = Vec::new();
    for step in steps {
        tracks.play_until(&mut stage, step.at.0, tell);
        let fault = Fault { at: step.at.0, what: step.to_string(), node: stage.subject(step) };
        tell(News::Fault(&fault));
        faults.push(fault);
        carry_out(&mut stage, step);
    }
    tracks.play_until(&mut stage, scenario.duration.0, tell);
    captures.map_or(Ok(()), Captures::finish)?;
    let leaks = stage.world.leaks();
    let leak = |leak: &locum_sim::Leak| {
        let at = humantime::format_duration(leak.at.saturating_since(tracks.start()));
        format!("{at}: node {}, {}: {}", leak.node, leak.mode, leak.what)
    };
    let (leaks, frames_checked) = (leaks.first().iter().map(leak).collect(), leaks.checked());
    let clients = stage.client_tracks(tracks.start());
    let nodes = tracks.into_nodes(&stage);
    Ok(Outcome {
        scenario: scenario.source.name.clone(),
        world: World::Sim,
        seed,
        duration: scenario.duration.0,
        overlaps: overlaps(&nodes, scenario.duration.0),
        nodes,
        clients,
        faults,
        leaks,
        frames_checked,
    })
}

/// Lets time pass until `condition` holds.
fn settle(
    stage: &mut Stage,
    tracks: &mut Tracks,
    limit: Span,
    otherwise: &str,
    condition: impl Fn(&Stage) -> bool,
) -> Result<(), RunError> {
    let end = stage.world.now() + limit.0;
    loop {
        stage.world.step();
        tracks.look(stage, &mut |_| {});
        if condition(stage) {
            return Ok(());
        }
        if !stage.world.advance(end) {
            let why = format!("{otherwise} ({})", stage.modes());
            return Err(RunError::NeverSettled { limit, why });
        }
    }
}
