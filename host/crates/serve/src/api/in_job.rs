use std::fs;
use std::path::Path;

use crate::store::JobId;

/// Whether a process is in the control groups of a job, which have the identifier of the job as a name. Code of a job
/// that escaped from its sandbox would be such a process. A process that has ended counts as one: nothing is known of
/// it.
pub(super) fn is_in_job(process: i32, jobs: &Path) -> bool {
    // A process outside of this one's namespace of processes has no number here, and jobs are inside.
    if process == 0 {
        return false;
    }
    let Ok(groups) = fs::read_to_string(format!("/proc/{process}/cgroup")) else { return true };
    jobs_in(&groups).any(|job| jobs.join(job.to_string()).exists())
}

/// The names that could be identifiers of jobs among the names of a process's groups.
fn jobs_in(groups: &str) -> impl Iterator<Item = JobId> {
    let paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    // A second group of one name has a number behind it.
    paths.flat_map(|path| path.split('/')).filter_map(|name| name.split('~').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_in_a_job_if_a_group_has_the_name_of_a_jobs_folder() {
        let jobs = tempfile::tempdir().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(!is_in_job(own, jobs.path()));
        assert!(!is_in_job(0, jobs.path()));
        assert!(is_in_job(i32::MAX, jobs.path()), "nothing is known of it");
        let text = "5:memory:/sage-host/blue/abcdefghijklmnop/host\n0::/x/abcdefghijklmno2~7\n1:cpu:/system.slice\n";
        let found: Vec<String> = jobs_in(text).map(|job| job.to_string()).collect();
        assert_eq!(found, ["abcdefghijklmnop", "abcdefghijklmno2"]);
    }
}
