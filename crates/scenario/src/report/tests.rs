//! The page as a whole.

pub(super) mod sample;

use std::time::Duration;

use roxmltree::{Document, Node, ParsingOptions};

use self::sample::ms;
use super::{html, labels};
use crate::outcome::{ClientTrack, Outcome};

fn page(outcome: &Outcome) -> String {
    html(&sample::scenario(), outcome, &sample::verdicts())
}

fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).expect("the page is good XML")
}

fn with_class<'a, 'i>(document: &'a Document<'i>, class: &str) -> Vec<Node<'a, 'i>> {
    let has = |node: &Node<'_, '_>| node.attribute("class") == Some(class);
    document.descendants().filter(has).collect()
}

/// All the text in an element.
fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter_map(|node| node.is_text().then(|| node.text())?).collect()
}

fn number(node: Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).and_then(|value| value.parse().ok()).expect("a number")
}

/// A client whose every third request is answered, for as long as it takes.
fn busy(requests: u64) -> ClientTrack {
    let mut track = sample::outcome().clients.remove(0);
    track.every = Duration::from_micros(100);
    let answer = |n: u64, at: Duration| n.is_multiple_of(3).then(|| at + Duration::from_micros(30));
    track.requests = (0..requests)
        .map(|n| (track.every * n as u32, answer(n, track.every * n as u32)))
        .collect();
    track
}

#[test]
fn the_page_is_good_xml_and_refers_to_nothing_outside() {
    let page = page(&sample::outcome());
    let document = parse(&page);
    assert_eq!(document.root_element().tag_name().name(), "html");
    for node in document.descendants().filter(Node::is_element) {
        assert!(!["link", "script", "img"].contains(&node.tag_name().name()));
        assert!(node.attribute("href").is_none() && node.attribute("src").is_none());
    }
}

#[test]
fn every_picture_says_what_it_shows() {
    let page = page(&sample::outcome());
    let document = parse(&page);
    let pictures = document.descendants().filter(|node| node.attribute("role") == Some("img"));
    let pictures: Vec<Node<'_, '_>> = pictures.collect();
    assert_eq!(pictures.len(), 2 + 5);
    for picture in pictures {
        let mut children = picture.children().filter(Node::is_element);
        for name in ["title", "desc"] {
            let child = children.next().expect("a title and a description come first");
            assert_eq!(child.tag_name().name(), name);
            assert!(child.text().is_some_and(|text| !text.is_empty()));
        }
    }
}

#[test]
fn the_verdict_is_in_words_and_what_failed_comes_first() {
    let failed = page(&sample::outcome());
    let document = parse(&failed);
    let verdict = with_class(&document, "verdict failed");
    assert_eq!(verdict.len(), 1);
    assert_eq!(text(verdict[0]), "✗ 1 of 4\u{a0}expectations failed");
    let failures = with_class(&document, "failures");
    assert!(text(failures[0]).contains("line 47: one takeover at most: 2 takeovers"));

    let held = &sample::verdicts()[..3];
    let page = html(&sample::scenario(), &sample::outcome(), held);
    let document = parse(&page);
    let verdict = with_class(&document, "verdict held");
    assert_eq!(text(verdict[0]), "✓ all 3\u{a0}expectations held");
    assert!(with_class(&document, "failures").is_empty());
}

#[test]
fn the_command_that_runs_it_again_is_there() {
    let page = page(&sample::outcome());
    let command = "locum scenario run tests/scenarios/kill-then-freeze.toml --world sim --seed 7";
    assert!(page.contains(command));
}

#[test]
fn faults_verdicts_changes_and_silences_are_all_there() {
    let outcome = sample::outcome();
    let page = page(&outcome);
    let document = parse(&page);
    let cells: Vec<String> =
        document.descendants().filter(|node| node.tag_name().name() == "td").map(text).collect();
    let has_cell = |wanted: &str| cells.iter().any(|cell| cell == wanted);
    for fault in &outcome.faults {
        assert!(has_cell(&fault.what), "{}", fault.what);
    }
    for verdict in sample::verdicts() {
        assert!(has_cell(&verdict.expected) && has_cell(&verdict.seen), "{}", verdict.expected);
    }
    for change in outcome.nodes.iter().flat_map(|node| &node.changes) {
        assert!(has_cell(&change.cause), "{}", change.cause);
    }
    let wide = with_class(&document, "wide")[0];
    let of_class = |class: &str| {
        wide.descendants().filter(|node| node.attribute("class") == Some(class)).count()
    };
    assert_eq!(of_class("silence"), 6, "two silences of three programs");
    assert_eq!(of_class("figure"), 6, "each with its length");
    assert_eq!(of_class("flag"), outcome.faults.len());
    assert_eq!(of_class("lost"), 1, "the connection that was lost");
}

#[test]
fn markup_in_a_scenario_is_only_text() {
    let mut outcome = sample::outcome();
    let evil = "</style><script>alert(\"1\")</script>&amp;\u{1}";
    evil.clone_into(&mut outcome.scenario);
    evil.clone_into(&mut outcome.clients[0].client);
    evil.clone_into(&mut outcome.faults[0].what);
    evil.clone_into(&mut outcome.nodes[1].changes[0].cause);
    outcome.leaks.push(evil.to_owned());
    let mut verdicts = sample::verdicts();
    evil.clone_into(&mut verdicts[0].expected);
    evil.clone_into(&mut verdicts[3].seen);
    let mut scenario = sample::scenario();
    evil.clone_into(&mut scenario.about);
    let page = html(&scenario, &outcome, &verdicts);
    let document = parse(&page);
    assert!(document.descendants().all(|node| node.tag_name().name() != "script"));
    let shown = evil.replace('\u{1}', "\u{fffd}");
    assert_eq!(text(with_class(&document, "about")[0]), shown);
}

#[test]
fn no_label_of_a_picture_covers_another() {
    let mut outcome = sample::outcome();
    outcome.faults.extend((0..9).map(|n| sample::fault(900 + n * 131, "cut node2 (tx)", Some(2))));
    let page = page(&outcome);
    let document = parse(&page);
    for picture in document.descendants().filter(|node| node.attribute("role") == Some("img")) {
        let texts = picture.descendants().filter(|node| node.tag_name().name() == "text");
        let boxes: Vec<(f64, f64, f64, String)> = texts.map(bounds).collect();
        for (index, (y, left, right, one)) in boxes.iter().enumerate() {
            for (other_y, other_left, other_right, other) in &boxes[index + 1..] {
                let apart = right <= other_left || other_right <= left;
                assert!((y - other_y).abs() >= 11.0 || apart, "{one:?} covers {other:?}");
            }
        }
    }
}

/// Base line, left and right end of a text, and the text.
fn bounds(node: Node<'_, '_>) -> (f64, f64, f64, String) {
    let text = text(node);
    let width = labels::width(&text, 11.0);
    let x = number(node, "x");
    let left = match node.attribute("text-anchor") {
        Some("end") => x - width,
        Some("middle") => x - width / 2.0,
        _ => x,
    };
    (number(node, "y"), left, left + width, text)
}

#[test]
fn faults_without_room_for_words_are_shown_by_their_numbers() {
    let mut outcome = sample::outcome();
    outcome.faults = (0..40).map(|n| sample::fault(n * 240, "link-down node1", Some(1))).collect();
    let page = page(&outcome);
    let document = parse(&page);
    let wide = with_class(&document, "wide")[0];
    let of_class = |class: &str| {
        let has = |node: &Node<'_, '_>| node.attribute("class") == Some(class);
        wide.descendants().filter(has).collect::<Vec<_>>()
    };
    assert_eq!(of_class("fault").len(), 40);
    let flags: Vec<String> = of_class("flag").into_iter().map(text).collect();
    assert_eq!(flags.len(), 40);
    assert_eq!(flags[39], "40");
}

#[test]
fn a_run_of_a_hundred_thousand_requests_is_a_page_of_less_than_one_and_a_half_megabytes() {
    let mut outcome = sample::outcome();
    outcome.clients = vec![busy(50_000), busy(50_000)];
    let change = outcome.nodes[0].changes[0].clone();
    outcome.nodes[0].changes = vec![change; 5_000];
    let page = page(&outcome);
    parse(&page);
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
}

#[test]
fn a_run_in_which_nothing_happened_has_a_page() {
    let mut outcome = sample::outcome();
    outcome.duration = Duration::ZERO;
    outcome.nodes.clear();
    outcome.clients.clear();
    outcome.faults.clear();
    let page = html(&sample::scenario(), &outcome, &[]);
    let document = parse(&page);
    assert_eq!(text(with_class(&document, "verdict none")[0]), "– nothing was expected");
    assert!(with_class(&document, "moments").is_empty());
}

#[test]
fn a_client_that_was_never_answered_says_so() {
    let mut outcome = sample::outcome();
    for (_, answer) in &mut outcome.clients[0].requests {
        *answer = None;
    }
    outcome.overlaps.push((ms(2_030), Duration::from_micros(400)));
    let page = page(&outcome);
    let document = parse(&page);
    let cells = with_class(&document, "n alarm");
    assert!(cells.into_iter().any(|cell| text(cell) == "never answered"));
    assert!(page.contains("<td class=\"n\">400 µs</td>"));
}
