//! Keeps the UDP services that answer out of packet wars.
//!
//! One datagram with a forged source is enough to set two echo services talking to each other until
//! one of them dies (CERT CA-1996-01). So a datagram that seems to come from such a service is ignored.

use std::net::SocketAddr;

/// UDP ports of services that answer whatever they get: echo, daytime, quote, chargen, time.
const ANSWERING_PORTS: [u16; 5] = [7, 13, 17, 19, 37];

/// Whether `remote` looks like a service that would answer our answer.
pub(crate) fn would_answer_back(local: SocketAddr, remote: SocketAddr) -> bool {
    remote.port() == local.port() || ANSWERING_PORTS.contains(&remote.port())
}
