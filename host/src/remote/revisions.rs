use sage_jobs::now;
use sage_serve::api::RevisionDiff;
use sage_serve::server::RevisionList;
use sage_text::plain_line;

use super::connection::{connect, of_client};
use super::job_table::{age, lines};
use super::logs::segment;
use super::revision_args::{DiffArguments, RevisionsArguments};
use crate::failure::Failure;
use crate::printer::Printer;

/// The command `revisions`: lists the revisions of a job.
pub(super) fn revisions(arguments: &RevisionsArguments, printer: Printer) -> Result<(), Failure> {
    let path = format!("/v1/jobs/{}/revisions", segment(&arguments.job)?);
    let list: RevisionList = connect(&arguments.server)?.get(&path).map_err(of_client)?;
    printer.result(|| table(&list), &list)
}

fn table(list: &RevisionList) -> String {
    let now = now();
    let rows = list.revisions.iter().map(|one| {
        let state = match &list.rollout {
            Some(rollout) if rollout.to == one.number => format!("{:?}", rollout.stage).to_lowercase(),
            _ if one.number == list.current => "in force".to_owned(),
            _ => String::new(),
        };
        [
            one.number.to_string(),
            state,
            age(now.saturating_sub(one.at)),
            one.who.clone().unwrap_or_else(|| "-".to_owned()),
            one.pipeline.hex().chars().take(12).collect(),
            one.files.len().to_string(),
            plain_line(one.note.as_deref().unwrap_or_default()).into_owned(),
        ]
    });
    lines(["REV", "STATE", "AGE", "WHO", "PIPELINE", "FILES", "NOTE"], rows)
}

/// The command `diff`: shows what differs between two revisions.
pub(super) fn diff(arguments: &DiffArguments, printer: Printer) -> Result<(), Failure> {
    let query = [("from", arguments.from), ("to", arguments.to)];
    let query: Vec<String> =
        query.into_iter().filter_map(|(name, number)| Some(format!("{name}={}", number?))).collect();
    let path = format!("/v1/jobs/{}/diff?{}", segment(&arguments.job)?, query.join("&"));
    let diff: RevisionDiff = connect(&arguments.server)?.get(&path).map_err(of_client)?;
    printer.result(|| drawn(&diff), &diff)
}

fn drawn(diff: &RevisionDiff) -> String {
    let mut text = format!("--- revision {}\n+++ revision {}\n", diff.from, diff.to);
    for line in &diff.lines {
        text += &match line.sign {
            '@' => "@@\n".to_owned(),
            sign => format!("{sign}{}\n", plain_line(&line.text)),
        };
    }
    for file in &diff.files {
        let digest = |digest: Option<sage_serve::store::Digest>| {
            digest.map_or_else(|| "not there".to_owned(), |digest| digest.hex().chars().take(12).collect())
        };
        text += &format!("file {}: {} to {}\n", plain_line(&file.path), digest(file.from), digest(file.to));
    }
    for other in &diff.others {
        text += &format!("{}\n", plain_line(other));
    }
    if diff.lines.is_empty() && diff.files.is_empty() && diff.others.is_empty() {
        text += "they run the same\n";
    }
    text
}
