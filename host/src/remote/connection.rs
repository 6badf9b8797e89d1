use serde_json::Value;

use sage_serve::api::{Client, ClientError, Problem};

use super::args::ServerArguments;
use super::place::socket_of_client;
use crate::ExitCode;
use crate::failure::Failure;

/// The server that the options name.
pub(super) fn connect(arguments: &ServerArguments) -> Result<Client, Failure> {
    let socket = socket_of_client(arguments.socket.as_deref())?;
    Client::new(&socket).map_err(|error| Failure::fault(format!("cannot make a connection: {error}")))
}

/// The failure for an error of the client, in the words and with the exit code of the server.
pub(super) fn of_client(error: ClientError) -> Failure {
    match error {
        ClientError::Connect { .. } => Failure::invalid(error.to_string())
            .hint("start one with `sage-host serve`, or name its socket with --socket"),
        ClientError::Refused(problem) => of_problem(&problem),
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
