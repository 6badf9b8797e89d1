use std::path::Path;
use std::{fs, io};

use serde::Deserialize;

use crate::error::{JobError, failed};
use crate::{
    AliveLock, JobEnd, JobFolder, JobOrder, JobState, JobStatus, VERSION, is_known_version, now, read_json, write_json,
};

/// Begins the attempt that the order names: takes the job's lock, for as long as the value lives, and writes the first
/// status. The lock is the one that the server passed on, if it did.
///
/// No attempt begins twice: an attempt with a status or an end has begun before. The end of an earlier attempt is
/// removed.
///
/// # Errors
/// [`JobError::Alive`] if another process is this job, [`JobError::Begun`] if the attempt has begun before,
/// [`JobError::Version`] for an order of a version that this program does not know; errors of the files.
pub fn begin(folder: &JobFolder, program: &str) -> Result<(AliveLock, JobOrder), JobError> {
    let lock = AliveLock::take_inherited(&folder.alive_lock())?;
    let order: JobOrder = order(&folder.order())?;
    if last_attempt(folder)? >= Some(order.attempt) {
        return Err(JobError::Begun { path: folder.path().to_owned(), attempt: order.attempt });
    }
    let now = now();
    let status = JobStatus {
        version: VERSION,
        id: order.id.clone(),
        attempt: order.attempt,
        program: program.to_owned(),
        at: now,
        state: JobState::Starting,
        since: now,
        stages: Vec::new(),
    };
    write_json(&folder.status(), &status)?;
    // The status tells the attempt from now on.
    match fs::remove_file(folder.end()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &folder.end())(error)),
        _ => Ok((lock, order)),
    }
}

/// Reads an order. Its version comes first: an order of another version may have other fields.
fn order(path: &Path) -> Result<JobOrder, JobError> {
    let Versioned { version } = read_json(path)?;
    if !is_known_version(version) {
        return Err(JobError::Version { path: path.to_owned(), version });
    }
    read_json(path)
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The last attempt that began; `None` if none did.
///
/// # Errors
/// A status or an end cannot be read.
pub fn last_attempt(folder: &JobFolder) -> Result<Option<u32>, JobError> {
    let status = present(read_json::<JobStatus>(&folder.status()))?.map(|status| status.attempt);
    let end = present(read_json::<JobEnd>(&folder.end()))?.map(|end| end.attempt);
    Ok(status.max(end))
}

fn present<T>(read: Result<T, JobError>) -> Result<Option<T>, JobError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{JobIsolation, JobOutcome};

    #[test]
    fn no_attempt_begins_twice() {
        let root = tempfile::tempdir().unwrap();
        let folder = JobFolder::new(root.path());
        let order = |attempt| JobOrder {
            version: VERSION,
            id: "a".to_owned(),
            name: "celsius".to_owned(),
            tenant: None,
            revision: 1,
            attempt,
            pipeline: "/p.toml".into(),
            shown_as: None,
            files: [("a.wasm".to_owned(), "/b.wasm".into())].into(),
            data: "/".into(),
            host_file: None,
            isolation: JobIsolation::Thread,
            drain_timeout: Duration::from_secs(30),
            socket: "/s".into(),
            folders: Vec::new(),
            connect: Vec::new(),
            models: None,
            signers: None,
            secrets: std::collections::BTreeMap::new(),
            user: None,
            cache: None,
            hard_limits: false,
        };
        write_json(&folder.order(), &order(1)).unwrap();
        let (lock, begun) = begin(&folder, "0").unwrap();
        assert_eq!(begun, order(1));
        assert!(matches!(begin(&folder, "0").unwrap_err(), JobError::Alive { .. }));
        drop(lock);
        let again = begin(&folder, "0").unwrap_err();
        assert!(matches!(again, JobError::Begun { attempt: 1, .. }), "{again}");
        write_json(&folder.order(), &order(2)).unwrap();
        drop(begin(&folder, "0").unwrap());

        let end = JobEnd {
            version: VERSION,
            id: "a".to_owned(),
            attempt: 2,
            at: 0,
            outcome: JobOutcome::Completed,
            exit_code: 0,
            summary: None,
            error: None,
        };
        write_json(&folder.end(), &end).unwrap();
        write_json(&folder.order(), &order(3)).unwrap();
        drop(begin(&folder, "0").unwrap());
        assert!(!folder.end().exists(), "the end of attempt 2 says nothing about attempt 3");
    }

    #[test]
    fn an_order_of_another_version_is_refused_whatever_its_fields_are() {
        let root = tempfile::tempdir().unwrap();
        let folder = JobFolder::new(root.path());
        fs::write(folder.order(), r#"{"version":7,"what":"is this"}"#).unwrap();
        let refused = begin(&folder, "0").unwrap_err();
        assert!(refused.to_string().ends_with("order.json is of version 7, and this program knows 1"), "{refused}");
    }
}
