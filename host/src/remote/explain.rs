use sage_text::plain_line;
use serde_json::Value;

use super::args::ExplainArguments;
use super::connection::{connect, of_client};
use super::job_table::lines;
use super::logs::segment;
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `explain`.
pub(super) fn explain(arguments: &ExplainArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?;
    let path = format!("/v1/jobs/{}/explain", segment(&arguments.job)?);
    let report: Value = client.get(&path).map_err(of_client)?;
    printer.result(|| report_table(&report), &report)
}

/// The rows of an enforcement report that came as JSON.
pub(super) fn report_table(report: &Value) -> String {
    const COLUMNS: [&str; 7] = ["operator", "instances", "resource", "requested", "effective", "mechanism", "tier"];
    let rows = report.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
    let cell = |row: &Value, column: &str| match row.get(column) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => plain_line(text).into_owned(),
        Some(value) => value.to_string(),
    };
    lines(COLUMNS, rows.iter().map(|row| COLUMNS.map(|column| cell(row, column))))
}
