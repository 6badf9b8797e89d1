use std::time::{Duration, Instant};

use sage_serve::api::Client;
use sage_serve::server::JobDetail;

use super::connection::of_client;
use crate::failure::Failure;

/// First and longest pause between two looks.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(250);

/// Looks at a job until it is as wanted or has ended. `changed` is told each state once.
pub(super) fn wait_for(
    client: &Client,
    name: &str,
    wanted: impl Fn(&JobDetail) -> bool,
    changed: impl FnMut(&JobDetail),
) -> Result<JobDetail, Failure> {
    wait_while(client, name, |job| !wanted(job) && !is_over(job), changed)
}

/// Looks at a job until something is not so any more. `changed` is told each state once.
pub(super) fn wait_while(
    client: &Client,
    name: &str,
    is_so: impl Fn(&JobDetail) -> bool,
    mut changed: impl FnMut(&JobDetail),
) -> Result<JobDetail, Failure> {
    let mut pause = FIRST;
    let mut last = None;
    let mut since = Instant::now();
    loop {
        let job: JobDetail = client.get(&format!("/v1/jobs/{name}")).map_err(of_client)?;
        let stage = job.rollout.as_ref().map(|rollout| rollout.stage);
        let shown = (job.row.state.clone(), job.row.why.clone(), stage);
        if last.as_ref() != Some(&shown) {
            changed(&job);
            last = Some(shown);
            (pause, since) = (FIRST, Instant::now());
        }
        if !is_so(&job) {
            return Ok(job);
        }
        std::thread::sleep(pause);
        // Short pauses are for what takes milliseconds.
        if since.elapsed() > 10 * pause {
            pause = (2 * pause).min(LONGEST);
        }
    }
}

/// Whether a job has ended.
pub(super) fn is_over(job: &JobDetail) -> bool {
    job.row.exit_code.is_some()
}
