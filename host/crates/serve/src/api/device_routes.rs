use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::context::Context;
use super::job_routes::json_response;
use super::problem::Problem;
use crate::access::Scope;
use crate::server::Settings;

/// Longest time for a look at the devices. Drivers may take seconds to answer.
const WITHIN: Duration = Duration::from_secs(10);
/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(2);
/// Most bytes of an answer.
const MOST: u64 = 8 << 20;

/// The devices of the machine and the leases on them, as `sage-host devices --output json` prints them. A process of
/// its own looks, so that no library of a driver is loaded into the server.
pub(super) async fn list(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
) -> Result<Response, Problem> {
    let mut last = context.devices.lock().await;
    if let Some((_, value)) = last.0.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
        return Ok(json_response(StatusCode::OK, &seen(value, &scope)));
    }
    let value = look(&context.settings).await.map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "devices-unknown", format!("cannot look at devices: {error}"))
            .hint("`sage-host devices` on the machine of the server says more")
    })?;
    let response = json_response(StatusCode::OK, &seen(&value, &scope));
    last.0 = Some((Instant::now(), value));
    Ok(response)
}

/// The part of the answer that a principal sees: a tenant sees its own leases.
fn seen(value: &Value, scope: &Scope) -> Value {
    let Some(tenant) = &scope.tenant else { return value.clone() };
    let leases = value.get("leases").and_then(Value::as_array).into_iter().flatten();
    let own: Vec<&Value> =
        leases.filter(|lease| lease.get("tenant").and_then(Value::as_str) == Some(tenant.as_str())).collect();
    json!({ "devices": value.get("devices"), "leases": own })
}

async fn look(settings: &Settings) -> Result<Value, String> {
    let mut command = Command::new(&settings.program);
    command.args(["devices", "--output", "json"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(host) = &settings.host_file {
        command.arg("--host").arg(host);
    }
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
    let read = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        let read = child.stdout.take().map(|stdout| stdout.take(MOST).read_to_end(&mut text));
        let status = child.wait();
        match (read, status) {
            (Some(Ok(_)), Ok(status)) if status.success() => Ok(text),
            (_, status) => {
                Err(status.map_or_else(|error| error.to_string(), |status| format!("it ended with {status}")))
            }
        }
    });
    let text = match timeout(WITHIN, read).await {
        Ok(read) => read.map_err(|error| error.to_string())??,
        Err(_) => {
            if let Ok(process) = process {
                // The thread then reaps it.
                let _ = pidfd_send_signal(process, Signal::KILL);
            }
            return Err("a driver does not answer".to_owned());
        }
    };
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}
