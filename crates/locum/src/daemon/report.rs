//! Answering the control socket: a status put together from what each thread says of itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Sender, bounded};
use locum_appliance::{HeartbeatStatus, ServiceStatus};
use locum_link::{Clock, Tap};
use locum_monitor::Input;
use locum_types::{Instant, NodeId, Priority};
use smoltcp::wire::EthernetAddress;

use super::links::Links;
use super::shared::{Outbox, Outboxes, ToHeartbeat, ToStack};
use super::spawn::Priorities;
use crate::config::{self, Config};
use crate::control::{Reply, Request};
use crate::hooks::Hooks;
use crate::status::counters::{flatten, flatten_named};
use crate::status::{
    self, Asked, Counters, FlowStatus, LinkStatus, NodeStatus, PeerStatus, SCHEMA, Since, Takeover,
    Takeovers,
};
/// A thread that does not answer for this long is reported as hung.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// Everything the control socket needs to answer.
pub(super) struct Reporter {
    /// As it is now: the control thread replaces it at a reload.
    pub(super) config: Arc<Mutex<Config>>,
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
        let Some(heartbeat) = ask(&self.outboxes.heartbeat, ToHeartbeat::Status) else {
            return Reply::Refused("the heartbeat thread does not answer".to_owned());
        };
        if let Err(why) = heartbeat.monitor.check_handover(to) {
            return Reply::Refused(why.to_owned());
        }
        self.outboxes.heartbeat.send(ToHeartbeat::Input(Input::Handover { to }));
        let whom = to.map_or("the best waiting node".to_owned(), |to| format!("node {to}"));
        Reply::Done(format!("handing over to {whom}"))
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
        let (monitor, gate) = (&heartbeat.monitor, &service.gate);
        let config = &*lock(&self.config);
        NodeStatus {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: millis(now - self.started),
            group: config.group.id.get(),
            node: config.node.id.get(),
            name: config.node.name.clone(),
            address: config.node.address.to_string(),
            service_addresses: config.group.addresses.iter().map(ToString::to_string).collect(),
            service_mac: self.service_mac.to_string().replace('-', ":"),
            priority: config.node.priority.get(),
            mode: monitor.mode,
            term: monitor.term.0,
            since: Since {
                ms: millis(now - monitor.since),
                cause: monitor.cause.map_or("started".to_owned(), |cause| cause.to_string()),
            },
            health: service.health,
            links: self.links.taps().into_iter().map(link_status).collect(),
            isolated: monitor.isolated,
            peers: monitor.peers.iter().map(|peer| peer_status(config, peer)).collect(),
            services: services(config),
            flows: FlowStatus {
                open: service.stack.flows as u64,
                half_open: service.stack.half_open as u64,
                limit: service.stack.flows_max as u64,
            },
            replication: service.replication.as_ref().map(|it| replication(it, &service.stack)),
            takeovers: takeovers(now, monitor),
            conflicts: gate.claims.strangers,
            asked: Asked {
                arp: gate.asked.arp_request + gate.asked.arp_probe,
                ns: gate.asked.neighbor_solicit + gate.asked.dad_solicit,
            },
            gate: flatten(gate),
            stack: flatten(&service.stack.counters),
            queues: self.queues(service),
            link: self.link_counters(),
            heartbeat: flatten_named([("monitor", &flatten(&monitor.counters))])
                .into_iter()
                .chain(flatten(&heartbeat.counters))
                .collect(),
            log: service.replication.as_ref().map(|it| flatten(&it.counters)).unwrap_or_default(),
            hooks: flatten(&lock(&self.hooks).counters()),
            loop_gap_max_us: monitor.counters.loop_gap_max_us,
            realtime: self.priorities.granted(),
            warden: self.has_warden,
        }
    }

    fn queues(&self, service: &ServiceStatus) -> Counters {
        let mut queues = flatten(&service.queue);
        let Outboxes { heartbeat, stack, control } = &self.outboxes;
        queues.insert("fenced_frames".to_owned(), service.fenced_frames);
        queues.insert("frames_waiting".to_owned(), service.frames_waiting);
        queues.insert("to_heartbeat_full".to_owned(), heartbeat.dropped());
        queues.insert("to_stack_full".to_owned(), stack.dropped());
        queues.insert("to_control_full".to_owned(), control.dropped());
        queues
    }

    fn link_counters(&self) -> Counters {
        let counters: Vec<_> = self.links.taps().into_iter().map(Tap::counters).collect();
        let names = self.links.taps().into_iter().map(Tap::name);
        flatten_named(names.zip(&counters))
    }
}

fn peer_status(config: &Config, peer: &locum_monitor::PeerStatus) -> PeerStatus {
    let address = config.peers.iter().find(|known| known.id == peer.id);
    PeerStatus {
        id: peer.id.get(),
        address: address.map_or_else(String::new, |known| known.address.to_string()),
        alive: peer.alive,
        mode: peer.mode,
        term: peer.term.map(|term| term.0),
        priority: peer.priority.map(Priority::get),
        health: peer.health,
        last_heard_ms: peer.last_heard_age.map(fine_millis),
        rtt_us: peer.rtt.map(micros),
        loss: peer.last_heard_age.map(|_| peer.loss_in),
        hears_us: peer.hears_us,
        loss_out: peer.loss_out,
        interval_ms: peer.interval.map(fine_millis),
        timeout_ms: fine_millis(peer.timeout),
    }
}

fn replication(
    service: &locum_appliance::ReplicationStatus,
    stack: &locum_stack::Status,
) -> status::ReplicationStatus {
    let follower = |session: &locum_appliance::SessionStatus| status::FollowerStatus {
        id: session.follower.get(),
        in_sync: session.stage == locum_appliance::Stage::InSync,
        lag_entries: session.lag_entries,
        lag_bytes: session.lag_bytes,
    };
    let (counters, lost) = (&service.counters, stack.counters.flows_lost);
    status::ReplicationStatus {
        protection: service.protection,
        position: service.position.0,
        followers: service.followers.iter().map(follower).collect(),
        frames_held: service.frames_held,
        flows_carried: counters.flows_carried,
        flows_lost: lost.total(),
        flows_lost_by: lost,
        join_us: (counters.join_us > 0).then_some(counters.join_us),
        snapshot_pause_max_us: (counters.snapshots_made > 0)
            .then_some(counters.snapshot_pause_max_us),
    }
}

fn services(config: &Config) -> Vec<status::ServiceStatus> {
    let service = |service: &config::Service| status::ServiceStatus {
        kind: service.service.kind().to_owned(),
        port: service.port,
        replicated: service.replicate,
    };
    config.services.iter().map(service).collect()
}

fn takeovers(now: Instant, monitor: &locum_monitor::Status) -> Takeovers {
    let takeover = |takeover: &locum_monitor::Takeover| {
        let ago_ms = millis(now - takeover.at);
        Takeover {
            cause: takeover.cause.to_string(),
            term: takeover.term.0,
            detection_us: takeover.detection.map(micros),
            ago_ms,
            at_unix_ms: unix_ms().saturating_sub(ago_ms),
        }
    };
    Takeovers {
        count: monitor.counters.takeovers,
        list: monitor.takeovers.iter().map(takeover).collect(),
    }
}

fn link_status(tap: &Tap) -> LinkStatus {
    LinkStatus { tap: tap.name().to_owned(), up: tap.link_up() }
}

/// The wall clock, for people to read; nothing is decided by it.
#[expect(clippy::disallowed_methods, reason = "shown in a status, never compared")]
fn unix_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.map_or(0, millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn fine_millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
