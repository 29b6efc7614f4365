//! Expectations: what they are about, and when.

use super::{Checker, Item};
use crate::model::{Expectation, Span};

impl Checker<'_> {
    pub(super) fn expectations(&mut self) {
        for (item, expectation) in Item::all("expect", &self.scenario.expectations) {
            self.window(item, expectation);
            self.subject(item, expectation);
            self.client(item, expectation);
            self.counter(item, expectation);
            for (key, nodes) in modes(expectation) {
                for &id in nodes.iter().flat_map(|nodes| nodes.iter()) {
                    self.require_node(item, key, id);
                }
            }
        }
        if self.scenario.expectations.is_empty() {
            let fix = "add `[[expect]]` with, for example, `active = [1]`";
            let item = Item { kind: "expect", index: 0 };
            self.report(item, "", "nothing is expected, and so nothing can fail", fix);
        }
    }

    fn window(&mut self, item: Item, expectation: &Expectation) {
        let duration = self.scenario.duration;
        for (key, time) in
            [("at", expectation.at), ("from", expectation.from), ("to", expectation.to)]
        {
            if let Some(time) = time.filter(|&time| time > duration) {
                let what = format!("{time} is after the end, which is at {duration}");
                self.report(item, key, what, "look earlier, or make `duration` longer");
            }
        }
        let from = expectation.from.unwrap_or_default();
        let to = expectation.to.unwrap_or(duration);
        if from >= to {
            let what = format!("the period from {from} to {to} is empty");
            let key = if expectation.to.is_some() { "to" } else { "from" };
            self.report(item, key, what, "make `from` the earlier one; `at` is for a moment");
        }
        if expectation.at.is_none() {
            return;
        }
        if expectation.from.is_some() || expectation.to.is_some() {
            let what = "is a moment, and the expectation has a period as well";
            self.report(item, "at", what, "remove `at`, or `from` and `to`");
        }
        if modes(expectation).iter().all(|(_, nodes)| nodes.is_none()) {
            let what = "is a moment, and only modes can be seen in a moment";
            self.report(item, "at", what, "write `from` and `to`");
        }
    }

    /// It must be about something.
    fn subject(&mut self, item: Item, expectation: &Expectation) {
        let has_modes = modes(expectation).iter().any(|(_, nodes)| nodes.is_some());
        let has_client = client_bounds(expectation).into_iter().any(|(_, given)| given);
        let has_run = run_bounds(expectation).into_iter().any(|(_, given)| given);
        // Whoever names these alone is told more precisely what is missing.
        let Expectation { client, program, node, counter, min, max, .. } = expectation;
        let has_more = client.is_some()
            || program.is_some()
            || (node.is_some() || counter.is_some())
            || (min.is_some() || max.is_some());
        if !(has_modes || has_client || has_run || has_more) {
            let what = "expects nothing";
            let fix = "add what must be true, such as `active = [1]` or `outage_max = \"45ms\"`";
            self.report(item, "", what, fix);
        }
        for (key, nodes) in modes(expectation) {
            let Some(nodes) = nodes else { continue };
            let twice = nodes.iter().enumerate().any(|(at, id)| nodes[..at].contains(id));
            if twice || (nodes.is_empty() && key != "active") {
                let what = "must name each node at most once, and one at least";
                self.report(item, key, what, "only `active` may be empty: nobody is");
            }
        }
        if let (Some(min), Some(max)) = (expectation.takeovers_min, expectation.takeovers_max)
            && min > max
        {
            self.report(item, "takeovers_min", "is above `takeovers_max`", "swap them");
        }
    }

    fn client(&mut self, item: Item, expectation: &Expectation) {
        let scenario = self.scenario;
        let Expectation { client, program, outage_min, outage_max, .. } = expectation;
        let bounds = client_bounds(expectation);
        let given = bounds.iter().find(|(_, given)| *given);
        if client.is_some() && given.is_none() {
            let what = "says nothing about the client";
            self.report(item, "client", what, "add, for example, `outage_max = \"45ms\"`");
        }
        if let (None, Some((key, _))) = (client, given)
            && scenario.clients.is_empty()
        {
            self.report(item, key, "is about clients, and there is none", "add `[[client]]`");
        }
        if let (Some(Span(min)), Some(Span(max))) = (outage_min, outage_max)
            && min > max
        {
            self.report(item, "outage_min", "is above `outage_max`", "swap them");
        }
        let Some(name) = client else {
            if program.is_some() {
                self.report(item, "program", "means nothing without `client`", "add `client`");
            }
            return;
        };
        let clients = scenario.clients.iter().map(|client| client.get_ref());
        let Some(found) = clients.clone().find(|client| client.name == *name) else {
            let names: Vec<String> = clients.map(|client| client.name.clone()).collect();
            return self.unknown(item, "client", "client", name, &names);
        };
        if let Some(kind) = program
            && !found.programs.iter().any(|program| program.kind == *kind)
        {
            let what = format!("\"{name}\" does not run {kind}");
            let runs: Vec<String> =
                found.programs.iter().map(|program| program.kind.to_string()).collect();
            self.report(item, "program", what, format!("it runs {}", runs.join(", ")));
        }
    }

    fn counter(&mut self, item: Item, expectation: &Expectation) {
        let Expectation { node, counter, min, max, .. } = expectation;
        if let Some(id) = node {
            self.require_node(item, "node", *id);
        }
        let limited = min.is_some() || max.is_some();
        let (what, key, fix) = match (node, counter, limited) {
            (Some(_), Some(_), true) | (None, None, false) => return,
            (_, Some(_), false) => ("has no bound", "counter", "add `min` or `max`"),
            (None, Some(_), true) => ("means nothing without `node`", "counter", "add `node = 1`"),
            (Some(_), None, _) => (
                "means nothing without `counter`",
                "node",
                "add, for example, `counter = \"conflicts\"`",
            ),
            (None, None, true) => {
                let key = if min.is_some() { "min" } else { "max" };
                ("means nothing without `counter`", key, "name a counter, or remove it")
            }
        };
        self.report(item, key, what, fix);
    }
}

/// The lists of nodes by mode, with their keys.
fn modes(expectation: &Expectation) -> [(&'static str, Option<&Vec<u8>>); 4] {
    [
        ("active", expectation.active.as_ref()),
        ("waiting", expectation.waiting.as_ref()),
        ("fenced", expectation.fenced.as_ref()),
        ("dead", expectation.dead.as_ref()),
    ]
}

fn client_bounds(expectation: &Expectation) -> [(&'static str, bool); 4] {
    [
        ("outage_max", expectation.outage_max.is_some()),
        ("outage_min", expectation.outage_min.is_some()),
        ("lost_max", expectation.lost_max.is_some()),
        ("connections_lost_max", expectation.connections_lost_max.is_some()),
    ]
}

fn run_bounds(expectation: &Expectation) -> [(&'static str, bool); 3] {
    [
        ("takeovers_max", expectation.takeovers_max.is_some()),
        ("takeovers_min", expectation.takeovers_min.is_some()),
        ("overlap_max", expectation.overlap_max.is_some()),
    ]
}
