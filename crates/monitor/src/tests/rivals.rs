//! Two active nodes, strangers, twins: who yields, and who is told.

use locum_types::{BootNonce, Cause, LogPosition, Mode, Term};

use super::group::{Group, Link};
use super::solo::{DEAD_AFTER, INTERVAL, Puppet, Solo, config, ms, node, priority};
use crate::{Event, Input, Output};

/// Node 1, active in term 1 with priority 100.
fn active_solo() -> (Solo, Puppet) {
    let mut peer = Puppet::new(2);
    let solo = Solo::active(config(1, &[2]), &mut [&mut peer]);
    (solo, peer)
}

#[test]
fn term_priority_and_id_decide_in_this_order_who_yields() {
    for (term, rank, yields) in
        [(2, 1, true), (1, 200, true), (1, 100, true), (1, 99, false), (0, 254, false)]
    {
        let (mut solo, mut rival) = active_solo();
        rival.beat.mode = Mode::Active;
        (rival.beat.term, rival.beat.priority) = (Term(term), priority(rank));
        solo.hear(rival.speak());
        let expected = if yields { Mode::Joining } else { Mode::Active };
        assert_eq!(solo.mode(), expected, "term {term}, priority {rank}");
    }
}

#[test]
fn of_two_active_nodes_the_isolated_one_yields_whatever_its_term() {
    for (we, they, term, yields) in [
        (true, false, 0, true),
        (false, true, 2, false),
        (true, true, 2, true),
        (true, true, 0, false),
        (false, false, 2, true),
    ] {
        let (mut solo, mut rival) = active_solo();
        solo.turn([Input::Isolated(we)]);
        rival.beat.mode = Mode::Active;
        (rival.beat.term, rival.beat.isolated) = (Term(term), they);
        solo.hear(rival.speak());
        let expected = if yields { Mode::Joining } else { Mode::Active };
        assert_eq!(solo.mode(), expected, "isolated {we}, {they}, term {term}");
    }
}

#[test]
fn of_two_that_began_with_nothing_the_one_that_has_seen_clients_stays() {
    for (seen, theirs, yields) in [
        (LogPosition::NOTHING_YET, LogPosition::default(), true),
        (LogPosition::complete(1), LogPosition::default(), false),
        (LogPosition::complete(1), LogPosition::NOT_WHOLE, true),
        (LogPosition::complete(1), LogPosition::complete(0), true),
    ] {
        let (mut solo, mut rival) = active_solo();
        solo.turn([Input::Position { position: seen, until: None }]);
        (rival.beat.mode, rival.beat.term, rival.beat.priority) =
            (Mode::Active, Term(1), priority(200));
        rival.beat.position = theirs;
        solo.hear(rival.speak());
        let expected = if yields { Mode::Joining } else { Mode::Active };
        assert_eq!(solo.mode(), expected, "{seen}, {theirs}");
    }
}

#[test]
fn only_an_active_node_says_that_it_is_isolated() {
    let (mut solo, _) = active_solo();
    solo.turn([Input::Isolated(true)]);
    solo.take();
    solo.run(INTERVAL);
    assert!(solo.beats().iter().all(|beat| beat.isolated) && !solo.beats().is_empty());
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.turn([Input::Isolated(true)]);
    solo.run_with(INTERVAL, &mut [&mut active]);
    assert!(solo.beats().iter().all(|beat| !beat.isolated) && !solo.beats().is_empty());
}

#[test]
fn the_loser_yields_at_once_and_announces_nothing() {
    let (mut solo, mut rival) = active_solo();
    (rival.beat.mode, rival.beat.term) = (Mode::Active, Term(7));
    solo.hear(rival.speak());
    let cause = Cause::Rival { peer: node(2) };
    assert_eq!(solo.changes(), [(Mode::Active, Mode::Joining, cause)]);
    assert_eq!(solo.count(&Output::Announce), 0);
    assert_eq!(solo.term(), Term(7));
    solo.run_with(DEAD_AFTER * 2 + INTERVAL, &mut [&mut rival]);
    assert_eq!(solo.mode(), Mode::Waiting);
    assert_eq!(solo.monitor.status(solo.now).counters.rivals_yielded_to, 1);
}

/// Beats took longer than the detection time before the nodes lost each other. Neither believes what echoes those, but
/// each can tell how old the answer to it is.
#[test]
fn a_duel_after_a_slow_link_lasts_no_longer_than_any_other() {
    let mut group = Group::new(2, 1);
    group.run_ms(400);
    let slow = Link { delay: DEAD_AFTER * 3, ..Link::default() };
    (*group.link(1, 2), *group.link(2, 1)) = (slow, slow);
    group.run_ms(600);
    group.partition(&[1], &[2]);
    group.run_ms(150);
    assert_eq!(group.speaking(), [node(1), node(2)], "{}", group.story());
    group.heal();
    group.run(INTERVAL + ms(2));
    assert_eq!(group.speaking().len(), 1, "{}", group.story());
}

#[test]
fn the_winner_beats_at_once_and_announces_again_but_not_for_every_sign() {
    let (mut solo, mut rival) = active_solo();
    (rival.beat.mode, rival.beat.term) = (Mode::Active, Term(0));
    solo.run(ms(2));
    solo.take();
    solo.hear(rival.speak());
    assert_eq!(solo.beats().iter().filter(|beat| beat.to == node(2)).count(), 1);
    assert_eq!(solo.count(&Output::Announce), 1);
    solo.run_with(ms(95), &mut [&mut rival]);
    assert_eq!(solo.count(&Output::Announce), 1);
    solo.run_with(ms(910), &mut [&mut rival]);
    assert!((9..=11).contains(&solo.count(&Output::Announce)));
    let told = |event: &Event| matches!(event, Event::RivalHeard { .. });
    let events = solo.events().into_iter().filter(told).count();
    assert_eq!(events, solo.count(&Output::Announce), "people are told as rarely");
    assert!(solo.monitor.status(solo.now).counters.rivals_heard > 90, "every one counts");
}

#[test]
fn when_the_loser_has_yielded_the_winner_has_the_last_word_and_speaks_to_its_clients() {
    let (mut solo, mut rival) = active_solo();
    (rival.beat.mode, rival.beat.term) = (Mode::Active, Term(0));
    solo.run(ms(2));
    solo.hear(rival.speak());
    solo.take();
    solo.run(ms(3));
    rival.beat.mode = Mode::Joining;
    solo.hear(rival.speak());
    assert_eq!((solo.count(&Output::Announce), solo.count(&Output::Prevailed)), (1, 1));
    solo.hear(rival.speak());
    assert_eq!((solo.count(&Output::Announce), solo.count(&Output::Prevailed)), (1, 1), "once");
}

#[test]
fn a_stranger_who_claims_the_address_is_outshouted_only_while_active() {
    let (mut solo, _) = active_solo();
    for _ in 0..50 {
        solo.turn([Input::Rival]);
        solo.run(ms(10));
    }
    assert!((5..=6).contains(&solo.count(&Output::Announce)), "{}", solo.count(&Output::Announce));
    assert_eq!(solo.mode(), Mode::Active);
    assert_eq!(solo.monitor.status(solo.now).counters.strangers, 50);
    let (mut solo, _) = Solo::behind(config(1, &[2]));
    solo.turn([Input::Rival]);
    assert_eq!(solo.count(&Output::Announce), 0);
}

#[test]
fn of_two_active_nodes_a_waiting_one_follows_the_better() {
    let (mut solo, mut better) = Solo::behind(config(1, &[2, 3]));
    let mut worse = Puppet::active(3, 4);
    solo.run_with(ms(50), &mut [&mut better, &mut worse]);
    worse.beat.mode = Mode::Joining;
    solo.hear(worse.speak());
    let last = solo.now;
    solo.hear(better.speak());
    solo.run_until_mode(Mode::Active);
    assert_eq!(solo.changes(), [(Mode::Waiting, Mode::Active, Cause::Silence { peer: node(2) })]);
    assert_eq!(solo.now - last, DEAD_AFTER);
}

#[test]
fn a_healed_path_is_announced_by_who_stays() {
    let (mut solo, mut peer) = active_solo();
    solo.run(ms(500));
    solo.take();
    solo.hear(peer.speak());
    assert_eq!((solo.count(&Output::Announce), solo.count(&Output::Prevailed)), (1, 0));
    peer.beat.mode = Mode::Joining;
    solo.run(ms(500));
    solo.turn([Input::Rival]);
    solo.take();
    solo.hear(peer.speak());
    let said = (solo.count(&Output::Announce), solo.count(&Output::Prevailed));
    assert_eq!(said, (1, 1), "it may have been active, have had the last word, and have yielded");
}

#[test]
fn three_sides_of_a_partition_become_one_group() {
    for seed in 0..20 {
        let mut group = Group::new(3, seed);
        group.run_ms(400);
        group.partition(&[1], &[2, 3]);
        group.partition(&[2], &[3]);
        group.run_ms(500);
        assert_eq!(group.speaking().len(), 3);
        group.heal();
        let healed = group.now;
        group.run(INTERVAL * 2);
        assert!(group.speaking().len() <= 1, "seed {seed}: {:?}", group.speaking());
        group.run_ms(500);
        let active = group.settled();
        // A burst goes on for seconds, and stops where a node yields: the last word is the winner's.
        let again = |&(at, id): &(_, _)| at >= healed && id == node(active);
        assert!(group.announcements.iter().any(again), "seed {seed}");
    }
}

/// A node that was given the id of the one under test.
fn twin(boot: u64, mode: Mode) -> Puppet {
    let mut twin = Puppet::new(2);
    (twin.beat.from, twin.beat.to) = (node(1), node(2));
    (twin.beat.boot, twin.beat.mode, twin.beat.term) = (BootNonce(boot), mode, Term(5));
    twin
}

/// Hard scenario 8, second half.
#[test]
fn a_second_beat_of_a_twin_fences_until_it_is_gone() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    let mut twin = twin(0xffff, Mode::Joining);
    let first = twin.speak();
    for _ in 0..3 {
        solo.hear(first);
        assert_eq!(solo.events(), [Event::DuplicateId]);
        assert_eq!(solo.mode(), Mode::Waiting, "a single beat may be a recording");
    }
    for _ in 0..20 {
        solo.hear(twin.speak());
        solo.run_with(INTERVAL, &mut [&mut active]);
    }
    assert_eq!(solo.mode(), Mode::Fenced);
    solo.run_with(DEAD_AFTER * 4 + INTERVAL, &mut [&mut active]);
    assert_eq!(
        solo.changes(),
        [
            (Mode::Waiting, Mode::Fenced, Cause::DuplicateId),
            (Mode::Fenced, Mode::Waiting, Cause::Heard)
        ]
    );
    assert_eq!(solo.monitor.status(solo.now).counters.duplicate_ids, 21);
}

#[test]
fn of_two_active_twins_the_one_with_the_lower_boot_is_fenced() {
    for (boot, mode, fenced) in [
        (0xffff, Mode::Active, true),
        (0x0001, Mode::Active, false),
        (0xffff, Mode::Joining, false),
    ] {
        let (mut solo, _) = active_solo();
        let mut twin = twin(boot, mode);
        twin.beat.term = solo.term();
        solo.turn([Input::Beat(twin.speak()), Input::Beat(twin.speak())]);
        assert_eq!(solo.mode() == Mode::Fenced, fenced, "boot {boot:x}, {mode}");
    }
}

#[test]
fn beats_of_our_own_former_lives_are_no_twin() {
    let (mut solo, _) = Solo::behind(config(1, &[2]));
    let mut former = twin(0xffff, Mode::Active);
    former.beat.term = Term(4);
    solo.turn([Input::Beat(former.speak()), Input::Beat(former.speak())]);
    assert!(solo.events().is_empty());
    assert_eq!(solo.monitor.status(solo.now).counters.refused.old_boot, 2);
}

#[test]
fn our_own_beats_that_come_back_mean_nothing() {
    let (mut solo, _) = active_solo();
    let mut reflected = twin(super::solo::BOOT.0, Mode::Active);
    solo.turn([Input::Beat(reflected.speak()), Input::Beat(reflected.speak())]);
    assert_eq!(solo.mode(), Mode::Active);
    let counters = solo.monitor.status(solo.now).counters;
    assert_eq!((counters.refused.reflected, counters.duplicate_ids), (2, 0));
}

/// Two followers that did not hear each other in time take over in one term: clients are better off with the one that
/// has what they were told last.
#[test]
fn of_two_in_one_term_the_more_complete_copy_stays() {
    for (ours, theirs, expected) in [(3, 2, Mode::Active), (2, 3, Mode::Joining)] {
        let mut solo = Solo::with(config(1, &[2]));
        solo.turn([Input::Position { position: LogPosition::complete(ours), until: None }]);
        solo.run_until_mode(Mode::Active);
        // What becomes of the copy afterwards does not count.
        solo.turn([Input::Position { position: LogPosition::complete(9), until: None }]);
        let mut rival = Puppet::active(2, solo.term().0);
        (rival.beat.position, rival.beat.priority) = (LogPosition::complete(theirs), priority(100));
        solo.hear(rival.speak());
        assert_eq!(solo.mode(), expected, "{ours} beside {theirs}");
    }
}

/// It may be about to claim, from what it knows of us.
#[test]
fn a_later_in_sync_set_is_told_at_once() {
    let (mut solo, _) = Solo::behind(config(1, &[2]));
    solo.turn([Input::Position { position: LogPosition::complete(1), until: None }]);
    let before = solo.beats().len();
    solo.turn([Input::Position { position: LogPosition::complete(2), until: None }]);
    let said = solo.beats().last().map(|beat| beat.position);
    assert_eq!((solo.beats().len() > before, said), (true, Some(LogPosition::complete(2))));
}
