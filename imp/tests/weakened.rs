//! The IMP without its checks, for `attacks.rs`.

fn main() -> std::process::ExitCode {
    flux_imp::main(std::env::args_os().collect())
}
