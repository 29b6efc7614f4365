use proptest::prelude::*;
use smoltcp::wire::TcpControl;

use super::*;
use crate::MacMode;
use crate::testing::*;

fn kind(frame: &[u8]) -> Kind {
    View::parse(frame).kind()
}

#[test]
fn every_kind_of_frame_is_told_apart() {
    let identity = identity(MacMode::Virtual);
    let (v4, v6) = (service(&identity), service6(&identity));
    let mut igmp = ip_frame(client(), v4, IpProtocol::Igmp, 8, |_, _| ());
    igmp[22] = 1;
    let mut fragment = udp(client(), v4, b"part");
    fragment[20] |= 0x20;
    let cases = [
        (arp_request(CLIENT_MAC, CLIENT, SIP), Kind::ArpRequest),
        (arp_request(CLIENT_MAC, NOBODY, SIP), Kind::ArpProbe),
        (arp_request(CLIENT_MAC, SIP, SIP), Kind::ArpAnnouncement),
        (arp_reply((CLIENT_MAC, SIP), (CLIENT_MAC, SIP)), Kind::ArpAnnouncement),
        (arp_reply((CLIENT_MAC, SIP), (CLIENT_MAC, CLIENT)), Kind::ArpReply),
        (solicitation(CLIENT_MAC, CLIENT6, SIP6), Kind::NeighborSolicit),
        (solicitation(CLIENT_MAC, Ipv6Address::UNSPECIFIED, SIP6), Kind::DadSolicit),
        (advert_to_all(CLIENT_MAC, SIP6), Kind::NeighborAdvert),
        (mld_query(), Kind::Mld),
        (igmp, Kind::Igmp),
        (ping(client(), v4), Kind::Icmp),
        (ping6(client6(), v6), Kind::Icmp),
        (syn(client(), v4), Kind::Tcp),
        (syn(client6(), v6), Kind::Tcp),
        (tcp(client6(), v6, TcpControl::Rst, true), Kind::TcpReset),
        (udp(client(), v4, b"x"), Kind::Udp),
        (fragment, Kind::Fragment),
        (ip_frame(client6(), v6, IpProtocol::Ipv6Frag, 16, |_, _| ()), Kind::Fragment),
        (ip_frame(client(), v4, IpProtocol::Unknown(132), 12, |_, _| ()), Kind::OtherIp),
        (traffic(&identity).pop().expect("not empty"), Kind::OtherEthernet),
        (vec![0; 13], Kind::Malformed),
        (vec![], Kind::Malformed),
    ];
    for (frame, expected) in cases {
        assert_eq!(kind(&frame), expected, "{frame:02x?}");
        let is_neighbours = matches!(
            expected,
            Kind::ArpRequest
                | Kind::ArpProbe
                | Kind::ArpReply
                | Kind::ArpAnnouncement
                | Kind::NeighborSolicit
                | Kind::DadSolicit
                | Kind::NeighborAdvert
        );
        assert_eq!(speaks_of_neighbours(&frame), is_neighbours, "{frame:02x?}");
    }
}

// IEEE 802.1Q, 802.1ad: the body behind one or two tags is recognised; a third tag is not looked
// behind.
#[test]
fn tags_are_counted_and_looked_behind() {
    let identity = identity(MacMode::Virtual);
    let frame = syn(client(), service(&identity));
    for (tpids, tags, expected) in [
        (&[0x8100][..], 1, Kind::Tcp),
        (&[0x88a8, 0x8100], 2, Kind::Tcp),
        (&[0x9100, 0x8100], 2, Kind::Tcp),
        (&[0x88a8, 0x8100, 0x8100], 2, Kind::OtherEthernet),
    ] {
        let view = View::parse(&tagged(&frame, tpids));
        assert_eq!((view.tags, view.kind()), (tags, expected), "{tpids:x?}");
    }
    assert_eq!(View::parse(&frame).tags, 0);
    let cut = &tagged(&frame, &[0x88a8, 0x8100])[..18];
    assert_eq!(kind(cut), Kind::Malformed, "a tag with nothing behind it");
}

// RFC 8200 §4: extension headers come in a chain.
#[test]
fn icmpv6_is_found_behind_extension_headers() {
    let identity = identity(MacMode::Virtual);
    let chained = |headers: usize| {
        let len = headers * 8 + 8;
        ip_frame(client6(), service6(&identity), IpProtocol::Ipv6Opts, len, |room, _| {
            for header in room[..headers * 8].chunks_mut(8) {
                header[0] = 60;
            }
            room[headers * 8 - 8] = 58;
            room[headers * 8] = 129;
        })
    };
    assert_eq!(kind(&chained(1)), Kind::Icmp);
    assert_eq!(kind(&chained(6)), Kind::Icmp);
    assert_eq!(kind(&chained(7)), Kind::Malformed, "longer than any sensible chain");
}

// RFC 2710 §3: version 1 of multicast listener discovery.
#[test]
fn mld_version_1_is_mld() {
    let identity = identity(MacMode::Virtual);
    for message in [130, 131, 132] {
        let frame = ip_frame(client6(), service6(&identity), IpProtocol::Icmpv6, 24, |room, _| {
            room[0] = message;
        });
        assert_eq!(kind(&frame), Kind::Mld, "type {message}");
    }
}

// RFC 4861 §7.1.1, §7.1.2: what makes a solicitation or an advertisement invalid.
#[test]
fn invalid_neighbour_discovery_is_malformed() {
    type Spoil = fn(&mut Vec<u8>);
    let dad = || solicitation(CLIENT_MAC, Ipv6Address::UNSPECIFIED, SIP6);
    let advert = || advert_to_all(CLIENT_MAC, SIP6);
    let cases: [(&str, Vec<u8>, Spoil); 8] = [
        ("code", advert(), |frame| frame[55] = 1),
        ("option of length 0", advert(), |frame| frame[79] = 0),
        ("option longer than the message", advert(), |frame| frame[79] = 2),
        ("multicast target", advert(), |frame| frame[62] = 0xff),
        ("solicited and to all", advert(), |frame| frame[58] |= 0x40),
        ("too short", advert(), |frame| {
            frame.truncate(74);
            frame[18..20].copy_from_slice(&[0, 20]);
        }),
        ("DAD to another group", dad(), |frame| frame[53] ^= 1),
        ("DAD with a link-layer address", solicitation(CLIENT_MAC, CLIENT6, SIP6), |frame| {
            frame[22..38].fill(0);
        }),
    ];
    for (what, mut frame, spoil) in cases {
        assert_ne!(kind(&frame), Kind::Malformed);
        spoil(&mut frame);
        refresh_icmpv6_checksum(&mut frame);
        assert_eq!(kind(&frame), Kind::Malformed, "{what}");
    }
    let mut corrupt = advert();
    corrupt[56] ^= 1;
    assert_eq!(kind(&corrupt), Kind::Malformed, "checksum");
}

#[test]
fn link_layer_options_are_read() {
    let Body::Ndp(advert) = View::parse(&advert_to_all(CLIENT_MAC, SIP6)).body else {
        panic!("not neighbour discovery")
    };
    assert_eq!(advert.link_layer, Some(CLIENT_MAC));
    assert_eq!(advert.message, NdpMessage::Advert { target: SIP6, solicited: false });
    let Body::Ndp(bare) = View::parse(&bare_solicitation(CLIENT_MAC, SIP6)).body else {
        panic!("not neighbour discovery")
    };
    assert_eq!((bare.link_layer, bare.hop_limit), (None, 255));
}

#[test]
fn a_truncated_frame_is_never_taken_for_more_than_it_holds() {
    let identity = identity(MacMode::Virtual);
    for frame in traffic(&identity) {
        let whole = View::parse(&frame);
        for len in 0..frame.len() {
            let cut = View::parse(&frame[..len]);
            let honest = matches!(cut.body, Body::Malformed | Body::Other);
            // ARP and other protocols may be whole with less than the frame held.
            assert!(honest || cut.body == whole.body, "{whole:?} cut to {len}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_parsed_without_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        View::parse(&bytes).kind();
    }

    #[test]
    fn mutated_frames_are_parsed_without_panic(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut frames = traffic(&identity(MacMode::Virtual));
        let mut frame = frames.swap_remove(pick.index(frames.len()));
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        frame.truncate(cut.index(frame.len()) + 1);
        View::parse(&frame).kind();
    }
}
