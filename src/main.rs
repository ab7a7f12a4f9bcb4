//! Entry of the program: hands the arguments to [`v4run::cli`] and returns its exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    v4run::cli::main()
}
