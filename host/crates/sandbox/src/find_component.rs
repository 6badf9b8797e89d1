use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use super::described::description_in;
use super::elsewhere::{CompileElsewhere, Compiled, Ports};
use super::guest::component_ports;
use super::known::{Digest, Known};
use super::load_error::LoadError;
use super::loaded::Loaded;
use super::runtime::Sandbox;

impl Sandbox {
    /// The component with these bytes: known to this process, or from the cache, or compiled now.
    pub(super) fn known(&self, path: &Path, bytes: &[u8]) -> Result<Known, LoadError> {
        let digest = Sha256::digest(bytes).into();
        if let Some(known) = self.remembered(&digest) {
            return Ok(known);
        }
        let known = match self.kept(&digest) {
            Some(known) => known,
            None => match self.compiler() {
                Some(compiler) => self.compile_elsewhere(path, bytes, digest, compiler)?,
                None => self.compile_here(path, bytes, digest)?,
            },
        };
        self.remember(known.clone());
        Ok(known)
    }

    /// The component's answer about its side outputs. The component is asked now, in this process, only if no
    /// other process compiles.
    pub(super) fn ports_of(&self, known: &Known, loaded: &Arc<Loaded>) -> Result<Vec<String>, LoadError> {
        let path = || loaded.path().to_owned();
        match &known.ports {
            Some(Ports::Told(ports)) => Ok(ports.clone()),
            Some(Ports::Failed(failure)) => Err(LoadError::Start { path: path(), failure: failure.clone() }),
            None if self.compiler().is_none() => {
                let ports = component_ports(loaded).map_err(|failure| LoadError::Start { path: path(), failure })?;
                let known = Known { ports: Some(Ports::Told(ports.clone())), ..known.clone() };
                if let (Some(cache), Some(ports)) = (self.cache(), &known.ports) {
                    cache.keep_ports(&known.digest, loaded.path(), ports);
                }
                self.remember(known);
                Ok(ports)
            }
            Some(Ports::NotAsked) | None => {
                let how = "did not ask the component for its side outputs, which its kind has".to_owned();
                Err(LoadError::CompilerDied { path: path(), how })
            }
        }
    }

    /// The component from the cache. If components are compiled in another process, a cached component is used
    /// only together with its side outputs, because this process does not run it to ask for them.
    fn kept(&self, digest: &Digest) -> Option<Known> {
        let cache = self.cache()?;
        let ports = cache.ports(digest);
        if ports.is_none() && self.compiler().is_some() {
            return None;
        }
        let description = cache.description(digest)?.map(Arc::new);
        let component = cache.component(self.engine(), digest)?;
        Some(Known { digest: *digest, component, ports, description })
    }

    fn compile_here(&self, path: &Path, bytes: &[u8], digest: Digest) -> Result<Known, LoadError> {
        let component = Component::from_binary(self.engine(), bytes)
            .map_err(|e| LoadError::Invalid { path: path.to_owned(), reason: format!("{e:#}") })?;
        let description = description_in(bytes)
            .map_err(|error| LoadError::Invalid { path: path.to_owned(), reason: error.to_string() })?;
        if let (Some(cache), Ok(code)) = (self.cache(), component.serialize()) {
            cache.keep_description(&digest, path, description.as_ref());
            cache.keep_component(&digest, path, &code);
        }
        Ok(Known { digest, component, ports: None, description: description.map(Arc::new) })
    }

    fn compile_elsewhere(
        &self,
        path: &Path,
        bytes: &[u8],
        digest: Digest,
        compiler: &dyn CompileElsewhere,
    ) -> Result<Known, LoadError> {
        let Compiled { code, ports, description } =
            compiler.compile(bytes, self.compile_limits()).map_err(|error| error.of(path))?;
        // SAFETY: the code comes from the compiler with which this host was set up. That compiler is trusted in
        // the same way as the one in this process. The engine checks that the code's version and configuration
        // are its own.
        let component = unsafe { Component::deserialize(self.engine(), &code) }.map_err(|error| {
            LoadError::CompilerDied { path: path.to_owned(), how: format!("sent code that does not load: {error:#}") }
        })?;
        // A failure may be temporary. Therefore neither the failure nor the component is cached.
        if let Some(cache) = self.cache().filter(|_| !matches!(ports, Ports::Failed(_))) {
            cache.keep_ports(&digest, path, &ports);
            cache.keep_description(&digest, path, description.as_ref());
            cache.keep_component(&digest, path, &code);
        }
        Ok(Known { digest, component, ports: Some(ports), description: description.map(Arc::new) })
    }
}
