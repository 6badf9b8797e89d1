use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::args::BuildArguments;
use super::cargo::Cargo;
use super::failure::Failure;
use super::inspect::look;
use super::printer::Printer;
use super::python::PythonProject;
use sage_text::short_size;

#[derive(Serialize)]
struct Built {
    component: PathBuf,
    kind: String,
    bytes: u64,
}

/// The command `build`: runs cargo, or componentize-py for a folder of Python, and inspects the result.
pub(super) fn build(arguments: &BuildArguments, printer: Printer) -> Result<(), Failure> {
    if let Some(project) = PythonProject::at(&arguments.path) {
        return done(vec![verified(project.build()?)?], printer);
    }
    let cargo = Cargo::at(&arguments.path)?;
    cargo.require_wasm_target()?;
    let components = cargo.build(arguments.debug, &arguments.cargo)?;
    if components.is_empty() {
        return Err(Failure::invalid(format!("the crate at {} makes no component", arguments.path.display()))
            .hint("put `crate-type = [\"cdylib\"]` under [lib] in its Cargo.toml"));
    }
    let built = components.into_iter().map(verified).collect::<Result<Vec<_>, _>>()?;
    done(built, printer)
}

fn done(built: Vec<Built>, printer: Printer) -> Result<(), Failure> {
    printer.result(|| text(&built), &serde_json::json!({ "built": built }))
}

fn verified(component: PathBuf) -> Result<Built, Failure> {
    let inspection = look(&component)?;
    let kind = inspection.kind.ok_or_else(|| {
        Failure::invalid(format!(
            "{} is a component but no operator: it targets none of the worlds",
            component.display()
        ))
        .hint("put an attribute such as #[sage_guest::map] on a function")
        .hint(format!("`sage-host inspect {}` shows what it exports", component.display()))
    })?;
    Ok(Built { kind: kind.to_string(), bytes: inspection.bytes, component })
}

fn text(built: &[Built]) -> String {
    let mut text = String::new();
    for Built { component, kind, bytes } in built {
        let _ = writeln!(text, "{}  {kind}, {}", component.display(), short_size(*bytes));
    }
    if let [one] = built {
        let _ = writeln!(
            text,
            "next: name it in a pipeline file (`component = \"{}\"`) and `sage-host run` that",
            one.component.display()
        );
    }
    text
}
