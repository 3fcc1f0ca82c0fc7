//! The shell alone, for this crate's tests: the product is the one binary `flux`.

fn main() -> std::process::ExitCode {
    flux_shellrun::main(&std::env::args_os().skip(1).collect::<Vec<_>>())
}
