use super::*;
use crate::demo::script::ACTS;
use crate::demo::testing::{at, node, running, timeline};
use crate::demo::timeline::{Deed, Leaks, NodeView};

/// Judges a check on the second act of the small play, changed by `spoil`.
fn judge(check: Check, spoil: impl FnOnce(&mut Timeline)) -> Outcome {
    let mut timeline = timeline();
    spoil(&mut timeline);
    check.judge(&timeline, &timeline.scenes[1])
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn every_check_has_a_promise_and_every_promise_fits_its_column() {
    for check in ACTS.iter().flat_map(|act| act.checks) {
        let promise = check.promise();
        assert!(!promise.is_empty() && promise.len() <= 54, "{promise:?}");
    }
}

#[test]
fn bounds_hold_at_the_figure_and_fail_below_it() {
    for (check, held) in [
        (Check::ActiveWithin(ms(1)), true),
        (Check::ActiveWithin(Duration::from_micros(999)), false),
        (Check::SilenceAtMost(Client::Udp, ms(4)), true),
        (Check::SilenceAtMost(Client::Udp, ms(3)), false),
        (Check::SilenceAtMost(Client::Tcp, ms(54)), true),
        (Check::SilenceAtMost(Client::Tcp, ms(53)), false),
    ] {
        let outcome = judge(check, |_| ());
        assert_eq!(outcome.held, held, "{check:?}: {outcome:?}");
    }
}

#[test]
fn lost_requests_are_counted() {
    let outcome = judge(Check::NothingLost(Client::Udp), |_| ());
    assert_eq!((outcome.held, outcome.figure.as_str()), (false, "3 of 109"));
}

#[test]
fn a_client_that_never_asked_keeps_no_promise() {
    for check in [Check::NothingLost(Client::Udp), Check::SilenceAtMost(Client::Udp, ms(5))] {
        assert!(!judge(check, |timeline| timeline.clients.clear()).held);
    }
}

#[test]
fn one_active_node_is_neither_none_nor_two() {
    let end = |id: usize, view: NodeView| {
        move |timeline: &mut Timeline| {
            timeline.nodes[id].note(at(190), view);
        }
    };
    assert_eq!(judge(Check::OneActive, |_| ()).figure, "node 2");
    assert!(!judge(Check::OneActive, end(1, running(Mode::Waiting))).held);
    assert!(!judge(Check::OneActive, end(2, running(Mode::Active))).held);
}

#[test]
fn an_overlap_is_measured() {
    let overlap = |timeline: &mut Timeline| {
        timeline.nodes[2].note(at(180), running(Mode::Active));
        timeline.nodes[2].note(at(183), running(Mode::Waiting));
    };
    assert!(judge(Check::OverlapAtMost(Duration::ZERO), |_| ()).held);
    assert!(!judge(Check::OverlapAtMost(Duration::ZERO), overlap).held);
    assert!(!judge(Check::OverlapAtMost(ms(2)), overlap).held);
    let outcome = judge(Check::OverlapAtMost(ms(3)), overlap);
    assert_eq!((outcome.held, outcome.figure.as_str()), (true, "3.0 ms"));
}

#[test]
fn yielding_is_timed_from_the_healing() {
    let partition = |ended: u64| {
        move |timeline: &mut Timeline| {
            timeline.nodes[2].note(at(120), running(Mode::Active));
            timeline.nodes[2].note(at(ended), running(Mode::Fenced));
            let heal = Deed { at: at(170), action: Action::Heal, node: Some(node(3)) };
            timeline.scenes[1].deeds.push(heal);
        }
    };
    let check = Check::YieldsWithin(ms(5));
    assert!(!judge(check, |_| ()).held, "no partition, nobody to yield");
    assert_eq!(judge(check, partition(175)).figure, "5.0 ms; two for 55.0 ms in all");
    assert!(judge(check, partition(175)).held);
    assert!(!judge(check, partition(176)).held);
}

#[test]
fn a_victim_that_is_not_back_does_not_wait() {
    assert_eq!(judge(Check::VictimWaits, |_| ()).figure, "node 1 is waiting");
    let spoiled = |condition| {
        judge(Check::VictimWaits, |timeline| {
            timeline.nodes[0].note(at(199), NodeView { condition, cut: false });
        })
    };
    assert!(!spoiled(Condition::Dead).held);
    assert!(!spoiled(Condition::Frozen).held);
    assert!(!spoiled(Condition::Running(Mode::Fenced)).held);
}

#[test]
fn a_leak_and_a_check_of_nothing_both_fail() {
    let leaks = |leaks: Leaks| judge(Check::NoLeaks, |timeline| timeline.scenes[1].leaks = leaks);
    assert!(leaks(Leaks { checked: 10, leaked: 0 }).held);
    assert!(!leaks(Leaks { checked: 10, leaked: 1 }).held);
    assert!(!leaks(Leaks { checked: 0, leaked: 0 }).held);
}

#[test]
fn a_zombie_is_only_judged_when_there_is_one() {
    let thawed = |frames| {
        judge(Check::ZombieIsSilent, |timeline| {
            let scene = &mut timeline.scenes[1];
            let thaw = Deed { at: at(170), action: Action::Thaw, node: Some(node(1)) };
            scene.deeds.push(thaw);
            scene.zombie_frames = frames;
        })
    };
    assert!(!judge(Check::ZombieIsSilent, |_| ()).held);
    assert!(thawed(0).held);
    assert!(!thawed(1).held);
}

#[test]
fn answers_must_come_and_from_the_active_node_alone() {
    let counted = |questions, answers, wrong_answers| {
        judge(Check::OnlyTheActiveAnswers, |timeline| {
            let frames = &mut timeline.scenes[1].frames;
            (frames.questions, frames.answers) = (questions, answers);
            frames.wrong_answers = wrong_answers;
        })
    };
    assert!(counted(3, 3, 0).held);
    for (questions, answers, wrong) in [(0, 0, 0), (3, 2, 0), (3, 3, 1)] {
        assert!(!counted(questions, answers, wrong).held);
    }
}
