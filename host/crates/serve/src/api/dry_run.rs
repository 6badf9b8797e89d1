use std::time::{Duration, Instant};

use sage_jobs::{JobCheck, JobFolder, JobOrder, VERSION, read_json, write_json};

use super::context::{Context, permit};
use super::objected::objected;
use super::problem::Problem;
use crate::process::{last_words, start_check};
use crate::server::{Denied, Settings, Submission};
use crate::state::Timeouts;
use crate::store::{FileStore, JobId, SecretStore, StoreError};

/// Checks what a user would submit, in a folder that is removed afterwards.
pub(super) async fn dry_run(context: &Context, submission: Submission) -> Result<JobCheck, Problem> {
    let _permit = permit(&context.dry_runs, "dry runs")?;
    context.ask(|server| server.writable()).await??;
    let context = context.clone();
    let checked = tokio::task::spawn_blocking(move || check(&context, &submission)).await;
    let broke = |error: tokio::task::JoinError| {
        Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "check-broke", error.to_string())
    };
    let check = checked.map_err(broke)??;
    match objected(&check) {
        Some(problem) => Err(problem),
        None => Ok(check),
    }
}

/// A folder that is removed at the end.
struct Temporary(JobFolder);

impl Drop for Temporary {
    fn drop(&mut self) {
        // The next start of the server removes what stays.
        let _ = std::fs::remove_dir_all(self.0.path());
    }
}

fn check(context: &Context, submission: &Submission) -> Result<JobCheck, Problem> {
    let files = context.files.of(submission.tenant.as_ref());
    let missing: Vec<_> = submission.files.values().filter(|digest| files.find(digest).is_none()).copied().collect();
    if !missing.is_empty() {
        return Err(Denied::FilesMissing { digests: missing }.into());
    }
    let unnamed = |source| StoreError::Io { action: "read", path: "/dev/urandom".into(), source };
    let id = JobId::random().map_err(unnamed)?;
    let folder = Temporary(JobFolder::new(context.files.incoming().join(id.to_string())));
    fill(&folder.0, &files, id, submission, (&context.settings, &context.secrets))?;
    let folder = &folder.0;
    let broke = |why: String| {
        Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "check-broke", format!("the check broke: {why}"))
    };
    let mut child = start_check(&context.settings.program, folder, 1).map_err(|error| broke(error.to_string()))?;
    let until = Instant::now() + Duration::from_millis(Timeouts::CHECK);
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(broke("it takes too long".to_owned()));
            }
        }
    }
    read_json(&folder.check(1))
        .map_err(|error| broke(last_words(&folder.revision(1).join("check.txt")).unwrap_or_else(|| error.to_string())))
}

fn fill(
    folder: &JobFolder,
    files: &FileStore,
    id: JobId,
    submission: &Submission,
    (settings, secrets): (&Settings, &SecretStore),
) -> Result<(), Problem> {
    let came_with = files.lay_out(folder, 1, &submission.pipeline, &submission.files)?;
    let order = JobOrder {
        version: VERSION,
        id: id.to_string(),
        name: submission.pipeline_name.clone(),
        tenant: submission.tenant.clone().map(String::from),
        revision: 1,
        attempt: 0,
        pipeline: folder.revision(1).join("pipeline.toml"),
        shown_as: submission.shown_as.clone(),
        files: came_with,
        data: submission.data.clone(),
        host_file: settings.host_file.clone(),
        isolation: submission.isolation,
        drain_timeout: Duration::from_millis(submission.drain_timeout),
        socket: folder.path().join("socket"),
        folders: Vec::new(),
        connect: Vec::new(),
        models: None,
        signers: None,
        secrets: secrets.of(submission.tenant.as_ref()).named_in(&submission.pipeline),
        user: None,
        cache: None,
        hard_limits: false,
    };
    let order = settings.granted(order, submission.tenant.as_ref());
    write_json(&folder.check_order(1), &order).map_err(StoreError::from)?;
    Ok(())
}
