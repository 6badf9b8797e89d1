use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::contract::{PACKAGE, WIT_VERSION};
use crate::store::GuestStore;

/// Links `sage:operator/edges`.
pub(crate) fn link_edges(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    let mut edges = linker.instance(&format!("{PACKAGE}edges@{WIT_VERSION}"))?;
    edges.func_wrap(
        "current",
        |store: StoreContextMut<'_, GuestStore>, (): ()| -> wasmtime::Result<(Option<String>,)> {
            let data = store.data();
            let at = data.edge.and_then(|edge| usize::try_from(edge).ok());
            Ok((at.and_then(|at| data.edges.get(at)).cloned().flatten(),))
        },
    )
}
