use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::Path;

use sage_serve::store::{SecretInfo, SecretStore};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::connection::{connect, of_client};
use super::job_table::{age, lines};
use super::logs::segment;
use super::secret_args::{ListSecretsArguments, RemoveSecretsArguments, SecretCommand, SetSecretArguments};
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `secret`.
pub(super) fn secret(command: &SecretCommand, printer: Printer) -> Result<(), Failure> {
    match command {
        SecretCommand::Set(arguments) => set(arguments, printer),
        SecretCommand::Ls(arguments) => list(arguments, printer),
        SecretCommand::Rm(arguments) => remove(arguments, printer),
    }
}

fn set(arguments: &SetSecretArguments, printer: Printer) -> Result<(), Failure> {
    SecretStore::check_name(&arguments.name).map_err(Failure::invalid)?;
    let value = value(arguments.from_file.as_deref())?;
    let path = format!("/v1/secrets/{}", segment(&arguments.name)?);
    let client = connect(&arguments.server)?;
    let kept: Value = client.json("PUT", &path, &[], value).map_err(of_client)?;
    let word = if kept.get("new").and_then(Value::as_bool) == Some(true) { "kept" } else { "replaced" };
    printer.result(|| format!("{word} {}\n", arguments.name), &kept)
}

/// The value, without the line end that shells and editors put at its end.
fn value(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let most = SecretStore::LONGEST as u64 + 2;
    let mut value = Vec::new();
    let read = match file {
        Some(path) => File::open(path).and_then(|file| file.take(most).read_to_end(&mut value)),
        None => {
            if std::io::stdin().is_terminal() {
                return Err(Failure::invalid("the value is read from standard input, which is a terminal")
                    .hint("sage-host secret set NAME < FILE, or --from-file FILE"));
            }
            std::io::stdin().take(most).read_to_end(&mut value)
        }
    };
    let from = file.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    read.map_err(|error| Failure::invalid(format!("cannot read {from}: {error}")))?;
    if value.ends_with(b"\n") {
        value.pop();
    }
    if value.is_empty() || value.len() > SecretStore::LONGEST {
        let message = format!("{from} has no value of 1 to {} bytes", SecretStore::LONGEST);
        return Err(Failure::invalid(message));
    }
    Ok(value)
}

#[derive(Serialize, Deserialize)]
struct Secrets {
    secrets: Vec<SecretInfo>,
}

fn list(arguments: &ListSecretsArguments, printer: Printer) -> Result<(), Failure> {
    let listed: Secrets = connect(&arguments.server)?.get("/v1/secrets").map_err(of_client)?;
    printer.result(|| table(&listed.secrets), &listed)
}

fn table(secrets: &[SecretInfo]) -> String {
    if secrets.is_empty() {
        return "there are no secrets; `sage-host secret set` keeps one\n".to_owned();
    }
    let now = sage_jobs::now();
    let row = |secret: &SecretInfo| [secret.name.clone(), format!("{} ago", age(now.saturating_sub(secret.changed)))];
    lines(["NAME", "SET"], secrets.iter().map(row))
}

fn remove(arguments: &RemoveSecretsArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    for name in &arguments.names {
        let path = format!("/v1/secrets/{}", segment(name)?);
        client.json::<Value>("DELETE", &path, &[], Vec::new()).map_err(of_client)?;
    }
    let text = || arguments.names.iter().map(|name| format!("removed {name}\n")).collect();
    printer.result(text, &json!({ "removed": arguments.names }))
}
