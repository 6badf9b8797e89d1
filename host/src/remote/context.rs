use sage_plan::config::TenantName;
use sage_serve::api::ServerUrl;
use serde_json::json;

use super::access_args::{AddContextArguments, ContextCommand};
use super::contexts::{Context, Contexts};
use super::job_table::lines;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `context`.
pub(super) fn context(command: &ContextCommand, printer: Printer) -> Result<(), Failure> {
    match command {
        ContextCommand::Add(arguments) => add(arguments, printer),
        ContextCommand::Use(arguments) => {
            let mut contexts = Contexts::read()?;
            contexts.get(&arguments.name)?;
            contexts.current = Some(arguments.name.clone());
            contexts.write()?;
            printer.result(|| format!("{} is used\n", arguments.name), &contexts)
        }
        ContextCommand::Ls(_) => {
            let contexts = Contexts::read()?;
            printer.result(|| table(&contexts), &contexts)
        }
        ContextCommand::Rm(arguments) => {
            let mut contexts = Contexts::read()?;
            contexts.get(&arguments.name)?;
            contexts.context.remove(&arguments.name);
            contexts.current = contexts.current.filter(|current| *current != arguments.name);
            contexts.write()?;
            printer.result(|| format!("removed {}\n", arguments.name), &json!({ "removed": [arguments.name] }))
        }
    }
}

fn add(arguments: &AddContextArguments, printer: Printer) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if arguments.name.is_empty() || !arguments.name.chars().all(plain) {
        return Err(Failure::invalid(format!("\"{}\" is no name: letters, digits, -, _ and .", arguments.name)));
    }
    let server: ServerUrl = arguments.server.parse().map_err(Failure::invalid)?;
    let unfound = |what: &'static str| {
        move |error: std::io::Error| Failure::invalid(format!("cannot find the file with the {what}: {error}"))
    };
    let token_file =
        arguments.token_file.as_deref().map(std::fs::canonicalize).transpose().map_err(unfound("token"))?;
    if (arguments.ca.is_some() || arguments.pin.is_some()) && !server.tls {
        return Err(Failure::invalid(format!("{server} shows no certificate")).hint("write https:// in --server"));
    }
    if let Some(tenant) = &arguments.tenant {
        tenant.parse::<TenantName>().map_err(|error| Failure::invalid(error.to_string()))?;
    }
    let mut contexts = Contexts::read()?;
    let added = Context {
        server: server.to_string(),
        token_file,
        ca: arguments.ca.as_deref().map(std::fs::canonicalize).transpose().map_err(unfound("authorities"))?,
        pin: arguments.pin.map(|pin| pin.to_string()),
        tenant: arguments.tenant.clone(),
        insecure: arguments.insecure,
    };
    contexts.context.insert(arguments.name.clone(), added);
    if contexts.current.is_none() {
        contexts.current = Some(arguments.name.clone());
    }
    contexts.write()?;
    let is_used = contexts.current.as_ref() == Some(&arguments.name);
    let hint = if is_used { String::new() } else { format!("; `sage-host context use {}` uses it", arguments.name) };
    printer.result(|| format!("added {}{hint}\n", arguments.name), &contexts)
}

fn table(contexts: &Contexts) -> String {
    if contexts.context.is_empty() {
        return "there are no contexts; `sage-host context add` adds one\n".to_owned();
    }
    let rows = contexts.context.iter().map(|(name, context)| {
        let used = if contexts.current.as_ref() == Some(name) { "*" } else { "" };
        let file = context.token_file.as_ref().map_or_else(|| "-".to_owned(), |file| file.display().to_string());
        let tenant = context.tenant.clone().unwrap_or_else(|| "-".to_owned());
        [used.to_owned(), name.clone(), context.server.clone(), tenant, file]
    });
    lines(["", "NAME", "SERVER", "TENANT", "TOKEN"], rows)
}
