use std::sync::Arc;

use sage_jobs::{ControlRequest, JobStatus, now};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::bounds::{LINGER, LIVE_BYTES, LIVE_EVERY, LIVE_TIME};
use super::call_job::call_bounded;
use super::context::Context;
use super::live_jobs::Watched;
use crate::live::Look;
use crate::store::JobId;

/// Watches a job, for as long as the value lives.
pub(super) fn watch(context: &Context, id: JobId) -> Arc<Watched> {
    context.live.watch(id, |watched| drop(tokio::spawn(look_again(context.clone(), id, watched))))
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
            watched.end();
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
