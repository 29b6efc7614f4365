use serde_json::Value;

use super::*;

const BROADCAST: u8 = 0xff;

/// A switch with two ports, `a` and `b`, where nothing is plugged in.
fn two() -> Switch {
    let mut switch = Switch::new(7);
    for name in ["a", "b"] {
        switch.add(name, None).expect("a good name");
    }
    switch
}

fn obey(switch: &mut Switch, line: &str) {
    let command: Command = line.parse().expect(line);
    assert_eq!(switch.obey(&command), Ok(String::new()), "{line}");
}

/// Sends a broadcast from one port and counts what reaches the other.
fn pass(switch: &mut Switch, from: usize, to: usize, at: Instant) -> usize {
    let mut frame = [BROADCAST; 60];
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, from as u8]);
    let ids = [from, to].map(|number| switch.ports[number].id);
    switch.segment.send(at, ids[0], &frame);
    std::iter::from_fn(|| switch.segment.recv(ids[1], |_| ())).count()
}

#[test]
fn a_cut_stops_its_direction_and_heal_ends_it() {
    let mut switch = two();
    obey(&mut switch, "cut a tx");
    assert_eq!(pass(&mut switch, 0, 1, Instant::ZERO), 0);
    assert_eq!(pass(&mut switch, 1, 0, Instant::ZERO), 1, "the other direction is whole");
    obey(&mut switch, "cut a both");
    assert_eq!(pass(&mut switch, 1, 0, Instant::ZERO), 0);
    obey(&mut switch, "heal a both");
    assert_eq!(pass(&mut switch, 0, 1, Instant::ZERO), 1);
    assert_eq!(pass(&mut switch, 1, 0, Instant::ZERO), 1);
}

#[test]
fn an_impairment_works_in_its_direction_until_it_is_cleared() {
    let mut switch = two();
    obey(&mut switch, "impair b rx loss=1");
    assert_eq!(pass(&mut switch, 0, 1, Instant::ZERO), 0);
    assert_eq!(pass(&mut switch, 1, 0, Instant::ZERO), 1);
    obey(&mut switch, "impair b rx latency=5ms");
    assert_eq!(pass(&mut switch, 0, 1, Instant::ZERO), 0, "on its way");
    let due = Instant::ZERO + Duration::from_millis(5);
    assert_eq!(switch.next_delivery(), Some(due));
    obey(&mut switch, "clear b");
    assert_eq!(pass(&mut switch, 0, 1, due), 2, "the late one, and one that was not delayed");
}

#[test]
fn a_port_that_is_down_is_silent_until_it_is_up() {
    let mut switch = two();
    obey(&mut switch, "down b");
    assert_eq!(pass(&mut switch, 0, 1, Instant::ZERO), 0);
    obey(&mut switch, "up b");
    assert_eq!(pass(&mut switch, 0, 1, Instant::ZERO), 1);
}

#[test]
fn ageing_reaches_the_switch() {
    let mut switch = two();
    obey(&mut switch, "ageing 250ms");
    assert_eq!(switch.segment.config().ageing, Duration::from_millis(250));
}

#[test]
fn directions_and_ports_draw_from_generators_of_their_own() {
    let fates = |line: &str, from: usize, to: usize| -> Vec<usize> {
        let mut switch = two();
        obey(&mut switch, line);
        (0..64).map(|_| pass(&mut switch, from, to, Instant::ZERO)).collect()
    };
    let transmit = fates("impair a tx loss=0.5", 0, 1);
    assert_eq!(transmit, fates("impair a both loss=0.5", 0, 1), "the same seed, the same losses");
    assert_ne!(transmit, fates("impair a rx loss=0.5", 1, 0));
    assert_ne!(transmit, fates("impair b tx loss=0.5", 1, 0));
}

#[test]
fn stats_have_every_port_by_its_name() {
    let mut switch = two();
    obey(&mut switch, "cut b rx");
    pass(&mut switch, 0, 1, Instant::ZERO);
    let line = switch.obey(&Command::Stats).expect("always answered");
    assert!(!line.contains('\n'));
    let stats: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(stats["ports"]["a"]["cable"]["tx"], 1);
    assert_eq!(stats["ports"]["b"]["cable"]["lost_cut"], 1);
    assert_eq!(stats["ports"]["b"]["up"], true);
    assert_eq!(stats["switch"]["flooded"], 1);
}

#[test]
fn unknown_ports_are_refused_with_the_names_of_the_others() {
    let mut switch = two();
    for line in ["impair c tx loss=1", "clear c", "cut c tx", "heal c both", "down c", "up c"] {
        let error = switch.obey(&line.parse().expect(line)).expect_err(line);
        assert_eq!(error.to_string(), "no port \"c\": there is a, b", "{line}");
    }
}

#[test]
fn port_names_are_words_and_each_is_given_once() {
    let mut switch = two();
    for (name, why) in [("", "a word"), ("a b", "a word"), ("../a", "a word"), ("a", "is taken")] {
        let error = switch.add(name, None).expect_err(name).to_string();
        assert!(error.contains(why), "{name:?}: {error}");
    }
}
