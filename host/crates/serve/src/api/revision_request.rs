use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use sage_jobs::JobIsolation;
use serde::{Deserialize, Serialize};

use super::job_request::JobRequest;
use super::problem::Problem;
use crate::server::RolloutTerms;
use crate::store::Digest;

/// The body of `PUT /v1/jobs/{name}`: another revision of the job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisionRequest {
    /// The text of the pipeline file.
    pub pipeline: String,
    /// The absolute path of the pipeline file.
    pub path: PathBuf,
    /// The components and models of the pipeline: the path that the file has, and the digest of its bytes.
    #[serde(default)]
    pub files: BTreeMap<String, Digest>,
    /// `thread` or `process`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<JobIsolation>,
    /// Why, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Milliseconds for which it must run without a failure, or the one before comes back; 30,000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<u64>,
    /// Whether a job that runs may begin anew, if it does not go on from a checkpoint.
    #[serde(default)]
    pub accept_loss: bool,
}

/// The body of `POST /v1/jobs/{name}/rollback`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The revision. Absent: the one before the one in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// See [`RevisionRequest::watch`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<u64>,
    /// See [`RevisionRequest::accept_loss`].
    #[serde(default)]
    pub accept_loss: bool,
}

/// Time of a rollout that names none.
const WATCH: u64 = 30_000;
/// Longest time.
const LONGEST_WATCH: u64 = 24 * 60 * 60 * 1000;
/// Longest note.
const LONGEST_NOTE: usize = 1000;

impl RevisionRequest {
    /// The request that would submit it as a job, and the note.
    pub(super) fn split(self) -> Result<(JobRequest, Option<String>), Problem> {
        let Self { pipeline, path, files, isolation, note, .. } = self;
        if note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
            return Err(Problem::unprocessable("bad-note", format!("note has at most {LONGEST_NOTE} bytes")));
        }
        Ok((JobRequest { pipeline, path, files, isolation, ..JobRequest::default() }, note))
    }
}

/// The terms of a rollout.
pub(super) fn terms(headers: &HeaderMap, watch: Option<u64>, accepts_loss: bool) -> Result<RolloutTerms, Problem> {
    let watch = watch.unwrap_or(WATCH);
    if watch > LONGEST_WATCH {
        let detail = format!("watch is {watch} ms, at most {LONGEST_WATCH} are allowed");
        return Err(Problem::unprocessable("bad-watch", detail));
    }
    Ok(RolloutTerms { expected: expected(headers)?, watch, accepts_loss })
}

/// The revision in `If-Match`.
fn expected(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let Some(value) = headers.get("if-match") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
    let bad = || Problem::bad("bad-if-match", "If-Match must be * or one ETag that this server gave, such as \"3\"");
    number.map(Some).ok_or_else(bad)
}

/// The ETag of a job: the revision that is in force.
fn etag(revision: u32) -> String {
    format!("\"{revision}\"")
}

/// An answer with the ETag of the revision in force.
pub(super) fn tagged(mut response: Response, current: u32) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&etag(current)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_is_one_revision_or_any() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("if-match", text.parse().unwrap());
            expected(&headers)
        };
        assert_eq!(expected(&HeaderMap::new()).unwrap(), None);
        assert_eq!((of("*").unwrap(), of("\"3\"").unwrap(), of(&etag(7)).unwrap()), (None, Some(3), Some(7)));
        for wrong in ["3", "\"\"", "\"-1\"", "\"1\", \"2\"", "W/\"1\"", "\"99999999999\""] {
            assert_eq!(of(wrong).unwrap_err().code, "bad-if-match", "{wrong}");
        }
    }
}
