//! Host names and lists of them (RFC 29).

use crate::limits::HOST_COUNT_MAX;

/// Expands `node[0-3,07],other` into names; `None` if it is no hostlist or names too many hosts.
pub(crate) fn expand_hosts(text: &str) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut depth = 0;
        let end = rest.find(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            c == ',' && depth == 0
        });
        let (part, tail) = end.map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
        rest = tail;
        if !part.is_empty() {
            expand_part(part, "", &mut hosts, 0)?;
        }
    }
    Some(hosts)
}

fn expand_part(part: &str, prefix: &str, out: &mut Vec<String>, depth: u32) -> Option<()> {
    let Some((head, rest)) = part.split_once('[') else {
        if part.contains(']') || out.len() >= HOST_COUNT_MAX {
            return None;
        }
        out.push(format!("{prefix}{part}"));
        return Some(());
    };
    let (ranges, tail) = rest.split_once(']')?;
    if depth > 4 {
        return None;
    }
    for range in ranges.split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (low.parse::<u64>().ok()?, high.parse::<u64>().ok()?);
        if first > last || last - first > HOST_COUNT_MAX as u64 {
            return None;
        }
        for id in first..=last {
            expand_part(tail, &format!("{prefix}{head}{id:0width$}", width = low.len()), out, depth + 1)?;
        }
    }
    Some(())
}

/// Joins names into a hostlist; a run of one prefix and rising numbers becomes one bracket.
pub(crate) fn compress_hosts(hosts: &[&str]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < hosts.len() {
        if !out.is_empty() {
            out.push(',');
        }
        let (prefix, first) = split_digits(hosts[at]);
        let end = (at..hosts.len()).find(|next| !is_same_family(hosts[*next], prefix, first)).unwrap_or(hosts.len());
        if first.is_empty() || end <= at + 1 {
            out.push_str(hosts[at]);
            at += 1;
            continue;
        }
        out.push_str(prefix);
        out.push('[');
        out.push_str(&compress_numbers(&hosts[at..end], prefix.len()));
        out.push(']');
        at = end;
    }
    out
}

/// Splits trailing digits off a name.
pub(crate) fn split_digits(host: &str) -> (&str, &str) {
    let prefix = host.trim_end_matches(|c: char| c.is_ascii_digit());
    (prefix, &host[prefix.len()..])
}

/// Same prefix, and a width that can stand in one bracket with `first`.
fn is_same_family(host: &str, prefix: &str, first: &str) -> bool {
    let (other_prefix, digits) = split_digits(host);
    let is_padded = |text: &str| text.len() > 1 && text.starts_with('0');
    other_prefix == prefix
        && !digits.is_empty()
        && (digits.len() == first.len() || (!is_padded(digits) && !is_padded(first)))
}

fn compress_numbers(hosts: &[&str], prefix_len: usize) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < hosts.len() {
        let low = &hosts[at][prefix_len..];
        let mut end = at;
        while end + 1 < hosts.len() {
            let here = hosts[end][prefix_len..].parse::<u128>();
            let next = hosts[end + 1][prefix_len..].parse::<u128>();
            match (here, next) {
                (Ok(here), Ok(next)) if next == here + 1 => end += 1,
                _ => break,
            }
        }
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(low);
        if end > at {
            out.push('-');
            out.push_str(&hosts[end][prefix_len..]);
        }
        at = end + 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostlists_expand_and_compress() {
        let rows = [
            ("node0", "node0"),
            ("node[0-3]", "node[0-3]"),
            ("node0,node1,node3", "node[0-1,3]"),
            ("a1,b1,b2", "a1,b[1-2]"),
            ("n[08-11]", "n[08-11]"),
            ("login", "login"),
            ("n[9-10]", "n[9-10]"),
            ("x[0-1]-y", "x0-y,x1-y"),
        ];
        for (text, want) in rows {
            let hosts = expand_hosts(text).unwrap_or_default();
            assert_eq!(compress_hosts(&hosts.iter().map(String::as_str).collect::<Vec<_>>()), want, "input {text:?}");
        }
        for bad in ["n[", "n]", "n[a]", "n[3-1]", "n[0-99999999999]"] {
            assert_eq!(expand_hosts(bad), None, "input {bad:?}");
        }
    }
}
