//! A parsed format, and the table it makes of rows.

use std::io::{self, Write};

use super::convert::{self, Converted};
use super::parse::{self, Part};
use super::sort::SortKey;
use super::spec::{Align, Spec};
use super::{FormatError, Row, Value, field};

/// What may stand before a field, the longest first.
const SENTINELS: &[(&str, bool, bool)] = &[("?+:", true, true), ("?:", true, false), ("+:", false, true)];

/// One column: the text before a field, the field, and how it shows.
#[derive(Clone, Debug)]
struct Column {
    text: String,
    name: String,
    conversion: Option<char>,
    /// As written: `!d` has a time format in it.
    raw_spec: String,
    spec: Spec,
    drop_if_empty: bool,
    widen: bool,
}

/// How a table is printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableOptions {
    pub no_header: bool,
    /// Longer lines are cut, with a `+` at the end.
    pub width: Option<usize>,
}

/// A parsed output format.
#[derive(Clone, Debug)]
pub struct Format {
    columns: Vec<Column>,
    tail: String,
    sort: Vec<(String, bool)>,
    headings: &'static [(&'static str, &'static str)],
}

impl Format {
    /// Parses a format whose fields are those that have headings.
    ///
    /// # Errors
    /// [`FormatError`]
    pub fn parse(format: &str, headings: &'static [(&'static str, &'static str)]) -> Result<Format, FormatError> {
        let mut parsed = Format { columns: Vec::new(), tail: String::new(), sort: Vec::new(), headings };
        let format = parsed.take_sort_prefix(format)?;
        for Part { text, field } in parse::parse(format)? {
            let Some(field) = field else {
                parsed.tail = text;
                continue;
            };
            if parsed.heading(&field.name).is_none() {
                return Err(FormatError::UnknownField(field.name));
            }
            if let Some(other) = field.conversion.filter(|letter| !convert::known(*letter)) {
                return Err(FormatError::Conversion(other));
            }
            let plain = match field.conversion {
                Some('d') => field.spec.split_once("::").map_or("", |(_, spec)| spec),
                _ => &field.spec,
            };
            let spec = Spec::parse(plain)?;
            let sentinel = SENTINELS.iter().find(|(mark, ..)| text.ends_with(mark));
            let (drop_if_empty, widen) = sentinel.map_or((false, false), |(_, drop, widen)| (*drop, *widen));
            let text = sentinel.map_or(text.as_str(), |(mark, ..)| &text[..text.len() - mark.len()]).to_owned();
            let (name, conversion) = (field.name, field.conversion);
            parsed.columns.push(Column { text, name, conversion, raw_spec: field.spec, spec, drop_if_empty, widen });
        }
        Ok(parsed)
    }

    /// `sort:KEY,-KEY` at the start, up to white space or the first field.
    fn take_sort_prefix<'a>(&mut self, format: &'a str) -> Result<&'a str, FormatError> {
        let Some(rest) = format.strip_prefix("sort:") else { return Ok(format) };
        let end = rest.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(rest.len());
        if end == 0 {
            return Ok(format);
        }
        self.sort_by(&rest[..end])?;
        let rest = &rest[end..];
        Ok(rest.strip_prefix(' ').unwrap_or(rest))
    }

    /// Sorts by these keys (`KEY,-KEY`), instead of those in the format.
    ///
    /// # Errors
    /// [`FormatError::InvalidSortKey`]
    pub fn sort_by(&mut self, keys: &str) -> Result<(), FormatError> {
        let mut sort = Vec::new();
        for key in keys.split(',').map(str::trim).filter(|key| !key.is_empty()) {
            let (name, reverse) = key.strip_prefix('-').map_or((key, false), |name| (name, true));
            if self.heading(name).is_none() {
                return Err(FormatError::InvalidSortKey(name.to_owned()));
            }
            sort.push((name.to_owned(), reverse));
        }
        self.sort = sort;
        Ok(())
    }

    /// The same format without some fields. White space before such a field goes with it, other text stays.
    pub fn without(&self, fields: &[&str]) -> Format {
        let mut format = self.clone();
        format.columns.clear();
        let mut kept = String::new();
        for column in &self.columns {
            let mut column = column.clone();
            if fields.contains(&column.name.as_str()) {
                if !column.text.trim().is_empty() {
                    kept.push_str(&column.text);
                }
                continue;
            }
            column.text.insert_str(0, &std::mem::take(&mut kept));
            format.columns.push(column);
        }
        format.tail.insert_str(0, &kept);
        format
    }

    /// The fields that rows are asked for, sort keys included, each once.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields: Vec<&str> = Vec::new();
        let all = self.columns.iter().map(|column| column.name.as_str());
        for name in all.chain(self.sort.iter().map(|(name, _)| name.as_str())) {
            if !fields.contains(&name) {
                fields.push(name);
            }
        }
        fields
    }

    fn heading(&self, name: &str) -> Option<&'static str> {
        self.headings.iter().find(|(known, _)| *known == name).map(|(_, heading)| *heading)
    }

    /// One row by this format; no column is dropped or widened.
    ///
    /// # Errors
    /// Where a value does not go with its specification.
    pub fn line(&self, row: &dyn Row) -> Result<String, FormatError> {
        let mut line = String::new();
        for column in &self.columns {
            line.push_str(&column.text);
            line.push_str(&column.show(row)?);
        }
        line.push_str(&self.tail);
        Ok(line)
    }

    /// The line of headings.
    pub fn header(&self) -> String {
        let mut line = String::new();
        for column in &self.columns {
            line.push_str(&column.text);
            let heading = self.heading(&column.name).expect("checked when the format was parsed");
            line.push_str(&column.spec.for_heading().pad(heading, Align::Left, 0));
        }
        line.push_str(&self.tail);
        line
    }

    /// The same format without the columns that are empty in every row, and with those wide enough that are to be.
    ///
    /// # Errors
    /// As [`Format::line`].
    pub fn fitted<R: Row>(&self, rows: &[R], no_header: bool) -> Result<Format, FormatError> {
        let mut fitted = self.clone();
        fitted.columns.clear();
        for column in &self.columns {
            let mut column = column.clone();
            if !column.drop_if_empty && !column.widen {
                fitted.columns.push(column);
                continue;
            }
            let mut longest = 0;
            for row in rows {
                let text = column.bare(row)?;
                if !convert::empty_output(&text) {
                    longest = longest.max(text.chars().count());
                }
            }
            if column.drop_if_empty && longest == 0 {
                continue;
            }
            if column.widen {
                let heading = if no_header { "" } else { self.heading(&column.name).unwrap_or_default() };
                column.widen_to(longest.max(heading.chars().count()));
            }
            fitted.columns.push(column);
        }
        Ok(fitted)
    }

    /// Sorts, fits, and writes the table.
    ///
    /// # Errors
    /// The outer error is one of formatting, the inner one of writing.
    pub fn print<R: Row>(
        &self,
        rows: &mut [R],
        options: TableOptions,
        out: &mut impl Write,
    ) -> Result<io::Result<()>, FormatError> {
        let lines = self.lines(rows, options)?;
        Ok(lines.iter().try_for_each(|line| writeln!(out, "{line}")))
    }

    /// The lines of the table, sorted, fitted and cut.
    ///
    /// # Errors
    /// As [`Format::line`].
    pub fn lines<R: Row>(&self, rows: &mut [R], options: TableOptions) -> Result<Vec<String>, FormatError> {
        let fitted = self.fitted(rows, options.no_header)?;
        self.sort(rows);
        let mut lines = Vec::with_capacity(rows.len() + 1);
        if !options.no_header {
            lines.push(cut(fitted.header(), options.width));
        }
        for row in rows.iter() {
            let line = fitted.line(row)?;
            if !line.trim().is_empty() {
                lines.push(cut(line, options.width));
            }
        }
        Ok(lines)
    }

    /// Puts the rows into the order that the format, or [`Format::sort_by`], asks for.
    pub fn sort<R: Row>(&self, rows: &mut [R]) {
        for (name, reverse) in self.sort.iter().rev() {
            rows.sort_by(|a, b| {
                let order = SortKey::of(a.field(name)).compare(&SortKey::of(b.field(name)));
                if *reverse { order.reverse() } else { order }
            });
        }
    }
}

/// A line of at most `width` characters, with a `+` where it was cut.
pub fn cut(line: String, width: Option<usize>) -> String {
    match width {
        Some(width) if width > 0 && line.chars().count() > width => {
            line.chars().take(width - 1).chain(std::iter::once('+')).collect()
        }
        _ => line,
    }
}

impl Column {
    fn value(&self, row: &dyn Row) -> Result<Converted, FormatError> {
        convert::convert(row.field(&self.name).unwrap_or(Value::Empty), self.conversion)
    }

    /// Without width or precision, as it counts for `?:` and `+:`.
    fn bare(&self, row: &dyn Row) -> Result<String, FormatError> {
        match self.value(row)? {
            Converted::Value(value) => Ok(value.to_string()),
            Converted::Time(seconds) => convert::format_time(seconds, ""),
        }
    }

    fn show(&self, row: &dyn Row) -> Result<String, FormatError> {
        let value = match self.value(row)? {
            Converted::Time(seconds) => return convert::format_time(seconds, &self.raw_spec),
            Converted::Value(value) => value,
        };
        let plain = Spec { hyphen: false, mark_cut: false, ..self.spec.clone() };
        let value = match self.spec.hyphen {
            true if convert::empty_output(&value.to_string()) => Value::text("-"),
            true => Value::Text(value.to_string()),
            false => value,
        };
        let mut text = field::format_value(&value, &plain)?;
        if self.spec.mark_cut && text.chars().count() < value.to_string().chars().count() {
            text.pop();
            text.push('+');
        }
        Ok(text)
    }

    fn widen_to(&mut self, width: usize) {
        let width = width.max(self.spec.width.unwrap_or(0));
        self.spec.widen(width);
    }
}
