//! The demonstration: three nodes in one process, no root, no TAP.
//!
//! The nodes are whole nodes, the same assembly that `locum run` runs, on an Ethernet segment in
//! memory (`locum-sim`). The world tells when something happens next; the [pace] waits for it by the
//! real clock. Everything shown was measured in this very run.
//!
//! [script] says what is done and what must hold, [stage] does it and writes the [timeline],
//! [mod@check] judges it; [text], [json], [svg] and [summary] show it.

mod check;
mod json;
mod pace;
mod script;
mod sniffer;
mod stage;
mod summary;
mod svg;
mod text;
mod timeline;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;
use locum_sim::Lan;

use self::pace::RealTime;
use self::summary::Summary;
use self::text::Text;
use self::timeline::Entry;
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

/// Runs the demonstration: [`Exit::Ok`] only if every check it announced held.
///
/// A reader that closes the pipe ends it early and quietly.
///
/// # Errors
/// A speed that is none, output that cannot be written.
pub fn run(options: &Options) -> anyhow::Result<Exit> {
    if !(options.speed.is_finite() && options.speed > 0.0) {
        anyhow::bail!("the speed must be a number above 0, not {}", options.speed);
    }
    let stdout = io::stdout().lock();
    let colour =
        stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let writer: Box<dyn Writer> =
        if options.json { Box::new(Json) } else { Box::new(Text { colour }) };
    quietly(show(options, writer.as_ref(), stdout))
}

fn show(options: &Options, writer: &dyn Writer, mut out: impl Write) -> anyhow::Result<Exit> {
    out.write_all(writer.header().as_bytes())?;
    out.flush()?;
    let mut pace = RealTime::start(options.speed);
    let mut tell = |entry: &Entry| {
        out.write_all(writer.entry(entry).as_bytes())?;
        out.flush()
    };
    let timeline = stage::play(script::SEED, script::ACTS, options.beats, &mut pace, &mut tell)?;
    let summary = Summary::of(&timeline, pace.elapsed(), pace.lag());
    if let Some(path) = &options.svg {
        std::fs::write(path, svg::draw(&timeline, &summary))
            .with_context(|| format!("cannot write the picture to {}", path.display()))?;
    }
    out.write_all(writer.summary(&summary).as_bytes())?;
    out.flush()?;
    Ok(if summary.held() { Exit::Ok } else { Exit::Failure })
}

/// A reader that went away has seen enough: that is no failure.
fn quietly(result: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
    result.or_else(|error| match error.downcast_ref::<io::Error>() {
        Some(io) if io.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Ok),
        Some(_) | None => Err(error),
    })
}

/// A way to write the timeline, line by line.
trait Writer {
    fn header(&self) -> String;
    fn entry(&self, entry: &Entry) -> String;
    fn summary(&self, summary: &Summary) -> String;
}

impl Writer for Text {
    fn header(&self) -> String {
        Text::header(*self, &format!("{} and {}", Lan::SERVICE_V4, Lan::SERVICE_V6))
    }

    fn entry(&self, entry: &Entry) -> String {
        Text::entry(*self, entry)
    }

    fn summary(&self, summary: &Summary) -> String {
        summary.render(*self)
    }
}

/// The timeline as lines of JSON.
struct Json;

impl Writer for Json {
    fn header(&self) -> String {
        String::new()
    }

    fn entry(&self, entry: &Entry) -> String {
        format!("{}\n", json::entry(entry))
    }

    fn summary(&self, summary: &Summary) -> String {
        format!("{}\n", json::summary(summary))
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
