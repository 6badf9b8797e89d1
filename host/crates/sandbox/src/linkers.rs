use std::sync::OnceLock;

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::host_functions::{
    link_edges, link_fields_output, link_inference, link_log, link_metrics, link_output, link_state,
    link_windows_output,
};
use super::store::GuestStore;
use super::wasi::link_wasi;

/// The linkers of an engine. Each is made once, because its hundred functions take a tenth of a millisecond.
#[derive(Default)]
pub(super) struct Linkers {
    plain: OnceLock<Linker<GuestStore>>,
    with_state: OnceLock<Linker<GuestStore>>,
}

impl Linkers {
    pub(super) fn get(&self, engine: &Engine, state: bool) -> wasmtime::Result<&Linker<GuestStore>> {
        let place = if state { &self.with_state } else { &self.plain };
        if let Some(linker) = place.get() {
            return Ok(linker);
        }
        let linker = linker(engine, state)?;
        Ok(place.get_or_init(|| linker))
    }
}

fn linker(engine: &Engine, state: bool) -> wasmtime::Result<Linker<GuestStore>> {
    let mut linker = Linker::new(engine);
    link_output(&mut linker)?;
    link_fields_output(&mut linker)?;
    link_windows_output(&mut linker)?;
    link_log(&mut linker)?;
    link_metrics(&mut linker)?;
    link_inference(&mut linker)?;
    link_edges(&mut linker)?;
    if state {
        link_state(&mut linker)?;
    }
    link_wasi(&mut linker)?;
    Ok(linker)
}
