//! The page about scenarios and the code say the same.

use locum_diagnosis::Report;
use locum_sim::Weapon;

use super::steps::{NEEDS, Need};
use crate::model::Scenario;

const PAGE: &str = include_str!("../../../../docs/SCENARIOS.md");

const HEAD: &str = "about = 'a'\nduration = '1s'\n";
const NODES: &str = "node = [{ id = 1 }, { id = 2 }]\n";

/// The part of the page below a heading.
#[track_caller]
fn section(heading: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n### {heading}\n")).expect("the page has it");
    rest.split("\n### ").next().unwrap_or(rest)
}

fn report(text: &str) -> Report {
    let nodes = if text.starts_with("[[node]]") { "" } else { NODES };
    let text = format!("{HEAD}{nodes}{text}");
    Scenario::parse(&text, "t", "t.toml").expect_err("it has a mistake")
}

/// The words that advice names, between these quotes.
fn words(text: &str, quote: char) -> Vec<String> {
    text.split(quote).skip(1).step_by(2).map(str::to_owned).collect()
}

/// The keys of a table, as the reader knows them: it lists them when it meets an unknown one.
fn keys(table: &str) -> Vec<String> {
    let report = report(table);
    let problem = report.problems().iter().find(|problem| problem.key.ends_with("unheard_of"));
    words(&problem.expect("the key is unknown").fix, '`')
}

#[test]
fn the_page_has_every_key_and_no_other() {
    for (heading, table) in [
        ("`[group]`", "group = { unheard_of = 1 }"),
        ("`[[segment]]`", "[[segment]]\nunheard_of = 1"),
        ("`[[trunk]]`", "[[trunk]]\nunheard_of = 1"),
        ("`[[node]]`", "[[node]]\nunheard_of = 1"),
        ("`[[client]]`", "[[client]]\nunheard_of = 1"),
        ("`programs`", "[[client]]\nname = 'a'\nprograms = [{ unheard_of = 1 }]"),
        ("`[[hostile]]`", "[[hostile]]\nunheard_of = 1"),
        ("`[[step]]`", "[[step]]\nunheard_of = 1"),
        ("`with`", "[[step]]\nwith = { unheard_of = 1 }"),
        ("`[[expect]]`", "[[expect]]\nunheard_of = 1"),
    ] {
        let rows = section(heading).lines().filter(|line| line.starts_with("| `"));
        let rows: Vec<&str> = rows.take_while(|line| !line.starts_with("| `do` | needs")).collect();
        let listed: Vec<String> =
            rows.iter().filter_map(|row| words(row, '`').first().cloned()).collect();
        assert_eq!(listed, keys(table), "{heading}");
    }
    for key in keys("unheard_of = 1") {
        assert!(section("The file").contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn the_page_says_what_each_action_needs() {
    for needs in NEEDS {
        let listed = |wanted: Need| {
            let keys = needs.keys().into_iter().filter(|&(_, need)| need == wanted);
            let keys: Vec<String> = keys.map(|(key, _)| format!("`{key}`")).collect();
            if keys.is_empty() { " |".to_owned() } else { format!(" {} |", keys.join(", ")) }
        };
        let row = format!("| `{}` |{}{}", needs.action, listed(Need::Must), listed(Need::May));
        assert!(section("`[[step]]`").contains(&row), "{row}");
    }
    let report = report("[[step]]\nat = '1s'\ndo = 'unheard-of'");
    let actions = words(&report.problems()[0].what, '"');
    assert_eq!(actions.len() - 1, NEEDS.len(), "every action has its needs: {actions:?}");
}

#[test]
fn the_page_has_every_word() {
    for weapon in Weapon::ALL {
        assert!(section("`weapons`").contains(&format!("| `{}` |", weapon.name())), "{weapon:?}");
    }
    let report = report("[[client]]\nname = 'a'\nprograms = [{ kind = 'unheard-of' }]");
    for kind in words(&report.problems()[0].what, '"').iter().skip(1) {
        assert!(section("`programs`").contains(&format!("`\"{kind}\"`")), "{kind}");
    }
}

#[test]
fn the_example_of_the_page_is_a_scenario() {
    let (_, writing) = PAGE.split_once("## Writing one").expect("the page has it");
    let (writing, _) = writing.split_once("## Reference").expect("the page has it");
    let blocks = writing.split("```toml\n").skip(1);
    let text: String = blocks.filter_map(|block| block.split("```").next()).collect();
    let scenario = Scenario::parse(&text, "page", "page.toml");
    let scenario = scenario.unwrap_or_else(|report| panic!("{report}"));
    let outcome = crate::sim_world::run(&scenario, 0, None, &mut |_| {}).expect("it settles");
    let verdicts = crate::judge::judge(&scenario, &outcome);
    assert!(verdicts.iter().all(|verdict| verdict.held), "{verdicts:?}");
}
