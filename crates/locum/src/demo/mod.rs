//! The demonstration: three nodes in one process, no root, no TAP.

use std::path::PathBuf;

use crate::exit::Exit;

/// How to run and what to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Writes the timeline as a picture into this file.
    pub svg: Option<PathBuf>,
    /// One JSON object per line instead of the timeline.
    pub json: bool,
    /// How many times faster than real time; above 0.
    pub speed: f64,
    /// Shows every beat.
    pub beats: bool,
}

/// Runs the demonstration.
///
/// # Errors
/// Output that cannot be written.
pub fn run(options: &Options) -> anyhow::Result<Exit> {
    anyhow::bail!("the demonstration is not wired yet: {options:?}")
}
