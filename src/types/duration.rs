//! Flux Standard Duration (RFC 23), and how Flux shows durations.

/// Parses a Flux Standard Duration, `N[SUFFIX]`, into seconds (`f64::INFINITY` for "infinity").
///
/// The suffix is `ms`, `s` (the default), `m`, `h` or `d`, in lower case, and never follows infinity.
/// `None` if `N` is negative, not a number, or followed by anything else.
///
/// Spec: RFC 23. Deviation: C99 hexadecimal floats are refused; no test vector or known caller has one.
pub fn parse_fsd(text: &str) -> Option<f64> {
    const UNITS: &[(&str, f64)] = &[("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];
    let unit = UNITS.iter().find_map(|(name, secs)| Some((text.strip_suffix(name)?, Some(*secs))));
    let (number, multiplier) = unit.unwrap_or((text, None));
    let n: f64 = number.parse().ok().filter(|n: &f64| *n >= 0.0)?;
    if n.is_infinite() && multiplier.is_some() {
        return None;
    }
    Some(n * multiplier.unwrap_or(1.0))
}

/// The seconds as configuration, logs and broker attributes show them: six digits, in the largest unit that
/// leaves at least one (`90s` is `1.5m`), milliseconds under a tenth of a second, `infinity`.
///
/// `None` for a negative number or one that is none. Spec: RFC 23; rounding as flux-core.
pub fn format_fsd(seconds: f64) -> Option<String> {
    if seconds == f64::INFINITY {
        return Some("infinity".to_owned());
    }
    let scaled = |unit: f64, suffix: &str| Some(format!("{}{suffix}", general(seconds / unit, 6)));
    match seconds {
        s if s.is_nan() || s < 0.0 => None,
        s if s > 0.0 && s < 0.1 => Some(format!("{}ms", general(s * 1000.0, 6))),
        s if s < 60.0 => scaled(1.0, "s"),
        s if s < 3600.0 => scaled(60.0, "m"),
        s if s < 86400.0 => scaled(3600.0, "h"),
        _ => scaled(86400.0, "d"),
    }
}

/// The seconds as listings show them (`flux jobs`, `flux uptime`): milliseconds kept under ten seconds
/// (`0.034s`), four digits above (`3.961m`), `0s` under one millisecond, `inf`.
pub fn format_fsd_listing(seconds: f64) -> String {
    let scaled = |unit: f64, suffix: &str| format!("{}{suffix}", general(seconds / unit, 4));
    match seconds {
        s if s.is_infinite() => "inf".to_owned(),
        s if s.is_nan() || s < 1e-3 => "0s".to_owned(),
        s if s < 10.0 => format!("{s:.3}s"),
        s if s < 60.0 => scaled(1.0, "s"),
        s if s < 3600.0 => scaled(60.0, "m"),
        s if s < 86400.0 => scaled(3600.0, "h"),
        _ => scaled(86400.0, "d"),
    }
}

/// C's `%.{digits}g`: that many significant digits, no trailing zeros, an exponent only where it is shorter.
pub fn general(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    if !value.is_finite() {
        return if value.is_nan() {
            "nan"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        }
        .to_owned();
    }
    // The exponent after rounding: 9.9999999 is 1e1 to six digits.
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent) as usize;
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Xorshift, hostile_texts};

    #[test]
    fn fsd_follows_rfc23_test_vectors() {
        let rows = [
            ("2ms", Some(0.002)),
            ("0.1s", Some(0.1)),
            ("30", Some(30.0)),
            ("1.2h", Some(4320.0)),
            ("5m", Some(300.0)),
            ("0s", Some(0.0)),
            ("5d", Some(432000.0)),
            ("inf", Some(f64::INFINITY)),
            ("INF", Some(f64::INFINITY)),
            ("infinity", Some(f64::INFINITY)),
            ("1e3s", Some(1000.0)),
            (".5m", Some(30.0)),
            ("5.", Some(5.0)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("nan", None),
            ("infs", None),
            ("infinityd", None),
            ("5 m", None),
            ("5M", None),
            ("5S", None),
            ("1.5.5", None),
            ("1h30m", None),
            ("ms", None),
            ("5min", None),
            ("0x10", None),
            ("5s ", None),
        ];
        for (text, want) in rows {
            assert_eq!(parse_fsd(text), want, "input {text:?}");
        }
    }

    #[test]
    fn durations_are_shown_in_the_largest_fitting_unit() {
        let rows = [
            (0.0, Some("0s")),
            (0.0621, Some("62.1ms")),
            (1.23e-5, Some("0.0123ms")),
            (0.1, Some("0.1s")),
            (1.0, Some("1s")),
            (59.5, Some("59.5s")),
            (60.0, Some("1m")),
            (90.0, Some("1.5m")),
            (3600.0, Some("1h")),
            (5400.0, Some("1.5h")),
            (86400.0, Some("1d")),
            (100000.0, Some("1.15741d")),
            (1e12, Some("1.15741e+07d")),
            (1e-9, Some("1e-06ms")),
            (f64::INFINITY, Some("infinity")),
            (-1.0, None),
            (f64::NAN, None),
            (f64::NEG_INFINITY, None),
        ];
        for (seconds, want) in rows {
            assert_eq!(format_fsd(seconds).as_deref(), want, "input {seconds}");
        }
    }

    #[test]
    fn listings_show_four_digits() {
        let rows = [
            (0.0, "0s"),
            (0.0009, "0s"),
            (0.034, "0.034s"),
            (9.9994, "9.999s"),
            (10.0, "10s"),
            (12.3456, "12.35s"),
            (237.63, "3.961m"),
            (3599.99, "60m"),
            (5400.0, "1.5h"),
            (86400.0, "1d"),
            (1e9, "1.157e+04d"),
            (f64::INFINITY, "inf"),
        ];
        for (seconds, want) in rows {
            assert_eq!(format_fsd_listing(seconds), want, "input {seconds}");
        }
    }

    #[test]
    fn the_general_format_is_that_of_c() {
        let rows = [
            (100000.0, 6, "100000"),
            (1000000.0, 6, "1e+06"),
            (999999.5, 6, "1e+06"),
            (0.0001, 6, "0.0001"),
            (0.00001, 6, "1e-05"),
            (1.0, 4, "1"),
            (-2.5, 4, "-2.5"),
            (0.0, 6, "0"),
            (9.9999999, 6, "10"),
            (123456.0, 3, "1.23e+05"),
            (1e100, 6, "1e+100"),
            (2.5, 0, "2"),
        ];
        for (value, digits, want) in rows {
            assert_eq!(general(value, digits), want, "input {value} {digits}");
        }
    }

    #[test]
    fn shown_durations_parse_back_to_six_digits() {
        for seed in 1..2000u64 {
            let mut rng = Xorshift(seed);
            let seconds = rng.next() as f64 / 10f64.powi(rng.below(24) as i32);
            let back = parse_fsd(&format_fsd(seconds).unwrap()).unwrap();
            assert!((back - seconds).abs() <= seconds * 1e-5, "seed {seed}: {seconds} came back as {back}");
        }
    }

    #[test]
    fn hostile_durations_never_panic_and_are_never_negative() {
        hostile_texts(13, &["1.2h", "0.1s", "infinity", "2ms", "1e300d"], "0123456789.e+-smhdinfx", |text| {
            if let Some(seconds) = parse_fsd(text) {
                assert!(seconds >= 0.0, "{text:?}");
                assert!(parse_fsd(&format_fsd(seconds).unwrap()).is_some(), "{text:?}");
                format_fsd_listing(seconds);
            }
        });
    }
}
