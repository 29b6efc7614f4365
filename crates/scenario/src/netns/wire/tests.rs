use locum_lab::node::address;
use locum_lab::{SERVICE_V4, SERVICE_V6};
use locum_types::Mode;

use super::*;

const MS: u64 = 1_000_000;
const VIRTUAL: [u8; 6] = [2, 0x4c, 0x6f, 0, 7, 0];
const OWN: [u8; 6] = [2, 0x4c, 0x6f, 0, 7, 1];
const CLIENT: [u8; 4] = [10, 77, 0, 201];

fn frame(at_ms: u64, source: [u8; 6], ethertype: u16, payload: &[u8]) -> Frame {
    let bytes = [&[0x33; 6], &source, ethertype.to_be_bytes().as_slice(), payload].concat();
    Frame { at: at_ms * MS, bytes }
}

fn arp(at_ms: u64, mac: [u8; 6], operation: u8, sender: [u8; 4], target: [u8; 4]) -> Frame {
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    let payload = [&head[..], &mac, &sender, &[0; 6], &target].concat();
    frame(at_ms, mac, 0x0806, &payload)
}

fn ndp(kind: u8, source: [u8; 16]) -> Frame {
    let mut packet = vec![0x60, 0, 0, 0, 0, 24, 58, 255];
    packet.extend(source);
    packet.extend([0; 16]);
    packet.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
    packet.extend(SERVICE_V6.octets());
    frame(0, OWN, 0x86dd, &packet)
}

fn datagram(at_ms: u64, source: [u8; 4], port: u16) -> Frame {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(source);
    packet.extend(CLIENT);
    packet.extend([7u16.to_be_bytes(), port.to_be_bytes()].concat());
    frame(at_ms, OWN, 0x0800, &packet)
}

#[test]
fn words_are_told_apart() {
    let service = SERVICE_V4.octets();
    let node = address(1).octets();
    let frames = [
        arp(1, VIRTUAL, 1, service, service),
        arp(2, VIRTUAL, 2, service, CLIENT),
        arp(3, OWN, 1, [0; 4], service),
        arp(4, VIRTUAL, 1, service, CLIENT),
        arp(5, OWN, 2, node, CLIENT),
        arp(6, OWN, 1, node, CLIENT),
    ];
    let expected = [(MS, Word::Announcement), (2 * MS, Word::Answer), (3 * MS, Word::Probe)];
    assert_eq!(words(&frames), expected);
}

#[test]
fn neighbour_discovery_has_words_too() {
    assert_eq!(words(&[ndp(135, [0; 16])]), [(0, Word::Probe)]);
    assert_eq!(words(&[ndp(136, SERVICE_V6.octets())]), [(0, Word::Announcement)]);
    let mut to_one = ndp(136, SERVICE_V6.octets());
    to_one.bytes[..6].copy_from_slice(&OWN);
    assert_eq!(words(&[to_one]), [(0, Word::Answer)]);
    assert_eq!(words(&[ndp(135, SERVICE_V6.octets())]), []);
}

#[test]
fn beats_are_datagrams_from_the_nodes_own_address_to_their_port() {
    let own = address(1).octets();
    let frames =
        [datagram(1, own, 3780), datagram(2, own, 7), datagram(3, SERVICE_V4.octets(), 3780)];
    assert_eq!(beats(1, &frames), [MS]);
    assert_eq!(beats(2, &frames), [0; 0]);
}

#[test]
fn a_turn_begins_with_the_announcement_that_precedes_the_log() {
    let service = SERVICE_V4.octets();
    let frames = [
        datagram(10, service, 4000),
        datagram(98, service, 4000),
        arp(99, VIRTUAL, 1, service, service),
        datagram(100, service, 4000),
        datagram(110, service, 4000),
    ];
    let active = [(101 * MS, Condition::Running(Mode::Active))];
    let leaks = leaks(1, &frames, &active, &[101 * MS], Duration::from_millis(30));
    assert_eq!(leaks.iter().map(|leak| leak.at / MS).collect::<Vec<_>>(), [10, 98]);
}

#[test]
fn an_announcement_long_before_the_log_is_a_leak() {
    let service = SERVICE_V4.octets();
    let frames = [arp(50, VIRTUAL, 1, service, service)];
    let active = [(101 * MS, Condition::Running(Mode::Active))];
    let leaks = leaks(1, &frames, &active, &[101 * MS], Duration::from_millis(30));
    assert_eq!(leaks.len(), 1);
}
