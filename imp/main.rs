//! The IMP as a program of its own, for sites that want a small one.

fn main() -> std::process::ExitCode {
    flux_imp::main(std::env::args_os().collect())
}
