//! Submission directives in batch scripts (RFC 36): `# flux: -n4 --job-name="x"`.

use super::words::{quoted, split};

/// The arguments of one directive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) args: Vec<String>,
}

/// A value in triple quotes that goes on over several lines.
struct Multiline {
    quotes: String,
    indent: String,
    /// What the user wrote first, for errors.
    start: String,
    line: usize,
    lines: Vec<String>,
}

/// Reads the directives of a script.
///
/// # Errors
/// The sentence for the user, with the number of the line.
pub(super) fn parse(script: &str) -> Result<Vec<Directive>, String> {
    let mut parser = Parser { directives: Vec::new(), sentinel: None, disabled_after: None, multiline: None };
    for (number, line) in (1..).zip(script.lines()) {
        parser.on_line(number, line)?;
    }
    Ok(parser.directives)
}

struct Parser {
    directives: Vec<Directive>,
    /// Of the first directive: what stands before the tag, and the tag.
    sentinel: Option<(String, &'static str)>,
    /// The last line before the script proper.
    disabled_after: Option<usize>,
    multiline: Option<Multiline>,
}

/// `PREFIX`, tag and value of a line that is a directive; the prefix has no letters or digits.
fn sentinel(line: &str) -> Option<(&str, &'static str, &str)> {
    let at = line.find(|c: char| c.is_alphanumeric() || c == '_')?;
    let (prefix, rest) = line.split_at(at);
    ["flux:", "FLUX:"].into_iter().find_map(|tag| Some((prefix, tag, rest.strip_prefix(tag)?)))
}

impl Parser {
    fn on_line(&mut self, number: usize, line: &str) -> Result<(), String> {
        let Some((prefix, tag, value)) = sentinel(line) else { return self.on_other(number, line) };
        if let Some(last) = self.disabled_after {
            return Err(format!("line {number}: orphan '{tag}' detected: directives disabled after line {last}"));
        }
        let value = inline_quotes(value).map_err(|why| format!("line {number}: {why}"))?;
        match &self.sentinel {
            None => self.sentinel = Some((prefix.to_owned(), tag)),
            Some((known, known_tag)) if known != prefix || *known_tag != tag => {
                return Err(changed(number, &format!("{known}{known_tag}"), &format!("{prefix}{tag}"), &value));
            }
            Some(_) => {}
        }
        let ends = value.ends_with("\"\"\"") || value.ends_with("'''");
        match (ends, &mut self.multiline) {
            (true, _) => self.on_triple(number, &value),
            (false, Some(open)) => {
                open.append(&value);
                Ok(())
            }
            (false, None) if value.is_empty() => Ok(()),
            (false, None) => self.add(&value, number),
        }
    }

    fn on_other(&mut self, number: usize, line: &str) -> Result<(), String> {
        if let Some(open) = &self.multiline {
            let (at, start) = (open.line, &open.start);
            return Err(format!("line {number}: unterminated multi-line quote at line {at}: `{start}'"));
        }
        if let Some((prefix, _)) = &self.sentinel
            && self.disabled_after.is_none()
            && !line.starts_with(prefix.trim_end())
            && !line.trim().is_empty()
        {
            self.disabled_after = Some(number - 1);
        }
        Ok(())
    }

    /// A line that ends in triple quotes opens or closes a value.
    fn on_triple(&mut self, number: usize, value: &str) -> Result<(), String> {
        let (body, quotes) = value.split_at(value.len() - 3);
        match self.multiline.take() {
            None => {
                let start = value.trim_start();
                let indent = value[..value.len() - start.len()].to_owned();
                let mut open = Multiline {
                    quotes: quotes.to_owned(),
                    indent,
                    start: start.to_owned(),
                    line: number,
                    lines: Vec::new(),
                };
                open.append(body);
                self.multiline = Some(open);
                Ok(())
            }
            Some(mut open) if open.quotes != quotes => {
                open.append(value);
                self.multiline = Some(open);
                Ok(())
            }
            Some(mut open) => {
                open.append(body);
                let text = format!("{}{}", open.lines[0], quoted(&open.lines[1..].join("\n")));
                if text.contains(&open.quotes) {
                    let start = &open.start;
                    return Err(format!("improperly terminated triple quoted string at: `{start}'"));
                }
                self.add(&text, open.line)
            }
        }
    }

    fn add(&mut self, value: &str, line: usize) -> Result<(), String> {
        let args = split(value).map_err(|why| format!("line {line}: {value}: {why}"))?;
        match args.first() {
            None => Ok(()),
            Some(first) if first.starts_with('-') => {
                self.directives.push(Directive { line, args });
                Ok(())
            }
            Some(_) => Err(format!("line {line}: Unknown directive: {value}")),
        }
    }
}

impl Multiline {
    fn append(&mut self, value: &str) {
        self.lines.push(value.strip_prefix(self.indent.as_str()).unwrap_or(value).to_owned());
    }
}

fn changed(number: usize, from: &str, to: &str, value: &str) -> String {
    format!(
        "line {number}: sentinel changed from '{from}' to '{to}'\n\n\
         All directives in a file must use the same sentinel.\n\n\
         If you're trying to disable this directive, place a comment\n\
         character AFTER the sentinel, not in the prefix:\n\n  {from} # {}\n\n\
         The '#' character comments out the rest of the line, making\n\
         this directive a no-op while maintaining the same sentinel.",
        value.trim_start()
    )
}

/// Where the first triple quotes (of either kind) stand.
fn triple(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(2)).find(|at| bytes[*at..*at + 3].iter().all(|b| matches!(b, b'"' | b'\'')))
}

/// A value in triple quotes within one line becomes one word.
fn inline_quotes(value: &str) -> Result<String, String> {
    let paired = |quotes: &str| {
        let count = value.matches(quotes).count();
        count > 0 && count.is_multiple_of(2)
    };
    let Some(at) = triple(value) else { return Ok(value.to_owned()) };
    let (before, rest) = value.split_at(at);
    let (quotes, rest) = rest.split_at(3);
    if paired("\"\"\"") || paired("'''") {
        return Ok(match rest.rsplit_once(quotes) {
            Some((inner, after)) => format!("{before}{}{after}", quoted(inner)),
            None => value.to_owned(),
        });
    }
    if rest.is_empty() { Ok(value.to_owned()) } else { Err(format!("unclosed triple quote: {}", value.trim())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(script: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
        Ok(parse(script)?.into_iter().map(|directive| (directive.line, directive.args)).collect())
    }

    #[test]
    fn directives_are_read_from_the_head_of_a_script() {
        type Row = (&'static str, &'static [(usize, &'static [&'static str])]);
        let rows: &[Row] = &[
            ("#!/bin/sh\necho hi\n", &[]),
            ("#!/bin/sh\n#flux: -n2\n#flux: --job-name=\"a b\"\necho hi\n", &[(2, &["-n2"]), (3, &["--job-name=a b"])]),
            ("// FLUX: -N2 # two nodes\n// FLUX:\n// FLUX: # nothing\n", &[(1, &["-N2"])]),
            ("# flux: --env=A='''it's'''\n", &[(1, &["--env=A=it's"])]),
            (
                "# flux: --setattr=user.x=\"\"\"\n# flux: a b\n# flux:   \"c\"\n# flux: \"\"\"\n# flux: -x\n",
                &[(1, &["--setattr=user.x=a b\n  \"c\"\n"]), (5, &["-x"])],
            ),
            ("# flux: -n1\n\n# a comment\n# flux: -x\ntrue\n", &[(1, &["-n1"]), (4, &["-x"])]),
        ];
        for (script, want) in rows {
            let got = args(script).unwrap();
            let got: Vec<_> =
                got.iter().map(|(n, args)| (*n, args.iter().map(String::as_str).collect::<Vec<_>>())).collect();
            let want: Vec<_> = want.iter().map(|(n, args)| (*n, args.to_vec())).collect();
            assert_eq!(got, want, "{script}");
        }
    }

    #[test]
    fn mistakes_name_their_line() {
        let rows = [
            ("#flux: -n2\ntrue\n#flux: -N2\n", "line 3: orphan 'flux:' detected: directives disabled after line 1"),
            ("#flux: hello\n", "line 1: Unknown directive:  hello"),
            ("#flux: -n 'x\n", "line 1:  -n 'x: No closing quotation"),
            ("#flux: --x=\"\"\"y\n", "line 1: unclosed triple quote: --x=\"\"\"y"),
            ("#flux: --x=\"\"\"\n# y\n", "line 2: unterminated multi-line quote at line 1: `--x=\"\"\"'"),
        ];
        for (script, want) in rows {
            assert_eq!(args(script).unwrap_err(), want, "{script}");
        }
        let changed = args("# flux: -n1\n# FLUX: --output=x\n").unwrap_err();
        assert!(changed.starts_with("line 2: sentinel changed from '# flux:' to '# FLUX:'\n"), "{changed}");
        assert!(changed.contains("\n\n  # flux: # --output=x\n\n"), "{changed}");
    }
}
