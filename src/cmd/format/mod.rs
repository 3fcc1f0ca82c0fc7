//! Output formats: Python's format strings with the additions of Flux's commands.
//!
//! A [`Format`] is parsed once against the fields that a command knows (its headings), then prints any rows:
//! `"{id.f58:>12} ?:{queue:<8.8} +:{username:<8} {name:<10.10+} {runtime!F:>8h}"`.
//! `?:` drops a column that is empty in every row, `+:` widens one to its longest value, `?+:` does both, and the whole may
//! start with `sort:KEY,-KEY `. [`Formats`] are the named ones of a command, built in and configured.

mod convert;
mod field;
mod named;
mod parse;
mod sort;
mod spec;
mod table;
mod value;

use std::fmt;

pub use named::{Formats, Named};
pub use table::{Format, TableOptions, cut as cut_line};
pub use value::{Row, Value};

/// Why a format was refused, or a value does not go with it. Users write formats, so none of these may panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    TooLong,
    /// A brace without its partner.
    Brace(&'static str),
    UnknownField(String),
    InvalidSortKey(String),
    /// A conversion after `!` that does not exist.
    Conversion(char),
    /// What follows `:` cannot be understood.
    Spec(String),
    /// Width or precision beyond [`crate::limits::FIELD_WIDTH_MAX`].
    TooWide(String),
    /// The presentation type does not go with the value.
    Type {
        code: char,
        value: &'static str,
    },
    /// The conversion does not go with the value.
    Convert {
        conversion: char,
        value: String,
    },
    /// No format of that name is configured.
    NoSuchFormat(String),
    /// A configuration file of formats is wrong.
    Config(String),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("the output format is too long"),
            Self::Brace(why) => write!(f, "Error in user format: {why}"),
            Self::UnknownField(name) => write!(f, "Unknown format field: {name}"),
            Self::InvalidSortKey(name) => write!(f, "Invalid sort key: {name}"),
            Self::Conversion(c) => write!(f, "unknown conversion '!{c}' in the output format"),
            Self::Spec(spec) => write!(f, "cannot understand the format specification '{spec}'"),
            Self::TooWide(spec) => write!(f, "a width or precision in '{spec}' is too large"),
            Self::Type { code, value } => write!(f, "Unknown format code '{code}' for object of type '{value}'"),
            Self::Convert { conversion, value } => write!(f, "cannot convert '{value}' with '!{conversion}'"),
            Self::NoSuchFormat(name) => write!(f, "--format: No such format {name} (Did you mean '{{{name}}}'?)"),
            Self::Config(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FormatError {}

#[cfg(test)]
mod tests;
