use super::*;
use crate::demo::testing::{DEAD, at, node, running, timeline};

#[test]
fn a_lane_is_a_row_of_spans_that_end_with_the_window() {
    let timeline = timeline();
    let spans: Vec<_> = timeline.nodes[0]
        .spans(at(155))
        .map(|span| (span.from.as_millis(), span.until.as_millis(), span.view))
        .collect();
    let expected = [
        (0, 30, running(Mode::Joining)),
        (30, 100, running(Mode::Active)),
        (100, 150, DEAD),
        (150, 155, running(Mode::Joining)),
    ];
    assert_eq!(spans, expected);
}

#[test]
fn what_lasts_no_time_is_no_span() {
    let mut lane = NodeLane::new(node(1), running(Mode::Joining));
    assert!(lane.note(at(10), running(Mode::Waiting)));
    assert!(lane.note(at(10), running(Mode::Active)));
    assert!(!lane.note(at(11), running(Mode::Active)));
    let modes: Vec<_> = lane.spans(at(20)).map(|span| span.view).collect();
    assert_eq!(modes, [running(Mode::Joining), running(Mode::Active)]);
}

#[test]
fn the_successor_is_the_first_other_node_after_the_fault() {
    let timeline = timeline();
    let successor = |scene: usize| timeline.successor(&timeline.scenes[scene]);
    assert_eq!(successor(0), Some((node(1), Duration::from_millis(30))), "no fault, no victim");
    assert_eq!(successor(1), Some((node(2), Duration::from_millis(1))));
}

#[test]
fn overlaps_of_three_add_up_and_one_active_node_is_none() {
    let mut timeline = timeline();
    assert_eq!(timeline.overlap(&timeline.scenes[1]), None);
    timeline.nodes[2].note(at(160), running(Mode::Active));
    timeline.nodes[2].note(at(165), running(Mode::Waiting));
    timeline.nodes[0].note(at(164), running(Mode::Active));
    timeline.nodes[0].note(at(170), running(Mode::Waiting));
    let expected = Overlap { total: Duration::from_millis(10), ended: at(170) };
    assert_eq!(timeline.overlap(&timeline.scenes[1]), Some(expected));
}

#[test]
fn one_node_after_another_is_no_overlap() {
    let mut timeline = timeline();
    timeline.nodes[1].note(at(180), running(Mode::Waiting));
    timeline.nodes[2].note(at(180), running(Mode::Active));
    assert_eq!(timeline.overlap(&timeline.scenes[1]), None);
}

#[test]
fn a_lost_connection_is_timed_to_the_first_answer_on_the_next() {
    let timeline = timeline();
    let tcp = timeline.client(Client::Tcp).unwrap();
    let reconnection = tcp.reconnection(&timeline.scenes[1]);
    assert_eq!(reconnection, Some((at(150), Some(Duration::from_millis(2)))));
    assert_eq!(tcp.reconnection(&timeline.scenes[0]), None);
}

#[test]
fn counts_of_an_act_are_differences() {
    let earlier = FrameCounts { beats: 2, answers: 1, ..FrameCounts::default() };
    let later = FrameCounts { beats: 7, answers: 1, probes: 3, ..FrameCounts::default() };
    let expected = FrameCounts { beats: 5, probes: 3, ..FrameCounts::default() };
    assert_eq!(later.since(earlier), expected);
}
