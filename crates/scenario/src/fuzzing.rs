//! The body of the fuzz target `scenario`; an ordinary test replays its corpus through it.

use std::time::Duration;

use crate::judge::judge;
use crate::model::{Scenario, Span};
use crate::sim_world;

/// Longer ones are read and checked, and not run.
const DURATION_MAX: Duration = Duration::from_millis(100);
const PROGRAMS_MAX: usize = 4;

/// Reads `input` as a scenario, and runs it if it is small.
///
/// # Panics
/// When something is wrong that its report does not show. That is a defect, as is any other panic.
pub fn scenario(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut scenario = match Scenario::parse(&text, "input", "input.toml") {
        Ok(scenario) => scenario,
        Err(report) => {
            assert!(!report.problems().is_empty(), "a scenario is refused for a reason");
            let _ = report.to_string();
            return;
        }
    };
    let programs = scenario.clients.iter().map(|client| client.get_ref().programs.len());
    if programs.sum::<usize>() > PROGRAMS_MAX {
        return;
    }
    let end = Span(DURATION_MAX.min(scenario.duration.0));
    scenario.duration = end;
    scenario.steps.retain(|step| step.get_ref().at <= end);
    if let Ok(outcome) = sim_world::run(&scenario, 0, None, &mut |_| {}) {
        judge(&scenario, &outcome);
    }
}
