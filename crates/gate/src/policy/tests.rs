use locum_types::{GroupId, NodeId};
use smoltcp::wire::{Ipv6Address as V6, TcpControl};

use super::*;
use crate::craft;
use crate::testing::*;
use crate::{MacMode, virtual_mac};

const LINK_LOCAL: V6 = V6::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x200);

fn out(identity: &Identity, frame: &[u8]) -> Egress {
    egress(Mode::Active, identity, &view(frame))
}

fn into(identity: &Identity, frame: &[u8]) -> Ingress {
    ingress(Mode::Active, identity, &view(frame))
}

/// What an active service stack says, one of each: (frame, verdict).
fn speech(identity: &Identity) -> Vec<(Vec<u8>, Egress)> {
    let mac = identity.service_mac();
    let (v4, v6) = (service(identity), service6(identity));
    let advert = crafted(|buffer| craft::advert((mac, SIP6), (CLIENT_MAC, CLIENT6), buffer));
    let join = |source| {
        let group = crate::frame::solicited_node(SIP6);
        crafted(|buffer| craft::join((mac, source), group, buffer))
    };
    vec![
        (arp_reply((mac, SIP), (CLIENT_MAC, CLIENT)), Egress::Pass),
        (arp_request(mac, SIP, CLIENT), Egress::Pass),
        (arp_request(mac, SIP, SIP), Egress::Pass),
        (solicitation(mac, SIP6, CLIENT6), Egress::Pass),
        (advert, Egress::Rewrite(Rewrite::OverrideFlag)),
        (join(V6::UNSPECIFIED), Egress::Rewrite(Rewrite::JoinRecord)),
        (join(LINK_LOCAL), Egress::Rewrite(Rewrite::JoinRecord)),
        (syn(v4, client()), Egress::Pass),
        (tcp(v4, client(), TcpControl::Rst, true), Egress::Pass),
        (tcp(v6, client6(), TcpControl::None, true), Egress::Pass),
        (udp(v4, client(), b"hello"), Egress::Pass),
        (ping(v4, client()), Egress::Pass),
        (ping6(v6, client6()), Egress::Pass),
    ]
}

// RFC 9568 §6.4.2, §6.4.3: the positive half of every egress rule.
#[test]
fn an_active_node_speaks_for_the_service_address() {
    for identity in MAC_MODES.map(identity) {
        for (frame, expected) in speech(&identity) {
            assert_eq!(out(&identity, &frame), expected, "{:?}", view(&frame));
        }
    }
}

// RFC 9568 §6.4.2: the negative half. Also what no rule names.
#[test]
fn a_node_that_is_not_active_says_nothing() {
    for identity in MAC_MODES.map(identity) {
        for mode in SILENT {
            let frames = speech(&identity).into_iter().map(|(frame, _)| frame);
            for frame in frames.chain(traffic(&identity)).chain([vec![], vec![0xff; 64]]) {
                let view = view(&frame);
                let expected = Egress::Drop(EgressDrop::NotActive(view.kind()));
                assert_eq!(egress(mode, &identity, &view), expected);
            }
        }
    }
}

// RFC 9568 §7.2, §8.1.2: the source is the service MAC, and nothing else is.
#[test]
fn the_service_address_speaks_from_the_service_mac_alone() {
    let identity = identity(MacMode::Virtual);
    let macs = [identity.node_mac(), peer_mac(), CLIENT_MAC, BROADCAST];
    for mac in macs {
        for (mut frame, _) in speech(&identity) {
            frame[6..12].copy_from_slice(&mac.0);
            assert_eq!(out(&identity, &frame), Egress::Drop(EgressDrop::SourceMac));
        }
    }
    // In own-MAC mode it is the virtual MAC that nobody may use.
    let own = crate::testing::identity(MacMode::Own);
    let frame = syn((own.virtual_mac(), SIP.into()), client());
    assert_eq!(out(&own, &frame), Egress::Drop(EgressDrop::SourceMac));
}

// RFC 9568 §6.4.3: ARP offers the service MAC, never another one.
#[test]
fn arp_and_neighbour_discovery_offer_the_service_mac_alone() {
    let identity = identity(MacMode::Virtual);
    for (mut frame, at) in [
        (arp_reply((identity.service_mac(), SIP), (CLIENT_MAC, CLIENT)), 22),
        (solicitation(identity.service_mac(), SIP6, CLIENT6), 80),
        (advert_to_all(identity.service_mac(), SIP6), 80),
    ] {
        frame[at..at + 6].copy_from_slice(&identity.node_mac().0);
        if at == 80 {
            refresh_icmpv6_checksum(&mut frame);
        }
        assert_eq!(out(&identity, &frame), Egress::Drop(EgressDrop::OfferedMac), "at {at}");
    }
}

// RFC 1122 §3.2.1.3: the source is an address of the sender; here: a service address.
#[test]
fn no_other_address_speaks_from_the_service_mac() {
    let identity = identity(MacMode::Virtual);
    let mac = identity.service_mac();
    for frame in [
        arp_request(mac, NODE, CLIENT),
        arp_request(mac, NOBODY, SIP),
        syn((mac, NODE.into()), client()),
        udp((mac, NOBODY.into()), client(), b"dhcp"),
        udp((mac, LINK_LOCAL.into()), client6(), b"x"),
        ping6((mac, V6::UNSPECIFIED.into()), client6()),
        solicitation(mac, CLIENT6, SIP6),
        advert_to_all(mac, CLIENT6),
    ] {
        assert_eq!(out(&identity, &frame), Egress::Drop(EgressDrop::SourceAddress));
    }
    // RFC 4861 §4.3: a solicitation may come from `::` or from a link-local address.
    for source in [V6::UNSPECIFIED, LINK_LOCAL] {
        assert_eq!(out(&identity, &solicitation(mac, source, CLIENT6)), Egress::Pass);
    }
}

// RFC 4861 §6.2.2: a host sends no router advertisement; nor does anything unknown leave.
#[test]
fn routers_messages_unknown_protocols_tags_and_nonsense_do_not_leave() {
    let identity = identity(MacMode::Virtual);
    let mac = identity.service_mac();
    let v4 = service(&identity);
    let lldp = [&BROADCAST.0[..], &mac.0, &[0x88, 0xcc, 1, 2, 3]].concat();
    let stub = [&CLIENT_MAC.0[..], &mac.0, &[0x08, 0x00, 0x45]].concat();
    for (frame, reason) in [
        (router_solicitation(mac), EgressDrop::Protocol),
        (lldp, EgressDrop::Protocol),
        (tagged(&syn(v4, client()), &[0x8100]), EgressDrop::Tagged),
        (stub, EgressDrop::Malformed),
        (vec![], EgressDrop::Malformed),
    ] {
        assert_eq!(out(&identity, &frame), Egress::Drop(reason));
    }
}

fn router_solicitation(mac: EthernetAddress) -> Vec<u8> {
    // Type 133 has the shape of an echo request, as far as the gate looks.
    let mut frame = ping6((mac, SIP6.into()), client6());
    frame[54] = 133;
    frame[21] = 255;
    refresh_icmpv6_checksum(&mut frame);
    frame
}

// RFC 9568 §6.4.2: a waiting node neither answers nor accepts.
#[test]
fn a_stack_that_is_not_active_receives_nothing() {
    for identity in MAC_MODES.map(identity) {
        for mode in SILENT {
            for frame in traffic(&identity) {
                let view = view(&frame);
                let expected = Ingress::Drop(IngressDrop::NotActive(view.kind()));
                assert_eq!(ingress(mode, &identity, &view), expected);
            }
        }
    }
}

// RFC 9568 §6.4.3, RFC 826, RFC 4861 §7.2.3: what the active stack answers itself.
#[test]
fn an_active_stack_receives_what_is_for_it() {
    for identity in MAC_MODES.map(identity) {
        let (v4, v6) = (service(&identity), service6(&identity));
        for frame in [
            arp_request(CLIENT_MAC, CLIENT, SIP),
            arp_reply((CLIENT_MAC, CLIENT), (identity.service_mac(), SIP)),
            solicitation(CLIENT_MAC, CLIENT6, SIP6),
            advert_to_all(CLIENT_MAC, CLIENT6),
            syn(client(), v4),
            syn(client6(), v6),
            tcp(client(), v4, TcpControl::Rst, true),
            udp(client(), v4, b"x"),
            ping(client(), v4),
            ping6(client6(), v6),
            mld_query(),
        ] {
            assert_eq!(into(&identity, &frame), Ingress::Pass, "{:?}", view(&frame));
        }
    }
}

// RFC 5227 §2.1.1, RFC 826: smoltcp ignores a probe; unanswered, the prober would take the address.
#[test]
fn an_arp_probe_for_a_service_address_is_answered() {
    let identity = identity(MacMode::Virtual);
    let answer = Answer::Arp { address: SIP, mac: CLIENT_MAC, sender: NOBODY };
    let probe = arp_request(CLIENT_MAC, NOBODY, SIP);
    assert_eq!(into(&identity, &probe), Ingress::Answer(answer));
    // Nobody else's address.
    assert_eq!(into(&identity, &arp_request(CLIENT_MAC, NOBODY, NODE)), Ingress::Pass);
}

// RFC 826: "?Am I the target protocol address?" does not ask for the subnet of the sender. smoltcp
// does.
#[test]
fn an_arp_request_from_another_subnet_is_answered() {
    let identity = identity(MacMode::Virtual);
    let sender = Ipv4Address::new(192, 0, 2, 7);
    let answer = Answer::Arp { address: SIP, mac: CLIENT_MAC, sender };
    let request = arp_request(CLIENT_MAC, sender, SIP);
    assert_eq!(into(&identity, &request), Ingress::Answer(answer));
    // An answer to a group address would be an amplifier.
    let mut forged = request;
    forged[22..28].copy_from_slice(&BROADCAST.0);
    assert_eq!(into(&identity, &forged), Ingress::Drop(IngressDrop::Malformed));
}

// RFC 4861 §7.2.4, RFC 4862 §5.4.3: smoltcp ignores solicitations from `::`.
#[test]
fn duplicate_address_detection_of_a_service_address_is_answered_to_all() {
    let identity = identity(MacMode::Virtual);
    let dad = solicitation(CLIENT_MAC, V6::UNSPECIFIED, SIP6);
    let answer = Answer::AllNodes { address: SIP6 };
    assert_eq!(into(&identity, &dad), Ingress::Answer(answer));
    let other = solicitation(CLIENT_MAC, V6::UNSPECIFIED, CLIENT6);
    assert_eq!(into(&identity, &other), Ingress::Pass, "nobody else's address");
}

// RFC 4861 §7.2.2: a router asks with the address that the packet it holds is from, or with its link-local one.
#[test]
fn a_solicitation_from_a_link_local_address_is_answered_too() {
    let identity = identity(MacMode::Virtual);
    let near = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x200);
    let asked = |mac| {
        let frame = solicitation(mac, near, SIP6);
        ingress(Mode::Active, &identity, &view(&frame))
    };
    let answer = Answer::Solicited { address: SIP6, mac: CLIENT_MAC, sender: near };
    assert_eq!(asked(CLIENT_MAC), Ingress::Answer(answer));
    assert_ne!(asked(EthernetAddress([0x33; 6])), Ingress::Pass);
}

// RFC 4861 §7.3.3: reachability probes may come without the link-layer option.
#[test]
fn a_solicitation_without_a_link_layer_address_is_answered_to_its_sender() {
    let identity = identity(MacMode::Virtual);
    let answer = Answer::Solicited { address: SIP6, mac: CLIENT_MAC, sender: CLIENT6 };
    let bare = bare_solicitation(identity.service_mac(), SIP6);
    assert_eq!(into(&identity, &bare), Ingress::Answer(answer));
    let other = bare_solicitation(identity.service_mac(), CLIENT6);
    assert_eq!(into(&identity, &other), Ingress::Pass);
}

// RFC 4861 §7.1.1, §7.1.2, §6.1: a hop limit below 255 has crossed a router.
#[test]
fn neighbour_discovery_from_beyond_the_link_is_dropped() {
    let identity = identity(MacMode::Virtual);
    for mut frame in [
        solicitation(CLIENT_MAC, CLIENT6, SIP6),
        solicitation(CLIENT_MAC, V6::UNSPECIFIED, SIP6),
        advert_to_all(CLIENT_MAC, CLIENT6),
        advert_to_all(CLIENT_MAC, SIP6),
    ] {
        assert_ne!(into(&identity, &frame), Ingress::Drop(IngressDrop::HopLimit));
        frame[21] = 254;
        assert_eq!(into(&identity, &frame), Ingress::Drop(IngressDrop::HopLimit));
    }
}

// RFC 5227 §2.4: the stack must not learn from a claim to its own address.
#[test]
fn claims_of_others_do_not_reach_the_stack() {
    let identity = identity(MacMode::Virtual);
    for frame in [
        arp_request(CLIENT_MAC, SIP, SIP),
        arp_request(CLIENT_MAC, SIP, CLIENT),
        arp_reply((CLIENT_MAC, SIP), (identity.service_mac(), SIP)),
        advert_to_all(CLIENT_MAC, SIP6),
        solicitation(CLIENT_MAC, SIP6, CLIENT6),
    ] {
        assert_eq!(into(&identity, &frame), Ingress::Drop(IngressDrop::Claim));
    }
}

// RFC 791, RFC 8200 §4.5: a fragment is not a packet, and the stack cannot put it together.
#[test]
fn fragments_are_dropped() {
    let identity = identity(MacMode::Virtual);
    let whole = udp(client(), service(&identity), b"part");
    for (at, bits) in [(20, 0x20), (21, 0x01)] {
        let mut fragment = whole.clone();
        fragment[at] |= bits;
        assert_eq!(into(&identity, &fragment), Ingress::Drop(IngressDrop::Fragment));
    }
    assert_eq!(into(&identity, &whole), Ingress::Pass);
}

// RFC 1122 §3.2.1.3: no packet comes from a group address, nor from our own.
#[test]
fn impossible_sources_are_dropped() {
    let identity = identity(MacMode::Virtual);
    let v4 = service(&identity);
    let sources: [IpAddress; 3] =
        [SIP.into(), Ipv4Address::BROADCAST.into(), Ipv4Address::new(224, 0, 0, 1).into()];
    for source in sources {
        let frame = udp((CLIENT_MAC, source), v4, b"land");
        assert_eq!(into(&identity, &frame), Ingress::Drop(IngressDrop::SourceAddress));
    }
    let all_nodes = (CLIENT_MAC, craft::ALL_NODES.into());
    let frame = udp(all_nodes, service6(&identity), b"x");
    assert_eq!(into(&identity, &frame), Ingress::Drop(IngressDrop::SourceAddress));
}

// IEEE 802 §8: a station hears its own address and groups, and no station has a group address.
#[test]
fn frames_for_other_stations_and_from_groups_are_dropped() {
    let identity = identity(MacMode::Virtual);
    let other_group = virtual_mac(GroupId::new(8).expect("in range"));
    for mac in [identity.node_mac(), peer_mac(), other_group] {
        let frame = syn(client(), (mac, SIP.into()));
        assert_eq!(into(&identity, &frame), Ingress::Drop(IngressDrop::NotForUs));
    }
    let mut frame = syn(client(), service(&identity));
    frame[6] |= 1;
    assert_eq!(into(&identity, &frame), Ingress::Drop(IngressDrop::Malformed));
}

// RFC 9568 §7.2: the service MAC as the source belongs to one station at a time.
#[test]
fn own_frames_that_come_back_are_an_echo() {
    for identity in MAC_MODES.map(identity) {
        let echo = arp_request(identity.service_mac(), SIP, SIP);
        assert_eq!(into(&identity, &echo), Ingress::Drop(IngressDrop::Echo));
        let not = arp_request(peer_mac(), CLIENT, SIP);
        assert_eq!(into(&identity, &not), Ingress::Pass);
    }
}

#[test]
fn tagged_and_unreadable_frames_are_dropped() {
    let identity = identity(MacMode::Virtual);
    let frame = tagged(&syn(client(), service(&identity)), &[0x88a8, 0x8100]);
    assert_eq!(into(&identity, &frame), Ingress::Drop(IngressDrop::Tagged));
    let cut = &syn(client(), service(&identity))[..40];
    assert_eq!(into(&identity, cut), Ingress::Drop(IngressDrop::Malformed));
    assert_eq!(into(&identity, &[]), Ingress::Drop(IngressDrop::Malformed));
}

fn node(identity: &Identity, frame: &[u8]) -> NodeEgress {
    node_egress(identity, &view(frame))
}

// DESIGN: heartbeats use their own MAC and address. RFC 5227 §2.1, RFC 4862 §5.4.2: probes have no
// sender.
#[test]
fn the_node_speaks_for_itself() {
    for mac_mode in MAC_MODES {
        let identity = identity(mac_mode);
        let mac = identity.node_mac();
        let us = (mac, NODE.into());
        for frame in [
            udp(us, client(), b"beat"),
            tcp(us, client(), TcpControl::Rst, true),
            arp_request(mac, NODE, CLIENT),
            arp_request(mac, NOBODY, SIP),
            arp_reply((mac, NODE), (CLIENT_MAC, CLIENT)),
            solicitation(mac, V6::UNSPECIFIED, SIP6),
        ] {
            assert_eq!(node(&identity, &frame), NodeEgress::Pass, "{:?}", view(&frame));
        }
        let identity = identity_v6(mac_mode);
        for frame in [
            udp((mac, NODE6.into()), client6(), b"beat"),
            solicitation(mac, NODE6, SIP6),
            advert_to_all(mac, NODE6),
            crafted(|buffer| craft::join((mac, V6::UNSPECIFIED), craft::ALL_NODES, buffer)),
        ] {
            assert_eq!(node(&identity, &frame), NodeEgress::Pass, "{:?}", view(&frame));
        }
    }
}

// RFC 9568 §7.2 corollary, §6.4.2: the node never sources the virtual MAC, never speaks for the
// service address.
#[test]
fn the_node_never_speaks_for_the_group() {
    for identity in MAC_MODES.map(identity) {
        let mac = identity.node_mac();
        let shared = identity.virtual_mac();
        for (frame, reason) in [
            (udp((shared, NODE.into()), client(), b"beat"), NodeDrop::SourceMac),
            (udp((mac, SIP.into()), client(), b"x"), NodeDrop::SourceAddress),
            (udp((mac, SIP6.into()), client6(), b"x"), NodeDrop::SourceAddress),
            (udp((mac, NOBODY.into()), client(), b"dhcp"), NodeDrop::SourceAddress),
            (arp_request(mac, SIP, SIP), NodeDrop::SourceAddress),
            (arp_reply((mac, SIP), (CLIENT_MAC, CLIENT)), NodeDrop::SourceAddress),
            (advert_to_all(mac, SIP6), NodeDrop::SourceAddress),
            (solicitation(mac, SIP6, CLIENT6), NodeDrop::SourceAddress),
            (tagged(&udp((mac, NODE.into()), client(), b"x"), &[0x8100]), NodeDrop::Tagged),
            (router_solicitation(mac), NodeDrop::Protocol),
            ([&BROADCAST.0[..], &mac.0, &[0x88, 0xcc, 1]].concat(), NodeDrop::Protocol),
            ([&BROADCAST.0[..], &mac.0, &[0x08, 0x00, 1]].concat(), NodeDrop::Malformed),
            (vec![], NodeDrop::Malformed),
        ] {
            assert_eq!(node(&identity, &frame), NodeEgress::Drop(reason), "{:?}", view(&frame));
        }
    }
}

#[test]
fn the_node_offers_its_own_mac_alone() {
    let identity = identity_v6(MacMode::Virtual);
    let mut reply = arp_reply((identity.node_mac(), NODE), (CLIENT_MAC, CLIENT));
    reply[22..28].copy_from_slice(&identity.virtual_mac().0);
    assert_eq!(node(&identity, &reply), NodeEgress::Drop(NodeDrop::OfferedMac));
    let mut advert = advert_to_all(identity.node_mac(), NODE6);
    advert[80..86].copy_from_slice(&identity.virtual_mac().0);
    refresh_icmpv6_checksum(&mut advert);
    assert_eq!(node(&identity, &advert), NodeEgress::Drop(NodeDrop::OfferedMac));
}

#[test]
fn another_node_of_the_group_is_not_this_one() {
    let mut other = identity(MacMode::Own);
    other.node = NodeId::new(2).expect("in range");
    let frame = udp((other.node_mac(), NODE.into()), client(), b"x");
    let us = identity(MacMode::Own);
    assert_eq!(node(&us, &frame), NodeEgress::Drop(NodeDrop::SourceMac));
}
