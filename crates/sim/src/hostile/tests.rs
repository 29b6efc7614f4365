//! Each weapon makes what it says, out of its seed alone, and keeps within its limits.

use std::time::Duration;

use locum_appliance::{Node, Port, Seeds};
use locum_gate::{Identity, MacMode};
use locum_types::{BootNonce, GroupId, Instant, ResignReason};
use locum_wire::{BEAT_LEN, Key, open};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv4Packet, Icmpv6Packet, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
};

use super::build::{ALL_NODES, ndp, solicited_node};
use super::memory::beat;
use super::*;
use crate::Lan;

const MAC: EthernetAddress = EthernetAddress([0x02, 0xba, 0xd1, 0, 0, 1]);
const CLIENT_MAC: EthernetAddress = EthernetAddress([0x02, 0xc1, 0x1e, 0, 0, 0]);

fn lan() -> Lan {
    Lan { nodes: 3, ..Lan::default() }
}

fn identities(lan: &Lan) -> Vec<Identity> {
    (1..=lan.nodes).map(|id| lan.node(id).identity).collect()
}

fn armed(weapon: Weapon, seed: u64) -> Hostile {
    let arsenal = Arsenal::of(&[weapon], Duration::from_millis(1));
    let mut hostile = Hostile::new(MAC, &identities(&lan()), seed);
    hostile.set_arsenal(Instant::ZERO, &arsenal);
    hostile
}

/// Beats of node 1 to the others, its resignation among them.
fn beats() -> Vec<Vec<u8>> {
    let seeds = Seeds { boot: BootNonce(1), seed: 1, isn_key: [1; 16] };
    let config = Lan { nodes: 3, ..Lan::default() }.node(1);
    let mut node =
        Node::new(&config, seeds, Port::Service, Lan::services(), Instant::ZERO).expect("services");
    let mut beats = Vec::new();
    for millis in 0..200 {
        let now = Instant::from_millis(millis);
        if millis == 180 {
            node.handle(now, locum_monitor::Input::Shutdown(ResignReason::Shutdown));
        }
        node.turn(now);
        while node.poll_transmit(now, |_, frame, _| beats.push(frame.to_vec())).is_some() {}
    }
    beats.retain(|frame| beat(frame).is_some());
    beats
}

/// What the machine makes of `turns` turns.
fn volley(hostile: &mut Hostile, turns: u64) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for turn in 0..turns {
        let now = Instant::from_millis(turn);
        hostile.turn(now);
        while hostile.poll_transmit(|frame| frames.push(frame.to_vec())).is_some() {}
    }
    frames
}

/// All that `weapon` makes, when it has heard beats and a client's traffic.
fn frames_of(weapon: Weapon) -> Vec<Vec<u8>> {
    let mut hostile = armed(weapon, 1);
    hear_traffic(&mut hostile);
    let frames = volley(&mut hostile, 200);
    assert!(frames.len() > 100, "{weapon:?} made {} frames", frames.len());
    frames
}

fn hear_traffic(hostile: &mut Hostile) {
    let service = hostile.victims.services[0];
    let client = target::Station { mac: CLIENT_MAC, address: IpAddress::v4(10, 77, 0, 200) };
    let request = build::udp((client, service), (40_000, crate::ECHO_PORT), 64, b"a request");
    for frame in beats().iter().chain([&request]) {
        hostile.receive(frame);
    }
}

fn ethernet(frame: &[u8]) -> EthernetFrame<&[u8]> {
    EthernetFrame::new_checked(frame).expect("a whole frame")
}

fn arp(frame: &[u8]) -> Option<ArpRepr> {
    let frame = ethernet(frame);
    (frame.ethertype() == EthernetProtocol::Arp).then_some(())?;
    ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).ok()?).ok()
}

/// The source, the destination, the protocol and the payload, if every checksum of the header holds.
fn ip(frame: &[u8]) -> Option<(IpAddress, IpAddress, IpProtocol, Vec<u8>)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
            let ends = (packet.src_addr().into(), packet.dst_addr().into());
            let payload = packet.payload().to_vec();
            packet.verify_checksum().then_some((ends.0, ends.1, packet.next_header(), payload))
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
            let ends = (packet.src_addr().into(), packet.dst_addr().into());
            Some((ends.0, ends.1, packet.next_header(), packet.payload().to_vec()))
        }
        EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => None,
    }
}

/// The type and the body of an ICMPv6 message whose checksum holds.
fn icmpv6(frame: &[u8]) -> Option<(u8, Vec<u8>)> {
    let (IpAddress::Ipv6(from), IpAddress::Ipv6(to), IpProtocol::Icmpv6, body) = ip(frame)? else {
        return None;
    };
    let packet = Icmpv6Packet::new_checked(&body[..]).ok()?;
    packet.verify_checksum(&from, &to).then(|| (body[0], body.clone()))
}

const SERVICE_V4: IpAddress = IpAddress::Ipv4(Lan::SERVICE_V4);
const SERVICE_V6: IpAddress = IpAddress::Ipv6(Lan::SERVICE_V6);

#[test]
fn the_same_seed_makes_the_same_frames_and_another_seed_others() {
    for weapon in Weapon::ALL {
        let run = |seed| {
            let mut hostile = armed(weapon, seed);
            hear_traffic(&mut hostile);
            volley(&mut hostile, 50)
        };
        assert_eq!(run(1), run(1), "{weapon:?}");
        if weapon != Weapon::NaClaim {
            assert_ne!(run(1), run(2), "{weapon:?}");
        }
    }
}

#[test]
fn a_weapon_does_the_same_whatever_else_is_in_use() {
    let mut alone = armed(Weapon::PingFlood, 1);
    let mut among = armed(Weapon::PingFlood, 1);
    let pace = Pace { interval: Duration::from_millis(1), burst: 4 };
    let both = Arsenal::default().with(Weapon::Garbage, pace).with(Weapon::PingFlood, pace);
    among.set_arsenal(Instant::ZERO, &both);
    let pings = volley(&mut alone, 10);
    let mixed = volley(&mut among, 10);
    assert!(mixed.len() > pings.len());
    let mut rest = mixed.iter();
    assert!(pings.iter().all(|ping| rest.any(|frame| frame == ping)), "not in the same order");
}

#[test]
fn no_frame_is_longer_than_a_tagged_frame_and_some_are_as_long() {
    let mut longest = 0;
    for weapon in Weapon::ALL {
        let frames = frames_of(weapon);
        longest = longest.max(frames.iter().map(Vec::len).max().unwrap_or_default());
    }
    assert_eq!(longest, MTU + 18);
}

#[test]
fn only_mac_spoof_bears_the_source_of_another_station() {
    let victims = Victims::new(&identities(&lan()));
    let forged = |weapon| {
        let source_of = |frame: &Vec<u8>| frame.get(6..12).map_or(MAC, EthernetAddress::from_bytes);
        let is_others =
            |source: &EthernetAddress| victims.is_member(*source) || *source == CLIENT_MAC;
        frames_of(weapon).iter().map(source_of).filter(is_others).count()
    };
    for weapon in Weapon::ALL.into_iter().filter(|weapon| *weapon != Weapon::MacSpoof) {
        assert_eq!(forged(weapon), 0, "{weapon:?}");
    }
    assert_eq!(forged(Weapon::MacSpoof), frames_of(Weapon::MacSpoof).len());
}

#[test]
fn arp_claim_claims_the_service_address_as_request_and_as_reply() {
    let mut seen = [0; 2];
    for frame in frames_of(Weapon::ArpClaim) {
        let ArpRepr::EthernetIpv4 { operation, source_protocol_addr, source_hardware_addr, .. } =
            arp(&frame).expect("ARP")
        else {
            panic!("not of IPv4: {frame:x?}");
        };
        assert_eq!(source_protocol_addr, Lan::SERVICE_V4);
        let identity = lan().node(1).identity;
        assert_ne!(source_hardware_addr, identity.service_mac());
        seen[usize::from(operation == ArpOperation::Reply)] += 1;
    }
    assert!(seen.iter().all(|&count| count > 10), "{seen:?}");
}

#[test]
fn na_claim_advertises_the_service_address_at_the_attacker_and_poses_as_a_router() {
    let frames = frames_of(Weapon::NaClaim);
    let messages: Vec<_> = frames.iter().filter_map(|frame| icmpv6(frame)).collect();
    assert_eq!(messages.len(), frames.len(), "every one is neighbour discovery, rightly summed");
    for kind in [ndp::ROUTER_ADVERT, ndp::SOLICIT, ndp::ADVERT, ndp::REDIRECT] {
        assert!(messages.iter().any(|(seen, _)| *seen == kind), "no message of type {kind}");
    }
    for (_, body) in messages.iter().filter(|(kind, _)| *kind == ndp::ADVERT) {
        assert_eq!(body[8..24], Lan::SERVICE_V6.octets());
        assert_eq!(body[24..], [&[ndp::TARGET_MAC, 1][..], MAC.as_bytes()].concat());
    }
}

#[test]
fn arp_probe_asks_from_no_address_in_both_families() {
    let (mut v4, mut v6) = (0, 0);
    for frame in frames_of(Weapon::ArpProbe) {
        if let Some(ArpRepr::EthernetIpv4 { source_protocol_addr, target_protocol_addr, .. }) =
            arp(&frame)
        {
            assert!(source_protocol_addr.is_unspecified());
            assert_eq!(target_protocol_addr, Lan::SERVICE_V4);
            v4 += 1;
        } else {
            let (kind, body) = icmpv6(&frame).expect("a solicitation");
            let (from, ..) = ip(&frame).expect("IPv6");
            assert_eq!((kind, &body[8..24]), (ndp::SOLICIT, &Lan::SERVICE_V6.octets()[..]));
            assert!(from.is_unspecified());
            v6 += 1;
        }
    }
    assert!(v4 > 10 && v6 > 10, "{v4} and {v6}");
}

#[test]
fn ask_flood_asks_in_many_names_and_in_those_of_no_station() {
    let mut askers = std::collections::BTreeSet::new();
    for frame in frames_of(Weapon::AskFlood) {
        let asker = match arp(&frame) {
            Some(ArpRepr::EthernetIpv4 { source_protocol_addr, .. }) => source_protocol_addr.into(),
            Some(_) => panic!("not of IPv4"),
            None => ip(&frame).expect("a solicitation").0,
        };
        assert!(![SERVICE_V4, SERVICE_V6].contains(&asker));
        let is_client =
            |index| Lan::client_addresses(index).iter().any(|cidr| cidr.address() == asker);
        assert!(!(0..50).any(is_client), "{asker} is a client's");
        askers.insert(asker);
    }
    assert!(askers.len() > 100, "{} askers", askers.len());
}

#[test]
fn syn_flood_mixes_syns_with_strays_bad_sums_and_flags_without_meaning() {
    let frames = frames_of(Weapon::SynFlood);
    let segments: Vec<_> = frames
        .iter()
        .filter_map(|frame| ip(frame))
        .filter(|(_, to, protocol, _)| {
            [SERVICE_V4, SERVICE_V6].contains(to) && *protocol == IpProtocol::Tcp
        })
        .collect();
    let count = |wanted: fn(u8) -> bool| segments.iter().filter(|s| wanted(s.3[13])).count();
    assert!(count(|flags| flags == 2) > 30, "SYN");
    assert!(count(|flags| flags & 4 != 0) > 10, "RST");
    assert!(count(|flags| flags == 17) > 10, "FIN");
    assert!(count(|flags| flags & 3 == 3 || flags == 0) > 5, "SYN with FIN, or nothing");
    let is_bad = |(from, to, _, bytes): &&(IpAddress, IpAddress, IpProtocol, Vec<u8>)| {
        TcpPacket::new_checked(&bytes[..]).is_ok_and(|packet| !packet.verify_checksum(from, to))
    };
    assert!(segments.iter().filter(is_bad).count() > 5, "bad checksums");
    let ports: std::collections::BTreeSet<_> = segments.iter().map(|s| [s.3[2], s.3[3]]).collect();
    assert!(ports.len() > 4, "open ports and closed ones");
}

#[test]
fn ping_flood_asks_in_both_families_with_nothing_and_with_a_frame_full() {
    let frames = frames_of(Weapon::PingFlood);
    let is_v4 = |frame: &&Vec<u8>| {
        ip(frame).is_some_and(|(_, _, protocol, body)| {
            protocol == IpProtocol::Icmp
                && body[0] == 8
                && Icmpv4Packet::new_unchecked(&body[..]).verify_checksum()
        })
    };
    let v4 = frames.iter().filter(is_v4).count();
    let v6 =
        frames.iter().filter(|frame| icmpv6(frame).is_some_and(|(kind, _)| kind == 128)).count();
    assert_eq!(v4 + v6, frames.len());
    assert!(v4 > 10 && v6 > 10, "{v4} and {v6}");
    assert!(frames.iter().any(|frame| frame.len() < 60));
    assert!(frames.iter().any(|frame| frame.len() == FRAME_LEN_MAX));
}

#[test]
fn beat_replay_sends_whole_beats_of_the_group_and_last_words_again() {
    let originals = beats();
    let payloads: Vec<_> = originals.iter().map(|frame| &frame[frame.len() - BEAT_LEN..]).collect();
    let frames = frames_of(Weapon::BeatReplay);
    let mut last_words = 0;
    for frame in &frames {
        assert!(payloads.contains(&&frame[frame.len() - BEAT_LEN..]), "not one that was heard");
        last_words += u64::from(beat(frame).is_some_and(|beat| beat.intent() != 0));
    }
    assert!(last_words > 10, "{last_words}");
    let readdressed =
        frames.iter().filter(|frame| !originals.iter().any(|o| o[26..] == frame[26..]));
    assert!(readdressed.count() > 10);
}

#[test]
fn beat_replay_and_the_copies_of_others_have_nothing_to_say_before_anything_was_heard() {
    let mut hostile = armed(Weapon::BeatReplay, 1);
    assert_eq!(volley(&mut hostile, 10), Vec::<Vec<u8>>::new());
    assert_eq!(hostile.counters(), HostileCounters { blank: 40, ..HostileCounters::default() });
}

#[test]
fn no_forged_beat_opens_except_one_that_looks_routed() {
    let (key, group) = (Key::new([0x10; 32]), GroupId::new(7).expect("in range"));
    let frames = frames_of(Weapon::BeatForge);
    let (mut routed, mut sealed) = (0, 0);
    for frame in &frames {
        let (_, _, protocol, datagram) = ip(frame).expect("a whole packet");
        assert_eq!(protocol, IpProtocol::Udp);
        assert_eq!(datagram[2..4], BEAT_PORT.to_be_bytes());
        let hop_limit = frame[22];
        let opened = identities(&lan())
            .iter()
            .any(|one| open(&datagram[8..], &key, group, one.node).is_ok());
        assert!(!opened || hop_limit == 64, "{frame:x?}");
        routed += u64::from(opened);
        sealed += u64::from(beat(frame).is_some());
    }
    assert!(routed > 10 && sealed > 100, "{routed} and {sealed}");
}

#[test]
fn garbage_has_fragments_options_tags_and_frames_without_a_header() {
    let frames = frames_of(Weapon::Garbage);
    let ethertype = |frame: &Vec<u8>| frame.get(12..14).map(|b| u16::from_be_bytes([b[0], b[1]]));
    let count = |wanted: &dyn Fn(&Vec<u8>) -> bool| frames.iter().filter(|f| wanted(f)).count();
    assert!(count(&|f| f.len() < 14) > 0, "runts");
    assert!(count(&|f| matches!(ethertype(f), Some(0x8100 | 0x88a8))) > 10, "tags");
    assert!(count(&|f| ethertype(f) == Some(0x0800) && f.get(14).is_some_and(|b| *b > 0x45)) > 10);
    let offset = |f: &Vec<u8>| f.get(20..22).map(|b| u16::from_be_bytes([b[0], b[1]]));
    assert!(count(&|f| ethertype(f) == Some(0x0800) && offset(f) == Some(0x2000)) > 10, "first");
    assert!(count(&|f| ethertype(f) == Some(0x0800) && offset(f) == Some(0x1fff)) > 10, "last");
    let next_header = |f: &Vec<u8>, kind| ethertype(f) == Some(0x86dd) && f.get(20) == Some(&kind);
    assert!(count(&|f| next_header(f, 44)) > 10, "fragments of IPv6");
    assert!(count(&|f| [0, 43, 60].iter().any(|&kind| next_header(f, kind))) > 10, "extensions");
}

#[test]
fn multicast_noise_goes_to_groups_and_speaks_every_protocol() {
    let frames = frames_of(Weapon::MulticastNoise);
    assert!(frames.iter().all(|frame| ethernet(frame).dst_addr().is_multicast()));
    let has = |wanted: &dyn Fn(&[u8]) -> bool| frames.iter().any(|frame| wanted(frame));
    assert!(has(&|f| ip(f).is_some_and(|(_, _, protocol, _)| protocol == IpProtocol::Igmp)));
    assert!(has(&|f| ip(f).is_some_and(|(_, _, protocol, _)| protocol == IpProtocol::HopByHop)));
    assert!(has(&|f| icmpv6(f).is_some_and(|(kind, _)| kind == ndp::ROUTER_ADVERT)));
    assert!(has(&|f| f[12..14] == [0x88, 0xcc]), "LLDP");
    assert!(has(&|f| f[12..17] == [0, 38, 0x42, 0x42, 3]), "a bridge's");
    assert!(has(&|f| f.get(36..38) == Some(&5353_u16.to_be_bytes()[..])), "mDNS");
}

#[test]
fn weapons_are_found_by_name_and_taken_up_and_laid_down_at_run_time() {
    for weapon in Weapon::ALL {
        assert_eq!(Weapon::from_name(weapon.name()), Some(weapon));
    }
    assert_eq!(Weapon::from_name("trebuchet"), None);

    let mut hostile = armed(Weapon::Garbage, 1);
    assert_eq!(hostile.poll_deadline(), Some(Instant::ZERO));
    hostile.turn(Instant::ZERO);
    assert_eq!(hostile.poll_deadline(), Some(Instant::from_millis(1)));
    let slow = Pace { interval: Duration::from_millis(7), burst: 1 };
    let both =
        Arsenal::of(&[Weapon::Garbage], Duration::from_millis(1)).with(Weapon::ArpClaim, slow);
    assert_eq!(both.weapons().collect::<Vec<_>>(), [Weapon::ArpClaim, Weapon::Garbage]);
    hostile.set_arsenal(Instant::from_micros(500), &both);
    assert_eq!(hostile.poll_deadline(), Some(Instant::from_micros(500)), "the new one, at once");
    hostile.set_arsenal(Instant::from_micros(600), &Arsenal::default());
    assert_eq!(hostile.poll_deadline(), None);
}

#[test]
fn frames_that_nobody_takes_are_dropped_and_counted() {
    let mut hostile = armed(Weapon::PingFlood, 1);
    for turn in 0..1_000 {
        hostile.turn(Instant::from_millis(turn));
    }
    let kept = volley(&mut hostile, 0).len() as u64;
    let left = std::iter::from_fn(|| hostile.poll_transmit(|_| ())).count() as u64;
    let HostileCounters { fired, queue_full, .. } = hostile.counters();
    assert_eq!((kept, left), (0, OUTBOX_MAX as u64));
    assert_eq!(fired, left);
    assert!(queue_full > 0);
}

#[test]
fn in_own_mode_each_node_is_where_the_service_may_be() {
    let lan = Lan { mac_mode: MacMode::Own, ..lan() };
    let victims = Victims::new(&identities(&lan));
    assert_eq!(victims.services.len(), 6, "two addresses at three MACs");
    assert_eq!(solicited_node(Lan::SERVICE_V6).mac, EthernetAddress([0x33, 0x33, 0xff, 0, 1, 0]));
    assert_eq!(build::group(ALL_NODES).mac, EthernetAddress([0x33, 0x33, 0, 0, 0, 1]));
}
