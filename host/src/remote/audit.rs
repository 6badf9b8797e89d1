use std::io::Write as _;

use sage_serve::store::AuditEntry;
use sage_text::plain_line;

use super::access_args::AuditArguments;
use super::connection::{connect, of_client};
use super::logs::time;
use crate::ExitCode;
use crate::failure::Failure;
use crate::printer::{OutputFormat, Printer};

/// Entries that are asked for at a time.
const PAGE: usize = 1000;

/// The command `audit`: prints the entries, and checks that none was changed or removed.
pub(super) fn audit(arguments: &AuditArguments, printer: Printer) -> Result<(), Failure> {
    let client = connect(&arguments.server)?.of_tenant(None);
    let mut since = arguments.since.unwrap_or(0);
    let mut before: Option<String> = None;
    let mut stdout = std::io::stdout().lock();
    loop {
        let answer = client.request("GET", &format!("/v1/audit?since={since}&limit={PAGE}"), &[], Vec::new());
        let answer = answer.map_err(of_client)?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if text.is_empty() {
            return Ok(());
        }
        for line in text.lines() {
            let broken = |why: String| {
                Failure::new(ExitCode::InternalFault, format!("the audit log was changed: {why}"))
                    .hint("compare it with a copy of the folder `audit` in the state folder")
            };
            let entry: AuditEntry =
                serde_json::from_str(line).map_err(|error| broken(format!("after entry {since}: {error}")))?;
            if before.as_ref().is_some_and(|before| !entry.follows(before)) {
                return Err(broken(format!("entry {} does not follow entry {since}", entry.seq)));
            }
            let shown = match printer.format() {
                OutputFormat::Json => line.to_owned(),
                OutputFormat::Text => text_of(&entry),
            };
            if writeln!(stdout, "{shown}").is_err() {
                // The reader has read enough.
                return Ok(());
            }
            since = entry.seq;
            before = Some(line.to_owned());
        }
    }
}

fn text_of(entry: &AuditEntry) -> String {
    let tenant = entry.tenant.as_ref().map(|tenant| format!(" {tenant}")).unwrap_or_default();
    let code = entry.code.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
    let line = format!(
        "{} {} {}{tenant} from {}: {} {} → {}{code}",
        entry.seq,
        time(entry.at),
        entry.who,
        entry.peer,
        entry.method,
        entry.path,
        entry.status
    );
    plain_line(&line).into_owned()
}
