use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sage_jobs::{ControlRequest, JobStatus, now};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::bounds::{LINGER, LIVE_BYTES, LIVE_EVERY, LIVE_TIME};
use super::call_job::call_bounded;
use super::context::Context;
use crate::live::{History, Look};
use crate::store::JobId;

/// The jobs that someone watches. Each is asked once a second, however many watch it, and not at all when nobody does.
#[derive(Debug, Clone, Default)]
pub(super) struct LiveJobs(Arc<Mutex<HashMap<JobId, Weak<Watched>>>>);

/// A job that someone watches.
#[derive(Debug)]
pub(super) struct Watched {
    history: Mutex<History>,
    /// Number of the last look; `None` when the job is over and no further look follows.
    last: watch::Sender<Option<u64>>,
}

impl LiveJobs {
    /// Watches a job, for as long as the value lives.
    pub(super) fn watch(&self, context: &Context, id: JobId) -> Arc<Watched> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, watched| watched.strong_count() > 0);
        let known = jobs.get(&id).and_then(Weak::upgrade);
        if let Some(watched) = known.filter(|watched| watched.last.borrow().is_some()) {
            return watched;
        }
        let (last, _) = watch::channel(Some(0));
        let watched = Arc::new(Watched { history: Mutex::default(), last });
        jobs.insert(id, Arc::downgrade(&watched));
        tokio::spawn(look_again(context.clone(), id, Arc::clone(&watched)));
        watched
    }
}

impl Watched {
    /// Waits for a look after number `since`. `false`: none follows.
    pub(super) async fn next(&self, since: u64) -> bool {
        let mut last = self.last.subscribe();
        let found = last.wait_for(|last| last.is_none_or(|last| last > since)).await;
        let goes_on = found.is_ok_and(|last| last.is_some());
        goes_on || self.history().last().is_some_and(|look| look.seq > since)
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, look: Look) {
        let seq = self.history().add(look);
        self.last.send_replace(Some(seq));
    }
}

/// Looks at a job each second until it is over, or nobody has watched it for a while.
async fn look_again(context: Context, id: JobId, watched: Arc<Watched>) {
    let mut earlier: Option<JobStatus> = None;
    let mut watched_at = Instant::now();
    let mut ticks = interval(LIVE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // This task holds one of them.
        if Arc::strong_count(&watched) > 1 {
            watched_at = Instant::now();
        }
        let is_over = context.ask(move |server| server.is_over(id)).await.unwrap_or(true);
        if is_over || watched_at.elapsed() > LINGER {
            watched.last.send_replace(None);
            return;
        }
        // A job that waits has no process to look at.
        let Ok(Ok((socket, attempt))) = context.ask(move |server| server.live_attempt(id)).await else { continue };
        let answer = call_bounded(&socket, &ControlRequest::Status, LIVE_TIME, LIVE_BYTES).await;
        let status = answer.map_err(|error| error.to_string()).and_then(|answer| {
            serde_json::from_value::<JobStatus>(answer).map_err(|error| format!("its status cannot be read: {error}"))
        });
        match status {
            Ok(status) => {
                watched.add(Look::between(earlier.as_ref(), &status));
                earlier = Some(status);
            }
            Err(why) => watched.add(Look::silent(attempt, why, now())),
        }
    }
}
