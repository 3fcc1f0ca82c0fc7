//! The vectors are what flux-core's own formatter makes of the same rows.

use super::*;

struct Sample(&'static [(&'static str, Value)]);

impl Row for Sample {
    fn field(&self, name: &str) -> Option<Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}

const HEADINGS: &[(&str, &str)] = &[
    ("s", "S"),
    ("e", "E"),
    ("n", "N"),
    ("neg", "NEG"),
    ("f", "F"),
    ("z", "Z"),
    ("t", "T"),
    ("b", "B"),
    ("big", "BIG"),
    ("half", "HALF"),
    ("small", "SMALL"),
    ("d", "D"),
];

fn sample() -> Vec<(&'static str, Value)> {
    vec![
        ("s", "abcdefghij".into()),
        ("e", "".into()),
        ("n", Value::Int(42)),
        ("neg", Value::Int(-7)),
        ("f", Value::Float("3.14159".parse().unwrap())),
        ("z", Value::Float(0.0)),
        ("t", Value::Float(1577836800.5)),
        ("b", Value::Bool(true)),
        ("big", Value::Int(1234567)),
        ("half", Value::Float(0.5)),
        ("small", Value::Float(0.0005)),
        ("d", Value::Float(90061.0)),
    ]
}

#[test]
fn values_and_headings_show_as_in_flux_core() {
    let fields = sample();
    let row = Sample(Box::leak(fields.into_boxed_slice()));
    let rows: &[(&str, &str, &str)] = &[
        ("{s}", "abcdefghij", "S"),
        ("{s:>12}", "  abcdefghij", "           S"),
        ("{s:<5.5}|", "abcde|", "S    |"),
        ("{s:<5.5+}|", "abcd+|", "S    |"),
        ("{s:^14}", "  abcdefghij  ", "      S       "),
        ("{s:*^14}", "**abcdefghij**", "      S       "),
        ("{e:h}", "-", "E"),
        ("{e:>4h}", "   -", "   E"),
        ("{e:>4}|", "    |", "   E|"),
        ("{n}", "42", "N"),
        ("{n:5}|", "   42|", "N    |"),
        ("{n:<5}|", "42   |", "N    |"),
        ("{n:05}", "00042", "N    "),
        ("{n:x}", "2a", "N"),
        ("{n:#x}", "0x2a", "N"),
        ("{n:>6h}", "    42", "     N"),
        ("{neg:+d}", "-7", "NEG"),
        ("{n:+}", "42", "N"),
        ("{neg:05}", "-0007", "NEG  "),
        ("{big:,}", "1,234,567", "BIG"),
        ("{big:_}", "1_234_567", "BIG"),
        ("{f}", "3.14159", "F"),
        ("{f:.2f}", "3.14", "F"),
        ("{f:8.3f}|", "   3.142|", "F       |"),
        ("{f:g}", "3.14159", "F"),
        ("{f:.3}", "3.14", "F"),
        ("{f:e}", "3.141590e+00", "F"),
        ("{f:.1%}", "314.2%", "F"),
        ("{z}", "0.0", "Z"),
        ("{z:h}", "-", "Z"),
        ("{z!F}", "0s", "Z"),
        ("{z!F:h}", "-", "Z"),
        ("{z!D:h}", "-", "Z"),
        ("{z!d:%H::>5h}", "    -", "    Z"),
        ("{d!H}", "1 day, 1:01:01", "D"),
        ("{d!F}", "1.042d", "D"),
        ("{half!P}", "50%", "HALF"),
        ("{small!P}", "0.05%", "SMALL"),
        ("{f!F}", "3.142s", "F"),
        ("{b}", "True", "B"),
        ("{b:>5}", "    1", "    B"),
        ("{b!s:>5}", " True", "    B"),
        ("{half!H}", "0:00:01", "HALF"),
        ("{n!F}", "42s", "N"),
        ("{e!F}|", "|", "E|"),
        ("{e!H:h}", "-", "E"),
        ("{s:5}", "abcdefghij", "S    "),
        ("{s!r}", "'abcdefghij'", "S"),
        ("{big:.2e}", "1.23e+06", "BIG"),
        ("{n:.2f}", "42.00", "N"),
        ("{half:.0f}", "0", "HALF"),
        ("{s:.3+}", "ab+", "S"),
        ("{n:3.1f}", "42.0", "N  "),
        ("{big:g}", "1.23457e+06", "BIG"),
        ("{f:>10g}", "   3.14159", "         F"),
    ];
    for (format, line, header) in rows {
        let parsed = Format::parse(format, HEADINGS).unwrap_or_else(|error| panic!("{format}: {error}"));
        assert_eq!(parsed.line(&row).as_deref(), Ok(*line), "{format}");
        assert_eq!(parsed.header(), *header, "{format}");
    }
}

#[test]
fn malformed_formats_are_refused_with_a_reason() {
    let rows = [
        ("{nope}", FormatError::UnknownField("nope".to_owned())),
        ("{s!x}", FormatError::Conversion('x')),
        ("{s", FormatError::Brace("expected '}' before end of string")),
        ("}", FormatError::Brace("'}' without '{' before it")),
        ("{}", FormatError::Brace("a field needs a name")),
        ("{s:zz}", FormatError::Spec("zz".to_owned())),
        ("{s:>99999}", FormatError::TooWide(">99999".to_owned())),
        ("{s:.99999999999999999999}", FormatError::TooWide(".99999999999999999999".to_owned())),
        ("{s:5.}", FormatError::Spec("5.".to_owned())),
        ("sort:nope {s}", FormatError::InvalidSortKey("nope".to_owned())),
    ];
    for (format, want) in rows {
        assert_eq!(Format::parse(format, HEADINGS).err(), Some(want), "{format}");
    }
    assert_eq!(Format::parse(&"x".repeat(1 << 20), HEADINGS).err(), Some(FormatError::TooLong));
}

#[test]
fn a_value_of_the_wrong_kind_is_an_error() {
    let row = Sample(Box::leak(sample().into_boxed_slice()));
    for format in ["{s:d}", "{n:s}", "{f:d}", "{s!F}", "{neg:.3}", "{s:,}"] {
        assert!(Format::parse(format, HEADINGS).unwrap().line(&row).is_err(), "{format}");
    }
}

struct Pair(&'static str, Value);

impl Row for Pair {
    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "name" => Some(self.0.into()),
            "value" => Some(self.1.clone()),
            _ => None,
        }
    }
}

const PAIR: &[(&str, &str)] = &[("name", "NAME"), ("value", "VALUE")];

fn lines(format: &str, mut rows: Vec<Pair>, options: TableOptions) -> Vec<String> {
    Format::parse(format, PAIR).unwrap().lines(&mut rows, options).unwrap()
}

#[test]
fn columns_are_dropped_and_widened() {
    let rows = || vec![Pair("a-long-name", Value::Empty), Pair("b", Value::Empty)];
    let some = || vec![Pair("a-long-name", Value::Empty), Pair("b", Value::Int(3))];
    let plain = TableOptions::default();
    assert_eq!(lines("+:{name:<3.3}|?:{value:>5}|", rows(), plain), ["NAME       |", "a-long-name|", "b          |"]);
    assert_eq!(
        lines("{name:<3.3}|?:{value:>5}|", some(), plain),
        ["NAME|VALUE|", "a-l|     |", "b  |    3|"],
        "only width 3 is asked for, headings are not cut"
    );
    assert_eq!(lines("{name} ?+:{value:>1}|", some(), plain)[2], "b     3|");
    let bare = TableOptions { no_header: true, ..plain };
    assert_eq!(lines("{name} ?+:{value:>1}|", some(), bare)[1], "b 3|");
}

#[test]
fn rows_are_sorted_and_lines_cut() {
    let rows = || {
        vec![Pair("text", "x".into()), Pair("ten", "10".into()), Pair("nine", Value::Int(9)), Pair("unset", "-".into())]
    };
    let bare = TableOptions { no_header: true, width: None };
    assert_eq!(lines("sort:value {name}", rows(), bare), ["unset", "nine", "ten", "text"]);
    assert_eq!(lines("sort:-value {name}", rows(), bare), ["text", "ten", "nine", "unset"]);
    let narrow = TableOptions { no_header: true, width: Some(3) };
    assert_eq!(lines("sort:name{name}", rows(), narrow), ["ni+", "ten", "te+", "un+"]);
}

#[test]
fn fields_include_sort_keys_once() {
    let format = Format::parse("sort:value,-name {name} {name}", PAIR).unwrap();
    assert_eq!(format.fields(), ["name", "value"]);
}
