use sage_serve::store::JobEvent;
use sage_text::plain_line;
use serde_json::Value;

use super::args::EventsArguments;
use super::connection::connect;
use super::logs::{segment, stream, time};
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `events`.
pub(super) fn events(arguments: &EventsArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    let of = match &arguments.job {
        Some(job) => format!("/v1/jobs/{}/events", segment(job)?),
        None => "/v1/events".to_owned(),
    };
    let since = arguments.since.map(|since| format!("&since={since}")).unwrap_or_default();
    stream(&client, &format!("{of}?follow={}{since}", arguments.follow), printer.format(), text)
}

fn text(value: &Value) -> String {
    let Ok(event) = serde_json::from_value::<JobEvent>(value.clone()) else {
        return "… earlier events are not kept".to_owned();
    };
    let from = event.from.map(|from| format!("{from} → ")).unwrap_or_default();
    let why = event.message.map(|message| format!(": {}", plain_line(&message))).unwrap_or_default();
    let attempt = if event.attempt == 0 { String::new() } else { format!(" (attempt {})", event.attempt) };
    format!("{} {} {from}{}{attempt}{why}", time(event.at), event.job, event.to)
}
