use std::collections::BTreeMap;

use super::*;
use crate::status::sample;

/// Families by their names: the kind, and each sample with its labels.
type Families<'p> = BTreeMap<&'p str, (&'p str, Vec<(&'p str, f64)>)>;

/// A page as a reader of the format takes it apart: the kind of each family, and its samples.
fn parsed(page: &str) -> Families<'_> {
    let mut families = Families::new();
    let mut helped = None;
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a name, and words");
            assert!(!text.is_empty() && !families.contains_key(name), "{line}");
            helped = Some(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and its kind");
            assert_eq!(helped, Some(name), "{line}");
            assert!(["gauge", "counter"].contains(&kind), "{line}");
            families.insert(name, (kind, Vec::new()));
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            let (name, labels) = series.split_at(series.find('{').unwrap_or(series.len()));
            assert_eq!(helped, Some(name), "samples of a family are together: {line}");
            check_labels(labels);
            let value: f64 = value.parse().expect("a number");
            families.get_mut(name).expect("its kind is known").1.push((labels, value));
        }
    }
    families
}

fn check_labels(labels: &str) {
    let Some(pairs) = labels.strip_prefix('{') else { return assert_eq!(labels, "") };
    for pair in pairs.strip_suffix('}').expect("braces come in pairs").split(',') {
        let (name, value) = pair.split_once('=').expect("a name and its value");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{labels}");
        assert!(value.len() > 2 && value.starts_with('"') && value.ends_with('"'), "{labels}");
    }
}

#[test]
fn a_status_reads_as_the_text_format_has_it() {
    let page = render(&sample());
    assert_eq!(page, include_str!("../sample.prom"), "it says:\n{page}");
}

#[test]
fn names_bear_prefix_and_unit_and_every_series_is_there_once() {
    for (name, (kind, samples)) in parsed(&render(&sample())) {
        assert!(name.starts_with("locum_"), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        let mut labels: Vec<&str> = samples.iter().map(|(labels, _)| *labels).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!((labels.len(), samples.is_empty()), (samples.len(), false), "{name}");
    }
}

#[test]
fn every_counter_of_the_status_is_a_metric() {
    let page = render(&sample());
    let families = parsed(&page);
    let counted: usize = sample().parts().iter().map(|(_, counters)| counters.len()).sum();
    let parts = sample().parts().map(|(part, _)| format!("locum_{part}_"));
    let of_parts = families.iter().filter(|(name, _)| {
        let is_of = |part: &String| name.starts_with(part.as_str());
        parts.iter().any(is_of) && (name.ends_with("_total") || name.ends_with("max_seconds"))
    });
    assert_eq!(of_parts.map(|(_, (_, samples))| samples.len()).sum::<usize>(), counted);
}

#[test]
fn one_mode_is_the_modes_and_no_other() {
    for mode in Mode::ALL {
        let page = render(&NodeStatus { mode, ..sample() });
        let (_, samples) = &parsed(&page)["locum_mode"];
        let label = format!("{{mode=\"{mode}\"}}");
        let set: Vec<&str> =
            samples.iter().filter(|(_, value)| *value == 1.0).map(|(labels, _)| *labels).collect();
        assert_eq!((set, samples.len()), (vec![label.as_str()], 4));
    }
}

#[test]
fn values_of_labels_cannot_break_the_line() {
    let mut status = sample();
    status.name = "a\"b\\c\nd".to_owned();
    let page = render(&status);
    assert!(page.contains("name=\"a\\\"b\\\\c\\nd\"} 1\n"), "{page}");
    parsed(&page);
}
