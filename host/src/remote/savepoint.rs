use serde_json::{Value, json};

use super::args::SavepointArguments;
use super::connection::{connect, of_client};
use super::logs::segment;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `savepoint`.
pub(super) fn savepoint(arguments: &SavepointArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    let path = format!("/v1/jobs/{}/savepoint", segment(&arguments.job)?);
    let taken: Value = client.post(&path, &json!({ "name": arguments.name })).map_err(of_client)?;
    printer.result(|| told(&taken), &taken)
}

/// The text about a savepoint.
pub(super) fn told(taken: &Value) -> String {
    let text = |key: &str| taken.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    format!("savepoint {} in {}\n", text("name"), text("path"))
}
