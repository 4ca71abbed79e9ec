//! Times as tables write them: seconds, integer or decimal; RFC 3339; a date (UTC midnight). All become nanoseconds.
//!
//! Decimals are read digit by digit, never through a float, so that equal texts of a stamp are equal stamps; digits after the ninth round.

/// Nanoseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000_000;

/// Nanoseconds of a time since 1970 (or since whatever the seconds count from); `None` if the text is no time, or beyond the years 1677 to 2262.
pub fn time_ns(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.as_bytes().get(4) == Some(&b'-') { calendar(text) } else { seconds_ns(text) }
}

/// Nanoseconds of a number of seconds.
pub(crate) fn seconds_ns(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if !is_number(whole) || !is_number(fraction) {
        return exponent(text);
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let size = whole.checked_mul(i128::from(SECOND))? + i128::from(fraction_ns(fraction));
    i64::try_from(if negative { -size } else { size }).ok()
}

/// A number with an exponent, as programs write floats; what is infinite or none is refused.
fn exponent(text: &str) -> Option<i64> {
    if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E')) {
        return None;
    }
    let ns = (text.parse::<f64>().ok()? * SECOND as f64).round();
    // 2^63 is a float; every finite one below it fits.
    (ns.abs() < 9_223_372_036_854_775_808.0).then_some(ns as i64)
}

/// Nanoseconds of the digits after a point.
fn fraction_ns(digits: &str) -> i64 {
    let digit = |i: usize| digits.as_bytes().get(i).map_or(0, |b| i64::from(b - b'0'));
    let ns = (0..9).fold(0, |ns, i| ns * 10 + digit(i));
    ns + i64::from(digit(9) >= 5)
}

/// `YYYY-MM-DD`, or that with a time of day and a zone (RFC 3339, section 5.6).
fn calendar(text: &str) -> Option<i64> {
    let date = text.get(..10)?;
    let [year, month, day] = fields(date, '-')?;
    let days = days_from_civil(year, month, day)?;
    let midnight = days * 86_400;
    let seconds = |s: i64, ns: i64| s.checked_mul(SECOND)?.checked_add(ns);
    if text.len() == 10 {
        return seconds(midnight, 0);
    }
    let rest = text.get(10..)?;
    let clock = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = clock.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = clock.split_at_checked(zone_at)?;
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, f)| (clock, Some(f)));
    let fraction = match fraction {
        None => 0,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => fraction_ns(digits),
        Some(_) => return None,
    };
    let [hour, minute, second] = fields(clock, ':')?;
    // A leap second is the second after it, as Unix time counts.
    if clock.len() != 8 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let [hours, minutes] = fields(zone.get(1..)?, ':')?;
            if zone.len() != 6 || hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if zone.starts_with('-') { -offset } else { offset }
        }
    };
    seconds(midnight + hour * 3600 + minute * 60 + second - offset, fraction)
}

/// Exactly `N` unsigned numbers.
fn fields<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for number in &mut numbers {
        let part = parts.next()?;
        *number = part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact() {
        assert_eq!(time_ns("1700000000.123456789"), Some(1_700_000_000_123_456_789));
        assert_eq!(time_ns("20"), Some(20 * SECOND));
        assert_eq!(time_ns(" -0.5 "), Some(-SECOND / 2));
        assert_eq!(time_ns(".5"), Some(SECOND / 2));
        assert_eq!(time_ns("5."), Some(5 * SECOND));
        assert_eq!(time_ns("1e3"), Some(1000 * SECOND));
        assert_eq!(time_ns("0.1234567895"), Some(123_456_790));
        for bad in ["", ".", "-", "nan", "inf", "1e40", "99999999999", "12x", "1 2", "0x10", "--1", "1e", "1.2.3"] {
            assert_eq!(time_ns(bad), None, "{bad}");
        }
    }

    #[test]
    fn calendar_times_are_unix_time() {
        // From `date -u -d … +%s`.
        assert_eq!(time_ns("2024-02-29"), Some(1_709_164_800 * SECOND));
        assert_eq!(time_ns("1969-12-31T23:59:59Z"), Some(-SECOND));
        assert_eq!(time_ns("2026-11-24T17:30:46.25+01:30"), Some(1_795_536_046 * SECOND + SECOND / 4));
        assert_eq!(time_ns("2000-01-01 00:00:00-05:00"), Some(946_702_800 * SECOND));
        for bad in [
            "2023-02-29",
            "2023-13-01",
            "2023-00-10",
            "2023-01-32",
            "2023-1-1",
            "2023-01-01T00:00:00",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00Z",
            "2023-01-01T00:00:00.Z",
            "2023-01-01x",
            "2023-01-01T00:00:00+0100",
            "3000-01-01",
            "2023-\u{e9}1-01",
        ] {
            assert_eq!(time_ns(bad), None, "{bad}");
        }
    }
}
