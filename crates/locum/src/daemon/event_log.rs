//! What the monitor reports, as lines of the log.

use std::fmt;

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
        Event::PeerUp { peer } => info(format_args!("peer up node={peer}")),
        Event::PeerDown { peer, .. } => warning(format_args!("peer down node={peer}")),
        Event::Degraded { peer } => warning(format_args!(
            "degraded node={peer}: its beats are lost, but it answers probes; staying waiting"
        )),
        Event::Isolated => warning(format_args!(
            "isolated: nobody is heard on the service link since its start, or since a peer fell silent; quiet until its \
             time on a link that works is over"
        )),
        Event::Recovered { peer } => {
            info(format_args!("recovered node={peer}: beats arrive again"))
        }
        Event::HandoverRefused { why } => warning(format_args!("hand-over refused: {why}")),
        Event::HandedOver { to, took } => {
            info(format_args!("handed over to node={to} took={}us", took.as_micros()))
        }
        Event::HandoverFailed { to } => {
            warning(format_args!("hand-over failed: node {to} did not take over; staying active"))
        }
        Event::RivalHeard { peer } => {
            warning(format_args!("rival node={peer}: it was active too, and has to yield"))
        }
        Event::DuplicateId => {
            log::error!("another node uses this node's id: correct `node.id` on one of them");
            None
        }
        Event::TwinHeard { peer } => {
            log::error!("two nodes use the id {peer}: correct `node.id` on one of them");
            None
        }
        Event::ConfigRefused => {
            warning(format_args!("the group and the node's id change at the next start only"))
        }
    }
}

fn info(text: fmt::Arguments<'_>) -> Option<ModeChange> {
    log::info!("{text}");
    None
}

fn warning(text: fmt::Arguments<'_>) -> Option<ModeChange> {
    log::warn!("{text}");
    None
}
