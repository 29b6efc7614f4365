use locum_types::{GroupId, Term};
use locum_wire::Intent;

use super::*;

const OURS: BootNonce = BootNonce(1);
const DEAD_AFTER: Duration = Duration::from_millis(30);

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn beat(boot: u64, sequence: u64) -> Beat {
    let id = |id| NodeId::new(id).expect("in range");
    Beat {
        group: GroupId::new(1).expect("in range"),
        from: id(2),
        to: id(1),
        boot: BootNonce(boot),
        echo: Some(OURS),
        sequence,
        term: Term(1),
        mode: Mode::Waiting,
        health: Health::Ok,
        priority: Priority::new(100).expect("in range"),
        position: LogPosition(0),
        isolated: false,
        interval: Duration::from_millis(10),
        dead_after: DEAD_AFTER,
        heard: 0,
        heard_age_us: None,
        timestamp: 0,
        timestamp_echo: None,
        intent: Intent::None,
    }
}

fn peer() -> Peer {
    Peer::new(beat(0, 0).from, ms(0))
}

fn hear(peer: &mut Peer, at: u64, beat: Beat) -> Hearing {
    peer.hear(ms(at), &beat, OURS, DEAD_AFTER)
}

#[test]
fn a_life_that_was_retired_stays_so_for_many_lives() {
    let mut peer = peer();
    for boot in 10..10 + RETIRED_MAX as u64 {
        assert_eq!(hear(&mut peer, 1, beat(boot, 1)), Hearing::News { new_boot: true });
        peer.retire();
    }
    for boot in 10..10 + RETIRED_MAX as u64 {
        assert_eq!(hear(&mut peer, 2, beat(boot, 2)), Hearing::Refused(Refused::OldBoot));
    }
}

#[test]
fn a_newcomer_is_echoed_only_when_the_session_is_silent() {
    let mut peer = peer();
    hear(&mut peer, 0, beat(10, 1));
    assert_eq!(hear(&mut peer, 1, Beat { echo: None, ..beat(11, 1) }), Hearing::Introduced);
    assert_eq!(peer.echo(ms(2), DEAD_AFTER), Some(BootNonce(10)));
    hear(&mut peer, 29, Beat { echo: None, ..beat(11, 2) });
    assert_eq!(peer.echo(ms(30), DEAD_AFTER), Some(BootNonce(11)));
    assert_eq!(peer.echo(ms(1_000), DEAD_AFTER), Some(BootNonce(10)), "of late, not of old");
}

#[test]
fn a_former_life_does_not_talk_over_a_newcomer() {
    let mut peer = peer();
    hear(&mut peer, 0, beat(10, 1));
    hear(&mut peer, 28, Beat { echo: None, ..beat(11, 1) });
    hear(&mut peer, 29, Beat { echo: None, ..beat(10, 2) });
    assert_eq!(peer.echo(ms(31), DEAD_AFTER), Some(BootNonce(11)));
}

#[test]
fn a_twin_is_told_of_once() {
    let mut peer = peer();
    let mut twins = 0;
    for at in 0..100 {
        hear(&mut peer, at * 10, beat(10, at + 1));
        let heard = hear(&mut peer, at * 10, beat(11, at + 1));
        let Hearing::Refused(Refused::SecondLife { twin }) = heard else {
            panic!("the first life lives: {heard:?}")
        };
        twins += u32::from(twin);
    }
    assert_eq!(twins, 1);
}

#[test]
fn loss_counts_from_the_beginning_of_the_session() {
    let mut peer = peer();
    for sequence in [1_000, 1_001, 1_003] {
        hear(&mut peer, sequence, beat(10, sequence));
    }
    assert_eq!(peer.loss_in(), 0.25, "one of four");
    assert_eq!(peer.loss_out(), None, "it has not said what it heard");
    (0..8).for_each(|_| _ = peer.next_sequence());
    hear(&mut peer, 1_004, Beat { heard: 0b0011_1111, ..beat(10, 1_004) });
    assert_eq!(peer.loss_out(), Some(0.25), "two of eight");
}

#[test]
fn the_round_trip_leaves_out_the_time_the_peer_held_our_timestamp() {
    let mut peer = peer();
    let echo = |timestamp, held_us| Some(TimestampEcho { timestamp, held_us });
    hear(&mut peer, 50, Beat { timestamp_echo: echo(40_000, 7_000), ..beat(10, 1) });
    assert_eq!(peer.rtt, Some(Duration::from_millis(3)));
    // A clock that wraps, and a peer that claims to have held it for longer than it took.
    let after_wrap = Instant::from_micros(u64::from(u32::MAX) + 1_001);
    let late = Beat { timestamp_echo: echo(u32::MAX, 9_000), ..beat(10, 2) };
    assert_eq!(age_of(after_wrap, &late), Some(Duration::ZERO));
}

#[test]
fn what_was_said_before_a_death_does_not_bring_back_the_dead() {
    // Our timestamp came back at once: the beat was said at `said`, or a moment later.
    let echoing = |said: u64, beat| {
        let timestamp = timestamp_of(ms(said));
        Beat { timestamp_echo: Some(TimestampEcho { timestamp, held_us: 0 }), ..beat }
    };
    // Heard last at 100, so dead from 130 on.
    let dead = || {
        let mut peer = peer();
        hear(&mut peer, 100, echoing(100, beat(10, 1)));
        peer
    };
    assert_eq!(hear(&mut dead(), 129, echoing(90, beat(10, 2))), Hearing::News { new_boot: false });
    let mut peer = dead();
    assert_eq!(hear(&mut peer, 200, echoing(110, beat(10, 3))), Hearing::Stale);
    assert!(!peer.is_alive(ms(200), DEAD_AFTER));
    assert_eq!(
        hear(&mut peer, 200, echoing(110, beat(10, 3))),
        Hearing::Refused(Refused::Replayed)
    );
    assert_eq!(hear(&mut peer, 201, beat(11, 1)), Hearing::News { new_boot: true });
    // Young enough, or said since.
    for (at, said) in [(140, 110), (200, 130)] {
        let mut peer = dead();
        let news = Hearing::News { new_boot: false };
        assert_eq!(hear(&mut peer, at, echoing(said, beat(10, 3))), news, "{said} at {at}");
        assert!(peer.is_alive(ms(at), DEAD_AFTER));
    }
}

#[test]
fn the_timestamp_of_the_newest_beat_goes_back_even_if_it_is_not_believed() {
    let mut peer = peer();
    let stamped = |sequence, timestamp| Beat { timestamp, ..beat(10, sequence) };
    let echo = |timestamp, held_us| Some(TimestampEcho { timestamp, held_us });
    assert_eq!(peer.timestamp_echo(ms(100)), None);
    hear(&mut peer, 100, stamped(2, 7));
    assert_eq!(hear(&mut peer, 101, stamped(1, 6)), Hearing::Late);
    assert_eq!(peer.timestamp_echo(ms(102)), echo(7, 2_000), "held since it came");
    let old = Beat { timestamp_echo: echo(timestamp_of(ms(110)), 0), ..stamped(3, 8) };
    assert_eq!(hear(&mut peer, 200, old), Hearing::Stale);
    assert_eq!(peer.timestamp_echo(ms(203)), echo(8, 3_000));
    hear(&mut peer, 204, stamped(4, 9));
    hear(&mut peer, 300, Beat { timestamp: 1, ..beat(11, 1) });
    assert_eq!(peer.timestamp_echo(ms(300)), echo(1, 0), "nothing of a former life");
}

#[test]
fn the_last_number_is_left_to_the_will() {
    let mut peer = peer();
    peer.sent = u64::MAX - 2;
    assert_eq!(peer.next_sequence(), u64::MAX - 1);
    assert_eq!(peer.next_sequence(), u64::MAX - 1);
}

#[test]
fn only_a_living_waiting_peer_that_can_serve_is_a_candidate() {
    let is_candidate = |beat: Beat, at: u64| {
        let mut peer = peer();
        hear(&mut peer, 0, beat);
        peer.candidacy(ms(at), DEAD_AFTER).is_some()
    };
    assert!(is_candidate(beat(10, 1), 29));
    assert!(!is_candidate(beat(10, 1), 30));
    assert!(!is_candidate(Beat { health: Health::Failed, ..beat(10, 1) }, 1));
    for mode in [Mode::Joining, Mode::Active, Mode::Fenced] {
        assert!(!is_candidate(Beat { mode, ..beat(10, 1) }, 1), "{mode}");
    }
}
