use super::*;

/// The relative luminance of `#rrggbb` (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = u8::from_str_radix(&colour[at..at + 2], 16).expect("two hexadecimal digits");
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn find(name: &str) -> &'static Colour {
    COLOURS.iter().find(|colour| colour.name == name).expect("a colour of that name")
}

fn assert_contrast(front: &str, back: &str, least: f64) {
    let (one, other) = (find(front), find(back));
    for (theme, ratio) in
        [("light", contrast(one.light, other.light)), ("dark", contrast(one.dark, other.dark))]
    {
        assert!(ratio >= least, "{front} on {back}, {theme}: {ratio:.2} is below {least}");
    }
}

#[test]
fn every_text_is_legible_on_what_is_behind_it() {
    for back in ["page", "card"] {
        for front in ["text", "muted", "good", "bad"] {
            assert_contrast(front, back, 4.5);
        }
    }
    assert_contrast("good", "good-back", 4.5);
    assert_contrast("bad", "bad-back", 4.5);
    assert_contrast("fault", "card", 4.5);
    for bar in ["active", "waiting", "joining", "fenced", "frozen", "dead"] {
        assert_contrast(&format!("on-{bar}"), bar, 4.5);
    }
}

#[test]
fn every_mark_stands_out_from_the_card() {
    let marks =
        ["beat", "answered", "unanswered", "fault", "announcement", "answer", "probe", "active"];
    for mark in marks {
        assert_contrast(mark, "card", 3.0);
    }
}

#[test]
fn the_style_sheet_uses_no_colour_that_is_not_there() {
    let sheet = sheet();
    for used in sheet.split("var(--").skip(1) {
        let name = used.split(')').next().expect("split gives at least one");
        assert!(COLOURS.iter().any(|colour| colour.name == name), "{name}");
    }
    for colour in &COLOURS {
        assert!(sheet.contains(&format!("var(--{})", colour.name)), "{} is unused", colour.name);
    }
}

#[test]
fn no_text_is_smaller_than_11_pixels() {
    let sheet = sheet();
    let sizes = sheet.split("font-size:").skip(1).chain(sheet.split("font:").skip(1));
    let sizes: Vec<f64> = sizes
        .map(|rest| rest.split("px").next().unwrap().parse().expect("a size in pixels"))
        .collect();
    assert!(sizes.len() > 10);
    assert!(sizes.iter().all(|&size| size >= 11.0), "{sizes:?}");
}
