#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    pilotfish::cli::main()
}
