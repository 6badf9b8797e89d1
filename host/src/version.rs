use std::sync::LazyLock;

use sage_sandbox::{WASMTIME_VERSION, WIT_VERSION};

/// The git commit of the sources, or "unknown".
const COMMIT: &str = env!("SAGE_HOST_COMMIT");

static LONG: LazyLock<String> = LazyLock::new(|| {
    let features = features();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    format!(
        "{}\ncommit    {COMMIT}\nfeatures  {features}\nwasmtime  {WASMTIME_VERSION}\ncontract  sage:operator@{WIT_VERSION}",
        env!("CARGO_PKG_VERSION")
    )
});

/// The text of `--version`: the version, commit and features of this program, the version of its WebAssembly
/// runtime and of the WIT package that operators are built for.
pub(super) fn long_version() -> &'static str {
    &LONG
}

/// The optional features of this build.
fn features() -> Vec<&'static str> {
    let all = [("tract", cfg!(feature = "tract")), ("onnxruntime", cfg!(feature = "onnxruntime"))];
    all.into_iter().filter_map(|(name, is_on)| is_on.then_some(name)).collect()
}
