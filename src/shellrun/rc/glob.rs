//! Patterns of topics and of files.

/// `*`, `?` and `[...]`, as fnmatch(3) has them. Only the last `*` is tried again: linear in both.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some(_) => {
                if let Some(length) = one(&pattern[p..], text[t]) {
                    p += length;
                    t += 1;
                    continue;
                }
            }
            None => {}
        }
        let Some((at, from)) = star else { return false };
        (p, t) = (at + 1, from + 1);
        star = Some((at, from + 1));
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How much of the pattern stands for this character.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern[0] {
        '?' => Some(1),
        '[' => {
            let negated = matches!(pattern.get(1), Some('!' | '^'));
            let first = if negated { 2 } else { 1 };
            let end = (first + 1..pattern.len()).find(|at| pattern[*at] == ']')?;
            let set = &pattern[first..end];
            let mut found = set.contains(&c);
            for range in set.windows(3).filter(|range| range[1] == '-') {
                found |= (range[0]..=range[2]).contains(&c);
            }
            (found != negated).then_some(end + 1)
        }
        literal => (literal == c).then_some(1),
    }
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_fnmatch_says() {
        let rows = [
            ("*", "", true),
            ("*", "task.init", true),
            ("task.*", "task.init", true),
            ("task.*", "shell.init", false),
            ("*.lua", "a.lua", true),
            ("*.lua", "a.lua~", false),
            ("*a*b", "xaxaxb", true),
            ("?ask", "task", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("a[", "a[", false),
            ("", "", true),
        ];
        for (pattern, text, want) in rows {
            assert_eq!(fits(pattern, text), want, "{pattern} {text}");
        }
    }
}
