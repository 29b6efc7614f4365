//! Answering the control socket: a status put together from what each thread says of itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use locum_appliance::{HeartbeatStatus, ServiceStatus};
use locum_link::{Clock, Tap};
use locum_monitor::Input;
use locum_types::{Instant, NodeId};
use smoltcp::wire::EthernetAddress;

use super::links::Links;
use super::shared::{Outbox, Outboxes, ToHeartbeat, ToStack};
use super::spawn::Priorities;
use crate::config::Config;
use crate::control::{Reply, Request};
use crate::hooks::Hooks;
use crate::status::counters::flatten;
use crate::status::{self, Asked, FlowStatus, LinkStatus, NodeStatus, SCHEMA, Since, Takeovers};

/// A thread that does not answer for this long is reported as hung.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// Everything the control socket needs to answer.
pub(super) struct Reporter {
    pub(super) config: Config,
    pub(super) started: Instant,
    pub(super) links: Arc<Links>,
    pub(super) outboxes: Outboxes,
    pub(super) priorities: Arc<Priorities>,
    pub(super) hooks: Arc<Mutex<Hooks>>,
    pub(super) has_warden: bool,
    pub(super) service_mac: EthernetAddress,
}

/// A poisoned lock still holds plain data.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reporter {
    /// The function that answers requests.
    pub(super) fn into_handler(self) -> impl FnMut(Request) -> Reply + Send + 'static {
        move |request| match request {
            Request::Status => self.status(),
            Request::Handover { to } => self.hand_over(to),
        }
    }

    fn hand_over(&self, to: Option<u8>) -> Reply {
        let to = match to.map(NodeId::new).transpose() {
            Ok(to) => to,
            Err(error) => return Reply::Refused(error.to_string()),
        };
        self.outboxes.heartbeat.send(ToHeartbeat::Input(Input::Handover { to }));
        Reply::Done("handing over".to_owned())
    }

    fn status(&self) -> Reply {
        let heartbeat = ask(&self.outboxes.heartbeat, ToHeartbeat::Status);
        let service = ask(&self.outboxes.stack, ToStack::Status);
        match (heartbeat, service) {
            (None, _) => Reply::Refused("the heartbeat thread does not answer".to_owned()),
            (_, None) => Reply::Refused("the stack thread does not answer".to_owned()),
            (Some(heartbeat), Some(service)) => {
                Reply::Status(Box::new(self.assemble(&heartbeat, &service)))
            }
        }
    }
}

/// Asks a thread about itself.
fn ask<M, S>(outbox: &Outbox<M>, question: impl FnOnce(Sender<S>) -> M) -> Option<S> {
    let (reply, answer) = bounded(1);
    outbox.send(question(reply));
    answer.recv_timeout(ANSWER_MAX).ok()
}

impl Reporter {
    fn assemble(&self, heartbeat: &HeartbeatStatus, service: &ServiceStatus) -> NodeStatus {
        let now = Clock.now();
        let monitor = &heartbeat.monitor;
        let gate = &service.gate;
        NodeStatus {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: millis(now - self.started),
            group: self.config.group.id.get(),
            node: self.config.node.id.get(),
            name: self.config.node.name.clone(),
            address: self.config.node.address.to_string(),
            service_addresses: self
                .config
                .group
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect(),
            service_mac: self.service_mac.to_string(),
            priority: self.config.node.priority.get(),
            mode: monitor.mode,
            term: monitor.term.0,
            since: Since { ms: 0, cause: String::new() },
            health: service.health,
            links: self.links.taps().into_iter().map(link_status).collect(),
            peers: Vec::new(),
            services: self.services(),
            flows: FlowStatus::default(),
            takeovers: Takeovers::default(),
            conflicts: 0,
            asked: Asked { arp: 0, ns: 0 },
            gate: flatten(gate),
            stack: flatten(&service.stack),
            queues: flatten(&service.queue),
            link: flatten(&self.links.service().counters()),
            heartbeat: flatten(&heartbeat.counters),
            hooks: flatten(&lock(&self.hooks).counters()),
            loop_gap_max_us: 0,
            realtime: self.priorities.granted(),
            warden: self.has_warden,
        }
    }

    fn services(&self) -> Vec<status::ServiceStatus> {
        let service = |service: &crate::config::Service| status::ServiceStatus {
            kind: service.service.kind().to_owned(),
            port: service.port,
        };
        self.config.services.iter().map(service).collect()
    }
}

fn link_status(tap: &Tap) -> LinkStatus {
    LinkStatus { tap: tap.name().to_owned(), up: tap.link_up() }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
