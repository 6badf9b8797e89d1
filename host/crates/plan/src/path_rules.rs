use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use crate::config::{
    ComponentUse, Diagnostic, Diagnostics, OnError, Parsed, Pipeline, SinkKind, SourceKind, Spanned, resolve,
};
use crate::escape_pattern;
use crate::secrets::{SecretText, secret_of};

/// The folders to which the paths of a pipeline lead when a server runs it, and the folders that it may use.
///
/// Components and models came with the pipeline file: [`PathRules::files`] has a file for each path. All other relative
/// paths, which are those of sources, sinks, dead letters and folders of components, lead into its folder of data.
///
/// A tenant's pipeline may name no other place: neither an absolute path nor one with `..` may lead out of the data
/// folder, except into a granted folder, and a component or model that did not come with the pipeline is an error. This
/// is a check of names, so that an error has a line and a caret. It cannot see symbolic links, so a process that runs a
/// tenant's pipeline must be held to the folders by the kernel too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRules {
    /// Components and models: the path that the pipeline file has, and the file that came with it.
    pub files: BTreeMap<String, PathBuf>,
    /// The folder of data, with an absolute path.
    pub data: PathBuf,
    /// The other folders that the pipeline may use. `None` for the owner of the server, who may name any path.
    pub granted: Option<Vec<GrantedFolder>>,
    /// The addresses to which the components of a tenant's pipeline may connect.
    pub connect: Vec<SocketAddr>,
    /// The models of the host that a tenant's pipeline may list. `None`: all.
    pub models: Option<Vec<String>>,
    /// The secrets that the pipeline may use, by their names.
    pub secrets: BTreeMap<String, SecretText>,
}

/// A folder of the machine that a tenant may use, with all folders in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedFolder {
    /// The folder, with an absolute path.
    pub path: PathBuf,
    /// Whether the tenant may write there.
    pub write: bool,
}

impl PathRules {
    /// Replaces the paths of data by absolute ones, and adds an error for each path that the pipeline may not name and
    /// for each source that reads standard input, which a server's pipeline does not have.
    pub fn apply(&self, parsed: &mut Parsed) {
        let Parsed { pipeline, diagnostics: errors } = parsed;
        pipeline.resolve(|reference| secret_of(reference, &self.secrets), errors);
        if let Some(checkpoint) = &mut pipeline.checkpoint {
            self.data("folder of checkpoint", &mut checkpoint.folder, Access::Write, errors);
        }
        for source in &mut pipeline.sources {
            let place = place("source", source.name.as_ref());
            if let Some(OnError::DeadLetter(letters)) = &mut source.on_error {
                self.data(&format!("dead_letter of {place}"), &mut letters.path, Access::Write, errors);
            }
            match &mut source.kind {
                Some(SourceKind::File(file)) => {
                    self.data(&format!("path of {place}"), &mut file.path, Access::ReadPattern, errors);
                }
                Some(SourceKind::Component(component)) => self.component(&place, component, errors),
                Some(SourceKind::Stdin(_)) => {
                    let message = format!("{place} reads standard input, which a job of a server does not have");
                    let span = source.name.as_ref().and_then(|name| name.span).or(source.span);
                    let hint = "write the records to a file and read it with file = { path = \"…\" }";
                    errors.push(Diagnostic::new(message).at(span).hint(hint));
                }
                Some(SourceKind::Socket(socket)) => no_socket(&place, "reads", &socket.path, errors),
                Some(SourceKind::Generate(_) | SourceKind::Provided(_)) | None => {}
            }
        }
        for operator in &mut pipeline.operators {
            let place = place("operator", operator.name.as_ref());
            if let Some(component) = &mut operator.component {
                self.component(&place, component, errors);
            }
        }
        for sink in &mut pipeline.sinks {
            let place = place("sink", sink.name.as_ref());
            match &mut sink.kind {
                Some(SinkKind::File(file)) => {
                    self.data(&format!("path of {place}"), &mut file.path, Access::Write, errors);
                }
                Some(SinkKind::Component(component)) => self.component(&place, component, errors),
                Some(SinkKind::Socket(socket)) => no_socket(&place, "writes to", &socket.path, errors),
                Some(SinkKind::Stdout(_) | SinkKind::Discard | SinkKind::Provided(_)) | None => {}
            }
        }
        if self.granted.is_some() {
            self.grants(pipeline, errors);
        }
        for model in &mut pipeline.models {
            let written = model.spec.path.to_string_lossy().into_owned();
            let mut path = Spanned { value: written, span: model.path_span };
            self.sent(&format!("path of [model.{}]", model.spec.name), &mut path, errors);
            model.spec.path = path.value.into();
        }
        errors.sort();
    }

    /// Adds an error for each address and each model of the host that a tenant was not granted.
    fn grants(&self, pipeline: &Pipeline, errors: &mut Diagnostics) {
        for component in pipeline.components() {
            for address in &component.capabilities.connect {
                // The validation reports what is no address.
                let Ok(asked) = address.value.parse::<SocketAddr>() else { continue };
                if !self.connect.contains(&asked) {
                    let message = format!("the tenant may not connect to {asked}");
                    errors.push(Diagnostic::new(message).on(address).hint("addresses are granted in host.toml"));
                }
            }
            let Some(granted) = &self.models else { continue };
            for model in &component.models {
                let own = pipeline.models.iter().any(|own| own.spec.name == model.value);
                if !own && !granted.contains(&model.value) {
                    let message = format!("the tenant may not use the host's model \"{}\"", model.value);
                    errors.push(Diagnostic::new(message).on(model).hint("models are granted in host.toml"));
                }
            }
        }
    }

    fn component(&self, place: &str, component: &mut ComponentUse, errors: &mut Diagnostics) {
        self.sent(&format!("component of {place}"), &mut component.path, errors);
        if let OnError::DeadLetter(letters) = &mut component.on_error {
            self.data(&format!("dead_letter of {place}"), &mut letters.path, Access::Write, errors);
        }
        for folder in &mut component.capabilities.folders {
            let access = if folder.write { Access::Write } else { Access::Read };
            self.data(&format!("a folder of {place}"), &mut folder.host, access, errors);
        }
    }

    /// Replaces the path of a component or model by that of the file that came with the pipeline. The owner's other
    /// paths lead where they lead from the folder of data.
    fn sent(&self, what: &str, path: &mut Spanned<String>, errors: &mut Diagnostics) {
        if path.value.is_empty() {
            // The validation reports it.
            return;
        }
        let file = match (self.files.get(&path.value), &self.granted) {
            (Some(file), _) => file.clone(),
            (None, None) => resolve(&self.data, &path.value),
            (None, Some(_)) => {
                let message = format!("{what} is \"{}\", which did not come with the pipeline file", path.value);
                let hint = "send the file with the pipeline: a job of a tenant has no other components and models";
                errors.push(Diagnostic::new(message).on(path).hint(hint));
                return;
            }
        };
        replace(what, path, file, errors);
    }

    /// Makes a path of data absolute, if the pipeline may name it.
    fn data(&self, what: &str, path: &mut Spanned<String>, access: Access, errors: &mut Diagnostics) {
        if path.value.is_empty() {
            // The validation reports it.
            return;
        }
        let literal = |folder: &Path| match access {
            Access::ReadPattern => escape_pattern(folder),
            Access::Read | Access::Write => folder.to_owned(),
        };
        let data = literal(&self.data);
        let whole = resolve(&data, &path.value);
        let allowed = match &self.granted {
            None => Ok(whole),
            Some(granted) => {
                let whole = without_dots(&whole);
                let within = |folder: &GrantedFolder| whole.starts_with(literal(&folder.path));
                if whole.starts_with(&data) || granted.iter().any(|folder| within(folder) && access.is_allowed(folder))
                {
                    Ok(whole)
                } else if granted.iter().any(within) {
                    Err(("a folder that may only be read", "write into the tenant's own folder, with a relative path"))
                } else {
                    Err((
                        "outside of the tenant's folders",
                        "a relative path leads into the tenant's own folder; others must be granted in host.toml",
                    ))
                }
            }
        };
        match allowed {
            Ok(whole) => replace(what, path, whole, errors),
            Err((why, hint)) => {
                let message = format!("{what} is \"{}\", {why}", path.value);
                errors.push(Diagnostic::new(message).on(path).hint(hint));
            }
        }
    }
}

/// Reports a socket of a program. A job outlives the program that submitted it, and runs with other rights.
fn no_socket(place: &str, verb: &str, path: &Spanned<String>, errors: &mut Diagnostics) {
    let message = format!("{place} {verb} a socket of a program, which a job of a server does not have");
    let hint = "run the pipeline with `sage-host run`, or use a file";
    errors.push(Diagnostic::new(message).on(path).hint(hint));
}

fn replace(what: &str, path: &mut Spanned<String>, by: PathBuf, errors: &mut Diagnostics) {
    match by.into_os_string().into_string() {
        Ok(whole) => path.value = whole,
        Err(whole) => {
            let message = format!("{what} leads to {}, which is not UTF-8", whole.display());
            errors.push(Diagnostic::new(message).on(path));
        }
    }
}

/// The use of a path of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    /// The path may have wildcards.
    ReadPattern,
    Write,
}

impl Access {
    fn is_allowed(self, folder: &GrantedFolder) -> bool {
        self != Self::Write || folder.write
    }
}

fn place(role: &str, name: Option<&Spanned<String>>) -> String {
    // A missing name was reported.
    name.map_or_else(|| format!("a {role}"), |name| format!("{role} \"{}\"", name.value))
}

/// An absolute path without `.` and `..`, by its names alone.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn applied(text: &str, granted: Option<&[(&str, bool)]>) -> (Parsed, Vec<String>) {
        let mut parsed = parse("pipeline.toml", text.as_bytes());
        assert!(parsed.diagnostics.is_empty(), "{}", parsed.diagnostics);
        let granted = granted.map(|folders| {
            folders.iter().map(|(path, write)| GrantedFolder { path: path.into(), write: *write }).collect()
        });
        let (connect, models) = (vec!["10.0.0.5:1".parse().unwrap()], Some(vec!["magika".to_owned()]));
        let files = [("parse.wasm".to_owned(), "/components/ab".into()), ("m.onnx".to_owned(), "/models/cd".into())];
        PathRules {
            files: files.into(),
            data: "/state/data/[blue]".into(),
            granted,
            connect,
            models,
            secrets: BTreeMap::new(),
        }
        .apply(&mut parsed);
        let errors = parsed.diagnostics.iter();
        let errors = errors.map(|error| {
            let place = error.labels.first().and_then(|label| text.get(label.span.start..label.span.end));
            format!("{} @ {}", error.message, place.unwrap_or_default())
        });
        let errors = errors.collect();
        (parsed, errors)
    }

    fn file_to_file(from: &str, to: &str) -> String {
        format!(
            "[[source]]\nname = \"in\"\nfile = {{ path = \"{from}\" }}\n\
             [[sink]]\nname = \"out\"\ninput = \"in\"\nfile = {{ path = \"{to}\" }}\n"
        )
    }

    fn paths(parsed: &Parsed) -> (String, String) {
        let Some(SourceKind::File(source)) = &parsed.pipeline.sources[0].kind else { panic!("a file source") };
        let Some(SinkKind::File(sink)) = &parsed.pipeline.sinks[0].kind else { panic!("a file sink") };
        (source.path.value.clone(), sink.path.value.clone())
    }

    #[test]
    fn relative_paths_lead_into_the_data_folder_whose_characters_are_no_pattern() {
        for granted in [None, Some(&[] as &[(&str, bool)])] {
            let (parsed, errors) = applied(&file_to_file("./in/*.csv", "out/a.csv"), granted);
            assert_eq!(errors, Vec::<String>::new());
            let expected = ("/state/data/[[]blue[]]/in/*.csv", "/state/data/[blue]/out/a.csv");
            let (from, to) = paths(&parsed);
            assert_eq!((from.as_str(), to.as_str()), expected);
        }
    }

    #[test]
    fn the_owner_may_name_any_path() {
        let (parsed, errors) = applied(&file_to_file("/etc/passwd", "../green/x"), None);
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(paths(&parsed), ("/etc/passwd".to_owned(), "/state/data/[blue]/../green/x".to_owned()));
    }

    #[test]
    fn a_tenant_leaves_its_folders_neither_with_an_absolute_path_nor_with_dots() {
        let granted = [("/srv/blue", false), ("/srv/[x]", true)];
        let outside = "outside of the tenant's folders";
        let cases = [
            ("/etc/shadow", Some(outside)),
            ("../green/secret", Some(outside)),
            ("a/../../green", Some(outside)),
            ("../[blue]x/a", Some(outside)),
            ("../../../../../etc/shadow", Some(outside)),
            ("/srv/blueish/a", Some(outside)),
            ("/srv/blue/../green/a", Some(outside)),
            ("/srv/[x]/a", Some("outside of the tenant's folders")),
            ("/srv/[[]x[]]/a", None),
            ("/srv/blue/**/a*", None),
            ("a/../b", None),
            ("..a/b", None),
        ];
        for (path, why) in cases {
            let (_, errors) = applied(&file_to_file(path, "out"), Some(&granted));
            let expected = why.map(|why| format!("path of source \"in\" is \"{path}\", {why} @ \"{path}\""));
            assert_eq!(errors, Vec::from_iter(expected), "{path}");
        }
        let cases = [
            ("/srv/blue/a", Some("a folder that may only be read")),
            ("/srv/[x]/a", None),
            ("/srv/[x]/../../etc/cron.d/a", Some(outside)),
        ];
        for (path, why) in cases {
            let (_, errors) = applied(&file_to_file("in", path), Some(&granted));
            let expected = why.map(|why| format!("path of sink \"out\" is \"{path}\", {why} @ \"{path}\""));
            assert_eq!(errors, Vec::from_iter(expected), "{path}");
        }
    }

    #[test]
    fn components_and_models_are_those_that_came_with_the_pipeline() {
        let text = r#"
[[source]]
name = "in"
generate = {}
[[operator]]
name = "parse"
input = "in"
component = "parse.wasm"
[[sink]]
name = "out"
input = "parse"
discard = {}
[model.m]
path = "m.onnx"
"#;
        for granted in [None, Some(&[] as &[(&str, bool)])] {
            let (parsed, errors) = applied(text, granted);
            assert_eq!(errors, Vec::<String>::new());
            assert_eq!(parsed.pipeline.components().next().unwrap().path.value, "/components/ab");
            assert_eq!(parsed.pipeline.models[0].spec.path, Path::new("/models/cd"));
        }
    }

    #[test]
    fn addresses_and_models_of_the_host_are_those_that_a_tenant_was_granted() {
        let text = r#"
[[source]]
name = "in"
generate = {}
[[sink]]
name = "out"
input = "in"
component = "parse.wasm"
capabilities = { connect = ["10.0.0.5:1", "10.0.0.5:2"] }
models = ["magika", "other", "m"]
[model.m]
path = "m.onnx"
"#;
        let (_, errors) = applied(text, Some(&[]));
        let expected = [
            "the tenant may not connect to 10.0.0.5:2 @ \"10.0.0.5:2\"",
            "the tenant may not use the host's model \"other\" @ \"other\"",
        ];
        assert_eq!(errors, expected);
        assert_eq!(applied(text, None).1, Vec::<String>::new());
    }

    #[test]
    fn every_path_of_a_pipeline_is_checked() {
        let text = r#"
[[source]]
name = "in"
file = { path = "/1" }
on_error = { dead_letter = "/2" }
[[operator]]
name = "parse"
input = "in"
component = "/3.wasm"
on_error = { dead_letter = "/4" }
capabilities = { folders = [{ host = "/5", guest = "/data" }] }
[[sink]]
name = "out"
input = "parse"
component = "../6.wasm"
[[sink]]
name = "all"
input = "in"
file = { path = "/7" }
[[source]]
name = "typed"
stdin = {}
[model.m]
path = "/8.onnx"
"#;
        let (_, errors) = applied(text, Some(&[]));
        let places: Vec<&str> = errors.iter().filter_map(|error| error.split(" @ ").nth(1)).collect();
        let expected = [
            "\"/1\"",
            "\"/2\"",
            "\"/3.wasm\"",
            "\"/4\"",
            "\"/5\"",
            "\"../6.wasm\"",
            "\"/7\"",
            "\"typed\"",
            "\"/8.onnx\"",
        ];
        assert_eq!(places, expected, "{errors:#?}");
        let (_, errors) = applied(text, None);
        assert_eq!(
            errors,
            ["source \"typed\" reads standard input, which a job of a server does not have @ \"typed\""]
        );
    }

    #[test]
    fn a_job_reads_and_writes_no_socket_of_a_program() {
        let text = "[[source]]\nname = \"in\"\nsocket = { path = \"a.sock\" }\n\
                    [[sink]]\nname = \"out\"\ninput = \"in\"\nsocket = { path = \"b.sock\" }\n";
        for granted in [None, Some(&[("/shared", true)][..])] {
            let (_, errors) = applied(text, granted);
            assert_eq!(
                errors,
                [
                    "source \"in\" reads a socket of a program, which a job of a server does not have @ \"a.sock\"",
                    "sink \"out\" writes to a socket of a program, which a job of a server does not have @ \"b.sock\""
                ]
            );
        }
    }
}
