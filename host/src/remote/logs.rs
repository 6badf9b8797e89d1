use std::io::Write as _;

use sage_jobs::{LogLevel, LogLine, LogOrigin};
use sage_text::plain_text;
use serde_json::Value;

use super::args::LogsArguments;
use super::connection::{connect, of_client};
use crate::failure::Failure;
use crate::printer::{OutputFormat, Printer};

/// The command `logs`.
pub(super) fn logs(arguments: &LogsArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    let mut path = format!("/v1/jobs/{}/logs?since={}", segment(&arguments.job)?, arguments.since.unwrap_or(0));
    if arguments.follow {
        path.push_str("&follow=true");
    }
    for (name, value) in [("level", &arguments.level), ("operator", &arguments.operator)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", segment(value)?));
        }
    }
    stream(&client, &path, printer.format(), text)
}

/// Prints each line of a stream as it is, or as `text` shows it, until the stream ends or nobody reads.
pub(super) fn stream(
    client: &sage_serve::api::Client,
    path: &str,
    format: OutputFormat,
    text: impl Fn(&Value) -> String,
) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let print = |line: &str| {
        let shown = match (format, serde_json::from_str::<Value>(line)) {
            (OutputFormat::Text, Ok(value)) => text(&value),
            _ => line.to_owned(),
        };
        writeln!(stdout, "{shown}").and_then(|()| stdout.flush()).is_ok()
    };
    client.lines(path, print).map_err(of_client)
}

/// A part of a path or query, which must not need an escape.
pub(super) fn segment(text: &str) -> Result<&str, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.chars().all(plain) && !text.chars().all(|c| c == '.') {
        return Ok(text);
    }
    Err(Failure::invalid(format!("\"{text}\" is no name: letters, digits, -, _ and .")))
}

fn text(value: &Value) -> String {
    if let Some(gap) = value.get("gap") {
        let number = |name| gap.get(name).and_then(Value::as_u64).unwrap_or(0);
        return format!("… {} lines are not kept", number("before").saturating_sub(number("after") + 1));
    }
    let Ok(line) = serde_json::from_value::<LogLine>(value.clone()) else { return value.to_string() };
    let level = match line.level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "WARN",
        LogLevel::Error => "ERROR",
    };
    let of = match (line.origin, &line.operator, line.instance) {
        (LogOrigin::Host, None, _) => "host".to_owned(),
        (_, Some(operator), Some(instance)) => format!("{operator}.{instance}"),
        (_, Some(operator), None) => operator.clone(),
        (_, None, _) => "operator".to_owned(),
    };
    // Lines of a message must not look like lines of the log.
    let message = plain_text(&line.message).replace('\n', "\n  | ");
    format!("{} {level:5} {}: {message}", time(line.at), plain_text(&of))
}

/// A time of the log.
pub(super) fn time(at: u64) -> String {
    let time = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    time.map_or_else(|| at.to_string(), |time| format!("{time:.3}"))
}
