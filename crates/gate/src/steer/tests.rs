use super::*;
use crate::craft;
use crate::testing::*;

const NOBODY6: Ipv6Address = Ipv6Address::UNSPECIFIED;

fn assert_steered(identity: &Identity, frames: &[Vec<u8>], expected: Steer) {
    for frame in frames {
        assert_eq!(steer(identity, frame), expected, "{:?} {:?}", identity.mac_mode, view(frame));
    }
}

fn to(mac: smoltcp::wire::EthernetAddress, mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&mac.0);
    frame
}

#[test]
fn with_a_virtual_mac_the_destination_mac_decides() {
    let identity = identity(MacMode::Virtual);
    let (service_mac, node_mac) = (identity.service_mac(), identity.node_mac());
    for frame in traffic(&identity).into_iter().filter(|frame| view(frame).tags == 0) {
        assert_steered(&identity, &[to(service_mac, frame.clone())], Steer::Service);
        let is_tcp =
            matches!(view(&frame).body, Body::Ip(Ip { kind: Kind::Tcp | Kind::TcpReset, .. }));
        let to_node = if is_tcp { Steer::Replication } else { Steer::Heartbeat };
        assert_steered(&identity, &[to(node_mac, frame.clone())], to_node);
        assert_steered(&identity, &[to(peer_mac(), frame)], Steer::Neither);
    }
}

// RFC 5227 §2.1.1: answers to probes come to the node MAC, in either mode.
#[test]
fn answers_to_probes_reach_the_heartbeat_half() {
    let mut identity = identity(MacMode::Virtual);
    let reply = arp_reply((identity.virtual_mac(), SIP), (identity.node_mac(), NOBODY));
    assert_steered(&identity, &[reply], Steer::Heartbeat);
    assert_steered(&identity, &[advert_to_all(identity.virtual_mac(), SIP6)], Steer::Both);
    identity.mac_mode = MacMode::Own;
    let reply = arp_reply((peer_mac(), SIP), (identity.node_mac(), NOBODY));
    assert_steered(&identity, &[reply], Steer::Both);
    assert_steered(&identity, &[advert_to_all(peer_mac(), SIP6)], Steer::Both);
    let identity = identity_v6(MacMode::Own);
    let us = (identity.node_mac(), NODE6);
    let advert = crafted(|buffer| craft::advert((peer_mac(), SIP6), us, buffer));
    assert_steered(&identity, &[advert], Steer::Both);
}

#[test]
fn broadcast_questions_go_to_whose_address_is_asked_for() {
    for mac_mode in MAC_MODES {
        let identity = identity(mac_mode);
        let service = [
            arp_request(CLIENT_MAC, CLIENT, SIP),
            arp_request(CLIENT_MAC, NOBODY, SIP),
            arp_request(CLIENT_MAC, SIP, SIP),
            arp_request(CLIENT_MAC, CLIENT, CLIENT),
            solicitation(CLIENT_MAC, CLIENT6, SIP6),
            solicitation(CLIENT_MAC, NOBODY6, SIP6),
        ];
        assert_steered(&identity, &service, Steer::Service);
        let node = [arp_request(CLIENT_MAC, CLIENT, NODE), arp_request(CLIENT_MAC, NOBODY, NODE)];
        assert_steered(&identity, &node, Steer::Heartbeat);
        let identity = identity_v6(mac_mode);
        let node =
            [solicitation(CLIENT_MAC, CLIENT6, NODE6), solicitation(CLIENT_MAC, NOBODY6, NODE6)];
        assert_steered(&identity, &node, Steer::Heartbeat);
    }
}

// RFC 5227 §2.4: every claim must be seen by the gate, even one in a question for the node.
#[test]
fn claims_to_a_service_address_always_reach_the_gate() {
    for mac_mode in MAC_MODES {
        let claims = [arp_request(CLIENT_MAC, SIP, NODE), arp_request(CLIENT_MAC, SIP, CLIENT)];
        let identity = identity(mac_mode);
        assert_steered(&identity, &claims[..1], Steer::Both);
        assert_steered(&identity, &claims[1..], Steer::Service);
        let claim = solicitation(CLIENT_MAC, SIP6, NODE6);
        assert_steered(&identity_v6(mac_mode), &[claim], Steer::Both);
    }
}

#[test]
fn what_is_for_all_nodes_is_for_both_halves() {
    for identity in MAC_MODES.map(identity) {
        let frames = [mld_query(), advert_to_all(CLIENT_MAC, CLIENT6)];
        assert_steered(&identity, &frames, Steer::Both);
    }
}

#[test]
fn tagged_broadcasts_and_unreadable_frames_go_to_the_gate_to_be_counted() {
    for identity in MAC_MODES.map(identity) {
        let frames = [
            tagged(&arp_request(CLIENT_MAC, CLIENT, NODE), &[0x8100]),
            to(identity.service_mac(), tagged(&syn(client(), service(&identity)), &[0x8100])),
            to(identity.node_mac(), tagged(&arp_request(CLIENT_MAC, CLIENT, NODE), &[0x88a8])),
            vec![],
            vec![2; 13],
            vec![0xff; 60],
        ];
        assert_steered(&identity, &frames, Steer::Service);
    }
}

#[test]
fn with_the_own_mac_the_addresses_inside_decide() {
    let identity = identity(MacMode::Own);
    let mac = identity.node_mac();
    let other = smoltcp::wire::Ipv4Address::new(10, 77, 0, 250);
    let service = [
        syn(client(), (mac, SIP.into())),
        udp(client6(), (mac, SIP6.into()), b"x"),
        arp_reply((CLIENT_MAC, CLIENT), (mac, SIP)),
        to(mac, arp_request(CLIENT_MAC, CLIENT, SIP)),
        bare_solicitation(mac, SIP6),
    ];
    assert_steered(&identity, &service, Steer::Service);
    let node = [
        udp(client(), (mac, NODE.into()), b"beat"),
        arp_reply((CLIENT_MAC, CLIENT), (mac, NODE)),
        to(mac, arp_request(CLIENT_MAC, CLIENT, NODE)),
    ];
    assert_steered(&identity, &node, Steer::Heartbeat);
    let ambiguous = [
        udp(client(), (mac, other.into()), b"x"),
        arp_reply((CLIENT_MAC, CLIENT), (mac, other)),
        arp_reply((CLIENT_MAC, SIP), (mac, NODE)),
    ];
    assert_steered(&identity, &ambiguous, Steer::Both);
    let elsewhere = [syn(client(), (identity.virtual_mac(), SIP.into()))];
    assert_steered(&identity, &elsewhere, Steer::Neither);
}

#[test]
fn with_the_own_mac_advertisements_go_to_whoever_asked() {
    let identity = identity_v6(MacMode::Own);
    let mac = identity.node_mac();
    let advert =
        |address, to| crafted(|buffer| craft::advert((CLIENT_MAC, address), (mac, to), buffer));
    assert_steered(&identity, &[advert(CLIENT6, SIP6)], Steer::Service);
    assert_steered(&identity, &[advert(CLIENT6, NODE6)], Steer::Heartbeat);
    assert_steered(&identity, &[advert(SIP6, NODE6)], Steer::Both);
}
