//! What of a status means that the death of the active node would be noticed.

use locum_types::{Health, Mode};

use super::{NodeStatus, ServiceStatus};

/// Every reason why the group would not survive the death of its active node unnoticed, in words, as far as this
/// node knows. Empty: it would.
pub fn risks(status: &NodeStatus) -> Vec<String> {
    let mut risks = Vec::new();
    match status.mode {
        Mode::Active | Mode::Waiting => {}
        Mode::Joining | Mode::Fenced => risks.push(format!("this node is {}", status.mode)),
    }
    if status.health != Health::Ok {
        risks.push(format!("the services of this node are {}", status.health));
    }
    let down = status.links.iter().filter(|link| !link.up);
    risks.extend(down.map(|link| format!("link {} is down", link.tap)));
    if status.isolated {
        risks.push("nobody is heard on the service link since its start, or since another node fell silent".to_owned());
    }
    let is_alive = |mode| status.peers.iter().any(|peer| peer.alive && peer.mode == Some(mode));
    if status.mode == Mode::Active && !is_alive(Mode::Waiting) {
        risks.push("no other node is waiting: nobody would take over".to_owned());
    }
    if status.mode == Mode::Waiting && !is_alive(Mode::Active) {
        risks.push("no node is active".to_owned());
    }
    let deaf = status.peers.iter().filter(|peer| peer.alive && peer.hears_us == Some(false));
    risks.extend(deaf.map(|peer| format!("node {} does not hear this node", peer.id)));
    risks.extend(lost_connections(status));
    risks
}

/// Why connections would end with the active node.
fn lost_connections(status: &NodeStatus) -> Vec<String> {
    let Some(replication) = &status.replication else {
        return vec!["connections would be lost: replication is off".to_owned()];
    };
    let mut risks = Vec::new();
    if !replication.protection.is_good() {
        let protection = replication.protection;
        risks.push(format!("connections would be lost: this node is {protection}"));
    }
    let left_out = status.services.iter().filter(|service| !service.replicated);
    risks.extend(left_out.map(|ServiceStatus { kind, port, .. }| {
        format!("connections to {kind} on port {port} would be lost: it is not replicated")
    }));
    risks
}

#[cfg(test)]
mod tests {
    use locum_types::Protection;

    use super::*;
    use crate::status::sample;

    fn sound() -> NodeStatus {
        let mut status = sample();
        status.links.retain(|link| link.up);
        status.peers.iter_mut().for_each(|peer| peer.hears_us = Some(true));
        status
    }

    #[test]
    fn a_sound_node_has_no_risks() {
        assert_eq!(risks(&sound()), Vec::<String>::new());
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        let risks = risks(&sample());
        assert_eq!(risks, ["link hb0 is down", "node 3 does not hear this node"]);
    }

    #[test]
    fn without_a_successor_or_a_copy_the_group_is_at_risk() {
        let mut status = sound();
        status.peers.retain(|peer| peer.mode != Some(Mode::Waiting));
        assert_eq!(risks(&status), ["no other node is waiting: nobody would take over"]);
        let mut status = sound();
        status.isolated = true;
        let risk = "nobody is heard on the service link since its start, or since another node fell silent";
        assert_eq!(risks(&status), [risk]);
        let mut status = sound();
        status.replication.as_mut().unwrap().protection = Protection::Unprotected;
        assert_eq!(risks(&status), ["connections would be lost: this node is unprotected"]);
        status.replication = None;
        assert_eq!(risks(&status), ["connections would be lost: replication is off"]);
    }

    #[test]
    fn a_service_that_is_left_out_of_the_log_is_a_risk_of_its_own() {
        let mut status = sound();
        status.services[1].replicated = false;
        let risk = "connections to http on port 80 would be lost: it is not replicated";
        assert_eq!(risks(&status), [risk]);
    }
}
