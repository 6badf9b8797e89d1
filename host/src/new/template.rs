use super::crate_name::CrateName;
use sage_plan::Kind;

const MANIFEST: &str = include_str!("templates/manifest.toml");
const README: &str = include_str!("templates/readme.md");
const CARGO_CONFIG: &str = include_str!("templates/cargo-config.toml");
const GITIGNORE: &str = "/target\n/out/*\n!/out/.gitkeep\n*.partial\n";

/// The place of the SDK for a crate.
#[derive(Debug)]
pub(super) enum Dependency {
    /// In the crate itself.
    #[cfg(any(test, sdk_embedded))]
    Vendored(&'static str),
    /// In another folder of this machine.
    Elsewhere(String),
    /// In a registry, with this version.
    #[cfg(any(test, not(sdk_embedded)))]
    Published(&'static str),
}

/// The parts that differ between the kinds.
pub(super) struct Template {
    code: &'static str,
    pub(super) pipeline: &'static str,
    /// Paths and contents of the files that the pipeline needs besides the component.
    pub(super) data: &'static [(&'static str, &'static str)],
    /// A phrase about the operator, for its README.
    pub(super) about: &'static str,
}

const READINGS: (&str, &str) = ("readings.jsonl", include_str!("templates/readings.jsonl"));

pub(super) fn template(kind: Kind) -> Template {
    match kind {
        Kind::Map => Template {
            code: include_str!("templates/map/lib.rs"),
            pipeline: include_str!("templates/map/pipeline.toml"),
            data: &[READINGS],
            about: "turns readings in Fahrenheit into readings in Celsius",
        },
        Kind::Filter => Template {
            code: include_str!("templates/filter/lib.rs"),
            pipeline: include_str!("templates/filter/pipeline.toml"),
            data: &[READINGS],
            about: "lets through the readings of at least a configured temperature",
        },
        Kind::FlatMap => Template {
            code: include_str!("templates/flat-map/lib.rs"),
            pipeline: include_str!("templates/flat-map/pipeline.toml"),
            data: &[("lines.txt", include_str!("templates/lines.txt"))],
            about: "splits lines into words",
        },
        Kind::KeyBy => Template {
            code: include_str!("templates/key-by/lib.rs"),
            pipeline: include_str!("templates/key-by/pipeline.toml"),
            data: &[READINGS],
            about: "keys readings by their station",
        },
        Kind::Process => Template {
            code: include_str!("templates/process/lib.rs"),
            pipeline: include_str!("templates/process/pipeline.toml"),
            data: &[],
            about: "counts the records of each key and tells the totals at the end of input",
        },
        Kind::Window => Template {
            code: include_str!("templates/window/lib.rs"),
            pipeline: include_str!("templates/window/pipeline.toml"),
            data: &[("readings.jsonl", include_str!("templates/window/readings.jsonl"))],
            about: "averages the readings of each station and minute",
        },
        Kind::Source => Template {
            code: include_str!("templates/source/lib.rs"),
            pipeline: include_str!("templates/source/pipeline.toml"),
            data: &[],
            about: "makes the Fibonacci numbers up to a configured one",
        },
        Kind::Sink => Template {
            code: include_str!("templates/sink/lib.rs"),
            pipeline: include_str!("templates/sink/pipeline.toml"),
            // A granted folder must exist.
            data: &[READINGS, ("out/.gitkeep", "")],
            about: "appends records to a file in a folder that the pipeline grants it",
        },
    }
}

/// The schema of the pipeline file, beside it, and the line that has editors read it.
pub(super) const SCHEMA: &str = "pipeline.schema.json";
pub(super) const SCHEMA_LINE: &str = "#:schema pipeline.schema.json";

/// The crate's files, without those of the SDK.
pub(super) fn files(name: &CrateName, kind: Kind, dependency: &Dependency) -> Vec<(&'static str, String)> {
    let Template { code, pipeline, data, about } = template(kind);
    // Written as TOML strings, because a path may contain quotes and backslashes.
    let string = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let (sdk, exclude) = match dependency {
        #[cfg(any(test, sdk_embedded))]
        Dependency::Vendored(path) => (format!("{{ path = {} }}", string(path)), "\nexclude = [\"vendor\"]"),
        Dependency::Elsewhere(path) => (format!("{{ path = {} }}", string(path)), ""),
        #[cfg(any(test, not(sdk_embedded)))]
        Dependency::Published(version) => (string(version), ""),
    };
    let fill = |text: &str| {
        text.replace("{{name}}", name.as_str())
            .replace("{{ident}}", &name.ident())
            .replace("{{kind}}", kind.name())
            .replace("{{about}}", about)
            .replace("{{exclude}}", exclude)
            .replace("{{sdk}}", &sdk)
    };
    let mut files = vec![
        ("Cargo.toml", fill(MANIFEST)),
        ("README.md", fill(README)),
        (".gitignore", GITIGNORE.to_owned()),
        (".cargo/config.toml", CARGO_CONFIG.to_owned()),
        ("src/lib.rs", fill(code)),
        ("pipeline.toml", format!("{SCHEMA_LINE}\n{}", fill(pipeline))),
        (SCHEMA, sage_plan::PIPELINE_SCHEMA.to_owned()),
    ];
    files.extend(data.iter().map(|(path, text)| (*path, (*text).to_owned())));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_blank_is_left_open_in_any_kind() {
        let name = CrateName::parse("my-op").unwrap();
        for kind in Kind::ALL {
            let files = files(&name, kind, &Dependency::Vendored("vendor/sage-guest"));
            for (path, text) in &files {
                assert!(!text.contains("{{"), "{kind}: {path} has an open blank");
            }
            let text = |wanted: &str| &files.iter().find(|(path, _)| *path == wanted).unwrap().1;
            assert!(text("Cargo.toml").parse::<toml::Table>().is_ok(), "{kind}: {}", text("Cargo.toml"));
            assert!(text("pipeline.toml").parse::<toml::Table>().is_ok(), "{kind}: {}", text("pipeline.toml"));
            assert!(text("pipeline.toml").starts_with("#:schema pipeline.schema.json\n"), "{kind}");
            assert!(text("pipeline.toml").contains("my_op.wasm"), "{kind}: the pipeline does not run the operator");
        }
    }

    #[test]
    fn an_odd_path_to_the_sdk_stays_one_string() {
        let name = CrateName::parse("x").unwrap();
        let odd = "/a \"quoted\" \\ folder".to_owned();
        let files = files(&name, Kind::Map, &Dependency::Elsewhere(odd.clone()));
        let manifest: toml::Table = files[0].1.parse().unwrap();
        assert_eq!(manifest["dependencies"]["sage-guest"]["path"].as_str(), Some(odd.as_str()));
    }

    #[test]
    fn a_published_sdk_is_a_dependency_by_version() {
        let name = CrateName::parse("x").unwrap();
        let files = files(&name, Kind::Map, &Dependency::Published("1.2.3"));
        let manifest: toml::Table = files[0].1.parse().unwrap();
        assert_eq!(manifest["dependencies"]["sage-guest"].as_str(), Some("1.2.3"));
        assert!(manifest["workspace"].as_table().unwrap().is_empty(), "no folder is excluded");
    }
}
