use super::*;

const PAIR: &str = "about = \"a pair\"\nduration = \"1s\"\n[[node]]\nid = 1\n[[node]]\nid = 2\n";

fn refusal(text: &str) -> String {
    let scenario: Scenario = toml::from_str(text).expect("a scenario");
    let played = run(&scenario, 1, Path::new("locum"), None, &mut |_| {});
    played.expect_err("it cannot run").to_string()
}

#[test]
fn a_scenario_for_the_simulator_alone_is_refused() {
    assert!(refusal(&format!("worlds = [\"sim\"]\n{PAIR}")).contains("in the simulator alone"));
}

#[test]
fn a_jump_of_one_nodes_clock_is_refused() {
    let jump = "[[step]]\nat = \"1ms\"\ndo = \"jump-clock\"\nnode = 1\nby = \"2s\"\n";
    let refusal = refusal(&format!("{PAIR}{jump}"));
    assert!(refusal.starts_with("`jump-clock node 1 by 2s` needs"), "{refusal}");
}

#[test]
fn without_namespaces_of_its_own_nothing_is_touched() {
    assert!(refusal(PAIR).contains("call `netns::enter` first"));
}
