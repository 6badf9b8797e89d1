use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::charged::{ARGUMENTS, Charged};
use crate::contract::{LevelView, PACKAGE, WIT_VERSION};
use crate::store::GuestStore;

/// Longest message in bytes whose copy does not count towards the instance's memory. A guest that has used all
/// of its memory can still log such a message.
const UNCHARGED: usize = 8 << 10;

/// Links `sage:operator/log`.
pub(crate) fn link_log(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    let mut log = linker.instance(&format!("{PACKAGE}log@{WIT_VERSION}"))?;
    log.func_wrap(
        "write",
        |mut store: StoreContextMut<'_, GuestStore>, (level, message): (LevelView, WasmStr)| -> wasmtime::Result<()> {
            let text = message.to_str(&store)?;
            let charged = if text.len() <= UNCHARGED { 0 } else { text.len() };
            let budget = store.data().limiter.shared_budget();
            let message = Charged::of(budget, ARGUMENTS, charged, || Ok(text.into_owned()))?;
            let log = &mut store.data_mut().log;
            log.count(&message)?;
            log.write(level.into(), &message);
            Ok(())
        },
    )
}
