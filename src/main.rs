//! Entry of the program: hands the arguments to [`v4run::cli`] and returns its exit status.

use std::process::ExitCode;

// By it a copy of this program is known, whatever it is called.
v4run::carry_note!();

fn main() -> ExitCode {
    v4run::cli::main()
}
