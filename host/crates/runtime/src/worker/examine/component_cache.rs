use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::compile::OneShotCompiler;
use super::examination::{Examination, in_full, shown};
use super::worker_process::ECHO;
use crate::engine::JobOptions;
use sage_machine::Tier;
use sage_plan::config::HostSettings;
use sage_sandbox::{CompileLimits, LoadError, Sandbox, SandboxOptions};

/// Compiles a component into the cache in a one-shot process, and loads it from the cache with a new engine.
/// The component is removed afterwards.
pub(super) fn examine(options: &JobOptions, settings: &HostSettings, program: &Path) -> Examination {
    let examined = |found, mechanism: String, detail, hint: Option<&str>| Examination {
        name: "component cache",
        found,
        needed: Tier::Hard,
        mechanism,
        detail,
        hint: hint.map(str::to_owned),
    };
    let Some(folder) = options.cache_folder(settings) else {
        let detail = "neither HOME nor XDG_CACHE_HOME says where: components are compiled anew each time".to_owned();
        return examined(Tier::None, "nothing".to_owned(), detail, Some("name a folder with --cache-folder"));
    };
    let mechanism = format!("folder {}", folder.display());
    match tried(&folder, settings, program) {
        Ok((compiled, loaded)) => {
            let (compiled, loaded) = (shown(compiled), shown(loaded));
            examined(
                Tier::Hard,
                mechanism,
                format!(
                    "only this user may write; compiled in {compiled} by a process of its own, then loaded in {loaded}"
                ),
                None,
            )
        }
        Err(error) => examined(Tier::None, mechanism, in_full(&error), error.hint()),
    }
}

/// Tests the cache. Returns the durations of the compilation and of the load.
fn tried(folder: &Path, settings: &HostSettings, program: &Path) -> Result<(Duration, Duration), LoadError> {
    let unusable = |error: std::io::Error| LoadError::Cache { folder: folder.to_owned(), reason: error.to_string() };
    // The cache folder itself is checked as a run checks it, and made if needed. The test uses a folder inside
    // it that is removed afterwards.
    let open = |folder: &Path| {
        Sandbox::new(SandboxOptions {
            cache_folder: Some(folder.to_owned()),
            max_cache_bytes: settings.max_cache_bytes,
            compiler: Some(Arc::new(OneShotCompiler::new(program))),
            compile_limits: CompileLimits { timeout: settings.compile_timeout, memory: settings.compile_memory },
            ..SandboxOptions::default()
        })
    };
    drop(open(folder)?);
    let inside = tempfile::Builder::new().prefix("doctor-").tempdir_in(folder).map_err(unusable)?;
    let component = inside.path().join("echo.wasm");
    std::fs::write(&component, ECHO).map_err(unusable)?;
    let load = || {
        let sandbox = open(inside.path())?;
        let started = Instant::now();
        sandbox.load(&component)?;
        Ok(started.elapsed())
    };
    let (compiled, loaded) = (load()?, load()?);
    let kept = std::fs::read_dir(inside.path()).map_err(unusable)?;
    if !kept.flatten().any(|entry| entry.path().extension().is_some_and(|extension| extension == "cwasm")) {
        return Err(LoadError::Cache {
            folder: folder.to_owned(),
            reason: "the compiled component was not kept".to_owned(),
        });
    }
    Ok((compiled, loaded))
}
