use locum_types::NodeId;
use smoltcp::wire::{IpCidr, Ipv6Cidr};

use super::*;
use crate::MacMode;
use crate::testing::*;

/// Everything announced until `end`, polled at its deadlines: (milliseconds, announcement).
fn run(announcer: &mut Announcer, end: Instant) -> Vec<(u64, Announcement)> {
    let mut said = Vec::new();
    while let Some(due) = announcer.poll_deadline().filter(|&due| due <= end) {
        let before = said.len();
        while let Some(announcement) = announcer.poll(due) {
            said.push((due.as_millis(), announcement));
        }
        assert_ne!(said.len(), before, "a deadline with nothing to say");
    }
    said
}

fn times(said: &[(u64, Announcement)], wanted: Announcement) -> Vec<u64> {
    said.iter().filter(|(_, what)| *what == wanted).map(|&(at, _)| at).collect()
}

#[test]
fn nothing_is_announced_before_activation_and_after_stop() {
    let mut announcer = Announcer::new(&identity(MacMode::Virtual));
    assert_eq!(announcer.poll_deadline(), None);
    assert_eq!(announcer.poll(Instant::from_millis(5)), None);
    announcer.activate(Instant::ZERO);
    assert!(announcer.poll(Instant::ZERO).is_some());
    announcer.stop();
    assert_eq!(announcer.poll_deadline(), None);
    assert_eq!(announcer.poll(Instant::from_millis(5)), None);
}

// RFC 5227 §2.3 wants two announcements; Linux' locktime of 1 s wants one that comes later than
// that.
#[test]
fn gratuitous_arp_is_a_burst_then_a_refresh_in_both_forms() {
    let mut announcer = Announcer::new(&identity(MacMode::Virtual));
    announcer.activate(Instant::ZERO);
    let said = run(&mut announcer, Instant::from_millis(130_000));
    let expected = [0, 20, 100, 1_200, 2_300, 3_400, 4_500, 5_600, 65_600, 125_600];
    assert_eq!(times(&said, Announcement::ArpRequest(SIP)), expected);
    assert_eq!(times(&said, Announcement::ArpReply(SIP)), expected);
}

// RFC 4861 §7.2.6: at most three unsolicited advertisements, a second apart, after a change.
#[test]
fn unsolicited_advertisements_are_three_a_second_apart_then_a_refresh() {
    let mut announcer = Announcer::new(&identity(MacMode::Virtual));
    announcer.activate(Instant::ZERO);
    let said = run(&mut announcer, Instant::from_millis(70_000));
    assert_eq!(times(&said, Announcement::Advert(SIP6)), [0, 1_000, 2_000, 62_000]);
}

// RFC 9568 §6.4.2: join the solicited-node group, then advertise.
#[test]
fn the_group_is_joined_before_the_first_advertisement() {
    let mut announcer = Announcer::new(&identity(MacMode::Virtual));
    announcer.activate(Instant::ZERO);
    let said = run(&mut announcer, Instant::from_millis(5_000));
    assert_eq!(times(&said, Announcement::Join(SIP6)), [0, 1_000], "robustness 2");
    let position = |wanted| said.iter().position(|&(_, what)| what == wanted);
    assert!(position(Announcement::Join(SIP6)) < position(Announcement::Advert(SIP6)));
}

#[test]
fn every_service_address_is_announced() {
    let mut identity = identity(MacMode::Virtual);
    let other = Ipv4Address::new(10, 77, 0, 101);
    identity.service.push(IpCidr::new(other.into(), 24));
    let mut announcer = Announcer::new(&identity);
    announcer.activate(Instant::ZERO);
    let said = run(&mut announcer, Instant::ZERO);
    for wanted in [SIP, other].map(Announcement::ArpRequest) {
        assert_eq!(times(&said, wanted), [0]);
    }
}

#[test]
fn a_family_without_addresses_has_no_deadline() {
    let mut identity = identity(MacMode::Virtual);
    identity.service.clear();
    let mut announcer = Announcer::new(&identity);
    announcer.activate(Instant::ZERO);
    assert_eq!(announcer.poll_deadline(), None);
    assert_eq!(announcer.poll(Instant::ZERO), None);
}

// RFC 4861 §7.2.6: "the transmissions MUST be separated by at least RetransTimer".
#[test]
fn a_restart_keeps_the_distance_to_the_round_before() {
    let mut announcer = Announcer::new(&identity(MacMode::Virtual));
    announcer.activate(Instant::ZERO);
    run(&mut announcer, Instant::ZERO);
    announcer.restart(Instant::from_millis(1));
    let said = run(&mut announcer, Instant::from_millis(2_500));
    assert_eq!(times(&said, Announcement::Advert(SIP6)), [1_000, 2_000]);
    assert_eq!(times(&said, Announcement::ArpRequest(SIP)), [20, 40, 120, 1_220, 2_320]);
}

#[test]
fn a_restart_after_the_burst_begins_at_once_and_so_does_a_new_activation() {
    let mut announcer = Announcer::new(&identity(MacMode::Virtual));
    announcer.activate(Instant::ZERO);
    run(&mut announcer, Instant::from_millis(30_000));
    let again = Instant::from_millis(30_000);
    announcer.restart(again);
    assert_eq!(announcer.poll_deadline(), Some(again));
    run(&mut announcer, again);
    announcer.stop();
    announcer.activate(again + ms(1));
    assert_eq!(announcer.poll_deadline(), Some(again + ms(1)), "another change, another burst");
}

#[test]
fn late_rounds_do_not_bunch_up() {
    let mut announcer = Announcer::new(&identity(MacMode::Virtual));
    announcer.activate(Instant::ZERO);
    let late = Instant::from_millis(10_000);
    let mut said = 0;
    while announcer.poll(late).is_some() {
        said += 1;
    }
    assert_eq!(said, 4, "one round of each family");
    assert_eq!(announcer.poll_deadline(), Some(late + ms(20)));
}

// RFC 3810 §5.2.13: a report comes from a link-local address, or from `::`.
#[test]
fn reports_come_from_a_link_local_address_if_there_is_one() {
    let mut identity = identity(MacMode::Virtual);
    assert_eq!(JoinSource::of(&identity).0, Ipv6Address::UNSPECIFIED);
    let link_local = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
    identity.service.push(IpCidr::Ipv6(Ipv6Cidr::new(link_local, 64)));
    assert_eq!(JoinSource::of(&identity).0, link_local);
}

// RFC 9568 §7.2, §8.1.2: whatever is announced comes from the service MAC.
#[test]
fn announcements_come_from_the_service_mac_in_both_modes() {
    for mac_mode in MAC_MODES {
        let mut identity = identity(mac_mode);
        identity.node = NodeId::new(9).expect("in range");
        let mac = identity.service_mac();
        for announcement in [
            Announcement::ArpRequest(SIP),
            Announcement::ArpReply(SIP),
            Announcement::Join(SIP6),
            Announcement::Advert(SIP6),
        ] {
            let source = JoinSource::of(&identity);
            let frame = crafted(|buffer| announcement.emit(mac, source, buffer));
            assert_eq!(view(&frame).source, mac);
        }
    }
}
