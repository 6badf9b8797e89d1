use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};

use super::cache::Cache;
use super::host_functions::{link_log, link_metrics, link_output, link_state};
use super::load::LoadError;
use super::store::GuestStore;
use super::ticker::Ticker;
use super::wasi::link_wasi;

/// The engine that all guests of this process share: compiler, cache, and the clock that interrupts them.
pub struct Sandbox {
    engine: Engine,
    cache: Option<Cache>,
    /// What this process has compiled, by digest: planning looks at a component before the run links it.
    compiled: Mutex<HashMap<[u8; 32], Component>>,
    options: SandboxOptions,
    ticker: Ticker,
}

/// How a [`Sandbox`] is set up.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Where compiled components are kept; `None` compiles each time. Only this user may be able to write there: what lies
    /// there is run.
    pub cache_folder: Option<PathBuf>,
    /// Larger components are refused: compiling takes memory and time in proportion.
    pub max_component_bytes: u64,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self { cache_folder: None, max_component_bytes: 32 << 20 }
    }
}

impl Sandbox {
    /// Starts the engine and its clock.
    ///
    /// # Errors
    /// A cache folder that cannot be used, or one that somebody else could write to.
    pub fn new(options: SandboxOptions) -> Result<Self, LoadError> {
        let engine = Engine::new(&config()).map_err(LoadError::engine)?;
        let cache = options.cache_folder.as_deref().map(|folder| Cache::open(folder, &engine)).transpose()?;
        let ticker = Ticker::start(engine.clone()).map_err(LoadError::engine)?;
        Ok(Self { engine, cache, compiled: Mutex::default(), options, ticker })
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

    /// The component of these bytes, made by `make` if this process has not seen it yet.
    pub(super) fn compiled(
        &self,
        bytes: &[u8],
        make: impl FnOnce() -> Result<Component, LoadError>,
    ) -> Result<Component, LoadError> {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        if let Some(component) = self.lock().get(&digest) {
            return Ok(component.clone());
        }
        let component = make()?;
        self.lock().insert(digest, component.clone());
        Ok(component)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Component>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
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
