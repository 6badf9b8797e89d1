use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sage_jobs::{JobStatus, replace_json};

use super::job_state::JobState;
use crate::failure::Failure;

/// Shortest time between two versions of the file that differ only in their counts.
const EVERY: Duration = Duration::from_secs(1);

/// Writes the status to its file: at once when the state changes, and each second if counts have changed.
///
/// A version that cannot be written is skipped. The next one replaces it.
pub(super) struct StatusWriter {
    state: Arc<JobState>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StatusWriter {
    pub(super) fn start(path: PathBuf, state: Arc<JobState>) -> Result<Self, Failure> {
        let over = Arc::<AtomicBool>::default();
        let write = {
            let (state, over) = (Arc::clone(&state), Arc::clone(&over));
            move || write_until(&path, &state, &over)
        };
        let thread = thread::Builder::new().name("status".to_owned()).spawn(write);
        let thread = thread.map_err(|error| Failure::fault(format!("cannot write the status: {error}")))?;
        Ok(Self { state, over, thread: Some(thread) })
    }
}

fn write_until(path: &std::path::Path, state: &JobState, over: &AtomicBool) {
    let mut written: Option<JobStatus> = None;
    let mut changes = 0;
    while !over.load(Ordering::Acquire) {
        let status = state.status();
        let is_new = written.as_ref().is_none_or(|written| !says_the_same(written, &status));
        if is_new && replace_json(path, &status).is_ok() {
            written = Some(status);
        }
        changes = state.wait(changes, EVERY);
    }
}

/// Whether two versions differ in nothing but their time.
fn says_the_same(one: &JobStatus, other: &JobStatus) -> bool {
    one.state == other.state && one.since == other.since && one.stages == other.stages
}

impl Drop for StatusWriter {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.state.wake();
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported a panic of the thread.
            let _ = thread.join();
        }
    }
}
