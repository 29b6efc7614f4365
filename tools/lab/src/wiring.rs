//! What networks are made of: settings and lines for `ip -batch`, see [`Namespace::ip`](crate::Namespace::ip).

use std::time::Duration;

/// Bridges and their ports are not to speak themselves: no router solicitations, no MLD, no DAD. And what they forward is
/// not to pass iptables, which some hosts demand of all bridges, and which costs a microsecond a frame.
pub const MUTE: [(&str, &str); 5] = [
    ("net/ipv6/conf/all/disable_ipv6", "1"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),
    ("net/bridge/bridge-nf-call-arptables", "0"),
    ("net/bridge/bridge-nf-call-iptables", "0"),
    ("net/bridge/bridge-nf-call-ip6tables", "0"),
];

/// A kernel with IPv6 that uses an address the moment it has it.
pub const PROMPT: [(&str, &str); 3] = [
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/default/router_solicitations", "0"),
];

/// A bridge that forwards at once and never speaks.
pub fn bridge(name: &str, ageing: Duration) -> String {
    let centiseconds = ageing.as_millis() / 10;
    format!(
        "link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0 ageing_time {centiseconds}\n\
         link set {name} up\n"
    )
}

/// A veth pair from a port of the lan's bridge into another namespace.
pub fn cable(port: &str, bridge: &str, device: &str, namespace: &str) -> String {
    format!(
        "link add {port} type veth peer name {device} netns {namespace}\n\
         link set {port} master {bridge} up\n"
    )
}

/// The inside of a node: cable and TAP on one bridge.
pub fn uplink(name: &str, cable: &str, tap: &str, ageing: Duration) -> String {
    bridge(name, ageing)
        + &format!(
            "tuntap add dev {tap} mode tap\n\
             link set {cable} master {name} up\n\
             link set {tap} master {name} up\n"
        )
}
