//! Logs: to stderr, one line per event, `RUST_LOG` before the configuration file.
//!
//! Under systemd (stderr is the journal) a line starts with the priority in angle brackets
//! instead of a time, as `sd-daemon(3)` asks for, because the journal keeps its own time.

use std::env;
use std::io::Write;

use env_logger::{Builder, Env, Target};
use log::{Level, LevelFilter, Record};

/// The level, unless the file or `RUST_LOG` says otherwise: mode changes and warnings show.
pub const LEVEL: LevelFilter = LevelFilter::Info;

/// Sets up the log of the process; once.
///
/// # Errors
/// A logger has been set up before.
pub fn init(level: LevelFilter) -> Result<(), log::SetLoggerError> {
    let mut builder = Builder::new();
    builder.target(Target::Stderr);
    if has_rust_log() {
        builder.parse_env(Env::default());
    } else {
        // The logger itself lets all through, so that `set_level` can raise the level later.
        builder.filter_level(LevelFilter::Trace);
    }
    if env::var_os("JOURNAL_STREAM").is_some() {
        builder.format(|out, record| writeln!(out, "{}", journal_line(record)));
    } else {
        builder.format_timestamp_micros();
    }
    builder.try_init()?;
    set_level(level);
    Ok(())
}

/// Changes the level of the running process; false if `RUST_LOG` decides instead.
pub fn set_level(level: LevelFilter) -> bool {
    let ours = !has_rust_log();
    if ours {
        log::set_max_level(level);
    }
    ours
}

fn has_rust_log() -> bool {
    env::var_os(env_logger::DEFAULT_FILTER_ENV).is_some_and(|filter| !filter.is_empty())
}

fn journal_line(record: &Record<'_>) -> String {
    let priority = match record.level() {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    // A priority holds for one line.
    let text = record.args().to_string().replace('\n', &format!("\n<{priority}>  "));
    format!("<{priority}>{}: {text}", record.target())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_journal_has_a_priority() {
        let args = format_args!("cannot lock memory\nraise LimitMEMLOCK");
        let record = Record::builder().level(Level::Warn).target("locum").args(args).build();
        assert_eq!(journal_line(&record), "<4>locum: cannot lock memory\n<4>  raise LimitMEMLOCK");
    }
}
