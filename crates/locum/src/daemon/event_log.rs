//! What the monitor reports, as lines of the log.

use locum_monitor::Event;

use crate::change::ModeChange;

/// Logs an event; returns the change to tell the hook, if it is one.
pub(super) fn log(event: &Event) -> Option<ModeChange> {
    match *event {
        Event::ModeChanged { from, to, cause, term, detection } => {
            let change = ModeChange { from, to, cause, term, detection };
            log::info!("{change}");
            Some(change)
        }
        ref other => {
            log::info!("{other:?}");
            None
        }
    }
}
