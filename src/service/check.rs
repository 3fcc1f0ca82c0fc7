//! Checks of what guests may do, by name, so that tests can show what each of them is for (`tests/broker_attacks.rs`).
//!
//! Without the feature `weaken`, which only a program of the tests has, [`enforced`] is a constant, and nothing of this is in
//! the program.

#[cfg(all(feature = "weaken", not(debug_assertions)))]
compile_error!("a broker that can leave out a check is for tests, and never built to be installed");

#[cfg(feature = "weaken")]
mod choice {
    use std::sync::OnceLock;

    static LEFT_OUT: OnceLock<String> = OnceLock::new();

    /// Leaves out the check of this name in the whole process, once and for all.
    pub fn leave_out(check: String) {
        let _ = LEFT_OUT.set(check); // The first word counts.
    }

    /// Is the check of this name made?
    pub fn enforced(check: &'static str) -> bool {
        LEFT_OUT.get().is_none_or(|left_out| left_out != check)
    }
}

#[cfg(feature = "weaken")]
pub use choice::{enforced, leave_out};

/// Is the check of this name made? Always, in the product.
#[cfg(not(feature = "weaken"))]
pub const fn enforced(_check: &'static str) -> bool {
    true
}
