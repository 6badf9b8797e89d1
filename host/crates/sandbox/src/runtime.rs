use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::component::Linker;
use wasmtime::{Config, Engine};

use super::cache::Cache;
use super::elsewhere::{CompileElsewhere, CompileLimits};
use super::host_functions::{link_inference, link_log, link_metrics, link_output, link_state};
use super::known::{Digest, Known};
use super::load_error::LoadError;
use super::store::GuestStore;
use super::ticker::Ticker;
use super::wasi::link_wasi;

/// The engine that all guests of this process share: compiler, cache, and the clock that interrupts them.
pub struct Sandbox {
    engine: Engine,
    cache: Option<Cache>,
    /// What this process has compiled, by digest: planning looks at a component before the run links it.
    known: Mutex<HashMap<Digest, Known>>,
    options: SandboxOptions,
    ticker: Ticker,
}

/// How a [`Sandbox`] is set up.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Where compiled components are kept; `None` compiles each time. Only this user may be able to write there: what lies
    /// there is run.
    pub cache_folder: Option<PathBuf>,
    /// Bytes that are kept there at most: what was not used for longest goes first.
    pub max_cache_bytes: u64,
    /// Larger components are refused: compiling takes memory and time in proportion.
    pub max_component_bytes: u64,
    /// Where components are compiled that are not cached; `None`: in this process, where nothing bounds it and where a component is
    /// asked for its side outputs.
    pub compiler: Option<Arc<dyn CompileElsewhere>>,
    /// What that may take.
    pub compile_limits: CompileLimits,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            cache_folder: None,
            max_cache_bytes: 1 << 30,
            max_component_bytes: 32 << 20,
            compiler: None,
            compile_limits: CompileLimits::default(),
        }
    }
}

impl Sandbox {
    /// Starts the engine and its clock.
    ///
    /// # Errors
    /// A cache folder that cannot be used, or one that somebody else could write to.
    pub fn new(options: SandboxOptions) -> Result<Self, LoadError> {
        let engine = Engine::new(&config()).map_err(LoadError::engine)?;
        let open = |folder| Cache::open(folder, &engine, options.max_cache_bytes);
        let cache = options.cache_folder.as_deref().map(open).transpose()?;
        let ticker = Ticker::start(engine.clone()).map_err(LoadError::engine)?;
        Ok(Self { engine, cache, known: Mutex::default(), options, ticker })
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

    /// Everything that a guest may import; `state` and `sockets` only for those who may.
    pub(super) fn linker(&self, state: bool, sockets: bool) -> wasmtime::Result<Linker<GuestStore>> {
        let mut linker = Linker::new(&self.engine);
        link_output(&mut linker)?;
        link_log(&mut linker)?;
        link_metrics(&mut linker)?;
        link_inference(&mut linker)?;
        if state {
            link_state(&mut linker)?;
        }
        link_wasi(&mut linker, sockets)?;
        Ok(linker)
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Costs 275 ns a call, and nothing here awaits.
        .concurrency_support(false)
        .wasm_memory64(false)
        .max_wasm_stack(512 << 10)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    config
}
