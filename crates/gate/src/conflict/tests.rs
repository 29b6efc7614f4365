use locum_types::NodeId;
use smoltcp::wire::{Ipv4Address, Ipv6Address};

use super::*;
use crate::MacMode;
use crate::testing::*;

fn sighted(mode: Mode, identity: &Identity, frame: &[u8]) -> Option<Sighting> {
    sighting(mode, identity, &view(frame))
}

/// Frames in which `mac` claims a service address.
fn claims_by(mac: EthernetAddress) -> Vec<(Vec<u8>, IpAddress, Kind)> {
    vec![
        (arp_request(mac, SIP, SIP), SIP.into(), Kind::ArpAnnouncement),
        (arp_request(mac, SIP, CLIENT), SIP.into(), Kind::ArpRequest),
        (arp_reply((mac, SIP), (CLIENT_MAC, CLIENT)), SIP.into(), Kind::ArpReply),
        (advert_to_all(mac, SIP6), SIP6.into(), Kind::NeighborAdvert),
        (solicitation(mac, SIP6, CLIENT6), SIP6.into(), Kind::NeighborSolicit),
    ]
}

// RFC 5227 §2.4: "any ARP packet ... where the sender IP address is the host's own" from another
// MAC.
#[test]
fn a_stranger_who_claims_a_service_address_is_a_conflict_in_every_mode() {
    for identity in MAC_MODES.map(identity) {
        for mode in Mode::ALL {
            for (frame, address, kind) in claims_by(CLIENT_MAC) {
                let expected = Sighting::Claim(Claim { mac: CLIENT_MAC, address, kind });
                assert_eq!(sighted(mode, &identity, &frame), Some(expected));
            }
        }
    }
}

// RFC 5227 §2.4, RFC 9568 §6.4.3: a known peer is no address conflict but a second active node.
#[test]
fn a_peer_who_claims_it_is_a_rival_while_this_node_is_active() {
    let peer = Member::Node(NodeId::new(2).expect("in range"));
    for identity in MAC_MODES.map(identity) {
        for (mac, member) in [(peer_mac(), peer), (identity.virtual_mac(), Member::Virtual)] {
            for (frame, address, kind) in claims_by(mac) {
                let claim = Claim { mac, address, kind };
                let expected = Sighting::PeerClaim { claim, member };
                assert_eq!(sighted(Mode::Active, &identity, &frame), Some(expected));
            }
        }
    }
}

// RFC 9568 §6.4.2: to a waiting node the active node's announcements are the normal state of
// affairs.
#[test]
fn a_peer_who_claims_it_is_the_active_node_while_this_one_is_not() {
    for identity in MAC_MODES.map(identity) {
        for mode in SILENT {
            for mac in [peer_mac(), identity.virtual_mac()] {
                for (frame, ..) in claims_by(mac) {
                    assert_eq!(sighted(mode, &identity, &frame), None);
                }
            }
        }
    }
}

// RFC 5227 §2.1.1: a probe does not claim an address, it asks for it.
#[test]
fn questions_and_other_addresses_are_no_claims() {
    let identity = identity(MacMode::Virtual);
    for frame in [
        arp_request(CLIENT_MAC, NOBODY, SIP),
        arp_request(CLIENT_MAC, CLIENT, SIP),
        arp_request(CLIENT_MAC, CLIENT, CLIENT),
        solicitation(CLIENT_MAC, CLIENT6, SIP6),
        solicitation(CLIENT_MAC, Ipv6Address::UNSPECIFIED, SIP6),
        advert_to_all(CLIENT_MAC, CLIENT6),
        syn((CLIENT_MAC, SIP.into()), client()),
    ] {
        assert_eq!(sighted(Mode::Active, &identity, &frame), None, "{:?}", view(&frame));
    }
}

// RFC 4861 §7.1.2; a VLAN is another link.
#[test]
fn claims_on_other_links_do_not_count() {
    let identity = identity(MacMode::Virtual);
    let mut routed = advert_to_all(CLIENT_MAC, SIP6);
    routed[21] = 64;
    assert_eq!(sighted(Mode::Active, &identity, &routed), None);
    let vlan = tagged(&arp_request(CLIENT_MAC, SIP, SIP), &[0x8100]);
    assert_eq!(sighted(Mode::Active, &identity, &vlan), None);
}

// RFC 4861 §4.4: without the option the Ethernet source is all there is.
#[test]
fn an_advertisement_without_the_option_claims_for_its_sender() {
    let identity = identity(MacMode::Virtual);
    let mut frame = advert_to_all(CLIENT_MAC, SIP6);
    frame.truncate(frame.len() - 8);
    frame[19] -= 8;
    refresh_icmpv6_checksum(&mut frame);
    let seen = claim(&identity, &view(&frame)).expect("a claim");
    assert_eq!(seen.mac, CLIENT_MAC);
}

// RFC 5227 §2.4 (b), (c): one defence per DEFEND_INTERVAL.
#[test]
fn a_limiter_permits_once_per_interval_and_key() {
    let other = Ipv4Address::new(10, 77, 0, 101);
    let mut limiter = Limiter::new(DEFEND_INTERVAL);
    let start = Instant::from_millis(1_000);
    assert!(limiter.permits(start, SIP));
    assert!(!limiter.permits(start + ms(9_999), SIP));
    assert!(limiter.permits(start + ms(9_999), other));
    assert!(limiter.permits(start + ms(10_000), SIP));
}

#[test]
fn a_limiter_is_bounded() {
    let mut limiter = Limiter::new(REPORT_INTERVAL);
    for key in 0..10_000 {
        assert!(limiter.permits(Instant::ZERO, key));
    }
    assert_eq!(limiter.last.len(), REMEMBERED_MAX);
    assert!(!limiter.permits(Instant::ZERO, 9_999));
}

#[test]
fn sightings_read_as_a_line_of_log() {
    let claim = Claim { mac: CLIENT_MAC, address: SIP.into(), kind: Kind::ArpReply };
    assert_eq!(
        Sighting::Claim(claim).to_string(),
        "address conflict: 02-c1-1e-00-00-01 claims 10.77.0.100 (ArpReply), and is not of the group"
    );
    let member = Member::Node(NodeId::new(2).expect("in range"));
    assert_eq!(
        Sighting::PeerClaim { claim, member }.to_string(),
        "second active node: 02-c1-1e-00-00-01 claims 10.77.0.100 (ArpReply), and is node 2"
    );
}
