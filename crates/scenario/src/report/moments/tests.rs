use super::*;
use crate::report::tests::sample::{self, ms};

fn felt(outcome: &Outcome) -> Vec<Vec<Silence>> {
    outcome.clients.iter().map(|track| silences(track, outcome.duration)).collect()
}

fn track(requests: Vec<(Duration, Option<Duration>)>) -> ClientTrack {
    let mut track = sample::outcome().clients.remove(0);
    track.requests = requests;
    track
}

#[test]
fn a_client_that_is_answered_is_never_silent() {
    let requests = (0..100).map(|n| (ms(n * 10), Some(ms(n * 10 + 1))));
    assert_eq!(silences(&track(requests.collect()), ms(1_000)), []);
}

#[test]
fn one_lost_request_is_no_silence_and_three_are() {
    let lost = |n: u64| n == 20 || (50..53).contains(&n);
    let requests = (0..100).map(|n| (ms(n * 10), (!lost(n)).then(|| ms(n * 10 + 1))));
    let silence = Silence { from: ms(491), until: ms(531), length: ms(30) };
    assert_eq!(silences(&track(requests.collect()), ms(1_000)), [silence]);
}

#[test]
fn a_client_that_is_never_answered_is_silent_all_along() {
    let requests = (0..100).map(|n| (ms(n * 10), None));
    let silence = Silence { from: ms(0), until: ms(1_000), length: ms(990) };
    assert_eq!(silences(&track(requests.collect()), ms(1_000)), [silence]);
}

#[test]
fn the_longest_silence_is_the_outage_that_judges_see() {
    let outcome = sample::outcome();
    for (track, silences) in outcome.clients.iter().zip(felt(&outcome)) {
        let longest = silences.iter().map(|silence| silence.length).max();
        let judged = track.outage(Duration::ZERO, outcome.duration).map(|(_, length)| length);
        assert_eq!(longest, judged, "{}", words::program(track));
    }
}

#[test]
fn a_fault_its_takeover_and_its_silences_are_one_moment() {
    let outcome = sample::outcome();
    let silences = felt(&outcome);
    let (moments, others) = choose(&outcome, &silences);
    assert_eq!((moments.len(), others), (5, 0));
    let kill = &moments[0];
    assert!(kill.from <= ms(1_990) && kill.until >= ms(2_040), "{kill:?}");
    assert_eq!(kill.title(), "kill node 1");
    let said = kill.consequences();
    assert!(said[0].starts_with("alice tcp-echo silent for 44.9 ms, "), "{said:?}");
    assert_eq!(said[1], "node 2 active after 31 ms");
    assert_eq!(moments[4].title(), "cut uplink (tx), heal uplink (tx) (+5 ms)");
}

#[test]
fn a_silence_without_a_fault_is_a_moment_of_its_own() {
    let mut outcome = sample::outcome();
    outcome.faults.clear();
    outcome.nodes.clear();
    let silences = felt(&outcome);
    let (moments, _) = choose(&outcome, &silences);
    assert_eq!(moments.len(), 2);
    assert_eq!(moments[0].title(), "silence");
}

#[test]
fn a_long_silence_is_looked_at_where_it_begins_and_where_it_ends() {
    let mut outcome = sample::outcome();
    outcome.nodes.clear();
    outcome.faults.truncate(1);
    let answer = |sent: Duration| (sent < ms(2_000) || sent > ms(5_000)).then_some(sent);
    let requests = (0..1_000).map(|n| (ms(n * 10), answer(ms(n * 10))));
    outcome.clients = vec![track(requests.collect())];
    let silences = felt(&outcome);
    let (moments, _) = choose(&outcome, &silences);
    let titles: Vec<String> = moments.iter().map(Moment::title).collect();
    assert_eq!(titles, ["kill node 1", "answers come again"]);
    assert!(moments[1].from < ms(5_010) && moments[1].until > ms(5_010), "{moments:?}");
    for moment in moments {
        assert!(moment.until - moment.from < ms(100), "{moment:?}");
        assert_eq!(moment.consequences()[0], "alice udp-echo silent for 3.01 s");
    }
}

#[test]
fn a_node_that_comes_back_makes_no_moment_and_a_takeover_does() {
    let mut outcome = sample::outcome();
    outcome.faults.clear();
    outcome.clients.clear();
    let (moments, _) = choose(&outcome, &[]);
    let titles: Vec<String> = moments.iter().map(Moment::title).collect();
    let expected = ["node 2 becomes active", "node 3 becomes active", "node 2 becomes fenced"];
    assert_eq!(titles, expected);
}

#[test]
fn of_many_moments_those_that_were_felt_are_shown_in_their_order() {
    let mut outcome = sample::outcome();
    outcome.faults.extend((0..30).map(|n| sample::fault(100 + n * 60, "clear uplink", None)));
    let silences = felt(&outcome);
    let (moments, others) = choose(&outcome, &silences);
    assert_eq!(moments.len(), MOMENTS);
    assert!(others > 20, "{others}");
    assert!(moments.is_sorted_by_key(|moment| moment.from));
    for at in [ms(2_000), ms(6_000)] {
        let shown = moments.iter().any(|moment| moment.from < at && at < moment.until);
        assert!(shown, "the takeover at {at:?} is shown");
    }
}
