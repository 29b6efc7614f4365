//! What both users of the node address share, the beats and the log: an interface with the node's MAC and address, and
//! where its peers are.

use std::time::Duration;

use locum_gate::{FrameQueue, Identity, node_mac};
use locum_types::Instant;
use smoltcp::iface::{Config, Interface};
use smoltcp::wire::HardwareAddress;

use crate::Peer;

/// smoltcp forgets a neighbour after 60 s, and asks for one neighbour a second at most: peers are
/// introduced again well before.
pub(crate) const INTRODUCE_EVERY: Duration = Duration::from_secs(20);

/// An interface with the node's own MAC and address, which are never the group's.
pub(crate) fn node_interface(
    identity: &Identity,
    seed: u64,
    frames: &mut FrameQueue,
    now: Instant,
) -> Interface {
    let mut settings = Config::new(HardwareAddress::Ethernet(identity.node_mac()));
    settings.random_seed = seed;
    let mut interface = Interface::new(settings, frames, now.into());
    interface.update_ip_addrs(|addresses| {
        // One address in a list that holds eight.
        let _ = addresses.push(identity.node_address);
    });
    interface
}

/// Frames that tell smoltcp where the peers are, whose MACs follow from their ids: it would ask for one per second, and
/// block on the first that is down.
pub(crate) fn introductions(identity: &Identity, peers: &[Peer]) -> Vec<Vec<u8>> {
    let introduction = |peer: &Peer| {
        locum_stack::neighbours::introduction(
            identity.node_mac(),
            identity.node_address.address(),
            node_mac(identity.group, peer.id),
            peer.address,
        )
        .map(|frame| frame.to_vec())
    };
    peers.iter().filter_map(introduction).collect()
}
