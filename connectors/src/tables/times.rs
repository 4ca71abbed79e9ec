//! Times as tables write them: seconds, whole or decimal; RFC 3339; a date; a date and a time of day without a zone, which is UTC. All
//! become nanoseconds.
//!
//! Decimals are read digit by digit, never through a float, so that equal texts of a stamp are equal stamps; digits after the ninth round.
//! The calendar is jiff's; it knows no tenth digit and takes a leap second for the second before, so fractions and these are read here.

use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Nanoseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000_000;
/// Whole numbers above this are no seconds: as seconds they would lie 3,000 years ahead, as milliseconds in 1973.
const MOST_SECONDS: i128 = 100_000_000_000 * SECOND as i128;

/// The unit of times that are plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

impl std::str::FromStr for TimeUnit {
    type Err = ();

    fn from_str(text: &str) -> Result<TimeUnit, ()> {
        match text {
            "ms" => Ok(TimeUnit::Milliseconds),
            "us" => Ok(TimeUnit::Microseconds),
            "ns" => Ok(TimeUnit::Nanoseconds),
            _ => Err(()),
        }
    }
}

impl TimeUnit {
    fn per_second(self) -> i128 {
        match self {
            TimeUnit::Milliseconds => 1_000,
            TimeUnit::Microseconds => 1_000_000,
            TimeUnit::Nanoseconds => 1_000_000_000,
        }
    }
}

/// Nanoseconds of a time since 1970 (or since whatever the seconds count from); `None` if the text is no time, or beyond the years 1677 to
/// 2262.
pub fn time_ns(text: &str) -> Option<i64> {
    time_in(text, None)
}

/// [`time_ns`] where plain numbers count a unit; without one, whole numbers that can be no seconds are none.
pub(crate) fn time_in(text: &str, unit: Option<TimeUnit>) -> Option<i64> {
    let text = text.trim();
    if text.as_bytes().get(4) == Some(&b'-') && text.as_bytes()[..4].iter().all(u8::is_ascii_digit) {
        return calendar(text);
    }
    let ns = nanoseconds(text)?;
    match unit {
        None if ns.abs() > MOST_SECONDS => None,
        None => i64::try_from(ns).ok(),
        // Of a number of such units the ninth digit behind the point is the last that was read.
        Some(unit) => i64::try_from(rounded(ns, unit.per_second())).ok(),
    }
}

/// True if a text is a number too large to be seconds.
pub(crate) fn too_large(text: &str) -> bool {
    nanoseconds(text.trim()).is_some_and(|ns| ns.abs() > MOST_SECONDS)
}

/// Nanoseconds of a number of seconds.
pub(crate) fn seconds_ns(text: &str) -> Option<i64> {
    i64::try_from(nanoseconds(text.trim())?).ok()
}

/// Nanoseconds of a float of seconds.
pub(crate) fn float_ns(seconds: f64) -> Option<i64> {
    let ns = (seconds * SECOND as f64).round();
    // 2^63 is a float; every finite one below it fits.
    (ns.abs() < 9_223_372_036_854_775_808.0).then_some(ns as i64)
}

fn rounded(value: i128, by: i128) -> i128 {
    (value + by / 2).div_euclid(by)
}

/// Billionths of the number that a text is.
fn nanoseconds(text: &str) -> Option<i128> {
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
    let size = whole.checked_mul(i128::from(SECOND))?.checked_add(i128::from(fraction_ns(fraction)))?;
    Some(if negative { -size } else { size })
}

/// A number with an exponent, as programs write floats; what is infinite or none is refused.
fn exponent(text: &str) -> Option<i128> {
    if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E')) {
        return None;
    }
    let ns = (text.parse::<f64>().ok()? * SECOND as f64).round();
    (ns.abs() < 1e30).then_some(ns as i128)
}

/// Nanoseconds of the digits after a point.
fn fraction_ns(digits: &str) -> i64 {
    let digit = |i: usize| digits.as_bytes().get(i).map_or(0, |b| i64::from(b - b'0'));
    let ns = (0..9).fold(0, |ns, i| ns * 10 + digit(i));
    ns + i64::from(digit(9) >= 5)
}

/// `YYYY-MM-DD`, or that with a time of day, with a zone or without (RFC 3339, section 5.6, and what ISO 8601 allows besides).
fn calendar(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let dated = rest.is_empty();
    let rest = rest.strip_prefix(['T', 't', ' ']).or(dated.then_some(""))?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(zone_at)?;
    let (clock, fraction) = clock.trim_end().split_once(['.', ',']).map_or((clock.trim_end(), ""), |(c, f)| (c, f));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) || (clock.len() < 8 && rest.contains(['.', ','])) {
        return None;
    }
    if rest.contains(['.', ',']) && fraction.is_empty() {
        return None;
    }
    // A leap second is the second after it, as Unix time counts.
    let (clock, leap) = match clock.len() {
        0 if dated => ("00:00:00".to_string(), 0),
        5 => (format!("{clock}:00"), 0),
        8 if clock.ends_with(":60") => (format!("{}:59", &clock[..5]), 1),
        8 => (clock.to_string(), 0),
        _ => return None,
    };
    let shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(t, s)| if s == b'0' { t.is_ascii_digit() } else { t == s })
    };
    if !shape(date, "0000-00-00") || !shape(&clock, "00:00:00") {
        return None;
    }
    let civil: DateTime = format!("{date}T{clock}").parse().ok()?;
    let seconds = Offset::UTC.to_timestamp(civil).ok()?.as_second().checked_add(leap)?.checked_sub(offset(zone)?)?;
    seconds.checked_mul(SECOND)?.checked_add(fraction_ns(fraction))
}

/// Seconds east of Greenwich: `Z`, nothing, `+00`, `+0000`, `+00:00`.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(0);
    }
    let digits = zone[1..].replace(':', "");
    let places = matches!((zone.len(), zone.find(':')), (3 | 5, None) | (6, Some(3)));
    if !places || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits[..2].parse().ok()?, digits.get(2..4).map_or(Ok(0), str::parse).ok()?);
    let seconds = hours * 3600 + minutes * 60;
    (hours <= 23 && minutes <= 59).then_some(if zone.starts_with('-') { -seconds } else { seconds })
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
    fn a_unit_that_is_said_counts_plain_numbers() {
        let unit = |text: &str| text.parse().ok();
        assert_eq!(time_in("1700000000123", unit("ms")), Some(1_700_000_000_123_000_000));
        assert_eq!(time_in("1700000000123456", unit("us")), Some(1_700_000_000_123_456_000));
        assert_eq!(time_in("-1700000000123456789", unit("ns")), Some(-1_700_000_000_123_456_789));
        assert_eq!(time_in("2.5", unit("ms")), Some(2_500_000));
        assert_eq!(time_in("1970-01-02", unit("ms")), Some(86_400 * SECOND));
        assert_eq!(time_in("1700000000123", None), None);
        assert!(too_large("1700000000123") && !too_large("1700000000"));
    }

    #[test]
    fn calendar_times_are_unix_time() {
        // From `date -u -d … +%s`.
        assert_eq!(time_ns("2024-02-29"), Some(1_709_164_800 * SECOND));
        assert_eq!(time_ns("1969-12-31T23:59:59Z"), Some(-SECOND));
        assert_eq!(time_ns("2026-11-24T17:30:46.25+01:30"), Some(1_795_536_046 * SECOND + SECOND / 4));
        assert_eq!(time_ns("2000-01-01 00:00:00-05:00"), Some(946_702_800 * SECOND));
        for same in [
            "2000-01-01T00:00:00",
            "2000-01-01 00:00",
            "2000-01-01T00:00Z",
            "2000-01-01T01:00:00+01",
            "2000-01-01T01:30:00 +0130",
        ] {
            assert_eq!(time_ns(same), Some(946_684_800 * SECOND), "{same}");
        }
        assert_eq!(time_ns("2016-12-31T23:59:60Z"), time_ns("2017-01-01T00:00:00Z"));
        assert_eq!(time_ns("2000-01-01T00:00:00.1234567896Z"), Some(946_684_800 * SECOND + 123_456_790));
        for bad in [
            "2023-02-29",
            "2023-13-01",
            "2023-00-10",
            "2023-01-32",
            "2023-1-1",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:00.Z",
            "2023-01-01T00:00.5Z",
            "2023-01-01x",
            "2023-01-01T",
            "2023-01-01T00",
            "2023-01-01T00:00:00+1",
            "2023-01-01T00:00:00+24",
            "3000-01-01",
            "2023-\u{e9}1-01",
        ] {
            assert_eq!(time_ns(bad), None, "{bad}");
        }
    }
}
