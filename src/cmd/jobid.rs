//! Job ids as this terminal can show them.

use flux_types::{JobId, JobIdForm};

/// Whether the locale's characters are UTF-8; `FLUX_F58_FORCE_ASCII` says that they are not.
pub(crate) fn utf8_locale() -> bool {
    let var = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if var("FLUX_F58_FORCE_ASCII").is_some() {
        return false;
    }
    let locale = var("LC_ALL").or_else(|| var("LC_CTYPE")).or_else(|| var("LANG")).unwrap_or_default();
    let charset = locale.split_once('.').map_or("", |(_, charset)| charset).to_ascii_lowercase();
    charset.starts_with("utf-8") || charset.starts_with("utf8")
}

/// F58 with the letter that this locale has.
pub(crate) fn shown_as(form: JobIdForm) -> JobIdForm {
    match form {
        JobIdForm::F58 if !utf8_locale() => JobIdForm::F58Plain,
        form => form,
    }
}

/// The id as it is printed for users.
pub(crate) fn shown(id: JobId) -> String {
    id.encode(shown_as(JobIdForm::F58))
}
