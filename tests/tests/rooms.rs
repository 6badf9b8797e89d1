//! The crates and their modules keep their order: Cargo keeps the direction between crates, and these tests keep what
//! Cargo cannot see.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sage_tests::{module_circles, repository};

/// The crates that may depend on what is heavy or dangerous.
const ONLY: [(&str, &[&str]); 9] = [
    ("wasmtime", &["sage-sandbox"]),
    ("wasmtime-wasi", &["sage-sandbox"]),
    ("tract-onnx", &["sage-models"]),
    ("ort", &["sage-models"]),
    ("nvml-wrapper", &["sage-models"]),
    ("seccompiler", &["sage-process"]),
    ("landlock", &["sage-process"]),
    ("ssh-key", &["sage-signatures"]),
    ("clap", &["sage-host"]),
];

/// Modules of sage-runtime, low to high: a module uses only modules before it.
const RUNTIME: [&str; 3] = ["connector", "engine", "worker"];

/// The folders of the host's crates, by package.
fn crates() -> BTreeMap<String, PathBuf> {
    let host = repository().join("host");
    let inner = fs::read_dir(host.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let folders = inner.chain([host.clone()]);
    folders.map(|folder| (manifest(&folder)["package"]["name"].as_str().unwrap().to_owned(), folder)).collect()
}

fn manifest(folder: &Path) -> toml::Table {
    fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap()
}

/// Every source file below a folder, with its path below it.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let root = folder.join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().unwrap() != "templates" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A file without its comments, in which words may name anything.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_heavy_or_dangerous_is_a_dependency_of_one_crate() {
    let mut wrong = Vec::new();
    for (package, folder) in crates() {
        let manifest = manifest(&folder);
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).unwrap();
        for (name, allowed) in ONLY {
            if dependencies.contains_key(name) && !allowed.contains(&package.as_str()) {
                wrong.push(format!("{package} depends on {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_of_the_runtime_use_only_modules_before_them() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&crates()["sage-runtime"]) {
        let own = path.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        let Some(level) = RUNTIME.iter().position(|module| **module == *own) else { continue };
        for later in &RUNTIME[level + 1..] {
            if code(&text).contains(&format!("crate::{later}")) {
                wrong.push(format!("{} uses {later}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn plans_are_made_without_reading_files() {
    let names = ["std::fs", "fs::", "File::open", "TcpStream", "TcpListener", "UdpSocket", "std::process::Command"];
    let wrong: Vec<_> = sources(&crates()["sage-plan"])
        .into_iter()
        .filter(|(_, text)| names.iter().any(|name| code(text.split("#[cfg(test)]").next().unwrap()).contains(name)))
        .map(|(path, _)| path)
        .collect();
    assert!(wrong.is_empty(), "these read files: {wrong:?}");
}

#[test]
fn one_module_makes_and_changes_control_groups() {
    let files = ["cgroup.procs", "cgroup.kill", "subtree_control", "cfs_quota_us", "memsw.limit", "memory.swap.max"];
    let mut wrong = Vec::new();
    for (package, folder) in crates() {
        for (path, text) in sources(&folder) {
            let is_its_place = package == "sage-machine" && path.starts_with("cgroup");
            if !is_its_place && files.iter().any(|file| code(&text).contains(file)) {
                wrong.push(format!("{package}: {}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these name files of control groups: {wrong:?}");
}

#[test]
fn one_module_of_the_server_knows_http_and_an_async_runtime() {
    let names = ["tokio", "axum", "hyper", "async ", ".await"];
    let wrong: Vec<_> = sources(&crates()["sage-serve"])
        .into_iter()
        .filter(|(path, text)| !path.starts_with("api") && names.iter().any(|name| code(text).contains(name)))
        .map(|(path, _)| path)
        .collect();
    assert!(wrong.is_empty(), "these are outside of api: {wrong:?}");
}

#[test]
fn only_the_disk_of_the_store_touches_files() {
    // The rest goes through a trait, in whose place tests have a disk that lies.
    let disk = [
        "disk.rs",
        "fault_point.rs",
        "folder_disk.rs",
        "locked_folder.rs",
        "removal.rs",
        "savepoint.rs",
        "savepoint_request.rs",
    ];
    let names = ["std::fs", "fs::", "File::open", "rustix::"];
    let wrong: Vec<_> = sources(&crates()["sage-store"])
        .into_iter()
        .filter(|(path, _)| !disk.iter().any(|disk| path.ends_with(disk)))
        .filter(|(path, _)| !path.to_str().unwrap().ends_with("_tests.rs"))
        .filter(|(_, text)| names.iter().any(|name| code(text).contains(name)))
        .map(|(path, _)| path)
        .collect();
    assert!(wrong.is_empty(), "these touch files themselves: {wrong:?}");
}

#[test]
fn only_the_store_writes_checkpoints() {
    let names = ["\"CURRENT", "\".epochs\""];
    let mut wrong = Vec::new();
    for (package, folder) in crates().into_iter().filter(|(package, _)| package != "sage-store") {
        for (path, text) in sources(&folder) {
            if names.iter().any(|name| code(&text).contains(name)) {
                wrong.push(format!("{package}: {}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these name files of checkpoints: {wrong:?}");
}

#[test]
fn root_files_of_crates_and_modules_only_declare() {
    let mut wrong = Vec::new();
    for (package, folder) in crates() {
        for (path, text) in sources(&folder) {
            if !["mod.rs", "lib.rs"].contains(&path.file_name().unwrap().to_str().unwrap()) {
                continue;
            }
            let shown = format!("{package}: {}", path.display());
            if !text.starts_with("//!") {
                wrong.push(format!("{shown} does not say what it is for"));
            }
            for line in code(&text).lines().map(str::trim) {
                let words: Vec<&str> = line.split_whitespace().collect();
                if words.iter().any(|word| ["fn", "struct", "enum", "impl", "trait", "static"].contains(word)) {
                    wrong.push(format!("{shown} defines: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_of_a_crate_use_each_other_in_one_direction() {
    let mut wrong = Vec::new();
    for (package, folder) in crates() {
        for circle in module_circles(&sources(&folder)) {
            wrong.push(format!("{package}:\n    {}", circle.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "move the shared item of each circle into a module below:\n{}", wrong.join("\n"));
}
