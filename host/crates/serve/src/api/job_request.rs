use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sage_jobs::JobIsolation;
use sage_plan::config::{ConfigReference, Parsed, Pipeline, TenantCeiling, TenantName, parse};
use sage_plan::{no_secret, refused_by_a_server};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::server::{Denied, Submission};
use crate::state::{RestartOn, RestartPolicy, Timeouts};
use crate::store::{Digest, IdempotencyKey, JobName};

/// The body of `POST /v1/jobs`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The name of the job. Absent: one like the pipeline's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<JobName>,
    /// The text of the pipeline file.
    pub pipeline: String,
    /// The absolute path of the pipeline file. Relative paths of data lead from its folder, and messages show it.
    pub path: PathBuf,
    /// The components and models of the pipeline: the path that the file has, and the digest of its bytes.
    #[serde(default)]
    pub files: BTreeMap<String, Digest>,
    /// When another attempt follows an attempt that its user did not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartOn>,
    /// Milliseconds that a drain may take; 30,000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<u64>,
    /// `thread` (default) or `process`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<JobIsolation>,
    /// Words about the job.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Only check: whether it is valid, whether it fits, and what each instance would get.
    #[serde(default)]
    pub dry_run: bool,
}

/// Drain timeout of a job that names none.
const DRAIN: u64 = 30_000;
/// Most labels, and most bytes of each.
const LABELS: usize = 32;

impl JobRequest {
    /// Checks everything that can be known from the request alone.
    ///
    /// # Errors
    /// A problem with its place in the pipeline file, where it has one.
    ///
    /// `data` is the folder to which relative paths of data lead, for a job of a tenant.
    pub fn checked(
        self,
        data: Option<PathBuf>,
        (tenant, ceiling): (Option<TenantName>, Option<&TenantCeiling>),
        secrets: &BTreeSet<String>,
        key: Option<IdempotencyKey>,
        who: String,
    ) -> Result<Submission, Problem> {
        let beside = match self.path.parent() {
            Some(folder) if self.path.is_absolute() && is_plain(&self.path) => folder.to_owned(),
            _ => {
                let shown = self.path.display().to_string();
                let detail = format!("path is \"{}\", it must be an absolute path without ..", shown.escape_default());
                return Err(Problem::unprocessable("bad-path", detail));
            }
        };
        let drain_timeout = self.drain_timeout.unwrap_or(DRAIN);
        if drain_timeout > Timeouts::LONGEST_DRAIN {
            let detail =
                format!("drain_timeout is {drain_timeout} ms, at most {} are allowed", Timeouts::LONGEST_DRAIN);
            return Err(Problem::unprocessable("bad-drain-timeout", detail));
        }
        if self.labels.len() > LABELS || self.labels.iter().any(|(name, value)| name.len() > 63 || value.len() > 255) {
            let detail = format!("labels are at most {LABELS}, with names of 63 and values of 255 bytes");
            return Err(Problem::unprocessable("bad-labels", detail));
        }
        let isolation = isolation(self.isolation, ceiling)?;
        let mut parsed = parse(&self.path.display().to_string(), self.pipeline.as_bytes());
        find_values(&mut parsed, secrets);
        if !parsed.diagnostics.is_empty() {
            let report: Value = serde_json::to_value(&parsed.diagnostics).unwrap_or_default();
            return Err(Problem::unprocessable("pipeline-invalid", parsed.diagnostics.count())
                .with("exit_code", 2)
                .with("error", report_of(&parsed.diagnostics.count(), report))
                .with("text", parsed.diagnostics.render(false)));
        }
        let named = came_with(&parsed.pipeline);
        if let Some(path) = named.iter().find(|path| !self.files.contains_key(*path)) {
            return Err(Denied::FileUnnamed { path: path.clone() }.into());
        }
        if let Some(path) = self.files.keys().find(|path| !named.contains(*path)) {
            let detail = format!("files has \"{}\", which the pipeline does not name", path.escape_default());
            return Err(Problem::unprocessable("file-unused", detail));
        }
        let stem = self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let pipeline_name = parsed.pipeline.name.map(|name| name.value).or(stem).unwrap_or_default();
        Ok(Submission {
            tenant,
            name: self.name,
            pipeline_name,
            pipeline: self.pipeline.into_bytes(),
            shown_as: Some(self.path),
            data: data.unwrap_or(beside),
            files: self.files,
            isolation,
            restart: RestartPolicy { on: self.restart },
            drain_timeout,
            labels: self.labels,
            idempotency: key,
            who,
            checkpoint: parsed.pipeline.checkpoint.map(|checkpoint| checkpoint.folder.value),
        })
    }

    /// The paths of the components and models that a pipeline names. The client uploads them.
    #[must_use]
    pub fn files_of(pipeline: &Pipeline) -> BTreeSet<String> {
        came_with(pipeline)
    }
}

/// Adds an error for each value that would come from the server's machine, and for each secret that is not there. The
/// values themselves are put in their places by the process of the job.
fn find_values(parsed: &mut Parsed, secrets: &BTreeSet<String>) {
    let mut looked_at = parsed.pipeline.clone();
    let there = |reference: &ConfigReference| match refused_by_a_server(reference) {
        Some(why) => Err(why),
        None if secrets.contains(&reference.name) => Ok(String::new()),
        None => Err(no_secret(&reference.name)),
    };
    looked_at.resolve(there, &mut parsed.diagnostics);
}

/// How the instances of a job are isolated. Those of a tenant are in processes, unless its ceiling allows threads.
fn isolation(asked: Option<JobIsolation>, ceiling: Option<&TenantCeiling>) -> Result<JobIsolation, Problem> {
    match (asked, ceiling) {
        (Some(JobIsolation::Thread), Some(ceiling)) if !ceiling.may_use_threads => {
            let detail = "isolation is thread, jobs of this tenant run in processes of their own";
            Err(Problem::unprocessable("isolation-too-weak", detail).hint("leave it out, or ask for process"))
        }
        (Some(asked), _) => Ok(asked),
        (None, Some(ceiling)) if !ceiling.may_use_threads => Ok(JobIsolation::Process),
        (None, _) => Ok(JobIsolation::Thread),
    }
}

fn came_with(pipeline: &Pipeline) -> BTreeSet<String> {
    let components = pipeline.components().map(|component| component.path.value.clone());
    let models = pipeline.models.iter().map(|model| model.spec.path.to_string_lossy().into_owned());
    components.chain(models).collect()
}

fn is_plain(path: &Path) -> bool {
    !path.components().any(|part| matches!(part, std::path::Component::ParentDir))
}

/// An error as `--output json` prints it.
fn report_of(message: &str, report: Value) -> Value {
    let mut error = json!({ "exit_code": 2, "message": message });
    if let (Some(error), Value::Object(report)) = (error.as_object_mut(), json!({ "report": report })) {
        error.extend(report);
    }
    error
}
