use std::path::Path;

use wasmtime::component::Component;

use super::component_ports::component_ports;
use super::described::description_in;
use super::elsewhere::{CompileError, Compiled, Ports};
use super::failure::os_error;
use super::footprint::Footprint;
use super::loaded::has_ports;
use super::runtime::Sandbox;

impl Sandbox {
    /// The work inside the process of a [`CompileElsewhere`](super::CompileElsewhere): compiles the component, then
    /// asks it for its side outputs. `before_guest` is called in between. After it, no more code is generated, and the
    /// component's own code runs.
    ///
    /// # Errors
    /// The compiler refuses the component, or the memory is exhausted; the error of `before_guest`.
    pub fn compile_for_another(
        &self,
        bytes: &[u8],
        before_guest: impl FnOnce() -> Result<(), CompileError>,
    ) -> Result<Compiled, CompileError> {
        let refused = |error: wasmtime::Error| match out_of_memory(&error) {
            true => CompileError::OutOfMemory(0),
            false => CompileError::Invalid(format!("{error:#}")),
        };
        let component = Component::from_binary(self.engine(), bytes).map_err(refused)?;
        let code = component.serialize().map_err(refused)?;
        let description = description_in(bytes).map_err(|error| CompileError::Invalid(error.to_string()))?;
        before_guest()?;
        Ok(Compiled { code, ports: asked_for_ports(self, component, bytes), description })
    }
}

fn out_of_memory(error: &wasmtime::Error) -> bool {
    error.is::<wasmtime::OutOfMemory>() || os_error(error) == Some(rustix::io::Errno::NOMEM)
}

/// Asks a component for its side outputs, if it is an operator of a kind that has them. Runs the component.
fn asked_for_ports(sandbox: &Sandbox, component: Component, bytes: &[u8]) -> Ports {
    match sandbox.operator(Path::new("component"), component, &Footprint::of(bytes)) {
        Ok(loaded) if has_ports(loaded.kind()) => component_ports(&loaded).map_or_else(Ports::Failed, Ports::Told),
        // An error shows again, and is reported, when the component is loaded.
        Ok(_) | Err(_) => Ports::NotAsked,
    }
}
