use smoltcp::wire::Ipv4Address;

use super::*;
use crate::frame::Kind;
use crate::policy::{self, Answer, Ingress};
use crate::testing::*;
use crate::{MacMode, NodeGuard};
use locum_types::Mode;

fn asked(identity: &Identity, address: impl Into<IpAddress>) -> Vec<u8> {
    crafted(|buffer| request(identity, address.into(), buffer))
}

/// An advertisement of `SIP6` by `mac`, to one station.
fn advert_to(mac: EthernetAddress, to: EthernetAddress) -> Vec<u8> {
    crafted(|buffer| craft::advert((mac, SIP6), (to, NODE6), buffer))
}

// RFC 5227 §2.1: sender 0.0.0.0, target hardware address 0, from the own MAC.
#[test]
fn a_probe_asks_from_the_node_mac_without_an_address() {
    for identity in MAC_MODES.map(identity) {
        let frame = asked(&identity, SIP);
        let view = view(&frame);
        let Body::Arp(arp) = view.body else { panic!("not ARP") };
        assert_eq!((view.kind(), view.source), (Kind::ArpProbe, identity.node_mac()));
        assert!(view.destination.is_broadcast());
        assert_eq!((arp.sender, arp.target), (NOBODY, SIP));
        assert_eq!(arp.target_mac, EthernetAddress([0; 6]));
    }
}

// RFC 4861 §4.3, RFC 4862 §5.4.2.
#[test]
fn an_ipv6_probe_comes_from_the_node_address_or_from_nobody() {
    for mac_mode in MAC_MODES {
        assert_eq!(view(&asked(&identity(mac_mode), SIP6)).kind(), Kind::DadSolicit);
        let frame = asked(&identity_v6(mac_mode), SIP6);
        let view = view(&frame);
        let Body::Ndp(ndp) = view.body else { panic!("not neighbour discovery") };
        assert_eq!((view.kind(), ndp.source), (Kind::NeighborSolicit, NODE6));
        assert_eq!(ndp.link_layer, Some(identity(mac_mode).node_mac()));
    }
}

#[test]
fn probes_pass_the_node_guard() {
    for mac_mode in MAC_MODES {
        for identity in [identity(mac_mode), identity_v6(mac_mode)] {
            let guard = NodeGuard::new(identity.clone());
            assert!(guard.permits(&asked(&identity, SIP)));
            assert!(guard.permits(&asked(&identity, SIP6)));
        }
    }
}

#[test]
fn a_probe_that_does_not_fit_is_not_written() {
    let identity = identity(MacMode::Virtual);
    assert_eq!(request(&identity, SIP.into(), &mut [0; 41]), 0);
    assert_eq!(request(&identity, SIP.into(), &mut [0; 42]), 42);
    assert_eq!(request(&identity, SIP6.into(), &mut []), 0);
}

// RFC 5227 §2.1.1: "any ARP packet where the sender IP address is the address being probed for".
#[test]
fn the_active_nodes_reply_is_an_answer() {
    for identity in MAC_MODES.map(identity) {
        for mac in [peer_mac(), identity.virtual_mac()] {
            let reply = arp_reply((mac, SIP), (identity.node_mac(), NOBODY));
            assert_eq!(answer(&identity, &reply), Some(SIP.into()));
            for advert in [advert_to(mac, identity.node_mac()), advert_to_all(mac, SIP6)] {
                assert_eq!(answer(&identity, &advert), Some(SIP6.into()));
            }
        }
    }
}

#[test]
fn strangers_own_echoes_and_answers_to_others_are_no_answers() {
    let identity = identity(MacMode::Virtual);
    let us = identity.node_mac();
    let active = identity.virtual_mac();
    let other = Ipv4Address::new(10, 77, 0, 101);
    let mut routed = advert_to(active, us);
    routed[21] = 64;
    let mut flooded = advert_to_all(active, SIP6);
    flooded[..6].copy_from_slice(&peer_mac().0);
    for frame in [
        arp_reply((CLIENT_MAC, SIP), (us, NOBODY)),
        arp_reply((us, SIP), (us, NOBODY)),
        arp_reply((active, SIP), (peer_mac(), NOBODY)),
        arp_reply((active, other), (us, NOBODY)),
        arp_request(active, SIP, SIP),
        advert_to(CLIENT_MAC, us),
        advert_to(us, us),
        advert_to(active, peer_mac()),
        routed,
        flooded,
        tagged(&arp_reply((active, SIP), (us, NOBODY)), &[0x8100]),
        vec![0; 60],
    ] {
        assert_eq!(answer(&identity, &frame), None, "{:?}", view(&frame));
    }
}

// The two halves of the same conversation: what one node asks, the active one's gate answers.
#[test]
fn the_active_gate_answers_a_peers_probe() {
    for mac_mode in MAC_MODES {
        let waiting =
            Identity { node: locum_types::NodeId::new(2).expect("2"), ..identity(mac_mode) };
        let probe = view(&asked(&waiting, SIP));
        let verdict = policy::ingress(Mode::Active, &identity(mac_mode), &probe);
        let mac = waiting.node_mac();
        let expected = Answer::Arp { address: SIP, mac, sender: NOBODY };
        assert_eq!(verdict, Ingress::Answer(expected));
    }
}
