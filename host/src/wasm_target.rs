use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target that components are compiled for.
pub(super) const WASM_TARGET: &str = "wasm32-wasip2";

/// The remedy if the target is not installed.
pub(super) const HINT: &str = "rustup target add wasm32-wasip2";

/// The Rust compiler's command.
pub(super) fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"))
}

/// The folder of the target's libraries, for the toolchain of `folder` (of the current folder if `None`);
/// `None` if the target is not installed. The compiler's messages go to `stderr`.
///
/// # Errors
/// If the compiler cannot be started.
pub(super) fn libraries(folder: Option<&Path>, stderr: Stdio) -> io::Result<Option<PathBuf>> {
    let mut command = Command::new(rustc());
    command.args(["--print", "target-libdir", "--target", WASM_TARGET]).stderr(stderr);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let output = command.output()?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok((output.status.success() && libraries.is_dir()).then_some(libraries))
}
