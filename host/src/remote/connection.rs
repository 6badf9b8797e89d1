use serde_json::Value;

use sage_machine::read_plain_file;
use sage_plan::config::{TenantName, TenantNameError};
use sage_serve::access::TokenText;
use sage_serve::api::{Client, ClientError, Problem, ServerPlace};

use super::place::{Place, place_of};
use super::server_args::ServerArguments;
use crate::ExitCode;
use crate::failure::Failure;

/// The server that the options name.
pub(super) fn connect(arguments: &ServerArguments) -> Result<Client, Failure> {
    let place = place_of(arguments)?;
    let token = token(arguments, &place)?;
    if let ServerPlace::Url(url) = &place.server
        && token.is_some()
        && !url.tls
        && !url.is_loopback()
        && !place.insecure
    {
        return Err(Failure::invalid(format!("the token would go to {url} without encryption"))
            .hint("use https://, or an SSH tunnel: ssh -L 19001:127.0.0.1:19001 HOST, or pass --insecure"));
    }
    let wrong = |error: TenantNameError| Failure::invalid(error.to_string());
    let tenant: Option<TenantName> = place.tenant.as_deref().map(str::parse).transpose().map_err(wrong)?;
    let client =
        Client::of(place.server).map_err(|error| Failure::fault(format!("cannot make a connection: {error}")))?;
    Ok(client.with_token(token).of_tenant(tenant).trusting(place.trust))
}

/// The variable with a token.
const TOKEN: &str = "SAGE_HOST_TOKEN";
/// Longest file with a token.
const LONGEST_TOKEN: u64 = 1024;

/// The token for a server. On a socket the kernel says who asks, so only the option counts there.
fn token(arguments: &ServerArguments, place: &Place) -> Result<Option<String>, Failure> {
    let is_socket = matches!(place.server, ServerPlace::Socket(_));
    let variable = std::env::var(TOKEN).ok().filter(|token| !token.trim().is_empty() && !is_socket);
    let file = match (&arguments.token_file, variable) {
        (None, Some(token)) => return checked(TOKEN, &token).map(Some),
        _ => place.token_file.as_ref(),
    };
    let Some(file) = file else { return Ok(None) };
    let unread = |error: String| Failure::invalid(format!("cannot read the token in {}: {error}", file.display()));
    let bytes = read_plain_file(file, LONGEST_TOKEN).map_err(|error| unread(error.to_string()))?;
    checked(&file.display().to_string(), &String::from_utf8_lossy(&bytes)).map(Some)
}

/// The token, if the text is one. The error does not show the text.
fn checked(place: &str, text: &str) -> Result<String, Failure> {
    let token = TokenText::parse(text.trim());
    token.map(|token| token.reveal()).ok_or_else(|| {
        Failure::invalid(format!("{place} has no token")).hint("a token is sage_ and the rest that `token new` printed")
    })
}

/// The failure for an error of the client, in the words and with the exit code of the server.
pub(super) fn of_client(error: ClientError) -> Failure {
    match error {
        ClientError::Connect { .. } => Failure::invalid(error.to_string())
            .hint("start one with `sage-host serve`, or name one with --socket, --server or --context"),
        ClientError::Refused(problem) => of_problem(&problem),
        ClientError::Tls { ref failure, .. } => {
            let hint = failure.hint.clone();
            hint.into_iter().fold(Failure::invalid(error.to_string()), Failure::hint)
        }
        error => Failure::fault(error.to_string()),
    }
}

fn of_problem(problem: &Problem) -> Failure {
    if let (Some(error), Some(text)) = (problem.more.get("error"), problem.more.get("text").and_then(Value::as_str)) {
        return of_objection(error, text);
    }
    let code = match problem.status {
        400..500 if problem.code == "refused" => ExitCode::Refused,
        400..500 => ExitCode::InvalidUsage,
        503 => ExitCode::Refused,
        _ => ExitCode::InternalFault,
    };
    let failure = Failure::new(code, problem.detail.clone());
    if problem.status == 401 {
        return failure.hint(format!(
            "give a token in the variable {TOKEN}, with --token-file FILE, or once with \
             `sage-host context add NAME --server URL --token-file FILE`; the user of the server needs none with --socket"
        ));
    }
    problem.hint.iter().fold(failure, |failure, hint| failure.hint(hint.clone()))
}

/// The failure for a pipeline that is not valid or can never run: the error as `--output json` prints it, and the
/// drawing of it for people.
pub(super) fn of_objection(error: &Value, text: &str) -> Failure {
    let error = error.get("error").unwrap_or(error);
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    Failure::new(exit_code(error), message).drawn(text.to_owned(), error.get("report").cloned())
}

/// The failure for an error as `--output json` prints it.
pub(super) fn of_error(error: &Value) -> Failure {
    let error = error.get("error").unwrap_or(error);
    let message = error.get("message").and_then(Value::as_str).unwrap_or("the job failed");
    let words = |name: &str| {
        let list = error.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        list.into_iter().filter_map(|word| word.as_str().map(str::to_owned))
    };
    let failure = words("causes").fold(Failure::new(exit_code(error), message), Failure::cause);
    words("hints").fold(failure, Failure::hint)
}

fn exit_code(error: &Value) -> ExitCode {
    let number = error.get("exit_code").and_then(Value::as_u64);
    code(number.and_then(|number| u8::try_from(number).ok()).unwrap_or(ExitCode::InternalFault.number()))
}

/// The exit code with this number.
pub(super) fn code(number: u8) -> ExitCode {
    ExitCode::ALL.into_iter().find(|code| code.number() == number).unwrap_or(ExitCode::InternalFault)
}
