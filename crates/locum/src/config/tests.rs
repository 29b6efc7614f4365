//! What holds for configurations without a file system. What is said about mistakes is in
//! `tests/config`.

use std::collections::BTreeSet;

use locum_types::{NodeId, Priority};

use super::*;

const MINIMAL: &str = r#"
[group]
id = 7
addresses = ["10.77.0.100/24"]
key_file = "group.key"
[node]
id = 1
address = "10.77.0.11/24"
tap = "tap0"
[[peer]]
id = 2
address = "10.77.0.12"
"#;

fn parse(text: &str) -> Result<Config, Report> {
    Config::parse(text, Path::new("/etc/locum/node1.toml"), "node1.toml", &Nowhere)
}

fn minimal_and(text: &str) -> Config {
    let text = format!("{MINIMAL}{text}");
    parse(&text).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = minimal_and("");
    assert_eq!(config.group.mac, MacMode::Virtual);
    assert_eq!(config.group.key_file, Path::new("/etc/locum/group.key"));
    assert_eq!(config.node.name, "node1");
    assert_eq!(config.node.priority.get(), 100);
    let heartbeat = Heartbeat {
        interval: Duration::from_millis(10),
        dead_after: Duration::from_millis(30),
        tap: None,
        port: 3780,
        realtime: true,
    };
    assert_eq!(config.heartbeat, heartbeat);
    assert_eq!(config.preempt, None);
    assert_eq!(config.socket, Path::new("/run/locum/node1.sock"));
    assert_eq!(config.on_change, None);
    assert_eq!(config.log, LevelFilter::Info);
    assert!(config.warden && config.services.is_empty());
}

#[test]
fn dead_after_follows_the_interval() {
    let config = minimal_and("[heartbeat]\ninterval = \"2ms\"");
    assert_eq!(config.heartbeat.dead_after, Duration::from_millis(6));
    let config = minimal_and("[heartbeat]\ninterval = \"5s\"");
    assert_eq!(config.heartbeat.dead_after, Duration::from_secs(10));
}

#[test]
fn preemption_waits_a_while_unless_told_otherwise() {
    let preempt = |text: &str| minimal_and(&format!("[election]\n{text}")).preempt;
    assert_eq!(preempt("preempt = false"), None);
    assert_eq!(preempt("preempt = true"), Some(PREEMPT_DELAY));
    assert_eq!(preempt("preempt = true\npreempt_delay = \"0s\""), Some(Duration::ZERO));
}

#[test]
fn peers_are_ordered_by_id_whatever_the_file_says() {
    let config = minimal_and(
        "[[peer]]\nid = 9\naddress = \"10.77.0.19\"\n[[peer]]\nid = 3\naddress = \"10.77.0.13\"",
    );
    let ids: Vec<u8> = config.peers.iter().map(|peer| peer.id.get()).collect();
    assert_eq!(ids, [2, 3, 9]);
}

#[test]
fn subnets_of_two_have_no_reserved_addresses() {
    let text = MINIMAL.replace("10.77.0.11/24", "10.78.0.0/31").replace("10.77.0.12", "10.78.0.1");
    assert!(parse(&text).is_ok());
}

#[test]
fn every_key_of_the_surface_is_read() {
    let text: String = surface::SURFACE
        .iter()
        .map(|(section, keys)| {
            let lines: String = keys.iter().map(|key| format!("{key} = nan\n")).collect();
            let is_list = ["peer", "service"].contains(section);
            if is_list {
                format!("[[{section}]]\n{lines}")
            } else {
                format!("[{section}]\n{lines}")
            }
        })
        .collect();
    let report = parse(&text).unwrap_err();
    let reported: BTreeSet<&str> = report.problems().iter().map(|p| p.key.as_str()).collect();
    for (section, keys) in surface::SURFACE {
        // These belong to one kind of service only, which this one is not.
        for key in keys.iter().filter(|key| !["root", "memory_limit"].contains(*key)) {
            let key = format!("{section}.{key}");
            assert!(reported.contains(key.as_str()), "{key} is not read: {reported:?}");
        }
    }
}

#[test]
fn the_kinds_of_services_are_those_that_ship() {
    for kind in ServiceConfig::KINDS {
        let root = if kind == "http" { "root = \"www\"" } else { "" };
        let config = minimal_and(&format!("[[service]]\nkind = \"{kind}\"\nport = 7\n{root}"));
        assert_eq!(config.services[0].service.kind(), kind);
    }
}

#[test]
fn a_default_socket_is_named_after_the_node() {
    let text = MINIMAL.replace("tap =", "name = \"east\"\ntap =");
    assert_eq!(parse(&text).unwrap().socket, Path::new("/run/locum/east.sock"));
}

#[test]
fn a_missing_file_is_a_report_with_its_name() {
    let report = Config::load(Path::new("/nowhere/node1.toml")).unwrap_err();
    assert!(report.to_string().contains("--> /nowhere/node1.toml"), "{report}");
}

#[test]
fn a_reload_takes_what_can_change_live() {
    let old = minimal_and("");
    let mut new = old.clone();
    new.node.priority = Priority::new(7).unwrap();
    new.heartbeat.interval = Duration::from_millis(5);
    new.log = LevelFilter::Debug;
    let Reload { config, taken, refused } = old.reload(&new);
    assert_eq!(taken, ["node.priority", "heartbeat.interval", "log.level"]);
    assert!(refused.is_empty());
    assert_eq!(config.to_toml(), new.to_toml());
}

#[test]
fn a_reload_refuses_and_names_the_rest() {
    let old = minimal_and("");
    let mut new = old.clone();
    new.node.id = NodeId::new(9).unwrap();
    new.group.key = Key::new([1; 32]);
    new.preempt = Some(Duration::ZERO);
    let Reload { config, taken, refused } = old.reload(&new);
    assert_eq!(taken, ["election"]);
    assert_eq!(refused, ["group.key_file", "node.id"]);
    assert_eq!((config.node.id, config.group.key), (old.node.id, old.group.key));
}

#[test]
fn an_unchanged_file_changes_nothing() {
    let config = minimal_and("");
    let Reload { taken, refused, .. } = config.reload(&config);
    assert!(taken.is_empty() && refused.is_empty());
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

#[test]
fn the_examples_of_the_documentation_are_a_pair() {
    let load = |name: &str| {
        let text = fs::read_to_string(repository("docs/examples").join(name)).unwrap();
        parse(&text).unwrap_or_else(|report| panic!("{report}"))
    };
    let (one, two) = (load("node1.toml"), load("node2.toml"));
    assert_eq!(one.group.addresses, two.group.addresses);
    for (node, peer) in [(&one, &two), (&two, &one)] {
        let seen = Peer { id: peer.node.id, address: peer.node.address.address() };
        assert_eq!(node.peers, [seen]);
    }
}

#[test]
fn the_operating_page_has_every_key() {
    let page = fs::read_to_string(repository("docs/OPERATING.md")).unwrap();
    for (section, keys) in surface::SURFACE {
        for key in keys {
            let named = [format!("`{key}`"), format!("`{section}.{key}`")];
            assert!(named.iter().any(|name| page.contains(name)), "{section}.{key} is missing");
        }
    }
}
