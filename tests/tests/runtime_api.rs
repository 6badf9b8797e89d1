//! The public items of `sage-runtime`, which programs that embed the host use, are those of
//! `snapshots/runtime_api.txt`. `UPDATE_CASES=1 cargo test --test runtime_api` rewrites the file.
//!
//! The test reads the source text, which rustfmt has laid out: an item of a module begins in the first column and
//! ends with a brace in the first column. The snapshot has the modules that are public in their parents, their
//! items, and the public fields, variants and functions of these items.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const SNAPSHOT: &str = "tests/snapshots/runtime_api.txt";

/// A block of source text: an item that begins in the first column, without comments.
type Block = Vec<String>;

/// Items of a file. Blocks after `#[cfg(test)]`, or a `cfg` that names `test`, are left out.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut block: Block = Vec::new();
    let mut is_test = false;
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//") && !line.is_empty()) {
        if block.is_empty() && line.starts_with("#[") {
            is_test |= line.starts_with("#[cfg(") && line.contains("test");
            continue;
        }
        block.push(line.to_owned());
        let ends = block.len() == 1 && (line.ends_with(';') || line.ends_with('}'));
        if ends || (block.len() > 1 && line.starts_with(['}', ')'])) {
            if !is_test {
                blocks.push(std::mem::take(&mut block));
            }
            block.clear();
            is_test = false;
        }
    }
    blocks
}

/// The identifier at the start of a text.
fn identifier(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")
}

/// Name of a public item that is declared here, with its kind.
fn declared(block: &Block) -> Option<(&'static str, String)> {
    let rest = block[0].strip_prefix("pub ")?;
    let rest = ["unsafe ", "async ", "const fn ", "extern \"C\" "].iter().fold(rest, |rest, word| match *word {
        "const fn " => rest.strip_prefix("const ").filter(|rest| rest.starts_with("fn ")).unwrap_or(rest),
        word => rest.strip_prefix(word).unwrap_or(rest),
    });
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "macro"];
    kinds.into_iter().find_map(|kind| {
        let name = rest.strip_prefix(kind)?.strip_prefix(' ')?;
        Some((kind, identifier(name).to_owned()))
    })
}

/// The names that a `pub use` brings in: the last part of each path, or the name after `as`.
fn used(block: &Block) -> Vec<String> {
    let Some(text) = block[0].strip_prefix("pub use ") else { return Vec::new() };
    let text = text.to_owned() + &block[1..].concat();
    let text = text.trim_end_matches(';');
    let names = text.split_once('{').map_or(text, |(_, names)| names.trim_end_matches('}'));
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| name.rsplit_once(" as ").map_or_else(|| name.rsplit("::").next().unwrap(), |(_, name)| name))
        .map(str::to_owned)
        .collect()
}

/// All items of the crate by their names: several for one name if modules use the same name.
struct Source {
    files: BTreeMap<PathBuf, Vec<Block>>,
}

impl Source {
    fn read(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let items = blocks(&fs::read_to_string(&path).unwrap());
                    files.insert(path, items);
                }
            }
        }
        Self { files }
    }

    /// File of the module `name` whose parent has its file at `parent`.
    fn module(&self, parent: &Path, name: &str) -> PathBuf {
        let above = parent.parent().unwrap();
        let stem = parent.file_stem().unwrap();
        let folder = if stem == "mod" || stem == "lib" { above.to_owned() } else { above.join(stem) };
        let files = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
        files.into_iter().find(|file| self.files.contains_key(file)).unwrap_or_else(|| panic!("no module {name}"))
    }

    /// Lists the public items of a module, and of its public modules.
    fn list(&self, file: &Path, path: &str, items: &mut BTreeSet<String>) {
        for block in &self.files[file] {
            if let Some(name) = block[0].strip_prefix("pub mod ").map(identifier) {
                items.insert(format!("{path}{name}: mod"));
                self.list(&self.module(file, name), &format!("{path}{name}::"), items);
            }
            let own = declared(block).map(|(_, name)| name);
            for name in used(block).into_iter().chain(own) {
                self.list_item(file, path, &name, items);
            }
        }
    }

    /// Lists an item with its members. Its definition is in the file, or in a file below the folder of the module.
    fn list_item(&self, file: &Path, path: &str, name: &str, items: &mut BTreeSet<String>) {
        let folder = file.parent().unwrap();
        let near = self.files.iter().filter(|(other, _)| other.starts_with(folder));
        let mut found = false;
        for block in near.flat_map(|(_, blocks)| blocks) {
            if let Some((kind, _)) = declared(block).filter(|(_, declared)| declared == name) {
                found = true;
                items.insert(format!("{path}{name}: {kind}"));
                let members = &block[1..];
                items.extend(members.iter().filter_map(|line| match kind {
                    "struct" => Some(format!("{path}{name}.{}", identifier(line.strip_prefix("    pub ")?))),
                    "enum" => variant(line).map(|variant| format!("{path}{name}::{variant}")),
                    "trait" => function(line, "    ").map(|function| format!("{path}{name}::{function}")),
                    _ => None,
                }));
            }
            if block[0].starts_with("impl") && of_impl(&block[0]) == Some(name) {
                let functions = block[1..].iter().filter_map(|line| function(line, "    pub "));
                items.extend(functions.map(|function| format!("{path}{name}::{function}")));
            }
        }
        if !found {
            items.insert(format!("{path}{name}: of another crate"));
        }
    }
}

/// Type of an `impl Type {` block; `None` for an implementation of a trait.
fn of_impl(line: &str) -> Option<&str> {
    let mut rest = line.strip_prefix("impl")?;
    if rest.starts_with('<') {
        rest = rest.split_once("> ")?.1;
    }
    (!rest.contains(" for ")).then(|| identifier(rest.trim_start()))
}

/// A variant of an enumeration, by the columns at which rustfmt puts it.
fn variant(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("    ").filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))?;
    Some(identifier(rest))
}

/// A function that is declared in a line after `before`.
fn function<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    let mut rest = line.strip_prefix(before)?;
    for word in ["const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.strip_prefix("fn ").map(identifier)
}

#[test]
fn the_public_items_of_the_runtime_are_those_of_the_snapshot() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = here.parent().unwrap().join("host/crates/runtime/src");
    let mut items = BTreeSet::new();
    Source::read(&source).list(&source.join("lib.rs"), "", &mut items);
    assert!(items.contains("engine::Job: struct") && items.contains("engine::Job::start"), "{items:#?}");
    let found: String = items.iter().map(|item| format!("{item}\n")).collect();
    let snapshot = here.join(SNAPSHOT);
    if std::env::var_os("UPDATE_CASES").is_some() {
        return fs::write(&snapshot, &found).unwrap();
    }
    let expected = fs::read_to_string(&snapshot).unwrap_or_default();
    let expected: BTreeSet<&str> = expected.lines().collect();
    let found: BTreeSet<&str> = found.lines().collect();
    let (new, gone): (Vec<_>, Vec<_>) = (found.difference(&expected).collect(), expected.difference(&found).collect());
    assert!(
        new.is_empty() && gone.is_empty(),
        "the public items of sage-runtime have changed; new: {new:#?}, gone: {gone:#?}\n\
         UPDATE_CASES=1 cargo test --test runtime_api writes {SNAPSHOT}"
    );
}
