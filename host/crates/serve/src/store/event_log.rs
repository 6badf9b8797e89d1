use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sage_plan::config::TenantName;
use serde::{Deserialize, Serialize};

use super::{JobId, JobName};

/// A change of a job's state, as users see it. `seq` rises over all jobs of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEvent {
    /// Number of the event.
    pub seq: u64,
    /// When it happened, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The job.
    pub id: JobId,
    /// Its name.
    pub job: JobName,
    /// Its tenant; absent for jobs of the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
    /// The state before; absent for a new job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The state after.
    pub to: String,
    /// Number of the last attempt.
    pub attempt: u32,
    /// The revision in force; 0 in events of an earlier version.
    #[serde(default)]
    pub revision: u32,
    /// Why, as a stable word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The file of a job's events. An event that cannot be written is lost: it must not keep a job from its next state.
#[derive(Debug)]
pub struct EventLog;

impl EventLog {
    /// Size at which the older half is dropped.
    const MOST: u64 = 256 << 10;

    /// Appends an event.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(path: &Path, event: &JobEvent) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        if file.metadata()?.len() > Self::MOST {
            let text = fs::read(path)?;
            let half = text.get(text.len() / 2..).unwrap_or_default();
            let begin = half.iter().position(|byte| *byte == b'\n').map_or(half.len(), |at| at + 1);
            let beside = path.with_extension("new");
            // The user of the job may make files in the folder, so what is there is not written to.
            let _ = fs::remove_file(&beside);
            let mut kept = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            kept.write_all(half.get(begin..).unwrap_or_default())?;
            fs::rename(&beside, path)?;
            file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        }
        file.write_all(&line)
    }

    /// Number of the last event in a file.
    #[must_use]
    pub fn last_seq(path: &Path) -> Option<u64> {
        let mut file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(8 << 10))).ok()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).ok()?;
        let lines = text.split(|byte| *byte == b'\n').rev();
        let event: JobEvent = lines.filter_map(|line| serde_json::from_slice(line).ok()).next()?;
        Some(event.seq)
    }

    /// All events in a file. A torn line is left out.
    #[must_use]
    pub fn read(path: &Path) -> Vec<JobEvent> {
        let text = fs::read(path).unwrap_or_default();
        text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_events_go_and_torn_lines_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let id = JobId::random().unwrap();
        let event = |seq| JobEvent {
            seq,
            at: 1,
            id,
            job: "a".parse().unwrap(),
            tenant: None,
            from: None,
            to: "queued".to_owned(),
            attempt: 0,
            revision: 1,
            code: None,
            message: Some("x".repeat(1000)),
        };
        for seq in 1..=600 {
            EventLog::append(&path, &event(seq)).unwrap();
        }
        let read = EventLog::read(&path);
        assert_eq!(read.last(), Some(&event(600)));
        assert_eq!(EventLog::last_seq(&path), Some(600));
        assert!(read.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
        assert!(fs::metadata(&path).unwrap().len() <= EventLog::MOST + 2000);
        let whole = read.len();
        let mut torn = fs::read(&path).unwrap();
        torn.truncate(torn.len() - 5);
        fs::write(&path, torn).unwrap();
        assert_eq!(EventLog::read(&path).len(), whole - 1);
    }
}
