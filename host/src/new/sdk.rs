use include_dir::{Dir, DirEntry, include_dir};
use toml::{Table, Value};

use crate::failure::Failure;

/// The SDK as it is in this workspace.
static SDK: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../guest-sdk");

/// The manifest of this workspace, from which the SDK's manifests inherit.
const WORKSPACE: &str = include_str!("../../../Cargo.toml");

/// Folders of the SDK that only this workspace needs.
const LEFT_OUT: [&str; 4] = ["tests", "examples", "benches", "target"];

/// A file of the SDK's copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SdkFile {
    /// Path relative to the SDK's folder.
    pub(super) path: String,
    /// Contents of the file.
    pub(super) bytes: Vec<u8>,
}

/// The SDK's files for a crate outside of this workspace.
pub(super) fn vendored() -> Result<Vec<SdkFile>, Failure> {
    let workspace = WORKSPACE
        .parse::<Table>()
        .ok()
        .and_then(|mut root| root.remove("workspace"))
        .ok_or_else(|| Failure::fault("the workspace manifest in this program is not valid"))?;
    let mut files = Vec::new();
    collect(&SDK, &workspace, &mut files)?;
    Ok(files)
}

fn collect(folder: &Dir<'_>, workspace: &Value, files: &mut Vec<SdkFile>) -> Result<(), Failure> {
    for entry in folder.entries() {
        let name = entry.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match entry {
            DirEntry::Dir(inner) if !LEFT_OUT.contains(&name) => collect(inner, workspace, files)?,
            DirEntry::File(file) => {
                let path = file.path().display().to_string();
                let bytes = if name == "Cargo.toml" {
                    standalone(file.contents_utf8().unwrap_or_default(), workspace)
                        .ok_or_else(|| {
                            Failure::fault(format!("guest-sdk/{path} in this program cannot be made to stand alone"))
                        })?
                        .into_bytes()
                } else {
                    file.contents().to_vec()
                };
                files.push(SdkFile { path, bytes });
            }
            DirEntry::Dir(_) => {}
        }
    }
    Ok(())
}

/// A member's manifest with the inherited values filled in, and without the parts that only this workspace's
/// tests and lints need.
fn standalone(manifest: &str, workspace: &Value) -> Option<String> {
    let mut manifest = manifest.parse::<Table>().ok()?;
    manifest.remove("dev-dependencies");
    manifest.remove("lints");
    manifest.remove("test");
    manifest.remove("example");
    manifest.remove("bench");
    for value in manifest.get_mut("package")?.as_table_mut()?.iter_mut() {
        if inherits(value.1) {
            *value.1 = workspace.get("package")?.get(value.0)?.clone();
        }
    }
    fill_dependencies(&mut manifest, workspace)?;
    if let Some(targets) = manifest.get_mut("target").and_then(Value::as_table_mut) {
        for (_, target) in targets.iter_mut() {
            let target = target.as_table_mut()?;
            target.remove("dev-dependencies");
            fill_dependencies(target, workspace)?;
        }
    }
    toml::to_string_pretty(&manifest).ok()
}

fn fill_dependencies(holder: &mut Table, workspace: &Value) -> Option<()> {
    let Some(dependencies) = holder.get_mut("dependencies").and_then(Value::as_table_mut) else { return Some(()) };
    for (name, dependency) in dependencies.iter_mut() {
        if !inherits(dependency) {
            continue;
        }
        let mut filled = match workspace.get("dependencies")?.get(name)? {
            Value::Table(table) => table.clone(),
            version => Table::from_iter([("version".to_owned(), version.clone())]),
        };
        for (key, value) in dependency.as_table()? {
            match (key.as_str(), filled.get_mut("features").and_then(Value::as_array_mut), value) {
                ("workspace", ..) => {}
                ("features", Some(features), Value::Array(more)) => features.extend(more.iter().cloned()),
                _ => {
                    filled.insert(key.clone(), value.clone());
                }
            }
        }
        // Paths in the root manifest start at the root; the SDK's own files start at the SDK's folder.
        let inside =
            filled.get("path").and_then(Value::as_str).map(|path| path.trim_start_matches("guest-sdk/").to_owned());
        if let Some(inside) = inside {
            filled.insert("path".to_owned(), Value::String(inside));
        }
        *dependency = Value::Table(filled);
    }
    Some(())
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_stands_on_its_own() {
        let files = vendored().unwrap();
        let manifests: Vec<_> = files.iter().filter(|file| file.path.ends_with("Cargo.toml")).collect();
        assert_eq!(manifests.len(), 2, "the SDK and its macros");
        for manifest in manifests {
            let text = std::str::from_utf8(&manifest.bytes).unwrap();
            for inherited in ["workspace", "dev-dependencies", "trybuild", "guest-sdk"] {
                assert!(!text.contains(inherited), "{} still says {inherited}:\n{text}", manifest.path);
            }
            let table: Table = text.parse().unwrap();
            assert_eq!(table["package"]["edition"].as_str(), Some("2024"));
        }
        for needed in ["src/lib.rs", "macros/src/lib.rs", "wit/worlds.wit"] {
            assert!(files.iter().any(|file| file.path == needed), "{needed} is missing");
        }
        assert!(!files.iter().any(|file| file.path.starts_with("tests/")));
    }

    #[test]
    fn what_a_member_adds_to_an_inherited_dependency_is_kept() {
        let workspace: Table =
            "[workspace.dependencies]\nserde = { version = \"1\", features = [\"derive\"] }\n".parse().unwrap();
        let text = standalone(
            "[package]\nname = \"x\"\n[target.'cfg(unix)'.dependencies]\n\
             serde = { workspace = true, optional = true, features = [\"rc\"] }\n",
            &workspace["workspace"],
        )
        .unwrap();
        let table: Table = text.parse().unwrap();
        let serde = &table["target"]["cfg(unix)"]["dependencies"]["serde"];
        assert_eq!(serde["version"].as_str(), Some("1"));
        assert_eq!(serde["optional"].as_bool(), Some(true));
        assert_eq!(serde["features"].as_array().unwrap().len(), 2);
    }
}
