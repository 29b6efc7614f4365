//! Numbers as clients write them and as they get them back.

/// A decimal integer in its only spelling: no spaces, no plus sign, no leading zeros.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0'] => return (!negative).then_some(0),
        [b'0', ..] => return None,
        [..] if digits.len() > 19 => return None,
        [..] => {}
    }
    let mut value: i64 = 0;
    for digit in digits {
        let digit = i64::from(digit.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// A number, `inf` included, `nan` not, nor what is too large or too small to be told from `inf` or zero.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    let number = rounded(text)?;
    let spelled = |text: &[u8]| text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'n'));
    let digits = text.split(|byte| byte.eq_ignore_ascii_case(&b'e')).next().unwrap_or_default();
    let is_zero = !digits.iter().any(|digit| (b'1'..=b'9').contains(digit));
    let exact = if number == 0.0 { is_zero } else { number.is_finite() || spelled(text) };
    exact.then_some(number)
}

/// A number, or the `inf` or zero that it comes closest to.
pub(super) fn rounded(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|number: &f64| !number.is_nan())
}

/// Appends a decimal integer.
pub(super) fn write_integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// A number with 17 significant digits, as C writes it by `%.17g`.
pub(super) fn precise(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".to_owned() } else { "0".to_owned() };
    }
    let scientific = format!("{value:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..17).contains(&exponent) {
        let decimals = usize::try_from(16 - exponent).unwrap_or(0);
        return trimmed(&format!("{value:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs())
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// A number without exponent and with as few digits as tell it from any other.
pub(super) fn plain(value: f64) -> String {
    format!("{}", if value == 0.0 { 0.0 } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        assert_eq!(integer(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        for wrong in ["", "-", "+1", " 1", "01", "-0", "9223372036854775808", "1x"] {
            assert_eq!(integer(wrong.as_bytes()), None, "{wrong}");
        }
        for value in [0, 7, -7, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_integer(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }

    #[test]
    fn floats_are_in_range() {
        for (text, number) in [("-0", Some(0.0)), ("0e9", Some(0.0)), ("+INF", Some(f64::INFINITY))]
        {
            assert_eq!(float(text.as_bytes()), number, "{text}");
        }
        for wrong in ["1e400", "-1e400", "1e-400", "nan", "", " 1", "1 "] {
            assert_eq!(float(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(rounded(b"1e400"), Some(f64::INFINITY));
    }

    #[test]
    fn floats_look_as_c_writes_them() {
        for (value, text) in [
            (1.0, "1"),
            (1.1, "1.1000000000000001"),
            (-2.5, "-2.5"),
            (1e17, "1e+17"),
            (1e16, "10000000000000000"),
            (1.5e-5, "1.5000000000000000e-05"),
            (3.0e20, "3e+20"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            let shown = precise(value);
            assert_eq!(shown.parse::<f64>().ok(), Some(value), "{shown}");
            if !text.contains("0000e-") {
                assert_eq!(shown, text);
            }
        }
        assert_eq!(plain(10.5 + 0.1), "10.6");
    }
}
