use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmparser::{Encoding, Parser, Payload};
use wasmtime::component::Component;

use super::component_ports::component_ports;
use super::described::description_in;
use super::elsewhere::{CompileElsewhere, Compiled, Ports};
use super::footprint::Footprint;
use super::known::{Digest, Known, KnownFacts};
use super::load_error::LoadError;
use super::loaded::Loaded;
use super::runtime::Sandbox;
use sage_machine::{read_plain_file, read_plain_file_in_steps};

impl Sandbox {
    /// The component in a file: known to this process, or from the cache, or compiled now.
    pub(super) fn known(&self, path: &Path) -> Result<Known, LoadError> {
        let limit = self.max_component_bytes();
        let unread = |error| LoadError::of_file(path, error);
        let mut digest = Sha256::new();
        read_plain_file_in_steps(path, limit, |step| digest.update(step)).map_err(unread)?;
        if let Some(known) = self.at_hand(&digest.finalize().into()) {
            return Ok(known);
        }
        // The file is read again, because most runs need no more of it than its digest. It may have changed, so what
        // is compiled has a digest of its own.
        let bytes = read_plain_file(path, limit).map_err(unread)?;
        check_encoding(path, &bytes)?;
        let digest = Sha256::digest(&bytes).into();
        let known = match self.compiler() {
            Some(compiler) => self.compile_elsewhere(path, &bytes, digest, compiler)?,
            None => self.compile_here(path, &bytes, digest)?,
        };
        self.remember(known.clone());
        Ok(known)
    }

    fn at_hand(&self, digest: &Digest) -> Option<Known> {
        self.remembered(digest).or_else(|| {
            let known = self.kept(digest)?;
            self.remember(known.clone());
            Some(known)
        })
    }

    /// The component's answer about its side outputs. The component is asked now, in this process, only if no
    /// other process compiles.
    pub(super) fn ports_of(&self, known: &Known, loaded: &Arc<Loaded>) -> Result<Vec<String>, LoadError> {
        let path = || loaded.path().to_owned();
        match &known.facts.ports {
            Some(Ports::Told(ports)) => Ok(ports.clone()),
            Some(Ports::Failed(failure)) => Err(LoadError::Start { path: path(), failure: failure.clone() }),
            None if self.compiler().is_none() => {
                let ports = component_ports(loaded).map_err(|failure| LoadError::Start { path: path(), failure })?;
                let facts = KnownFacts { ports: Some(Ports::Told(ports.clone())), ..KnownFacts::clone(&known.facts) };
                let known = Known { facts: Arc::new(facts), ..known.clone() };
                if let (Some(cache), Ok(code)) = (self.cache(), known.component.serialize()) {
                    cache.keep(&known, loaded.path(), &code);
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
        let known = self.cache()?.find(self.engine(), digest)?;
        (known.facts.ports.is_some() || self.compiler().is_none()).then_some(known)
    }

    fn compile_here(&self, path: &Path, bytes: &[u8], digest: Digest) -> Result<Known, LoadError> {
        let component = Component::from_binary(self.engine(), bytes)
            .map_err(|e| LoadError::Invalid { path: path.to_owned(), reason: format!("{e:#}") })?;
        let description = description_in(bytes)
            .map_err(|error| LoadError::Invalid { path: path.to_owned(), reason: error.to_string() })?;
        let footprint = Footprint::of(bytes);
        let facts = KnownFacts { ports: None, description: description.map(Arc::new), footprint };
        let known = Known { digest, component, facts: Arc::new(facts) };
        if let (Some(cache), Ok(code)) = (self.cache(), known.component.serialize()) {
            cache.keep(&known, path, &code);
        }
        Ok(known)
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
        let failed = matches!(ports, Ports::Failed(_));
        let description = description.map(Arc::new);
        let facts = KnownFacts { ports: Some(ports), description, footprint: Footprint::of(bytes) };
        let known = Known { digest, component, facts: Arc::new(facts) };
        // A failure may be temporary. Therefore neither the failure nor the component is cached.
        if let Some(cache) = self.cache().filter(|_| !failed) {
            cache.keep(&known, path, &code);
        }
        Ok(known)
    }
}

fn check_encoding(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let not = |found: String| Err(LoadError::NotAComponent { path: path.to_owned(), found });
    if !bytes.starts_with(b"\0asm") {
        return not(if bytes.is_empty() { "an empty file" } else { "a file that is not WebAssembly" }.to_owned());
    }
    match Parser::new(0).parse_all(bytes).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => Ok(()),
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => not("a core module".to_owned()),
        Some(Err(error)) => not(error.message().to_owned()),
        Some(Ok(_)) | None => not("no WebAssembly header".to_owned()),
    }
}
