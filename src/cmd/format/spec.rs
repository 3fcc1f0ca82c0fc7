//! The inner grammar, after the colon: `[[fill]align][sign][z][#][0][width][,_][.precision][type][h][+]`.

use super::FormatError;
use crate::limits::FIELD_WIDTH_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    /// Padding goes between the sign and the digits.
    AfterSign,
    Centre,
}

/// A format specification in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    pub fill: Option<char>,
    pub align: Option<Align>,
    pub sign: Option<char>,
    pub alternate: bool,
    pub zero: bool,
    pub width: Option<usize>,
    pub grouping: Option<char>,
    pub precision: Option<usize>,
    pub kind: Option<char>,
    /// Flux: `-` instead of an empty value.
    pub hyphen: bool,
    /// Flux: a cut value ends in `+`.
    pub mark_cut: bool,
}

fn align_of(c: char) -> Option<Align> {
    match c {
        '<' => Some(Align::Left),
        '>' => Some(Align::Right),
        '=' => Some(Align::AfterSign),
        '^' => Some(Align::Centre),
        _ => None,
    }
}

/// A cursor over the characters of a specification.
struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let c = self.rest.chars().next().filter(|c| wanted(*c))?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn number(&mut self) -> Option<Result<usize, ()>> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(digits.parse().ok().filter(|n| *n <= FIELD_WIDTH_MAX).ok_or(()))
    }
}

impl Spec {
    /// # Errors
    /// [`FormatError::Spec`], [`FormatError::TooWide`]
    pub(super) fn parse(text: &str) -> Result<Spec, FormatError> {
        let mut spec = Spec::default();
        let mut cursor = Cursor { rest: text };
        let mut chars = text.chars();
        let (first, second) = (chars.next(), chars.next());
        if let Some(align) = second.and_then(align_of) {
            (spec.fill, spec.align) = (first, Some(align));
            cursor.rest = chars.as_str();
        } else {
            spec.align = cursor.take(|c| align_of(c).is_some()).and_then(align_of);
        }
        spec.sign = cursor.take(|c| matches!(c, '-' | '+' | ' '));
        // A lone `+` at the very end is Flux's mark, not a sign without a number.
        if spec.sign == Some('+') && cursor.rest.is_empty() {
            (spec.sign, spec.mark_cut) = (None, true);
            return Ok(spec);
        }
        cursor.take(|c| c == 'z');
        spec.alternate = cursor.take(|c| c == '#').is_some();
        spec.zero = cursor.take(|c| c == '0').is_some();
        let too_wide = |()| FormatError::TooWide(text.to_owned());
        spec.width = cursor.number().transpose().map_err(too_wide)?;
        spec.grouping = cursor.take(|c| matches!(c, ',' | '_'));
        if cursor.take(|c| c == '.').is_some() {
            let digits = cursor.number().ok_or_else(|| FormatError::Spec(text.to_owned()))?;
            spec.precision = Some(digits.map_err(too_wide)?);
        }
        spec.kind = cursor.take(|c| "bcdeEfFgGnosxX%".contains(c));
        spec.hyphen = cursor.take(|c| c == 'h').is_some();
        spec.mark_cut = cursor.take(|c| c == '+').is_some();
        if cursor.rest.is_empty() { Ok(spec) } else { Err(FormatError::Spec(text.to_owned())) }
    }

    /// Gives the field at least this width, and lets text use it.
    pub(super) fn widen(&mut self, width: usize) {
        self.width = Some(width);
        if matches!(self.kind, None | Some('s')) && self.precision.is_some_and(|precision| precision < width) {
            self.precision = Some(width);
        }
    }

    /// The alignment and width alone: what applies to a heading.
    pub(super) fn for_heading(&self) -> Spec {
        Spec { align: self.align, width: self.width, ..Spec::default() }
    }

    /// Pads to the width. `sign_len` bytes at the start are a sign or prefix that [`Align::AfterSign`] keeps in front.
    pub(super) fn pad(&self, text: &str, default: Align, sign_len: usize) -> String {
        let fill = self.fill.unwrap_or(if self.zero { '0' } else { ' ' });
        let align = self.align.unwrap_or(if self.zero && default == Align::Right { Align::AfterSign } else { default });
        let room = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let some = |n: usize| std::iter::repeat_n(fill, n).collect::<String>();
        match align {
            Align::Left => format!("{text}{}", some(room)),
            Align::Right => format!("{}{text}", some(room)),
            Align::Centre => format!("{}{text}{}", some(room / 2), some(room - room / 2)),
            Align::AfterSign => format!("{}{}{}", &text[..sign_len], some(room), &text[sign_len..]),
        }
    }
}
