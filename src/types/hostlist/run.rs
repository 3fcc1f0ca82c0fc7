//! One run of names: a single name, or a prefix and numbers that count up.

/// The most significant digits of a number that is kept as one; longer ones are part of the name.
const DIGITS_MAX: usize = 18;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The whole name where there are no numbers.
    pub(super) prefix: Box<str>,
    pub(super) numbers: Option<Numbers>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) lo: u64,
    /// Included.
    pub(super) hi: u64,
    /// Zero padding up to this many digits; 0 if already `lo` needs none, so that equal runs are equal values.
    width: usize,
}

pub(super) fn digits_of(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// The value and text length of an all-digit text; `None` if it is none or its value is too long.
pub(super) fn parse_number(text: &str) -> Option<(u64, usize)> {
    let significant = text.trim_start_matches('0');
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && significant.len() <= DIGITS_MAX;
    fits.then(|| (significant.parse().unwrap_or(0), text.len()))
}

impl Run {
    pub(super) fn single(name: &str) -> Run {
        Run { prefix: name.into(), numbers: None }
    }

    pub(super) fn counting(prefix: &str, lo: u64, hi: u64, width: usize) -> Run {
        assert!(lo <= hi, "host range {lo}-{hi}");
        let width = if width <= digits_of(lo) { 0 } else { width };
        Run { prefix: prefix.into(), numbers: Some(Numbers { lo, hi, width }) }
    }

    /// The digits a name ends in are its number.
    pub(super) fn from_name(name: &str) -> Run {
        let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
        match parse_number(&name[prefix.len()..]) {
            Some((number, width)) => Run::counting(prefix, number, number, width),
            None => Run::single(name),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.numbers.map_or(1, |n| n.hi - n.lo + 1)
    }

    pub(super) fn name(&self, offset: u64) -> String {
        match self.numbers {
            None => self.prefix.to_string(),
            Some(n) => format!("{}{:0width$}", self.prefix, n.lo + offset, width = n.width),
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<u64> {
        let rest = name.strip_prefix(&*self.prefix)?;
        let Some(n) = self.numbers else { return rest.is_empty().then_some(0) };
        let (number, len) = parse_number(rest)?;
        let same_text = len == n.width.max(digits_of(number));
        (same_text && (n.lo..=n.hi).contains(&number)).then(|| number - n.lo)
    }

    /// The names from offset `from` up to, not including, `to`; `None` if that is none.
    pub(super) fn slice(&self, from: u64, to: u64) -> Option<Run> {
        if from >= to {
            return None;
        }
        Some(match self.numbers {
            None => self.clone(),
            Some(n) => Run::counting(&self.prefix, n.lo + from, n.lo + to - 1, n.width),
        })
    }

    /// Takes `next` in if its names are the ones this run would count up to; false if not.
    pub(super) fn continue_with(&mut self, next: &Run) -> bool {
        let (Some(a), Some(b)) = (&mut self.numbers, &next.numbers) else { return false };
        // Under this run's padding the next one's names must read the same.
        let same_text = a.width.max(digits_of(b.lo)) == b.width.max(digits_of(b.lo));
        let continues = same_text && a.hi + 1 == b.lo && self.prefix == next.prefix;
        if continues {
            a.hi = b.hi;
        }
        continues
    }
}

impl Numbers {
    /// `01-10`, or `01` for a single number.
    pub(super) fn text(&self) -> String {
        let width = self.width;
        if self.lo == self.hi {
            format!("{:0width$}", self.lo)
        } else {
            format!("{:0width$}-{:0width$}", self.lo, self.hi)
        }
    }

    /// Splits where the text gets longer: inclusive ranges, each with the length of its numbers' text.
    pub(super) fn by_length(self) -> impl Iterator<Item = (usize, u64, u64)> {
        let mut lo = Some(self.lo);
        std::iter::from_fn(move || {
            let from = lo?;
            let len = self.width.max(digits_of(from));
            let longest = 10u64.checked_pow(len as u32).map_or(u64::MAX, |end| end - 1);
            let to = self.hi.min(longest);
            lo = (to < self.hi).then(|| to + 1);
            Some((len, from, to))
        })
    }
}
