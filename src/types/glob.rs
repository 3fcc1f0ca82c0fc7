//! Patterns as shells know them: `*`, `?`, `[abc]`, `[!a-z]` and `\\`. A `*` also matches slashes.

/// Is there anything in it that stands for more than itself?
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Does all of `text` match?
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star stood, and how far the text was then.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some(next) = one(&pattern, p, text[t]) {
            p = next;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Where the pattern goes on if what stands at `p` matches `c`.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => match class(pattern, p + 1, c) {
            Some((is_in, next)) => is_in.then_some(next),
            None => (c == '[').then_some(p + 1),
        },
        '\\' if p + 1 < pattern.len() => (pattern[p + 1] == c).then_some(p + 2),
        own => (*own == c).then_some(p + 1),
    }
}

/// Is `c` in the class that begins at `p`, and where does it end? `None`: it has no end.
fn class(pattern: &[char], mut p: usize, c: char) -> Option<(bool, usize)> {
    let inverse = matches!(pattern.get(p), Some('!' | '^'));
    p += usize::from(inverse);
    let first = p;
    let mut found = false;
    loop {
        let low = *pattern.get(p)?;
        if low == ']' && p > first {
            return Some((found != inverse, p + 1));
        }
        match (pattern.get(p + 1), pattern.get(p + 2)) {
            (Some('-'), Some(high)) if *high != ']' => {
                found |= (low..=*high).contains(&c);
                p += 3;
            }
            _ => {
                found |= low == c;
                p += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        let rows = [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*b", "axxb", true),
            ("a*b", "axxbc", false),
            ("*a*a*", "banana", true),
            ("?", "", false),
            ("?b", "ab", true),
            ("[abc]", "b", true),
            ("[!abc]", "b", false),
            ("[a-c]x", "bx", true),
            ("[]]", "]", true),
            ("[", "[", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("d/*.so", "d/x.so", true),
            ("é?", "éa", true),
            ("kvs.*", "kvs-watch.lookup", false),
            ("k?s.*t*", "kvs.commit", true),
            ("a*b*c", "aXbYbZ", false),
            ("**", "", true),
            ("", "x", false),
        ];
        for (pattern, text, want) in rows {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }
}
