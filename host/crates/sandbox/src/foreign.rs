//! Advice for components that were made for another host, or for another version of this one.

use super::contract::{PACKAGE, WIT_VERSION};

/// For a file that is not a component.
pub(super) fn hint_for_file(found: &str) -> &'static str {
    if found.contains("core module") {
        "build the operator with `sage-host build`, or make a component of this module with \
         `wasm-tools component new --adapt wasi_snapshot_preview1.reactor.wasm`"
    } else {
        "build the operator with `sage-host build`, which makes a component"
    }
}

/// For a component that does not compile.
pub(super) fn hint_for_reason(reason: &str) -> Option<&'static str> {
    let is_async = reason.contains("component model async") || reason.contains("component-model-async");
    is_async.then_some(
        "the component is built for WASI 0.3 (async functions, streams, futures), which this host does not support: \
         build it for WASI 0.2 (wasm32-wasip2)",
    )
}

/// For a component that exports no operator of this contract.
pub(super) fn hint_for_exports(found: &str) -> &'static str {
    let exports = || found.split(", ");
    let known = [
        ("wasi:cli/run", "this is a command with a `main`: export one of the worlds of sage:operator instead"),
        (
            "wasi:http/",
            "this is a web component (wasmCloud, `wasmtime serve`): it answers HTTP, not records of a pipeline",
        ),
        ("fermyon:spin/", "this is a component for Spin: it answers events of Spin, not records of a pipeline"),
        (
            "wasm-graph:",
            "this is an operator for Azure IoT Operations: keep its logic, and export a world of sage:operator",
        ),
        (
            "tinykube-graph:",
            "this is an operator for Azure IoT Operations: keep its logic, and export a world of sage:operator",
        ),
    ];
    if exports()
        .filter_map(|export| export.strip_prefix(PACKAGE)?.split_once('@'))
        .any(|(_, version)| is_newer(version))
    {
        return "the component is built for a newer contract: upgrade sage-host, or rebuild the component with an SDK \
                of this host's version";
    }
    let foreign = known.into_iter().find(|(prefix, _)| exports().any(|export| export.starts_with(prefix)));
    foreign
        .map_or("export one of map, filter, flat-map, key-by, process, source, sink with sage-guest", |(_, hint)| hint)
}

/// For a component with imports that the host does not have.
pub(super) fn hint_for_imports(imports: &[String]) -> &'static str {
    let versions = imports.iter().filter_map(|import| import.strip_prefix(PACKAGE)?.split_once('@'));
    if versions.clone().any(|(_, version)| is_newer(version)) {
        "the component is built for a newer contract: upgrade sage-host, or rebuild the component with an SDK of this \
         host's version"
    } else if versions.into_iter().any(|(name, _)| name == "state") {
        "only an operator of the kind process has keyed state"
    } else {
        "build the operator without it; `sage-host inspect` marks what becomes of each import"
    }
}

/// Whether a version is of a later line than this host's.
fn is_newer(version: &str) -> bool {
    let line = |version: &str| {
        let mut numbers = version.split(['.', '-', '+']).map(|number| number.parse::<u64>().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    };
    line(version) > line(WIT_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_components_are_told_what_they_are() {
        let cases = [
            ("none", "export one of map"),
            ("wasi:cli/run@0.2.6", "a command"),
            ("wasi:http/incoming-handler@0.2.0", "web component"),
            ("fermyon:spin/inbound-redis", "Spin"),
            ("wasm-graph:processor/map@1.1.0", "Azure IoT Operations"),
            ("sage:operator/mapper@0.2.0", "newer contract"),
            ("sage:operator/juggler@0.1.0", "export one of map"),
        ];
        for (found, said) in cases {
            assert!(hint_for_exports(found).contains(said), "{found}: {}", hint_for_exports(found));
        }
        assert!(hint_for_file("a core module").contains("component new --adapt"));
        assert!(!hint_for_file("text").contains("adapt"));
        let spin = "failed to parse: `stream` requires the component model async feature (at offset 0x1927)";
        assert!(hint_for_reason(spin).unwrap().contains("WASI 0.3"));
        assert_eq!(hint_for_reason("unknown type 7"), None);
        let import = |name: &str| hint_for_imports(&[name.to_owned()]);
        assert!(import("sage:operator/log@0.9.0").contains("newer contract"));
        assert!(import("sage:operator/state@0.1.0").contains("process"));
        assert!(import("wasi:keyvalue/store@0.2.0").contains("inspect"));
    }
}
