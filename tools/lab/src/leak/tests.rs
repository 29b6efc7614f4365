use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

const VIRTUAL: Mac = Mac([2, 0x4c, 0x6f, 0, 7, 0]);
const NODE: Mac = Mac([2, 0x4c, 0x6f, 0, 7, 1]);
const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 9]);
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 11);

fn identity() -> Identity {
    let service_v6: Ipv6Addr = "fd77::100".parse().unwrap();
    Identity { service: vec![SERVICE.into(), service_v6.into()], virtual_mac: VIRTUAL }
}

fn ethernet(source: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&CLIENT.0, &source.0, ethertype.to_be_bytes().as_slice(), payload].concat()
}

fn arp(operation: u8, mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    [
        &[0, 1, 8, 0, 6, 4, 0, operation],
        mac.0.as_slice(),
        &sender.octets(),
        &[0; 6],
        &target.octets(),
    ]
    .concat()
}

fn ipv4(source: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(source.octets());
    packet.extend([10, 77, 0, 201, 0, 7, 0x12, 0x34]);
    packet
}

fn icmpv6(source: &str, kind: u8, target: &str, hop_by_hop: bool) -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    let next = if hop_by_hop { 0 } else { 58 };
    let mut packet = vec![0x60, 0, 0, 0, 0, 24, next, 255];
    packet.extend(address(source));
    packet.extend(address("ff02::1"));
    if hop_by_hop {
        packet.extend([58, 0, 5, 2, 0, 0, 1, 0]);
    }
    packet.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
    packet.extend(address(target));
    packet
}

fn claim(frame: &[u8]) -> Option<Claim> {
    identity().claim(&parse(frame).expect("long enough"))
}

#[test]
fn everything_from_the_virtual_mac_speaks_for_the_service() {
    assert_eq!(claim(&ethernet(VIRTUAL, 0x88cc, &[])), Some(Claim::VirtualMac));
    let probe = arp(1, VIRTUAL, Ipv4Addr::UNSPECIFIED, SERVICE);
    assert_eq!(claim(&ethernet(NODE, 0x0806, &probe)), Some(Claim::VirtualMac));
}

#[test]
fn arp_speaks_for_its_sender_and_not_for_its_target() {
    for operation in [1, 2] {
        let frame = ethernet(NODE, 0x0806, &arp(operation, NODE, SERVICE, OTHER));
        assert_eq!(claim(&frame), Some(Claim::ArpSender));
    }
    assert_eq!(claim(&ethernet(NODE, 0x0806, &arp(1, NODE, OTHER, SERVICE))), None);
    let probe = arp(1, NODE, Ipv4Addr::UNSPECIFIED, SERVICE);
    assert_eq!(claim(&ethernet(NODE, 0x0806, &probe)), None);
}

#[test]
fn ip_speaks_for_its_source() {
    assert_eq!(claim(&ethernet(NODE, 0x0800, &ipv4(SERVICE))), Some(Claim::Source));
    assert_eq!(claim(&ethernet(NODE, 0x0800, &ipv4(OTHER))), None);
    let solicitation = icmpv6("fd77::100", 135, "fd77::1", false);
    assert_eq!(claim(&ethernet(NODE, 0x86dd, &solicitation)), Some(Claim::Source));
}

#[test]
fn a_neighbour_advertisement_speaks_for_its_target_a_solicitation_does_not() {
    for hop_by_hop in [false, true] {
        let advertisement = icmpv6("fe80::1", 136, "fd77::100", hop_by_hop);
        let frame = ethernet(NODE, 0x86dd, &advertisement);
        assert_eq!(claim(&frame), Some(Claim::NeighbourAdvertisement));
    }
    let probe = icmpv6("::", 135, "fd77::100", false);
    assert_eq!(claim(&ethernet(NODE, 0x86dd, &probe)), None);
}

#[test]
fn tagged_frames_are_seen_through() {
    let mut frame = ethernet(NODE, 0x8100, &[0, 5, 0x08, 0x00]);
    frame.extend(ipv4(SERVICE));
    assert_eq!(claim(&frame), Some(Claim::Source));
}

#[test]
fn every_truncation_is_survived_and_keeps_the_virtual_mac() {
    let whole = ethernet(VIRTUAL, 0x86dd, &icmpv6("fd77::100", 136, "fd77::100", true));
    for len in 0..whole.len() {
        let parsed = parse(&whole[..len]);
        assert_eq!(parsed.is_some(), len >= 14, "{len} bytes");
        if let Some(parsed) = parsed {
            assert_eq!(identity().claim(&parsed), Some(Claim::VirtualMac));
        }
    }
}

fn recorded(at: u64, payload: Vec<u8>, ethertype: u16) -> Frame {
    Frame { at, bytes: ethernet(VIRTUAL, ethertype, &payload) }
}

fn announcement(at: u64) -> Frame {
    recorded(at, arp(1, VIRTUAL, SERVICE, SERVICE), 0x0806)
}

fn data(at: u64) -> Frame {
    recorded(at, ipv4(SERVICE), 0x0800)
}

#[test]
fn only_frames_within_the_silence_leak() {
    let frames = [data(10), data(20), data(30)];
    let leaks = identity().leaks(2, &frames, 15..30);
    assert_eq!(leaks.iter().map(|leak| (leak.node, leak.at)).collect::<Vec<_>>(), [(2, 20)]);
}

#[test]
fn a_turn_lasts_from_one_announcement_to_the_next_nodes() {
    let first = vec![announcement(10), data(20), data(31)];
    let second = vec![data(5), announcement(30), data(40)];
    let leaks = identity().out_of_turn(&[(1, first), (2, second)]);
    let found: Vec<_> = leaks.iter().map(|leak| (leak.node, leak.at)).collect();
    assert_eq!(found, [(2, 5), (1, 31)]);
}

#[test]
fn whoever_is_relieved_may_answer_from_its_own_mac_for_a_moment() {
    let last_words = |at| Frame { at, bytes: ethernet(NODE, 0x0800, &ipv4(SERVICE)) };
    let arp_answer =
        |at| Frame { at, bytes: ethernet(NODE, 0x0806, &arp(2, NODE, SERVICE, OTHER)) };
    let first = vec![announcement(10), last_words(31), arp_answer(32), last_words(30 + RELIEF)];
    let second = vec![announcement(30)];
    let third = vec![last_words(33)];
    let leaks = identity().out_of_turn(&[(1, first), (2, second), (3, third)]);
    let found: Vec<_> = leaks.iter().map(|leak| (leak.node, leak.at)).collect();
    assert_eq!(found, [(1, 32), (3, 33), (1, 30 + RELIEF)]);
}
