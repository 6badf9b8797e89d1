use super::crate_name::CrateName;
use super::template::{SCHEMA, SCHEMA_LINE, Template, template};
use crate::failure::Failure;
use sage_plan::Kind;

const MANIFEST: &str = include_str!("templates/python/pyproject.toml");
const README: &str = include_str!("templates/python/readme.md");
const GITIGNORE: &str = "__pycache__/\n.pytest_cache/\n*.wasm\n/out/*\n!/out/.gitkeep\n*.partial\n";

/// Names that a module of Python cannot have: words of the language, and modules that it would hide.
const TAKEN: [&str; 46] = [
    "abc",
    "and",
    "assert",
    "ast",
    "class",
    "codecs",
    "collections",
    "copy",
    "dataclasses",
    "def",
    "del",
    "elif",
    "enum",
    "except",
    "finally",
    "from",
    "functools",
    "global",
    "import",
    "inspect",
    "io",
    "is",
    "itertools",
    "json",
    "lambda",
    "math",
    "nonlocal",
    "not",
    "operator",
    "or",
    "os",
    "pass",
    "pytest",
    "raise",
    "random",
    "re",
    "sage_host",
    "site",
    "statistics",
    "string",
    "sys",
    "time",
    "traceback",
    "types",
    "typing",
    "with",
];

/// The code of an operator, its test, and the name of its function.
fn code(kind: Kind) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match kind {
        Kind::Window => return None,
        Kind::Map => {
            (include_str!("templates/python/map.py"), include_str!("templates/python/map_test.py"), "to_celsius")
        }
        Kind::Filter => {
            (include_str!("templates/python/filter.py"), include_str!("templates/python/filter_test.py"), "warm")
        }
        Kind::FlatMap => {
            (include_str!("templates/python/flat-map.py"), include_str!("templates/python/flat-map_test.py"), "words")
        }
        Kind::KeyBy => {
            (include_str!("templates/python/key-by.py"), include_str!("templates/python/key-by_test.py"), "station")
        }
        Kind::Process => {
            (include_str!("templates/python/process.py"), include_str!("templates/python/process_test.py"), "count")
        }
        Kind::Source => {
            (include_str!("templates/python/source.py"), include_str!("templates/python/source_test.py"), "fibonacci")
        }
        Kind::Sink => {
            (include_str!("templates/python/sink.py"), include_str!("templates/python/sink_test.py"), "append")
        }
    })
}

/// The files of a Python operator.
pub(super) fn files(name: &CrateName, kind: Kind) -> Result<Vec<(String, String)>, Failure> {
    let ident = name.ident();
    if TAKEN.contains(&ident.as_str()) {
        let message = format!("\"{}\" cannot be the name of a module: Python has it already", name.as_str());
        return Err(Failure::invalid(message).hint(format!("\"my-{}\" would do", name.as_str())));
    }
    let Template { pipeline, data, about, .. } = template(kind);
    let Some((code, test, function)) = code(kind) else {
        let message = format!("an operator in Python cannot be a {kind} yet");
        return Err(
            Failure::invalid(message).hint(format!("write it in Rust: sage-host new {} --kind {kind}", name.as_str()))
        );
    };
    let fill = |text: &str| {
        text.replace("target/wasm32-wasip2/release/", "")
            .replace("{{name}}", name.as_str())
            .replace("{{ident}}", &ident)
            .replace("{{kind}}", kind.name())
            .replace("{{about}}", about)
            .replace("{{function}}", function)
    };
    let mut files = vec![
        ("pyproject.toml".to_owned(), fill(MANIFEST)),
        ("README.md".to_owned(), fill(README)),
        (".gitignore".to_owned(), GITIGNORE.to_owned()),
        (format!("{ident}.py"), fill(code)),
        (format!("test_{ident}.py"), fill(test)),
        ("pipeline.toml".to_owned(), format!("{SCHEMA_LINE}\n{}", fill(pipeline))),
        (SCHEMA.to_owned(), sage_plan::PIPELINE_SCHEMA.to_owned()),
    ];
    files.extend(data.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_python_does_not_have_is_refused_with_the_way_to_rust() {
        let refused = files(&CrateName::parse("my-op").unwrap(), Kind::Window).unwrap_err();
        let told = format!("{refused:?}");
        assert!(told.contains("write it in Rust: sage-host new my-op --kind window"), "{told}");
    }

    #[test]
    fn no_blank_is_left_open_in_any_kind() {
        let name = CrateName::parse("my-op").unwrap();
        for kind in Kind::ALL.into_iter().filter(|kind| code(*kind).is_some()) {
            let files = files(&name, kind).unwrap();
            for (path, text) in &files {
                assert!(!text.contains("{{"), "{kind}: {path} has an open blank");
            }
            let text = |wanted: &str| &files.iter().find(|(path, _)| path == wanted).unwrap().1;
            let manifest: toml::Table = text("pyproject.toml").parse().unwrap();
            let operator = manifest["tool"]["sage-host"]["operator"].as_str().unwrap();
            let function = operator.strip_prefix("my_op:").unwrap();
            assert!(text("my_op.py").contains(&format!("def {function}(")), "{kind}: {operator}");
            let pipeline: toml::Table = text("pipeline.toml").parse().unwrap();
            let stages = ["operator", "source", "sink"].into_iter().filter_map(|table| pipeline.get(table)?.as_array());
            let runs = stages
                .flatten()
                .any(|stage| stage.get("component").and_then(toml::Value::as_str) == Some("my_op.wasm"));
            assert!(runs, "{kind}: the pipeline does not run the operator");
        }
    }

    #[test]
    fn names_that_python_has_are_refused() {
        for name in ["json", "from", "sage-host"] {
            let name = CrateName::parse(name).unwrap();
            assert!(files(&name, Kind::Map).unwrap_err().text().contains("Python has it already"), "{name:?}");
        }
    }
}
