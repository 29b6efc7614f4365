//! What a node of the simulator says about itself, in the shape of `locum.status.v1`.

use locum_sim::{NodeIndex, World};
use serde_json::{Value, json};

/// The parts of a status that exist without a process: mode, term, takeovers, and the counters of every
/// layer under their usual names. `null` for a node that does not run.
pub(super) fn status(world: &World, index: NodeIndex, id: u8) -> Value {
    let Some(status) = world.status(index) else { return Value::Null };
    let (monitor, gate) = (&status.heartbeat.monitor, &status.service.gate);
    let mut heartbeat = json!(status.heartbeat.counters);
    if let Some(fields) = heartbeat.as_object_mut() {
        fields.insert("monitor".to_owned(), json!(monitor.counters));
    }
    json!({
        "schema": "locum.status.v1",
        "node": id,
        "mode": monitor.mode,
        "term": monitor.term.0,
        "health": status.service.health,
        "takeovers": { "count": monitor.counters.takeovers },
        "conflicts": gate.claims.strangers,
        "asked": {
            "arp": gate.asked.arp_request + gate.asked.arp_probe,
            "ns": gate.asked.neighbor_solicit + gate.asked.dad_solicit,
        },
        "gate": gate,
        "stack": status.service.stack,
        "queues": status.service.queue,
        "heartbeat": heartbeat,
    })
}
