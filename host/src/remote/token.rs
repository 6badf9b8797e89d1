use sage_serve::access::{Role, Token};
use sage_serve::api::TokenRequest;
use sage_text::plain_line;
use serde_json::{Value, json};

use super::access_args::{Lifetime, ListArguments, NewTokenArguments, RemoveTokenArguments, TokenCommand};
use super::connection::{connect, of_client};
use super::job_table::{age, lines};
use super::logs::{segment, time};
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `token`.
pub(super) fn token(command: &TokenCommand, printer: Printer) -> Result<(), Failure> {
    match command {
        TokenCommand::New(arguments) => new(arguments, printer),
        TokenCommand::Ls(arguments) => list(arguments, printer),
        TokenCommand::Rm(arguments) => remove(arguments, printer),
    }
}

fn new(arguments: &NewTokenArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    let role: Role = arguments.role.parse().map_err(Failure::invalid)?;
    let lifetime = match arguments.expires {
        Lifetime::Never => None,
        Lifetime::Milliseconds(lifetime) => Some(lifetime),
    };
    let request = TokenRequest { role, tenant: None, lifetime, note: arguments.note.clone() };
    let made: Value = client.post("/v1/tokens", &request).map_err(of_client)?;
    let text = || format!("{}\n", made.get("token").and_then(Value::as_str).unwrap_or_default());
    printer.result(text, &made)
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Tokens {
    tokens: Vec<Token>,
}

fn list(arguments: &ListArguments, printer: Printer) -> Result<(), Failure> {
    let tokens: Tokens = connect(&arguments.server)?.get("/v1/tokens").map_err(of_client)?;
    printer.result(|| table(&tokens.tokens), &tokens)
}

fn table(tokens: &[Token]) -> String {
    if tokens.is_empty() {
        return "there are no tokens; `sage-host token new` makes one\n".to_owned();
    }
    let now = sage_jobs::now();
    let row = |token: &Token| {
        let expires = match token.expires {
            None => "never".to_owned(),
            Some(expires) if expires <= now => "expired".to_owned(),
            Some(expires) => time(expires),
        };
        let ago = |at: u64| format!("{} ago", age(now.saturating_sub(at)));
        [
            token.id.to_string(),
            token.tenant.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            token.role.to_string(),
            expires,
            token.last_used.map_or_else(|| "never".to_owned(), ago),
            plain_line(&token.note).into_owned(),
        ]
    };
    lines(["ID", "TENANT", "ROLE", "EXPIRES", "USED", "NOTE"], tokens.iter().map(row))
}

fn remove(arguments: &RemoveTokenArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    for id in &arguments.ids {
        let path = format!("/v1/tokens/{}", segment(id)?);
        client.json::<Value>("DELETE", &path, &[], Vec::new()).map_err(of_client)?;
    }
    let text = || arguments.ids.iter().map(|id| format!("removed {id}\n")).collect();
    printer.result(text, &json!({ "removed": arguments.ids }))
}
