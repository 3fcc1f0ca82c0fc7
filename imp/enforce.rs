//! Checks by name, so that tests can show what each of them is for (`imp/tests/attacks.rs`).

/// Whether the check of this name is made. It is, always; only the program `flux-imp-weakened`, which is built for tests and
/// installed nowhere, can leave one out.
macro_rules! enforced {
    ($check:literal) => {
        true
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
