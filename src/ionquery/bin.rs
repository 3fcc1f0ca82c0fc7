//! resource-query as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    flux_ionquery::main(std::env::args_os().skip(1))
}
