use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::contract::{PACKAGE, WIT_VERSION};
use crate::store::GuestStore;

type Store<'a> = StoreContextMut<'a, GuestStore>;

/// Links `sage:operator/metrics`.
pub(crate) fn link_metrics(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    let mut metrics = linker.instance(&format!("{PACKAGE}metrics@{WIT_VERSION}"))?;
    metrics.func_wrap("counter", |store: Store<'_>, (name, add): (WasmStr, u64)| {
        store.data().metrics.counter(&name.to_str(&store)?, add);
        Ok(())
    })?;
    metrics.func_wrap("gauge", |store: Store<'_>, (name, value): (WasmStr, f64)| {
        store.data().metrics.gauge(&name.to_str(&store)?, value);
        Ok(())
    })?;
    metrics.func_wrap("histogram", |store: Store<'_>, (name, value): (WasmStr, f64)| {
        store.data().metrics.histogram(&name.to_str(&store)?, value);
        Ok(())
    })
}
