//! In place of `enforce.rs` in the program `flux-imp-weakened`: leaves the one check out that `/etc/flux/imp/weaken` names.

#[cfg(not(debug_assertions))]
compile_error!("a weakened IMP is for tests only");

macro_rules! enforced {
    ($check:literal) => {
        crate::enforce::made($check)
    };
}

/// Ends the function with an error if something is not as it must be.
macro_rules! refuse {
    ($bad:expr, $error:expr $(,)?) => {
        if $bad {
            return Err($error.into());
        }
    };
}

pub(crate) fn made(check: &str) -> bool {
    std::fs::read_to_string("/etc/flux/imp/weaken").map_or(true, |left_out| left_out.trim() != check)
}
