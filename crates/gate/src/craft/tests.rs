use smoltcp::wire::{Icmpv6Repr, IpAddress};

use super::*;
use crate::MacMode;
use crate::frame::{Body, Kind, NdpMessage, View};
use crate::testing::*;

fn mac() -> EthernetAddress {
    identity(MacMode::Virtual).service_mac()
}

// RFC 5227 §2.3, §3: sender = target, Ethernet broadcast, the hardware address to learn as the
// sender's.
#[test]
fn the_request_form_announces() {
    let frame = crafted(|buffer| announcement_request(mac(), SIP, buffer));
    let view = View::parse(&frame);
    let Body::Arp(arp) = view.body else { panic!("not ARP") };
    assert_eq!((view.source, view.destination), (mac(), EthernetAddress::BROADCAST));
    assert_eq!((arp.sender_mac, arp.sender, arp.target), (mac(), SIP, SIP));
    assert!(arp.request && arp.target_mac == NO_MAC);
    assert_eq!(frame.len(), 42);
}

// RFC 5944 §4.6: in the reply form the target hardware address is the announced one too.
#[test]
fn the_reply_form_announces() {
    let view = View::parse(&crafted(|buffer| announcement_reply(mac(), SIP, buffer)));
    let Body::Arp(arp) = view.body else { panic!("not ARP") };
    assert!(!arp.request && view.destination.is_broadcast());
    assert_eq!((arp.sender_mac, arp.sender, arp.target_mac, arp.target), (mac(), SIP, mac(), SIP));
}

// RFC 4861 §7.2.6, §7.1.2; RFC 9568 §6.4.2: S=0, O=1, R=0, the target link-layer address, hop limit
// 255.
#[test]
fn an_unsolicited_advertisement_overrides_and_is_a_hosts() {
    let frame = advert_to_all(mac(), SIP6);
    assert_eq!(frame[58] & 0xe0, 0x20, "R, S, O");
    let view = View::parse(&frame);
    let Body::Ndp(ndp) = view.body else { panic!("not neighbour discovery") };
    assert_eq!(view.destination, EthernetAddress([0x33, 0x33, 0, 0, 0, 1]));
    assert_eq!((ndp.source, ndp.destination, ndp.hop_limit), (SIP6, ALL_NODES, 255));
    assert_eq!(ndp.link_layer, Some(mac()));
}

// RFC 4861 §7.2.4: an answer to one station is solicited.
#[test]
fn an_answer_is_solicited() {
    let frame = crafted(|buffer| advert((mac(), SIP6), (CLIENT_MAC, CLIENT6), buffer));
    assert_eq!(frame[58] & 0xe0, 0x60, "R, S, O");
}

// RFC 4861 §4.3: no source link-layer address from the unspecified address.
#[test]
fn a_solicitation_from_nobody_has_no_link_layer_address() {
    for (source, expected) in [(Ipv6Address::UNSPECIFIED, None), (NODE6, Some(CLIENT_MAC))] {
        let view = View::parse(&solicitation(CLIENT_MAC, source, SIP6));
        let Body::Ndp(ndp) = view.body else { panic!("not neighbour discovery") };
        assert_eq!(ndp.link_layer, expected);
        assert_eq!(ndp.message, NdpMessage::Solicit { target: SIP6 });
        // RFC 4291 §2.7.1, RFC 2464 §7.
        assert_eq!(ndp.destination, Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0x100));
        assert_eq!(view.destination, EthernetAddress([0x33, 0x33, 0xff, 0, 1, 0]));
    }
}

// RFC 3810 §5.2: to ff02::16 with hop limit 1 and a router alert, "exclude nothing".
#[test]
fn a_listener_report_joins() {
    let group = solicited_node(SIP6);
    let frame = crafted(|buffer| join((mac(), Ipv6Address::UNSPECIFIED), group, buffer));
    let view = View::parse(&frame);
    assert_eq!((frame.len(), view.kind()), (90, Kind::Mld));
    let Body::Ip(ip) = view.body else { panic!("not IP") };
    assert_eq!(ip.destination, IpAddress::Ipv6(ALL_MLDV2_ROUTERS));
    let packet = Ipv6Packet::new_checked(&frame[14..]).expect("whole");
    assert_eq!((packet.hop_limit(), packet.next_header()), (1, IpProtocol::HopByHop));
    assert_eq!(frame[54..62], [58, 0, 5, 2, 0, 0, 1, 0], "router alert, padded");
    let message = Icmpv6Packet::new_checked(&frame[62..]).expect("whole");
    let source = Ipv6Address::UNSPECIFIED;
    let parsed = Icmpv6Repr::parse(&source, &ALL_MLDV2_ROUTERS, &message, &Default::default());
    assert!(parsed.is_ok(), "checksum");
    assert_eq!(frame[62 + 8], CHANGE_TO_EXCLUDE_MODE);
    assert_eq!(frame[62 + 12..], group.octets());
}
