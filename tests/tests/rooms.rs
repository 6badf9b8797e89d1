//! The structure of the host's source: a module uses only modules of lower levels, only `sandbox` names the
//! runtime, and a `mod.rs` only declares.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share, where a panic is how a test fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules, from low to high. Modules of one level do not use each other.
const ROOMS: [&[&str]; 10] = [
    &["observe"],
    &["batch", "config"],
    &["resources"],
    &["plan"],
    &["inference"],
    &["sandbox", "connector"],
    &["admission"],
    &["engine"],
    &["worker"],
    &["cli"],
];

/// Exceptions within one level: (module, used module).
const WITHIN: [(&str, &str); 0] = [];

fn level(room: &str) -> Option<usize> {
    ROOMS.iter().position(|group| group.contains(&room))
}

fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().unwrap() != "templates" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(&root).unwrap().to_path_buf();
                let room = inside.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
                found.push((room, inside, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A file without its comments, which may name anything.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Modules that `text` names after `crate::`, alone or in a group.
fn uses(text: &str) -> BTreeSet<String> {
    let code = code(text);
    let mut found = BTreeSet::new();
    for (at, prefix) in code.match_indices("crate::") {
        // `$crate::` and `other_crate::` do not name modules of this crate.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(group_members(group));
        } else {
            found.insert(first_word(rest));
        }
    }
    found.retain(|word| level(word).is_some());
    found
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first word of each member of `{a::x, b::{c, d}}`, given what follows the brace.
fn group_members(text: &str) -> Vec<String> {
    let (mut depth, mut members, mut start) = (0, Vec::new(), 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            ',' if depth == 0 => {
                members.push(first_word(&text[start..at]));
                start = at + 1;
            }
            '}' if depth == 0 => {
                members.push(first_word(&text[start..at]));
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    members
}

#[test]
fn a_room_uses_only_rooms_to_its_left() {
    let mut wrong = Vec::new();
    for (room, path, text) in sources() {
        let Some(own) = level(&room) else { continue };
        for used in uses(&text) {
            let allowed = used == room
                || level(&used).is_some_and(|used| used < own)
                || WITHIN.contains(&(room.as_str(), used.as_str()));
            if !allowed {
                wrong.push(format!("{} ({room}) uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "modules use modules of the same or a higher level:\n{}", wrong.join("\n"));
}

#[test]
fn every_folder_is_a_room_of_the_order() {
    let unknown: BTreeSet<String> = sources()
        .into_iter()
        .map(|(room, ..)| room)
        .filter(|room| !["lib.rs", "main.rs"].contains(&room.as_str()) && level(room).is_none())
        .collect();
    assert!(unknown.is_empty(), "modules without a level: {unknown:?}");
}

#[test]
fn only_the_sandbox_names_the_runtime() {
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|(room, _, text)| room != "sandbox" && code(text).contains("wasmtime"))
        .map(|(_, path, _)| path)
        .collect();
    assert!(wrong.is_empty(), "these name wasmtime: {wrong:?}");
}

#[test]
fn only_the_room_of_control_groups_makes_or_changes_them() {
    // Files of control groups that are written, or that processes are moved into.
    let files = ["cgroup.procs", "cgroup.kill", "subtree_control", "cfs_quota_us", "memsw.limit", "memory.swap.max"];
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|(_, path, text)| {
            !path.starts_with("resources/cgroup") && files.iter().any(|file| code(text).contains(file))
        })
        .map(|(_, path, _)| path)
        .collect();
    assert!(wrong.is_empty(), "these name files of control groups: {wrong:?}");
}

#[test]
fn mod_files_only_declare() {
    let mut wrong = Vec::new();
    for (_, path, text) in sources() {
        if path.file_name().unwrap() != "mod.rs" {
            continue;
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{} has no module documentation", path.display()));
        }
        for line in code(&text).lines().map(str::trim) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.iter().any(|word| ["fn", "struct", "enum", "impl", "trait", "static"].contains(word)) {
                wrong.push(format!("{} defines: {line}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_scan_sees_what_it_should() {
    let text = "
        use crate::plan::Plan;
        use crate::{batch::{Batch, Column}, engine, serde_thing};
        fn f() { crate::observe::x(); $crate::cli::y(); my_crate::sandbox::z(); }
        // use crate::connector
    ";
    let found: Vec<String> = uses(text).into_iter().collect();
    assert_eq!(found, ["batch", "engine", "observe", "plan"]);
}
