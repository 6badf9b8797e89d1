//! Circles between the modules of a crate, found in its source text.
//!
//! A module uses another one if it names an item of it, in a `use` or in a path that begins with `crate`,
//! `self` or `super`. Re-exports are followed to the module that defines the item. Code of tests does not count.
//! A root file (`lib.rs`, `mod.rs`) only declares its modules, so it is no member of a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The name of a module: its segments below the crate.
type Name = Vec<String>;

/// Deepest chain of re-exports that is followed.
const LONGEST_CHAIN: usize = 8;

/// Every circle, as one line for each module in it: `a uses b, c`. `sources` holds each file of the crate, with
/// its path below `src`.
#[must_use]
pub fn module_circles(sources: &[(PathBuf, String)]) -> Vec<Vec<String>> {
    let uses = Modules::of(sources).uses();
    let reach: BTreeMap<&Name, BTreeSet<&Name>> = uses.keys().map(|name| (name, reached(name, &uses))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (name, reached) in &reach {
        let members: Vec<&Name> = reached.iter().copied().filter(|other| reach[other].contains(name)).collect();
        if members.is_empty() || !members.iter().all(|member| seen.insert(*member)) {
            continue;
        }
        let line = |member: &&Name| {
            let inside = uses[*member].iter().filter(|other| members.contains(other));
            format!("{} uses {}", member.join("::"), inside.map(|name| name.join("::")).collect::<Vec<_>>().join(", "))
        };
        circles.push(members.iter().map(line).collect());
    }
    circles
}

/// Every module that can be reached from this one.
fn reached<'u>(from: &'u Name, uses: &'u BTreeMap<Name, BTreeSet<Name>>) -> BTreeSet<&'u Name> {
    let mut found = BTreeSet::new();
    let mut next = vec![from];
    while let Some(name) = next.pop() {
        next.extend(uses[name].iter().filter(|other| found.insert(*other)));
    }
    found
}

/// The modules of a crate that are not only for tests.
struct Modules {
    files: BTreeMap<Name, File>,
    /// Re-exports of root files: the module of the file and the name, with the path that the name stands for.
    exports: BTreeMap<(Name, String), Vec<String>>,
}

struct File {
    is_root: bool,
    paths: Vec<UsedPath>,
}

/// A path in code. `inner` names the inline modules around it.
struct UsedPath {
    inner: Name,
    segments: Vec<String>,
}

impl Modules {
    fn of(sources: &[(PathBuf, String)]) -> Self {
        let mut modules = Self { files: BTreeMap::new(), exports: BTreeMap::new() };
        let mut only_for_tests = BTreeSet::new();
        for (path, text) in sources {
            let (name, is_root) = module_of(path);
            let scan = Scan::of(&tokens(text));
            only_for_tests.extend(scan.test_modules.into_iter().map(|test| [name.as_slice(), &[test]].concat()));
            if is_root {
                for (alias, segments) in scan.imports.into_iter().filter(|_| is_root) {
                    modules.exports.insert((name.clone(), alias), segments);
                }
            }
            modules.files.insert(name, File { is_root, paths: scan.paths });
        }
        modules.files.retain(|name, _| {
            let is_test = name.last().is_some_and(|last| last == "tests" || last.ends_with("_tests"));
            !is_test && !only_for_tests.iter().any(|test| name.starts_with(test)) && *name != ["main"]
        });
        modules
    }

    /// The modules that each module uses.
    fn uses(&self) -> BTreeMap<Name, BTreeSet<Name>> {
        let used = |(name, file): (&Name, &File)| {
            let found =
                file.paths.iter().filter_map(|path| self.resolve(&[name, &*path.inner].concat(), &path.segments));
            let counts = |found: &Name| found != name && self.files.get(found).is_some_and(|file| !file.is_root);
            (name.clone(), if file.is_root { BTreeSet::new() } else { found.filter(counts).collect() })
        };
        self.files.iter().map(used).collect()
    }

    /// The module that defines the item of this path; `None` for a path to another crate.
    fn resolve(&self, from: &[String], segments: &[String]) -> Option<Name> {
        self.resolve_within(from, segments, LONGEST_CHAIN)
    }

    fn resolve_within(&self, from: &[String], segments: &[String], chain: usize) -> Option<Name> {
        let mut base = from.to_vec();
        let mut rest = segments;
        if !matches!(rest.first()?.as_str(), "crate" | "self" | "super") {
            // A path of a root file may begin with one of its modules.
            let child = [from, &rest[..1]].concat();
            self.files.get(&child)?;
        }
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" => base.clear(),
                "super" => drop(base.pop()),
                "self" => {}
                _ => break,
            }
            rest = others;
        }
        for (at, segment) in rest.iter().enumerate() {
            let child = [base.as_slice(), std::slice::from_ref(segment)].concat();
            if self.files.contains_key(&child) {
                base = child;
            } else if let Some(target) = self.exports.get(&(base.clone(), segment.clone())) {
                let target = [target, &rest[at + 1..]].concat();
                return self.resolve_within(&base, &target, chain.checked_sub(1)?);
            } else {
                break;
            }
        }
        // An inline module belongs to the file around it.
        while !self.files.contains_key(&base) {
            base.pop()?;
        }
        Some(base)
    }
}

/// The module of a file below `src`, and whether the file is a root.
fn module_of(path: &Path) -> (Name, bool) {
    let mut name: Name = path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let is_root = name.last().is_some_and(|last| last == "mod" || last == "lib");
    if is_root {
        name.pop();
    }
    (name, is_root)
}

/// The statements of a file about modules.
#[derive(Default)]
struct Scan {
    paths: Vec<UsedPath>,
    /// Names that the file imports, and their paths.
    imports: Vec<(String, Vec<String>)>,
    /// Modules that the file declares only for tests.
    test_modules: Vec<String>,
}

impl Scan {
    fn of(tokens: &[String]) -> Self {
        let mut scan = Self::default();
        let mut inner: Vec<(usize, String)> = Vec::new();
        let (mut at, mut depth) = (0, 0);
        let is = |at: usize, wanted: &str| tokens.get(at).is_some_and(|token| token == wanted);
        while let Some(token) = tokens.get(at) {
            match token.as_str() {
                "#" if tokens[at..].starts_with(&["#", "[", "cfg", "(", "test", ")", "]"].map(str::to_owned)) => {
                    let end = end_of_item(tokens, at);
                    if let Some(module) = tokens[at..end].iter().position(|token| token == "mod") {
                        scan.test_modules.extend(tokens.get(at + module + 1).cloned());
                    }
                    at = end;
                    continue;
                }
                "mod" if is(at + 2, "{") => inner.push((depth, tokens[at + 1].clone())),
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    inner.pop_if(|(opened, _)| *opened == depth);
                }
                "use" => {
                    let around: Name = inner.iter().map(|(_, name)| name.clone()).collect();
                    let mut leaves = Vec::new();
                    at = use_tree(tokens, at + 1, &[], &mut leaves);
                    for (alias, segments) in leaves {
                        scan.paths.push(UsedPath { inner: around.clone(), segments: segments.clone() });
                        scan.imports.push((alias, segments));
                    }
                    continue;
                }
                "crate" | "self" | "super"
                    if is(at + 1, "::") && (at == 0 || !is(at - 1, "$") && !is(at - 1, "::")) =>
                {
                    let mut segments = vec![token.clone()];
                    while is(at + 1, "::") && tokens.get(at + 2).is_some_and(|next| is_word(next)) {
                        segments.push(tokens[at + 2].clone());
                        at += 2;
                    }
                    scan.paths.push(UsedPath { inner: inner.iter().map(|(_, name)| name.clone()).collect(), segments });
                }
                _ => {}
            }
            at += 1;
        }
        scan
    }
}

/// Reads a tree of a `use` from token `at`. Adds each leaf: the imported name and its path. Returns the index of
/// the token behind the tree.
fn use_tree(tokens: &[String], mut at: usize, prefix: &[String], leaves: &mut Vec<(String, Vec<String>)>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = use_tree(tokens, at, &path, leaves);
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            "*" => {
                leaves.push(("*".to_owned(), path));
                return at + 1;
            }
            // `self` in braces is the path before them.
            "self" if !prefix.is_empty() => at += 1,
            word if is_word(word) && word != "as" => {
                path.push(word.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    let mut alias = path.last().cloned().unwrap_or_default();
    if tokens.get(at).is_some_and(|token| token == "as") {
        alias = tokens.get(at + 1).cloned().unwrap_or_default();
        at += 2;
    }
    leaves.push((alias, path));
    at
}

/// The index of the token behind the item that begins with attributes at `at`.
fn end_of_item(tokens: &[String], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token == "}" {
                    break;
                }
            }
            ";" | "," if depth == 0 => break,
            _ => {}
        }
    }
    at
}

fn is_word(token: &str) -> bool {
    token.chars().next().is_some_and(|first| first.is_alphanumeric() || first == '_')
}

/// The words, the `::` and the other characters of a file, without comments, strings and characters.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = literal(rest) {
            length
        } else if first.is_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                tokens.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of the string or character at the start of `text`; `None` if there is none.
fn literal(text: &str) -> Option<usize> {
    let prefix = text.find(|c| !matches!(c, 'b' | 'c' | 'r')).filter(|length| *length <= 2)?;
    let (kind, body) = text.split_at(prefix);
    if kind.contains('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let inside = body[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(prefix + hashes + 1 + inside.find(&end)? + end.len());
    }
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(prefix + at + 1),
            // A lifetime: one character is the longest without an escape.
            _ if quote == '\'' && !body[1..].starts_with('\\') && at > 1 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let sources: Vec<_> = files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        module_circles(&sources)
    }

    fn is_circle(files: &[(&str, &str)]) -> bool {
        !circles(files).is_empty()
    }

    #[test]
    fn modules_that_use_each_other_are_a_circle() {
        let files = [("a.rs", "use super::b::B;"), ("b.rs", "use crate::c;"), ("c.rs", "fn f() { super::a::g() }")];
        assert_eq!(circles(&files), [["a uses b", "b uses c", "c uses a"]]);
        assert!(!is_circle(&files[..2]));
    }

    #[test]
    fn each_circle_is_found_once_and_without_its_users() {
        let files = [
            ("a.rs", "use super::b::B; use super::d::D;"),
            ("b.rs", "use super::a::A;"),
            ("d.rs", "use super::e::E;"),
            ("e.rs", "use super::d::D;"),
            ("f.rs", "use super::a::A;"),
        ];
        assert_eq!(circles(&files), [["a uses b", "b uses a"], ["d uses e", "e uses d"]]);
    }

    #[test]
    fn re_exports_lead_to_the_module_of_the_item() {
        let lib = ("lib.rs", "mod a; mod b; mod c; pub use a::{A as Renamed, deeper::{self, X}}; pub use c::C;");
        assert!(is_circle(&[lib, ("a.rs", "use super::b::B;"), ("b.rs", "use super::Renamed;")]));
        assert!(is_circle(&[lib, ("a.rs", "use super::b::B;"), ("b.rs", "use std::fmt; use crate::{C, X};")]));
        assert!(!is_circle(&[lib, ("a.rs", "use super::b::B;"), ("b.rs", "use super::C;"), ("c.rs", "")]));
        let folder = ("f/mod.rs", "mod inner; pub use inner::Inner;");
        assert!(is_circle(&[folder, ("f/inner.rs", "use crate::a::A;"), ("a.rs", "use super::f::Inner;")]));
        assert!(is_circle(&[folder, ("f/inner.rs", "use super::super::a::A;"), ("a.rs", "use super::f::inner;")]));
    }

    #[test]
    fn nested_trees_are_read_to_their_end() {
        let user = ("b.rs", "use crate::{c::{D, e::{F, G}}, std_like::H, a::{self, A}};");
        assert!(is_circle(&[("a.rs", "use super::b::B;"), user]));
        assert!(is_circle(&[("a.rs", "use super::b::*;"), ("b.rs", "use super::a::*;")]));
    }

    #[test]
    fn inline_modules_belong_to_their_file() {
        let inline = "mod inner { use super::super::b::B; fn f() {} } use super::c::C;";
        assert!(is_circle(&[("a.rs", inline), ("b.rs", "use super::a::inner::f;")]));
        assert!(is_circle(&[("a.rs", inline), ("c.rs", "use super::a::inner::f;")]));
        assert!(!is_circle(&[("a.rs", "mod inner { use super::b::B; }"), ("b.rs", "use super::a::A;")]));
    }

    #[test]
    fn text_and_tests_are_no_use() {
        let a = ("a.rs", "use super::b::B;");
        for text in [
            "/// See [`super::a`].",
            "/* super::a::A */",
            "const A: &str = \"super::a::A\";",
            "const A: &str = r#\"\" super::a::A\"#;",
            "const A: char = '\"'; #[cfg(test)] mod tests { use super::super::a::A; }",
            "#[cfg(test)] fn f(of: super::a::A) { g() } fn g<'a>(_: &'a u8) {}",
        ] {
            assert!(!is_circle(&[a, ("b.rs", text)]), "{text}");
        }
        for text in ["fn g<'a>(_: &'a super::a::A) {}", "const A: char = '\\''; use super::a::A;"] {
            assert!(is_circle(&[a, ("b.rs", text)]), "{text}");
        }
        let declared = ("lib.rs", "#[cfg(test)] mod steps; mod a; mod b;");
        assert!(!is_circle(&[declared, ("a.rs", "use super::steps::S;"), ("steps.rs", "use super::a::A;")]));
        assert!(!is_circle(&[("a.rs", "use super::a_tests::S;"), ("a_tests.rs", "use super::a::A;")]));
    }

    #[test]
    fn root_files_are_in_no_circle() {
        let lib = ("lib.rs", "mod a; pub use a::A; pub const N: u32 = 1;");
        assert!(!is_circle(&[lib, ("a.rs", "use super::N; use crate::A;")]));
    }
}
