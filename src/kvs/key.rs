//! Keys: paths with `.` between components.

use std::borrow::Cow;

use flux_wire::Errno;

use crate::limits::{KEY_COMPONENTS_MAX, KEY_LEN_MAX};

/// The key that names a namespace's root directory.
pub(crate) const ROOT: &str = ".";

/// One separator between components, none at the ends; a key of separators only is the root, ".".
///
/// # Errors
/// EINVAL for the empty key, ENAMETOOLONG over the limits.
pub(crate) fn normalize(key: &str) -> Result<Cow<'_, str>, Errno> {
    if key.is_empty() {
        return Err(Errno::EINVAL);
    }
    if key.len() > KEY_LEN_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let inner = key.trim_matches('.');
    if inner.is_empty() {
        return Ok(Cow::Borrowed(ROOT));
    }
    if inner.bytes().filter(|b| *b == b'.').count() >= KEY_COMPONENTS_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if !inner.contains("..") {
        return Ok(Cow::Borrowed(inner));
    }
    let parts: Vec<&str> = inner.split('.').filter(|part| !part.is_empty()).collect();
    Ok(Cow::Owned(parts.join(".")))
}

/// `key` under the directory `base`; either may be the root.
pub(crate) fn join<'a>(base: &'a str, key: &'a str) -> Cow<'a, str> {
    match (base, key) {
        (ROOT, key) => Cow::Borrowed(key),
        (base, ROOT) => Cow::Borrowed(base),
        (base, key) => Cow::Owned(format!("{base}.{key}")),
    }
}

/// A walk may not get longer than a key may be, also after links.
pub(crate) fn check_depth(path: &str) -> Result<(), Errno> {
    let deep = path.len() > 2 * KEY_LEN_MAX || path.bytes().filter(|b| *b == b'.').count() >= KEY_COMPONENTS_MAX;
    if deep { Err(Errno::ENAMETOOLONG) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superfluous_separators_are_removed() {
        let rows =
            [("a", "a"), ("a.b.c", "a.b.c"), (".a", "a"), ("a.", "a"), ("..a...b..", "a.b"), (".", "."), ("....", ".")];
        for (key, want) in rows {
            assert_eq!(normalize(key).as_deref(), Ok(want), "{key}");
        }
        assert_eq!(normalize(""), Err(Errno::EINVAL));
        assert_eq!(normalize(&"a.".repeat(KEY_COMPONENTS_MAX + 1)), Err(Errno::ENAMETOOLONG));
        assert_eq!(normalize(&"a".repeat(KEY_LEN_MAX + 1)), Err(Errno::ENAMETOOLONG));
        assert!(normalize(&"a.".repeat(KEY_COMPONENTS_MAX)).is_ok());
    }

    #[test]
    fn keys_join_below_a_base() {
        for (base, key, want) in [(".", "a", "a"), ("x.y", ".", "x.y"), ("x", "a.b", "x.a.b"), (".", ".", ".")] {
            assert_eq!(join(base, key), want);
        }
    }
}
