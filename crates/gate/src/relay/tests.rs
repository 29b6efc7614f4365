use super::*;
use crate::testing::*;
use crate::{MacMode, Steer, steer};

fn relayed(identity: &Identity, mtu: usize, frame: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    relay(identity, peer_mac(), mtu, frame, &mut out).then_some(out)
}

/// The peer, which gets the frames.
fn successor(identity: &Identity) -> Identity {
    let Some(crate::Member::Node(node)) = identity.member(peer_mac()) else { panic!("a peer") };
    Identity { node, ..identity.clone() }
}

fn restored(identity: &Identity, frame: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    restore(identity, frame, &mut out).then_some(out)
}

#[test]
fn a_relayed_frame_arrives_as_it_was() {
    for mode in MAC_MODES {
        let identity = identity(mode);
        let successor = successor(&identity);
        for frame in [
            udp(client(), service(&identity), b"question"),
            syn(client(), service(&identity)),
            udp(client6(), service6(&identity), b"question"),
        ] {
            let relayed = relayed(&identity, 1500, &frame).expect("it is for the service");
            assert_eq!(relayed[..6], peer_mac().0);
            assert_eq!(relayed[6..12], identity.node_mac().0, "switches learn nothing");
            assert_eq!(steer(&successor, &relayed), Steer::Relayed);
            let mut padded = relayed.clone();
            padded.resize(padded.len().max(60), 0);
            for relayed in [relayed, padded] {
                let mut expected = frame.clone();
                expected[..6].copy_from_slice(successor.service_mac().as_bytes());
                assert_eq!(restored(&successor, &relayed), Some(expected));
            }
        }
    }
}

#[test]
fn a_full_frame_goes_without_its_client() {
    let identity = identity(MacMode::Virtual);
    let frame = udp(client(), service(&identity), &[7; 100]);
    let relayed = relayed(&identity, frame.len() - 14 + 5, &frame).expect("it fits the link");
    assert_eq!(relayed.len(), frame.len());
    let restored = restored(&successor(&identity), &relayed).expect("it is whole");
    assert_eq!(restored[6..12], [0; 6]);
    assert_eq!(restored[12..], frame[12..]);
}

#[test]
fn what_is_not_for_the_service_alone_is_not_relayed() {
    let identity = identity(MacMode::Virtual);
    let mut flooded = udp(client(), service(&identity), b"question");
    flooded[..6].copy_from_slice(&CLIENT_MAC.0);
    for frame in [
        arp_request(CLIENT_MAC, CLIENT, SIP),
        udp(client(), (identity.service_mac(), NODE.into()), b"question"),
        flooded,
        // Nobody speaks for the service by way of a node that leaves it.
        udp((CLIENT_MAC, SIP.into()), service(&identity), b"question"),
        Vec::new(),
    ] {
        assert_eq!(relayed(&identity, 1500, &frame), None, "{frame:02x?}");
    }
    assert_eq!(restored(&identity, &arp_request(CLIENT_MAC, CLIENT, SIP)), None);
}

#[test]
fn only_a_node_of_the_group_relays() {
    let identity = identity(MacMode::Virtual);
    let mut frame = udp(client(), service(&identity), b"question");
    frame[..6].copy_from_slice(identity.node_mac().as_bytes());
    assert_eq!(steer(&identity, &frame), Steer::Heartbeat);
}
