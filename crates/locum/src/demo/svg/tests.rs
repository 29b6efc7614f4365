use super::*;
use crate::demo::testing;

fn picture() -> String {
    draw(&testing::timeline(), &testing::summary())
}

/// The tags of a document, without their attributes: `rect/` closes itself, `/svg` closes `svg`.
fn tags(svg: &str) -> impl Iterator<Item = (&str, bool)> {
    svg.split('<').skip(1).map(|rest| {
        let tag = rest.split('>').next().unwrap();
        (tag.split([' ', '\n']).next().unwrap().trim_end_matches('/'), tag.ends_with('/'))
    })
}

#[test]
fn every_tag_is_closed_in_order() {
    let svg = picture();
    let mut open = Vec::new();
    for (name, closes_itself) in tags(&svg) {
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if closes_itself => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
}

#[test]
fn attributes_are_quoted_and_text_is_escaped() {
    let mut canvas = Canvas::new(10.0, 10.0, "", "");
    canvas.text(0.0, 0.0, Anchor::Start, "label", "a < b & b > c");
    let svg = canvas.finish();
    assert!(svg.contains(">a &lt; b &amp; b &gt; c</text>"));
    assert_eq!(svg.matches('"').count() % 2, 0);
}

#[test]
fn the_picture_is_self_contained_and_knows_dark_pages() {
    let svg = picture();
    assert!(svg.contains("@media (prefers-color-scheme: dark)"));
    let links = svg.matches("http").count();
    assert_eq!(links, 1, "only the namespace is a link");
    assert!(!svg.contains("<script") && !svg.contains("<image"));
}

#[test]
fn every_class_that_is_used_has_a_style() {
    let svg = picture();
    for class in svg.split("class=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let selector = format!(".{class}");
        assert!(style::STYLE.contains(&selector), "{selector} has no style");
    }
}

#[test]
fn faults_and_silences_are_labelled_with_their_figures() {
    let svg = picture();
    for label in [">SIGKILL<", ">restart<", ">node 1 to node 2 in 1.0 ms<", ">4.0 ms<", ">54 ms<"] {
        assert!(svg.contains(label), "{label} is missing");
    }
}

#[test]
fn every_answer_around_the_fault_is_a_tick() {
    let svg = picture();
    let ticks = |path: &str| path.split('"').next().unwrap().matches('M').count();
    let drawn: Vec<usize> = svg.split("class=\"answer\" d=\"").skip(1).map(ticks).collect();
    // From 90 to 170 ms. Without: udp 100 to 102, ping6 and tcp6 100 and 102, tcp 100 to 150, kv 100 to 104.
    assert_eq!(drawn, [81 - 3, 41 - 2, 41 - 26, 41 - 2, 41 - 3]);
}

#[test]
fn nothing_is_drawn_outside_the_picture() {
    let svg = picture();
    for (attribute, limit) in [(" x=\"", WIDTH), (" y=\"", HEIGHT)] {
        for value in svg.split(attribute).skip(1) {
            let value: f64 = value.split('"').next().unwrap().parse().unwrap();
            assert!((0.0..=limit).contains(&value), "{attribute}{value}");
        }
    }
}
