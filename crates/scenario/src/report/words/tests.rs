use super::*;

#[test]
fn spans_are_set_for_reading() {
    let cases = [
        (0, "0 ms"),
        (350, "350 µs"),
        (31_240, "31.2 ms"),
        (30_000, "30 ms"),
        (100_000, "100 ms"),
        (1_250_000, "1.25 s"),
        (20_000_000, "20 s"),
    ];
    for (micros, text) in cases {
        assert_eq!(span(Duration::from_micros(micros)), text);
    }
}

#[test]
fn moments_are_exact_to_a_tenth_of_a_millisecond() {
    assert_eq!(moment(Duration::from_micros(2_031_249)), "2.0312 s");
}

#[test]
fn thousands_stand_apart() {
    assert_eq!(count(7), "7");
    assert_eq!(count(1_234_567), "1\u{a0}234\u{a0}567");
    assert_eq!(counted(1, "node"), "1\u{a0}node");
    assert_eq!(counted(1_000, "node"), "1\u{a0}000\u{a0}nodes");
}

#[test]
fn long_texts_are_cut_at_a_character() {
    assert_eq!(shortened("größer", 6), "größer");
    assert_eq!(shortened("größer als", 6), "größe…");
}

#[test]
fn markup_and_what_xml_forbids_are_escaped() {
    let text = "a<b>&\"c\"\u{0}\u{1b}\u{85}\u{ffff}\n";
    let fffd = "\u{fffd}\u{fffd}\u{fffd}\u{fffd}";
    assert_eq!(Escaped(text).to_string(), format!("a&lt;b&gt;&amp;&quot;c&quot;{fffd}\n"));
}
