//! What a stack is told about itself, and the bounds it keeps.

use std::time::Duration;

use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

/// The longest receive buffer: above it smoltcp scales the window, and mistakes its own first
/// window for a larger one, which a client can turn into a panic.
pub(crate) const RX_BUFFER_MAX: usize = 65_535;

/// The configuration of a stack.
#[derive(Clone, Debug)]
pub struct Config {
    /// The MAC its frames bear.
    pub mac: EthernetAddress,
    /// Its addresses with their subnets, at most eight.
    pub addresses: Vec<IpCidr>,
    /// Next hops for clients beyond the link, at most one per family.
    pub gateways: Vec<IpAddress>,
    /// Its bounds.
    pub limits: Limits,
    /// Keys the hash behind initial sequence numbers (RFC 6528). Secret.
    pub isn_key: [u8; 16],
    /// Seeds what else smoltcp draws: IP identifiers.
    pub seed: u64,
}

impl Config {
    /// Whether a packet to `remote` has somewhere to go: it is on a link of ours, or there is a gateway.
    pub(crate) fn reaches(&self, remote: IpAddress) -> bool {
        let on_link = self.addresses.iter().any(|cidr| cidr.contains_addr(&remote));
        let by_gateway = || self.gateways.iter().any(|by| by.version() == remote.version());
        let is_loopback = match remote {
            IpAddress::Ipv4(address) => address.is_loopback(),
            IpAddress::Ipv6(address) => address.is_loopback(),
        };
        remote.is_unicast() && !is_loopback && (on_link || by_gateway())
    }
}

/// The bounds of a stack. Full means a counted drop, or the oldest one gives way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, half-open ones included; a SYN beyond is dropped.
    pub flows_max: usize,
    /// Half-open connections at once; the oldest gives way to a new one.
    pub half_open_max: usize,
    /// Receive buffer of a connection, in bytes, at most 65 535.
    pub rx_buffer: usize,
    /// Transmit buffer of a connection, in bytes: the most output a client may leave unacknowledged.
    pub tx_buffer: usize,
    /// A half-open connection is forgotten after this time.
    pub half_open: Duration,
    /// A connection without a byte in either direction is reset after this time.
    pub idle: Duration,
    /// A client that has said nothing for this long is asked whether it lives.
    pub keep_alive: Option<Duration>,
    /// A client that does not answer (data, FIN or keep-alive) for this long is given up.
    pub unanswered: Duration,
    /// A connection that the service has closed, and the client has not, is reset after this time.
    pub fin_wait: Duration,
    /// Frames taken in one poll.
    pub ingress_budget: usize,
    /// Flows served in one poll, beside those that received something.
    pub flow_budget: usize,
    /// UDP datagrams each way that may wait at one port.
    pub datagrams_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            flows_max: 65_536,
            half_open_max: 1_024,
            rx_buffer: 65_535,
            tx_buffer: 128 * 1024,
            half_open: Duration::from_secs(5),
            idle: Duration::from_secs(3_600),
            keep_alive: Some(Duration::from_secs(60)),
            unanswered: Duration::from_secs(120),
            fin_wait: Duration::from_secs(60),
            ingress_budget: 64,
            flow_budget: 256,
            datagrams_max: 256,
        }
    }
}
