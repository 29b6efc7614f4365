//! The node as a process: it opens the links, leaves a warden behind, and runs the halves of the
//! appliance on threads of their own.
//!
//! ```text
//!  TAP ──► stack thread ──frames for the node──► heartbeat thread ──► mode cell ──► gate
//!              ▲                                   │        │
//!              └──────────── announce ─────────────┘        └── events ──► control thread ──► log, hooks
//! ```
//!
//! What belongs here: threads, their scheduling, signals, and who tells whom. What does not: what a node
//! does with a frame or a beat (`locum-appliance`).

mod control_thread;
mod event_log;
mod heartbeat_thread;
mod links;
mod report;
mod shared;
mod spawn;
mod stack_thread;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use locum_appliance::{
    HeartbeatHalf, NodeConfig, Peer, Replication, Seeds, ServiceHalf, ServicePort,
};
use locum_gate::Identity;
use locum_link::{Clock, Role, Warden, WillWriter};
use locum_types::{BootNonce, Health};

use self::control_thread::ControlThread;
use self::heartbeat_thread::HeartbeatThread;
use self::links::Links;
use self::report::Reporter;
use self::shared::{Outboxes, Words, mailbox};
use self::spawn::Priorities;
use self::stack_thread::StackThread;
use crate::config::Config;
use crate::exit::Exit;

/// Runs a node until it is told to stop.
///
/// # Errors
/// Whatever keeps the node from starting or from going on.
pub fn run(config: &Config) -> anyhow::Result<Exit> {
    let links = Links::open(config)?;
    if !config.warden {
        return work(config, links, None);
    }
    match Warden::split()? {
        Role::Worker(will_writer) => work(config, links, Some(will_writer)),
        Role::Warden(warden) => {
            Priorities::new(config.heartbeat.realtime).raise(spawn::WARDEN_PRIORITY);
            let farewell = warden.run(&links.taps()).context("the warden cannot wait")?;
            if farewell.end.is_violent() {
                log::error!(
                    "the worker died ({:?}); its will was sent in {} frames",
                    farewell.end,
                    farewell.frames
                );
            }
            // The worker's own code, so that a supervisor sees what it would see without a warden.
            std::process::exit(farewell.end.exit_code())
        }
    }
}

/// The node itself.
fn work(config: &Config, links: Links, will_writer: Option<WillWriter>) -> anyhow::Result<Exit> {
    let node = node_config(config, links.service().mtu());
    let seeds = draw_seeds()?;
    let now = Clock.now();
    let links = Arc::new(links);
    let words = Arc::new(Words::new(now));
    let priorities = Arc::new(Priorities::new(config.heartbeat.realtime));
    priorities.lock_memory();
    let (heartbeat, heartbeat_inbox) = mailbox()?;
    let (stack, stack_inbox) = mailbox()?;
    let (control, control_inbox) = mailbox()?;
    let outboxes = Outboxes { heartbeat, stack, control };
    let hooks = Arc::new(Mutex::new(control_thread::start_hooks(config)?));
    let shared_config = Arc::new(Mutex::new(config.clone()));
    let reporter = Reporter {
        config: Arc::clone(&shared_config),
        started: now,
        links: Arc::clone(&links),
        outboxes: outboxes.clone(),
        priorities: Arc::clone(&priorities),
        hooks: Arc::clone(&hooks),
        has_warden: will_writer.is_some(),
        service_mac: node.identity.service_mac(),
    };
    let mode = Arc::clone(&words.mode);
    let stack_thread = StackThread {
        half: ServiceHalf::new(&node, seeds, services(config)?, Arc::clone(&mode), now)?,
        identity: node.identity.clone(),
        buffer: vec![0; links.service().buffer_len()],
        links: Arc::clone(&links),
        inbox: stack_inbox,
        heartbeat: outboxes.heartbeat.clone(),
        control: outboxes.control.clone(),
        priorities: Arc::clone(&priorities),
        words: Arc::clone(&words),
        health: Health::Ok,
        health_at: now,
        released: false,
    };
    let heartbeat_thread = HeartbeatThread {
        half: HeartbeatHalf::new(&node, seeds, links.beat_port(), mode, now),
        links: Arc::clone(&links),
        inbox: heartbeat_inbox,
        stack: outboxes.stack.clone(),
        control: outboxes.control.clone(),
        priorities: Arc::clone(&priorities),
        words,
        will_writer,
        pending_will: None,
        reported_health: Health::Ok,
        stack_hung: false,
        held_until: None,
    };
    let control = ControlThread::new(
        shared_config,
        links,
        control_inbox,
        outboxes,
        reporter,
        hooks,
        priorities,
    )?;
    control.run(heartbeat_thread, stack_thread)
}

/// The appliance's view of the configuration.
fn node_config(config: &Config, mtu: usize) -> NodeConfig {
    let peers = config.peers.iter();
    let mut limits = locum_stack::Limits::default();
    let bounds = &config.limits;
    limits.flows_max = bounds.flows.unwrap_or(limits.flows_max);
    limits.half_open_max = bounds.half_open.unwrap_or(limits.half_open_max);
    limits.rx_buffer = bounds.rx_buffer.unwrap_or(limits.rx_buffer);
    limits.tx_buffer = bounds.tx_buffer.unwrap_or(limits.tx_buffer);
    limits.idle = bounds.idle.unwrap_or(limits.idle);
    NodeConfig {
        identity: Identity {
            group: config.group.id,
            node: config.node.id,
            mac_mode: config.group.mac,
            service: config.group.addresses.clone(),
            node_address: config.node.address,
        },
        peers: peers.map(|peer| Peer { id: peer.id, address: peer.address }).collect(),
        key: config.group.key.clone(),
        port: config.heartbeat.port,
        priority: config.node.priority,
        interval: config.heartbeat.interval,
        dead_after: config.heartbeat.dead_after,
        preempt: config.preempt,
        gateways: config.group.gateways.clone(),
        limits,
        mtu,
        replication: config.replication.map(|with| Replication {
            port: with.port,
            buffer: with.buffer,
            prefer: with.prefer,
            compare_every: Replication::COMPARE_EVERY,
            segmentation: true,
        }),
    }
}

fn services(config: &Config) -> anyhow::Result<Vec<ServicePort>> {
    let epoch = wall_clock_at_boot();
    let build = |service: &crate::config::Service| {
        let built = service.service.build_at(epoch)?;
        Ok(ServicePort { port: service.port, service: built, replicate: service.replicate })
    };
    config.services.iter().map(build).collect()
}

/// The wall-clock time at the epoch of [`Clock`], for services that tell the time.
#[expect(clippy::disallowed_methods, reason = "read once; from then on services count from there")]
fn wall_clock_at_boot() -> Duration {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    wall.unwrap_or_default().saturating_sub(Duration::from_nanos(Clock.now().as_nanos()))
}

/// What must differ at every start, from the kernel's random source.
fn draw_seeds() -> anyhow::Result<Seeds> {
    let mut bytes = [0; 32];
    let (boot, rest) = bytes.split_at_mut(8);
    rustix::rand::getrandom(&mut *boot, rustix::rand::GetRandomFlags::empty())
        .and_then(|_| rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty()))
        .context("the kernel gives no random bytes")?;
    let word = |range: std::ops::Range<usize>| {
        bytes[range].iter().fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    let mut isn_key = [0; 16];
    isn_key.copy_from_slice(&bytes[16..32]);
    Ok(Seeds { boot: BootNonce(word(0..8).max(1)), seed: word(8..16), isn_key })
}
