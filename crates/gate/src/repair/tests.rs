use super::*;
use crate::MacMode;
use crate::craft;
use crate::frame::{Body, View, solicited_node};
use crate::testing::*;

// RFC 4861 §7.2.4: smoltcp answers with S alone.
#[test]
fn the_override_flag_is_set_and_the_checksum_follows() {
    let mac = identity(MacMode::Virtual).service_mac();
    let mut frame = crafted(|buffer| craft::advert((mac, SIP6), (CLIENT_MAC, CLIENT6), buffer));
    frame[58] &= !0x20;
    refresh_icmpv6_checksum(&mut frame);
    assert!(apply(Rewrite::OverrideFlag, &mut frame));
    assert_eq!(frame[58] & 0xe0, 0x60);
    assert!(matches!(View::parse(&frame).body, Body::Ndp(_)), "the checksum is right");
    assert!(!apply(Rewrite::OverrideFlag, &mut frame), "it is set already");
}

// RFC 3810 §5.2.12: "change to include, no sources" leaves a group, "change to exclude, no sources"
// joins it.
#[test]
fn a_leave_becomes_a_join() {
    let mac = identity(MacMode::Virtual).service_mac();
    let source = Ipv6Address::UNSPECIFIED;
    let joins = crafted(|buffer| craft::join((mac, source), solicited_node(SIP6), buffer));
    let mut frame = joins.clone();
    frame[70] = CHANGE_TO_INCLUDE_MODE;
    assert!(apply(Rewrite::JoinRecord, &mut frame));
    assert_eq!(frame, joins, "checksum and all");
    assert!(!apply(Rewrite::JoinRecord, &mut frame), "it joins already");
}

#[test]
fn queries_and_frames_of_another_shape_are_left_alone() {
    for rewrite in [Rewrite::OverrideFlag, Rewrite::JoinRecord] {
        for mut frame in [vec![], vec![0; 14], vec![0x60; 60], arp_request(CLIENT_MAC, CLIENT, SIP)]
        {
            let before = frame.clone();
            assert!(!apply(rewrite, &mut frame));
            assert_eq!(frame, before);
        }
    }
    let mut query = mld_query();
    assert!(!apply(Rewrite::JoinRecord, &mut query));
    assert_eq!(query, mld_query());
}
