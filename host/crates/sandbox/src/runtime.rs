use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::component::Linker;
use wasmtime::{Config, Engine};

use super::cache::Cache;
use super::elsewhere::{CompileElsewhere, CompileLimits};
use super::known::{Digest, Known};
use super::linkers::Linkers;
use super::load_error::LoadError;
use super::store::GuestStore;
use super::ticker::Ticker;

/// Version of the WebAssembly runtime in this program.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// The WebAssembly engine that all guests of this process share: the compiler, the cache, and the clock that
/// interrupts guests.
pub struct Sandbox {
    engine: Engine,
    cache: Option<Cache>,
    /// The components that this process has compiled, by digest. Planning loads a component before the run
    /// links it.
    known: Mutex<HashMap<Digest, Known>>,
    linkers: Linkers,
    options: SandboxOptions,
    ticker: Ticker,
}

/// The settings of a [`Sandbox`].
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Folder of compiled components; `None` compiles each time. Only this user may be able to write to the
    /// folder, because its files are run as native code.
    pub cache_folder: Option<PathBuf>,
    /// Most bytes of files in the cache folder. The files with the oldest use are removed first.
    pub max_cache_bytes: u64,
    /// Size limit of a component file in bytes. Larger files are refused: the time and memory of a compilation
    /// grow with the size.
    pub max_component_bytes: u64,
    /// Compiler for components that are not in the cache. With `None`, components are compiled in this process,
    /// where no limit applies, and are also asked for their side outputs here.
    pub compiler: Option<Arc<dyn CompileElsewhere>>,
    /// Limits of one such compilation.
    pub compile_limits: CompileLimits,
    /// Whether a failure of a guest carries the guest's call stack. To walk the stack and to name its functions
    /// takes a tenth of the time from a failure to the next record, and only log messages of level `debug` show it.
    pub backtraces: bool,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            cache_folder: None,
            max_cache_bytes: 1 << 30,
            max_component_bytes: 32 << 20,
            compiler: None,
            compile_limits: CompileLimits::default(),
            backtraces: false,
        }
    }
}

impl Sandbox {
    /// Starts the engine and its clock thread.
    ///
    /// # Errors
    /// The cache folder cannot be used, or another user can write to it; the engine or the clock thread does
    /// not start.
    pub fn new(options: SandboxOptions) -> Result<Self, LoadError> {
        let engine = Engine::new(&config(options.backtraces)).map_err(LoadError::engine)?;
        let open = |folder| Cache::open(folder, &engine, options.max_cache_bytes);
        let cache = options.cache_folder.as_deref().map(open).transpose()?;
        let ticker = Ticker::start(engine.clone()).map_err(LoadError::engine)?;
        Ok(Self { engine, cache, known: Mutex::default(), linkers: Linkers::default(), options, ticker })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    pub(super) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    pub(super) fn compiler(&self) -> Option<&dyn CompileElsewhere> {
        self.options.compiler.as_deref()
    }

    pub(super) fn compile_limits(&self) -> CompileLimits {
        self.options.compile_limits
    }

    pub(super) fn remembered(&self, digest: &Digest) -> Option<Known> {
        self.lock().get(digest).cloned()
    }

    pub(super) fn remember(&self, known: Known) {
        self.lock().insert(known.digest, known);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn max_component_bytes(&self) -> u64 {
        self.options.max_component_bytes
    }

    /// A linker with every function that a guest may import. The functions of `state` are linked only on request.
    pub(super) fn linker(&self, state: bool) -> wasmtime::Result<&Linker<GuestStore>> {
        self.linkers.get(&self.engine, state)
    }
}

/// Most frames of a guest's call stack.
const FRAMES: Option<NonZeroUsize> = NonZeroUsize::new(16);

fn config(backtraces: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Concurrency support costs 275 ns a call, and no guest call awaits.
        .concurrency_support(false)
        .wasm_memory64(false)
        .max_wasm_stack(512 << 10)
        .wasm_backtrace_max_frames(FRAMES.filter(|_| backtraces));
    config
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_version_of_wasmtime_is_the_locked_one() {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../Cargo.lock");
        let text = fs::read_to_string(lock).unwrap();
        let locked = format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"\n");
        assert!(text.contains(&locked), "Cargo.lock has no wasmtime {WASMTIME_VERSION}");
    }
}
