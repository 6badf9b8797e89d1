//! The `sage-host` program. Everything is in the library, so that an embedding program can do the same.

fn main() -> std::process::ExitCode {
    sage_host::cli::main().into()
}
