//! One value by one specification, as Python's `format()`.

use super::spec::{Align, Spec};
use super::{FormatError, Value};

/// Formats any value. Flux's `h` and `+` are the caller's business.
pub(super) fn format_value(value: &Value, spec: &Spec) -> Result<String, FormatError> {
    let integer_kind = matches!(spec.kind, Some('b' | 'c' | 'd' | 'o' | 'x' | 'X' | 'n'));
    match value {
        Value::Empty => text("", spec, "str"),
        Value::Text(content) => text(content, spec, "str"),
        Value::Bool(b) if *spec == Spec::default() || spec.kind == Some('s') => {
            text(if *b { "True" } else { "False" }, spec, "bool")
        }
        Value::Bool(b) => integer(i128::from(*b), spec),
        Value::Int(n) if integer_kind || spec.kind.is_none() => integer(i128::from(*n), spec),
        Value::Unsigned(n) if integer_kind || spec.kind.is_none() => integer(i128::from(*n), spec),
        Value::Int(n) => float(*n as f64, spec),
        Value::Unsigned(n) => float(*n as f64, spec),
        Value::Float(_) if integer_kind && spec.kind != Some('n') => Err(wrong_kind(spec, "float")),
        Value::Float(x) => float(*x, spec),
    }
}

fn wrong_kind(spec: &Spec, value: &'static str) -> FormatError {
    FormatError::Type { code: spec.kind.unwrap_or('s'), value }
}

fn text(content: &str, spec: &Spec, kind: &'static str) -> Result<String, FormatError> {
    if !matches!(spec.kind, None | Some('s')) {
        return Err(wrong_kind(spec, kind));
    }
    if spec.sign.is_some() || spec.align == Some(Align::AfterSign) || spec.grouping.is_some() {
        return Err(FormatError::Spec("numbers' signs and grouping do not go with text".to_owned()));
    }
    let cut: String = content.chars().take(spec.precision.unwrap_or(usize::MAX)).collect();
    Ok(spec.pad(&cut, Align::Left, 0))
}

fn integer(n: i128, spec: &Spec) -> Result<String, FormatError> {
    if spec.precision.is_some() {
        return Err(FormatError::Spec("precision does not go with whole numbers".to_owned()));
    }
    let size = n.unsigned_abs();
    let (prefix, digits, every) = match spec.kind {
        None | Some('d' | 'n') => ("", size.to_string(), 3),
        Some('b') => ("0b", format!("{size:b}"), 4),
        Some('o') => ("0o", format!("{size:o}"), 4),
        Some('x') => ("0x", format!("{size:x}"), 4),
        Some('X') => ("0X", format!("{size:X}"), 4),
        Some('c') => {
            let letter = u32::try_from(n).ok().and_then(char::from_u32);
            let letter = letter.ok_or_else(|| FormatError::Spec("c: not a character".to_owned()))?;
            return Ok(spec.pad(&letter.to_string(), Align::Left, 0));
        }
        Some(_) => return Err(wrong_kind(spec, "int")),
    };
    let head = format!("{}{}", sign(n < 0, spec), if spec.alternate { prefix } else { "" });
    let body = format!("{head}{}", grouped(&digits, every, spec.grouping));
    Ok(spec.pad(&body, Align::Right, head.len()))
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    }
}

fn grouped(digits: &str, every: usize, separator: Option<char>) -> String {
    let Some(separator) = separator else { return digits.to_owned() };
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(every) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

fn float(x: f64, spec: &Spec) -> Result<String, FormatError> {
    let size = x.abs();
    let digits = spec.precision.unwrap_or(6);
    let body = match spec.kind {
        _ if size.is_nan() => "nan".to_owned(),
        _ if size.is_infinite() => "inf".to_owned(),
        None if spec.precision.is_none() => super::value::float_text(size),
        None => {
            // As 'g', but always with a digit after the point.
            let text = flux_types::duration::general(size, digits.max(1));
            if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
        }
        Some('g' | 'G' | 'n') => flux_types::duration::general(size, digits.max(1)),
        Some('f' | 'F') => format!("{size:.digits$}"),
        Some('%') => format!("{:.digits$}%", size * 100.0),
        Some('e' | 'E') => exponent(size, digits),
        Some(_) => return Err(wrong_kind(spec, "float")),
    };
    let body = if matches!(spec.kind, Some('E' | 'G' | 'F')) { body.to_uppercase() } else { body };
    let (whole, rest) = body.split_at(body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len()));
    let head = sign(x.is_sign_negative() && !x.is_nan(), spec);
    let text = format!("{head}{}{rest}", grouped(whole, 3, spec.grouping));
    Ok(spec.pad(&text, Align::Right, head.len()))
}

fn exponent(size: f64, digits: usize) -> String {
    let text = format!("{size:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, number) = exponent.strip_prefix('-').map_or(('+', exponent), |number| ('-', number));
    format!("{mantissa}e{sign}{number:0>2}")
}
