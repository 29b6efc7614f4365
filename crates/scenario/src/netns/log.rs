//! What a node's log tells of its modes.

use std::time::UNIX_EPOCH;

use locum_types::Mode;

/// One change of mode, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoggedChange {
    /// When it was written, in nanoseconds of the wall clock.
    pub(super) at: u64,
    pub(super) from: Mode,
    pub(super) to: Mode,
    pub(super) cause: String,
    pub(super) term: u64,
}

/// The changes in a log, in its order. A line that is still being written is left for later.
pub(super) fn mode_changes(log: &str) -> Vec<LoggedChange> {
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole.lines().filter_map(mode_change).collect()
}

/// `[2026-11-23T08:56:48.756588Z INFO  locum] mode from=waiting to=active cause=silence(node 1) term=2`
fn mode_change(line: &str) -> Option<LoggedChange> {
    let (header, text) = line.strip_prefix('[')?.split_once("] mode from=")?;
    let at = humantime::parse_rfc3339(header.split_whitespace().next()?).ok()?;
    let (from, text) = text.split_once(" to=")?;
    let (to, text) = text.split_once(" cause=")?;
    let (cause, text) = text.split_once(" term=")?;
    Some(LoggedChange {
        at: u64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()?,
        from: mode(from)?,
        to: mode(to)?,
        cause: cause.to_owned(),
        term: text.split_whitespace().next()?.parse().ok()?,
    })
}

fn mode(name: &str) -> Option<Mode> {
    Mode::ALL.into_iter().find(|mode| mode.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKEOVER: &str = "[2026-11-23T08:56:48.756588Z INFO  locum::daemon::event_log] \
        mode from=waiting to=active cause=resigned(node 1, shutdown) term=2 detection_ms=0.0\n";

    #[test]
    fn a_takeover_is_read_with_its_cause_and_its_microseconds() {
        let change = LoggedChange {
            at: 1_795_424_208_756_588_000,
            from: Mode::Waiting,
            to: Mode::Active,
            cause: "resigned(node 1, shutdown)".to_owned(),
            term: 2,
        };
        assert_eq!(mode_changes(TAKEOVER), [change]);
    }

    #[test]
    fn other_lines_and_half_lines_are_passed_over() {
        let other = "[2026-11-23T08:56:48.551087Z INFO  locum::daemon::event_log] peer up node=1\n";
        assert_eq!(mode_changes(&format!("{other}not a log line\n{TAKEOVER}")).len(), 1);
        for cut in 1..TAKEOVER.len() {
            assert_eq!(mode_changes(&TAKEOVER[..cut]), [], "{cut} bytes");
        }
    }
}
