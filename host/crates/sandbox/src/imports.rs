use std::fmt;

use serde::Serialize;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};
use wasmtime_wasi_io::poll::DynPollable;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, Error as StreamError};

use super::contract::{PACKAGE, speaks};
use super::failure::{FailureCode, HostTrap};
use super::store::GuestStore;
use sage_plan::Kind;

/// The access that an import gives to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportAccess {
    /// The functions are there. Without a grant, files, environment and arguments are empty.
    Granted,
    /// The component loads, and its calls of these functions fail: runtimes of languages import them without using
    /// them. An address in `capabilities.connect` opens TCP to that address.
    DeniedAtUse,
    /// The host does not load the component.
    Refused,
}

impl fmt::Display for ImportAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Granted => "granted",
            Self::DeniedAtUse => "denied at use",
            Self::Refused => "refused",
        })
    }
}

/// The version of WASI whose interfaces are linked.
const WASI: &str = "0.2.";
/// Prefix of the interfaces of HTTP. No pipeline can grant them.
const HTTP: &str = "wasi:http/";

impl ImportAccess {
    /// What a component of this kind gets for an import, by the import's name.
    pub(super) fn of(import: &str, kind: Option<Kind>) -> Self {
        let Some((interface, version)) = import.split_once('@') else { return Self::Refused };
        let linked = |is: bool| if is { Self::Granted } else { Self::Refused };
        if let Some(ours) = interface.strip_prefix(PACKAGE) {
            return linked(match ours {
                "types" | "output" | "fields" | "fields-output" | "log" | "metrics" | "inference" | "edges" => {
                    speaks(version)
                }
                "windows" | "windows-output" => kind == Some(Kind::Window) && speaks(version),
                "state" => kind == Some(Kind::Process) && speaks(version),
                _ => false,
            });
        }
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| interface.starts_with(prefix));
        if !version.starts_with(WASI) {
            Self::Refused
        } else if starts(&["wasi:sockets/", HTTP]) {
            Self::DeniedAtUse
        } else {
            linked(starts(&["wasi:io/", "wasi:cli/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/"]))
        }
    }
}

/// The type of all resources of HTTP. No guest ever holds one, because no function returns.
struct Unreachable;

/// For a component that imports HTTP: the linker with functions of HTTP that fail.
pub(super) fn with_denied_http(
    linker: &Linker<GuestStore>,
    component: &Component,
) -> wasmtime::Result<Option<Linker<GuestStore>>> {
    let engine = linker.engine();
    let ty = component.component_type();
    let mut with_http = None;
    let denied = |name: &str| name.starts_with(HTTP) && ImportAccess::of(name, None) == ImportAccess::DeniedAtUse;
    for (name, import) in ty.imports(engine).filter(|(name, _)| denied(name)) {
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        let mut instance = with_http.get_or_insert_with(|| linker.clone()).instance(name)?;
        for (item, export) in interface.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => {
                    let message = format!("{name}#{item} is denied: an operator has no HTTP");
                    instance
                        .func_new(item, move |_, _, _, _| Err(HostTrap::error(FailureCode::Trap, message.clone())))?;
                }
                ComponentItem::Resource(_) => instance.resource(item, resource(item), |_, _| Ok(()))?,
                _ => {}
            }
        }
    }
    Ok(with_http)
}

/// The type of a resource that an interface of HTTP has, or takes over from `wasi:io`.
fn resource(name: &str) -> ResourceType {
    match name {
        "input-stream" => ResourceType::host::<DynInputStream>(),
        "output-stream" => ResourceType::host::<DynOutputStream>(),
        "pollable" => ResourceType::host::<DynPollable>(),
        "io-error" | "error" => ResourceType::host::<StreamError>(),
        _ => ResourceType::host::<Unreachable>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_import_is_granted_denied_or_refused() {
        use ImportAccess::{DeniedAtUse, Granted, Refused};
        let cases = [
            ("sage:operator/inference@0.1.1", Kind::Map, Granted),
            ("sage:operator/output@0.1.0", Kind::Map, Granted),
            ("sage:operator/output@0.2.0", Kind::Map, Refused),
            ("sage:operator/state@0.1.0", Kind::Map, Refused),
            ("sage:operator/state@0.1.0", Kind::Process, Granted),
            ("sage:operator/secrets@0.1.0", Kind::Process, Refused),
            ("wasi:filesystem/types@0.2.6", Kind::Map, Granted),
            ("wasi:sockets/tcp@0.2.0", Kind::Map, DeniedAtUse),
            ("wasi:http/types@0.2.3", Kind::Map, DeniedAtUse),
            ("wasi:cli/stdout@0.3.0", Kind::Map, Refused),
            ("wasi:keyvalue/store@0.2.0", Kind::Map, Refused),
            ("launch", Kind::Map, Refused),
        ];
        for (import, kind, access) in cases {
            assert_eq!(ImportAccess::of(import, Some(kind)), access, "{import}");
        }
    }
}
