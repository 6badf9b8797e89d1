use std::fs;
use std::os::unix::net::UnixStream;

use rustix::net::sockopt::socket_peercred;
use rustix::process::{geteuid, getpid};

/// Checks that the process at the other end of a connection may control this job: it belongs to the same user or to
/// root, and is not a part of a job.
///
/// A worker of this job is refused, and so is every process in the control groups of this job. Code of the job that
/// escaped from its sandbox would be such a process.
///
/// # Errors
/// Why the peer is refused.
pub(super) fn check_peer(connection: &UnixStream) -> Result<(), String> {
    let peer = socket_peercred(connection).map_err(|error| format!("the peer cannot be determined: {error}"))?;
    let (own, user) = (geteuid(), peer.uid);
    if user != own && !user.is_root() {
        return Err(format!("only user {} and root may control this job, not user {}", own.as_raw(), user.as_raw()));
    }
    let number = peer.pid.as_raw_nonzero().get();
    if is_descendant(number) {
        return Err("a worker of this job may not control it".to_owned());
    }
    if shares_groups(number) {
        return Err("a process in the control groups of this job may not control it".to_owned());
    }
    Ok(())
}

/// Longest chain of parents that is followed. A longer one is cut short as if it led here.
const PARENTS: usize = 64;

/// Whether a process was started by this one, directly or not. A process that has ended or cannot be seen counts as
/// one, because nothing is known of it.
fn is_descendant(mut process: i32) -> bool {
    let own = getpid().as_raw_nonzero().get();
    for _ in 0..PARENTS {
        match process {
            process if process == own => return true,
            // The first process of the machine or container, or a parent outside of it.
            0 | 1 => return false,
            _ => {}
        }
        let Some(parent) = parent(process) else { return true };
        process = parent;
    }
    true
}

fn parent(process: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may contain anything, spaces and parentheses too.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Whether a process is in the control group of this job, or below it. This process is in the group `host` there.
fn shares_groups(process: i32) -> bool {
    let (Ok(own), Ok(other)) =
        (fs::read_to_string("/proc/self/cgroup"), fs::read_to_string(format!("/proc/{process}/cgroup")))
    else {
        return true;
    };
    let of_job = groups(&own).filter_map(|(hierarchy, path)| Some((hierarchy, path.strip_suffix("/host")?)));
    let of_job: Vec<(&str, &str)> = of_job.collect();
    groups(&other).any(|(hierarchy, path)| {
        of_job.iter().any(|(own, job)| {
            *own == hierarchy && path.strip_prefix(job).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    })
}

/// The groups of a process: the numbers of hierarchies with the path in each.
fn groups(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (hierarchy, rest) = line.split_once(':')?;
        Some((hierarchy, rest.split_once(':')?.1))
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_is_a_descendant_and_a_parent_is_not() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(is_descendant(i32::try_from(child.id()).unwrap()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_descendant(i32::try_from(child.id()).unwrap()), "nothing is known of it");
        let above = parent(getpid().as_raw_nonzero().get()).unwrap();
        assert!(!is_descendant(above));
    }

    #[test]
    fn a_connection_within_one_process_is_one_of_a_worker() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(check_peer(&one).unwrap_err(), "a worker of this job may not control it");
    }

    #[test]
    fn groups_are_read_with_their_hierarchies() {
        let text = "12:memory:/a/b:c\n0::/a\nnonsense\n";
        assert_eq!(groups(text).collect::<Vec<_>>(), [("12", "/a/b:c"), ("0", "/a")]);
    }
}
