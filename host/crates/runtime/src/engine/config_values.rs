use std::path::Path;

use sage_machine::read_plain_file;
use sage_plan::config::{ConfigReference, NoValue, Parsed, ReferenceKind, resolve};

/// Largest value that stands in a file.
const LONGEST: u64 = 64 << 10;

/// Puts the values of variables and files in the place of `{ env = … }` and `{ file = … }`. Relative paths lead from the
/// folder of the pipeline file.
pub(super) fn resolve_here(parsed: &mut Parsed, base: &Path) {
    let Parsed { pipeline, diagnostics } = parsed;
    pipeline.resolve(|reference| value_of(reference, base), diagnostics);
}

fn value_of(reference: &ConfigReference, base: &Path) -> Result<String, NoValue> {
    let name = &reference.name;
    let none = |why: String, hint: &str| Err(NoValue { why, hint: hint.to_owned() });
    match reference.kind {
        ReferenceKind::Secret => none(
            format!("the secret \"{}\" is known to a server only", name.escape_default()),
            "write { env = \"NAME\" } or { file = \"path\" }, or send the pipeline to a server",
        ),
        ReferenceKind::Env => match std::env::var(name) {
            Ok(value) => Ok(value),
            Err(std::env::VarError::NotPresent) => {
                none(format!("the variable {} is not set", name.escape_default()), "export it before the run")
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                none(format!("the variable {} is not UTF-8", name.escape_default()), "a value is a text")
            }
        },
        ReferenceKind::File => {
            let path = resolve(base, name);
            let bytes = match read_plain_file(&path, LONGEST) {
                Ok(bytes) => bytes,
                Err(error) => {
                    return none(
                        format!("cannot read {}: {error}", path.display()),
                        "the file has the value, as a text",
                    );
                }
            };
            match String::from_utf8(bytes) {
                // Editors and shells end a file with a line end.
                Ok(text) => Ok(text.strip_suffix('\n').map_or_else(|| text.clone(), str::to_owned)),
                Err(_) => none(format!("{} is not UTF-8", path.display()), "a value is a text"),
            }
        }
    }
}
