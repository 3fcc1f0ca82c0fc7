//! A bounded reader of JSON: the input of `exec`, read by the unprivileged child only.

use crate::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    /// `null`, `true`, `false` or a number, as written.
    Plain(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one value and nothing after it; `None` if it is none, has a key twice, or is over a limit.
    pub(crate) fn parse(text: &str) -> Option<Json> {
        let mut reader = Reader { rest: text, values_left: JSON_VALUES_MAX };
        let value = reader.value(JSON_DEPTH_MAX)?;
        reader.space();
        (reader.rest.is_empty() || !enforced!("json-rest")).then_some(value)
    }

    /// A member of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        let Json::Object(members) = self else { return None };
        members.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Json::Text(text) = self { Some(text) } else { None }
    }
}

struct Reader<'a> {
    rest: &'a str,
    values_left: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes `token` after white space.
    fn take(&mut self, token: char) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    fn value(&mut self, depth_left: usize) -> Option<Json> {
        self.values_left = self.values_left.checked_sub(1)?;
        let deeper = depth_left.checked_sub(1)?;
        self.space();
        match self.rest.as_bytes().first()? {
            b'"' => self.string().map(Json::Text),
            b'[' => {
                let mut list = Vec::new();
                self.sequence('[', ']', |reader| {
                    list.push(reader.value(deeper)?);
                    Some(())
                })?;
                Some(Json::List(list))
            }
            b'{' => {
                let mut members: Vec<(String, Json)> = Vec::new();
                self.sequence('{', '}', |reader| {
                    reader.space();
                    let key = reader.string()?;
                    reader.take(':')?;
                    let value = reader.value(deeper)?;
                    let fresh = members.iter().all(|(known, _)| *known != key) || !enforced!("json-key-twice");
                    fresh.then(|| members.push((key, value)))
                })?;
                Some(Json::Object(members))
            }
            _ => self.plain(),
        }
    }

    fn sequence(&mut self, open: char, close: char, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(open)?;
        if self.take(close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            if self.take(close).is_some() {
                return Some(());
            }
            self.take(',')?;
        }
    }

    fn plain(&mut self) -> Option<Json> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let number = word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && word.parse::<f64>().is_ok();
        if !number && !matches!(word, "null" | "true" | "false") {
            return None;
        }
        self.rest = rest;
        Some(Json::Plain(word.into()))
    }

    fn string(&mut self) -> Option<String> {
        self.rest = self.rest.strip_prefix('"')?;
        let mut out = String::new();
        loop {
            let end = self.rest.find(|c: char| c == '"' || c == '\\' || c < ' ')?;
            out.push_str(&self.rest[..end]);
            let stop = self.rest.as_bytes()[end];
            self.rest = &self.rest[end + 1..];
            match stop {
                b'"' => return Some(out),
                b'\\' => out.push(self.escape()?),
                _ => return None, // A control character must be escaped (RFC 8259).
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let letter = chars.next()?;
        self.rest = chars.as_str();
        Some(match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.hex()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                self.rest = self.rest.strip_prefix("\\u")?;
                let second = self.hex()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + second);
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
