use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::sandbox::contract::{LevelView, PACKAGE, WIT_VERSION};
use crate::sandbox::store::GuestStore;

/// Links `sage:operator/log`.
pub(in crate::sandbox) fn link_log(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    let mut log = linker.instance(&format!("{PACKAGE}log@{WIT_VERSION}"))?;
    log.func_wrap(
        "write",
        |mut store: StoreContextMut<'_, GuestStore>, (level, message): (LevelView, WasmStr)| -> wasmtime::Result<()> {
            let message = message.to_str(&store)?.into_owned();
            let log = &mut store.data_mut().log;
            log.count(&message)?;
            log.write(level.into(), &message);
            Ok(())
        },
    )
}
