//! What must hold between the parts of a scenario: names that exist, times that fit, keys that an
//! action needs.

mod expectations;
mod network;
mod steps;

use std::time::Duration;

use locum_diagnosis::{Problem, nearest};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::{Place, Scenario, World};

/// Scenarios are short.
const DURATION_MAX: Duration = Duration::from_secs(300);
const TOLERANCE_MAX: Duration = Duration::from_secs(1);
const INTERVAL_MIN: Duration = Duration::from_millis(1);
const INTERVAL_MAX: Duration = Duration::from_secs(5);
const DEAD_AFTER_MAX: Duration = Duration::from_secs(10);

/// Everything that is wrong with a scenario whose shape is right.
pub(crate) fn check(scenario: &Scenario, document: &DeTable<'_>) -> Vec<Problem> {
    let mut checker = Checker { scenario, document, problems: Vec::new() };
    checker.whole();
    checker.group();
    checker.network();
    checker.steps();
    checker.expectations();
    checker.problems
}

/// A table of the file: its kind, and which of that kind it is, from 0. The document has no kind.
#[derive(Clone, Copy, Debug)]
struct Item {
    kind: &'static str,
    index: usize,
}

impl Item {
    const DOCUMENT: Item = Item { kind: "", index: 0 };

    fn all<'s, T>(
        kind: &'static str,
        items: &'s [Spanned<T>],
    ) -> impl Iterator<Item = (Item, &'s T)> + use<'s, T> {
        items.iter().enumerate().map(move |(index, item)| (Item { kind, index }, item.get_ref()))
    }
}

struct Checker<'s> {
    scenario: &'s Scenario,
    document: &'s DeTable<'s>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    /// Notes what is wrong with `key` of `item`; the empty key is the item itself.
    fn report(&mut self, item: Item, key: &str, what: impl Into<String>, fix: impl Into<String>) {
        let span = self.place(item, key);
        let key = match (item.kind, key) {
            ("", key) => key.to_owned(),
            (kind, "") => kind.to_owned(),
            (kind, key) => format!("{kind}.{key}"),
        };
        self.problems.push(Problem { span, key, what: what.into(), fix: fix.into() });
    }

    /// Where the value of a key stands; where its item begins, if there is no such key.
    fn place(&self, item: Item, key: &str) -> Option<Place> {
        if item.kind.is_empty() {
            return self.document.get(key).map(Spanned::span);
        }
        let found = self.document.get(item.kind)?;
        let (span, table) = match found.get_ref() {
            DeValue::Array(items) => {
                let item = items.get(item.index)?;
                (item.span(), item.get_ref().as_table()?)
            }
            DeValue::Table(table) => (found.span(), table),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => return Some(found.span()),
        };
        Some(table.get(key).map_or(span, Spanned::span))
    }

    fn whole(&mut self) {
        let Scenario { about, duration, tolerance, worlds, .. } = self.scenario;
        if about.trim().is_empty() {
            let fix = "say what happens, and what must come of it";
            self.report(Item::DOCUMENT, "about", "is empty", fix);
        }
        if duration.0.is_zero() || duration.0 > DURATION_MAX {
            let what = format!("must be above 0 and at most {DURATION_MAX:?}, and is {duration}");
            self.report(
                Item::DOCUMENT,
                "duration",
                what,
                "write, for example, `duration = \"2s\"`",
            );
        }
        if tolerance.0 > TOLERANCE_MAX {
            let what = format!("must be at most {TOLERANCE_MAX:?}, and is {tolerance}");
            self.report(Item::DOCUMENT, "tolerance", what, "compare the worlds more closely");
        }
        let twice = worlds.iter().enumerate().any(|(index, world)| worlds[..index].contains(world));
        if worlds.is_empty() || twice {
            let what = "must name each world at most once, and one at least";
            self.report(Item::DOCUMENT, "worlds", what, "leave it out for both worlds");
        }
    }

    fn group(&mut self) {
        let item = Item { kind: "group", index: 0 };
        let group = &self.scenario.group;
        let (interval, dead_after) = (group.interval(), group.dead_after());
        if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
            let what = format!("must be {INTERVAL_MIN:?} to {INTERVAL_MAX:?}, and is {interval:?}");
            self.report(item, "interval", what, "write, for example, `interval = \"10ms\"`");
        } else if dead_after < interval * 2 {
            let what = format!("{dead_after:?} is less than two intervals of {interval:?}");
            let fix = format!("make `dead_after` at least \"{:?}\"", interval * 2);
            self.report(item, "dead_after", what, fix);
        }
        if dead_after > DEAD_AFTER_MAX {
            let what = format!("must be at most {DEAD_AFTER_MAX:?}, and is {dead_after:?}");
            self.report(item, "dead_after", what, "write, for example, `dead_after = \"30ms\"`");
        }
    }

    /// Whether the scenario is to run in network namespaces.
    fn is_for_netns(&self) -> bool {
        self.scenario.worlds.contains(&World::Netns)
    }

    /// Reports a name that is not among those there are.
    fn unknown(&mut self, item: Item, key: &str, kind: &str, name: &str, known: &[String]) {
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let fix = match (nearest(name, &names), names.is_empty()) {
            (Some(near), _) => format!("did you mean \"{near}\"?"),
            (None, false) => format!("there are {}", names.join(", ")),
            (None, true) => format!("the scenario has no {kind} at all: add one"),
        };
        self.report(item, key, format!("there is no {kind} called \"{name}\""), fix);
    }

    /// Reports a node that does not exist.
    fn require_node(&mut self, item: Item, key: &str, id: u8) {
        let ids: Vec<u8> = self.scenario.nodes.iter().map(|node| node.get_ref().id).collect();
        if !ids.contains(&id) {
            let ids: Vec<String> = ids.iter().map(u8::to_string).collect();
            let fix = format!("there are nodes {}", ids.join(", "));
            self.report(item, key, format!("there is no node {id}"), fix);
        }
    }
}

#[cfg(test)]
mod tests;
