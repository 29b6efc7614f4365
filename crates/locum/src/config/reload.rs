//! SIGHUP: what of a new configuration a running node can take.

use super::Config;

/// What a running node makes of a new configuration.
#[derive(Clone, Debug)]
pub struct Reload {
    /// The configuration from now on: the old one, with what can change live taken from the new.
    pub config: Config,
    /// What has changed and was taken: `node.priority`, …
    pub taken: Vec<&'static str>,
    /// What has changed and waits for a restart.
    pub refused: Vec<&'static str>,
}

impl Config {
    /// Compares with a configuration read anew. Live are the priority, the peers, the times of the
    /// heartbeat, pre-emption, the hook and the log level; everything else needs a restart.
    pub fn reload(&self, new: &Config) -> Reload {
        let mut reload = Reload { config: self.clone(), taken: Vec::new(), refused: Vec::new() };
        reload.take_live(new);
        reload.refuse_the_rest(self, new);
        reload
    }
}

impl Reload {
    fn take_live(&mut self, new: &Config) {
        let Reload { config, taken, .. } = self;
        let mut take = |key, changed: bool| {
            if changed {
                taken.push(key);
            }
        };
        take("node.priority", replace(&mut config.node.priority, &new.node.priority));
        take("peer", replace(&mut config.peers, &new.peers));
        let (beat, new_beat) = (&mut config.heartbeat, &new.heartbeat);
        take("heartbeat.interval", replace(&mut beat.interval, &new_beat.interval));
        take("heartbeat.dead_after", replace(&mut beat.dead_after, &new_beat.dead_after));
        take("election", replace(&mut config.preempt, &new.preempt));
        take("hooks.on_change", replace(&mut config.on_change, &new.on_change));
        take("log.level", replace(&mut config.log, &new.log));
    }

    fn refuse_the_rest(&mut self, old: &Config, new: &Config) {
        let (group, new_group) = (&old.group, &new.group);
        let (node, new_node) = (&old.node, &new.node);
        let (beat, new_beat) = (&old.heartbeat, &new.heartbeat);
        let compared = [
            ("group.id", group.id != new_group.id),
            ("group.addresses", group.addresses != new_group.addresses),
            ("group.key_file", group.key != new_group.key),
            ("group.gateway", group.gateways != new_group.gateways),
            ("group.mac", group.mac != new_group.mac),
            ("node.id", node.id != new_node.id),
            ("node.name", node.name != new_node.name),
            ("node.address", node.address != new_node.address),
            ("node.tap", node.tap != new_node.tap),
            ("heartbeat.tap", beat.tap != new_beat.tap),
            ("heartbeat.port", beat.port != new_beat.port),
            ("heartbeat.realtime", beat.realtime != new_beat.realtime),
            ("replication", old.replication != new.replication),
            ("service", old.services != new.services),
            ("limits", old.limits != new.limits),
            ("control.socket", old.socket != new.socket),
            ("warden.enabled", old.warden != new.warden),
        ];
        self.refused.extend(compared.iter().filter(|(_, changed)| *changed).map(|(key, _)| *key));
    }
}

/// Puts `new` in the place of `old`; true if they differed.
fn replace<T: Clone + PartialEq>(old: &mut T, new: &T) -> bool {
    let changed = old != new;
    old.clone_from(new);
    changed
}
