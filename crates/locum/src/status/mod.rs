//! What a node says about itself: [`NodeStatus`], the answer on the control socket.
//!
//! The JSON of [`NodeStatus`] is an interface: `locum.status.v1` may grow fields, but none of them
//! changes its name, unit or meaning. Everything is a plain value; instants of the node's monotonic
//! clock mean nothing to a reader, so ages are given instead.
//!
//! [`counters`] flattens the counters of any layer, [`risk`] judges a status, [`table`] renders it for people,
//! [`metrics`] for Prometheus.

pub mod counters;
pub mod metrics;
pub mod risk;
pub mod table;

use std::collections::BTreeMap;

use locum_stack::FlowsLost;
use locum_types::{Health, Mode, Protection};
use serde::{Deserialize, Serialize};

/// The name of the schema, in [`NodeStatus::schema`].
pub const SCHEMA: &str = "locum.status.v1";

/// Named counts, since the start of the node. Nested groups join their names by a dot.
pub type Counters = BTreeMap<String, u64>;

/// All a node says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The version of the program.
    pub version: String,
    /// The process that serves.
    pub pid: u32,
    /// Time since the start of the node, in milliseconds.
    pub uptime_ms: u64,

    /// The group's id.
    pub group: u16,
    /// The node's id.
    pub node: u8,
    /// The node's name.
    pub name: String,
    /// The node's own address, `10.77.0.11/24`.
    pub address: String,
    /// The service addresses.
    pub service_addresses: Vec<String>,
    /// The MAC that answers for the service addresses.
    pub service_mac: String,
    /// The node's rank in elections.
    pub priority: u8,

    /// What the node is doing.
    pub mode: Mode,
    /// The term it is in.
    pub term: u64,
    /// Since when, and why.
    pub since: Since,
    /// How well its services are.
    pub health: Health,
    /// Whether each link is up: the service TAP, and the TAP of the beats if it has its own.
    pub links: Vec<LinkStatus>,

    /// Whether it is active, and hears nobody on the service link since its start, or since another node fell silent.
    #[serde(default)]
    pub isolated: bool,

    /// The other nodes, by ascending id.
    pub peers: Vec<PeerStatus>,
    /// What listens on the service addresses.
    pub services: Vec<ServiceStatus>,
    /// Connections of clients.
    pub flows: FlowStatus,

    /// Copies of connections and services; `None`: not replicated.
    #[serde(default)]
    pub replication: Option<ReplicationStatus>,

    /// How often, and how fast, this node took over.
    pub takeovers: Takeovers,
    /// How often somebody outside the group claimed a service address.
    pub conflicts: u64,
    /// Who has the service address? Requests seen, in any mode.
    pub asked: Asked,

    /// Frames the gate passed and stopped, per reason.
    pub gate: Counters,
    /// The service stack: frames, flows and drops, per reason.
    pub stack: Counters,
    /// The queues between the threads: frames, and drops because they were full.
    pub queues: Counters,
    /// The TAPs: frames, bytes, errors.
    pub link: Counters,
    /// The log: entries, followers, snapshots.
    #[serde(default)]
    pub log: Counters,
    /// Beats sent, heard, and refused per reason.
    pub heartbeat: Counters,
    /// Runs of the hook program.
    pub hooks: Counters,

    /// The longest time between two turns of the heartbeat loop, in microseconds.
    pub loop_gap_max_us: u64,
    /// What the kernel granted to the hot threads.
    pub realtime: Realtime,
    /// Whether a warden holds the last will.
    pub warden: bool,
}

impl NodeStatus {
    /// What each part of the node has counted, by its name.
    pub const fn parts(&self) -> [(&'static str, &Counters); 7] {
        [
            ("gate", &self.gate),
            ("stack", &self.stack),
            ("queues", &self.queues),
            ("link", &self.link),
            ("log", &self.log),
            ("heartbeat", &self.heartbeat),
            ("hooks", &self.hooks),
        ]
    }
}

/// Since when the node has been in its mode, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// Time in this mode, in milliseconds.
    pub ms: u64,
    /// The cause, as in the logs: `silence(node 1)`.
    pub cause: String,
}

/// One link of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The interface.
    pub tap: String,
    /// Whether it carries frames.
    pub up: bool,
}

/// Another node, as this one sees it. What only a beat can tell is `None` until the first one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its id.
    pub id: u8,
    /// Its node address.
    pub address: String,
    /// Whether it was heard within the detection time.
    pub alive: bool,
    /// Its mode, by its last beat.
    pub mode: Option<Mode>,
    /// Its term, by its last beat.
    pub term: Option<u64>,
    /// Its rank in elections, by its last beat.
    pub priority: Option<u8>,
    /// Its service health, by its last beat.
    pub health: Option<Health>,
    /// Age of its last beat, in milliseconds.
    pub last_heard_ms: Option<f64>,
    /// Round-trip time of beats, smoothed, in microseconds.
    pub rtt_us: Option<u64>,
    /// Share of beats lost lately, from it to this node: 0 to 1.
    pub loss: Option<f64>,
    /// Whether it hears this node, by its last beat: `alive` without this is a cut of one direction.
    pub hears_us: Option<bool>,
    /// Share of this node's beats that it did not hear lately, by its last beat: 0 to 1.
    pub loss_out: Option<f64>,
    /// How often it beats, by its last beat, in milliseconds.
    pub interval_ms: Option<f64>,
    /// After how long a silence it is dead, by what is seen of it, in milliseconds.
    pub timeout_ms: f64,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its kind, as in the configuration.
    pub kind: String,
    /// Its port.
    pub port: u16,
    /// Whether it is in the log, and survives a takeover; of nodes that do not say so: yes.
    #[serde(default = "yes")]
    pub replicated: bool,
}

const fn yes() -> bool {
    true
}

/// Connections of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowStatus {
    /// Connections there are, half-open ones included.
    pub open: u64,
    /// Those whose handshake is not complete.
    pub half_open: u64,
    /// How many there may be.
    pub limit: u64,
}

/// How connections and services are copied to other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationStatus {
    /// What would survive if the active node died now.
    pub protection: Protection,
    /// The last entry of the log that this node has.
    pub position: u64,
    /// While active: the nodes that follow.
    pub followers: Vec<FollowerStatus>,
    /// Frames that wait for followers.
    pub frames_held: u64,
    /// Connections that went on here after takeovers.
    pub flows_carried: u64,
    /// Connections that could not be carried over, for all reasons together.
    pub flows_lost: u64,
    /// These, per reason.
    #[serde(default)]
    pub flows_lost_by: FlowsLost,
    /// How long the last join of this node took, in microseconds.
    #[serde(default)]
    pub join_us: Option<u64>,
    /// The longest that clients waited here for a snapshot, in microseconds; `None`: no follower needed one.
    #[serde(default)]
    pub snapshot_pause_max_us: Option<u64>,
}

/// One node that follows this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowerStatus {
    /// Its id.
    pub id: u8,
    /// Whether it has everything that has left.
    pub in_sync: bool,
    /// Entries that it has not confirmed.
    pub lag_entries: u64,
    /// Bytes of these.
    pub lag_bytes: u64,
}

/// The takeovers of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeovers {
    /// All of them since the start.
    pub count: u64,
    /// The latest ones, oldest first.
    pub list: Vec<Takeover>,
}

/// One activation of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// The cause, as in the logs.
    pub cause: String,
    /// The term that began.
    pub term: u64,
    /// From the last beat of the predecessor to the activation, in microseconds; `None` when there
    /// was no predecessor.
    pub detection_us: Option<u64>,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
    /// When, by the wall clock: milliseconds since 1970.
    pub at_unix_ms: u64,
}

/// Requests for the service addresses that were seen on the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// ARP requests.
    pub arp: u64,
    /// Neighbour solicitations.
    pub ns: u64,
}

/// What the kernel granted to the hot threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realtime {
    /// The heartbeat thread runs under `SCHED_FIFO`.
    pub scheduling: bool,
    /// The memory of the process is locked.
    pub memory_locked: bool,
    /// Why not, if something was refused.
    pub refused: Option<String>,
}

/// A status with something in every field.
#[cfg(test)]
pub(crate) fn sample() -> NodeStatus {
    serde_json::from_str(include_str!("sample.json")).expect("the sample is of the schema")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn names_and_shapes_of_the_schema_do_not_change() {
        let written: Value = serde_json::from_str(include_str!("sample.json")).unwrap();
        assert_eq!(serde_json::to_value(sample()).unwrap(), written);
    }

    #[test]
    fn a_status_of_a_later_release_can_be_read() {
        let mut status = serde_json::to_value(sample()).unwrap();
        status["news"] = Value::from(1);
        status["peers"][0]["news"] = Value::from(2);
        assert_eq!(serde_json::from_value::<NodeStatus>(status).unwrap(), sample());
    }
}
