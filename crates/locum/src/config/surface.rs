//! Every section and key there is, for unknown ones to be compared with.

use locum_diagnosis::nearest;

/// Sections and their keys, in the order in which `locum check` prints them.
pub(super) const SURFACE: [(&str, &[&str]); 12] = [
    ("group", &["id", "addresses", "key_file", "gateway", "mac"]),
    ("node", &["id", "name", "address", "priority", "tap"]),
    ("peer", &["id", "address"]),
    ("heartbeat", &["interval", "dead_after", "tap", "port", "realtime"]),
    ("election", &["preempt", "preempt_delay"]),
    ("replication", &["enabled", "port", "buffer", "prefer"]),
    ("service", &["kind", "port", "replicate", "root", "memory_limit"]),
    ("limits", &["flows", "half_open", "idle", "rx_buffer", "tx_buffer"]),
    ("control", &["socket"]),
    ("hooks", &["on_change"]),
    ("log", &["level"]),
    ("warden", &["enabled"]),
];

/// The keys of a section; the sections themselves for the empty name.
pub(super) fn keys_of(section: &str) -> Vec<&'static str> {
    if section.is_empty() {
        return SURFACE.iter().map(|(name, _)| *name).collect();
    }
    let keys = SURFACE.iter().find(|(name, _)| *name == section).map(|(_, keys)| *keys);
    keys.unwrap_or_default().to_vec()
}

/// What may have been meant by an unknown `key` in `section`.
pub(super) fn advice(section: &str, key: &str) -> String {
    let known = keys_of(section);
    if let Some(near) = nearest(key, &known) {
        return format!("did you mean `{near}`?");
    }
    let elsewhere = SURFACE.iter().find(|(_, keys)| keys.contains(&key));
    if let Some((home, _)) = elsewhere {
        return format!("`{key}` belongs in [{home}]");
    }
    let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    format!("remove it; known here are {}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_strangers_do_not() {
        assert_eq!(nearest("intervall", &keys_of("heartbeat")), Some("interval"));
        assert_eq!(nearest("dead-after", &keys_of("heartbeat")), Some("dead_after"));
        assert_eq!(nearest("colour", &keys_of("heartbeat")), None);
    }

    #[test]
    fn a_key_in_the_wrong_section_is_sent_home() {
        assert_eq!(advice("group", "priority"), "`priority` belongs in [node]");
    }
}
