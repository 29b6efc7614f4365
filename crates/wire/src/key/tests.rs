use super::*;
use crate::samples::key;

#[test]
fn a_key_file_reads_back() {
    assert_eq!(Key::from_hex(&key().to_hex()), Ok(key()));
    let line = key().to_hex().lines().last().map(str::to_owned).unwrap();
    assert_eq!(line, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    let edited = format!("\r\n# rotated in May\r\n\t{}  \r\n  # the end", line.to_uppercase());
    assert_eq!(Key::from_hex(&edited), Ok(key()));
}

#[test]
fn mistakes_in_a_key_file_are_named_with_line_and_fix() {
    let digits = "ab".repeat(32);
    let cases = [
        (String::new(), "there is no key in it: make one with `locum keygen`"),
        ("# a comment\n\n".into(), "there is no key in it: make one with `locum keygen`"),
        (
            "# key\n  0123xyz".into(),
            "line 2, column 7: 'x' is not a hex digit: a key is 64 of 0-9 and a-f on one line, \
             a comment starts with `#`",
        ),
        (
            format!("\n{}", &digits[1..]),
            "line 2: a key has 64 hex digits, not 63: copy the whole line from another node, \
             or make a new key with `locum keygen`",
        ),
        (
            format!("{digits}0"),
            "line 1: a key has 64 hex digits, not 65: copy the whole line from another node, \
             or make a new key with `locum keygen`",
        ),
        (
            format!("{digits}\n# old\n{digits}\n"),
            "line 3: a second key, the first is in line 1: keep the one that the other nodes have",
        ),
    ];
    for (text, message) in cases {
        let error = Key::from_hex(&text).expect_err("this is no key file");
        assert_eq!(error.to_string(), message, "{text:?}");
    }
}

#[test]
fn a_key_is_never_printed() {
    assert_eq!(format!("{:?}", Key::new([0xab; KEY_LEN])), "Key(redacted)");
}
