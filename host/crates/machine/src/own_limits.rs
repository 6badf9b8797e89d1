use std::error::Error;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sage_text::short_size;

/// A system limit on this process as the cause of an error. Neither a guest nor the pipeline is at fault
/// then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnLimit {
    /// Name of the limit, and the amount that it allows.
    pub what: String,
    /// Advice on how to raise the limit.
    pub hint: &'static str,
}

/// The limit that caused a system error; `None` if no limit explains the error.
#[must_use]
pub fn limit_behind(error: Errno) -> Option<OwnLimit> {
    let limit = |what: String, hint| Some(OwnLimit { what, hint });
    match error {
        Errno::NOMEM => memory_limit(),
        Errno::MFILE => {
            let most = getrlimit(Resource::Nofile).current.map_or("so many".to_owned(), |most| most.to_string());
            limit(
                format!("this process may have {most} files open at a time (RLIMIT_NOFILE)"),
                "raise it with `ulimit -n`, or LimitNOFILE= in the unit",
            )
        }
        Errno::NFILE => limit(
            "all processes of this machine together have as many files open as it allows (fs.file-max)".to_owned(),
            "raise it with `sysctl fs.file-max`",
        ),
        Errno::AGAIN => {
            let most =
                getrlimit(Resource::Nproc).current.map_or("no limited number of".to_owned(), |most| most.to_string());
            limit(
                format!(
                    "this user may have {most} threads (RLIMIT_NPROC), \
                     and a control group may have a limit of its own (pids.max)"
                ),
                "raise it with `ulimit -u`, or TasksMax= in the unit; or lower parallelism",
            )
        }
        Errno::FBIG => {
            let most = getrlimit(Resource::Fsize).current?;
            limit(
                format!("this process may write files of {} (RLIMIT_FSIZE)", short_size(most)),
                "raise it with `ulimit -f`, or LimitFSIZE= in the unit",
            )
        }
        _ => None,
    }
}

/// Raises this process's limit of open files to the maximum that it may have. Workers and the files of guests take
/// descriptors of the host. If the maximum is too low, what needs a descriptor fails with an error that names the limit.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit of open files could not be raised");
    }
}

/// The limit that caused an error or one of its sources.
#[must_use]
pub fn limit_below(error: &(dyn Error + 'static)) -> Option<OwnLimit> {
    let system = error.downcast_ref::<io::Error>().and_then(Errno::from_io_error);
    let here = system.or_else(|| error.downcast_ref::<Errno>().copied()).and_then(limit_behind);
    here.or_else(|| limit_below(error.source()?))
}

/// The limit that caused an error of which only the text is known. The text ends as in the standard library:
/// `(os error 24)`.
#[must_use]
pub fn limit_named_in(text: &str) -> Option<OwnLimit> {
    // In framed text, a line may break anywhere.
    let plain: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ')').collect();
    let about_threads = || ["thread", "process", "lane", "engine"].iter().any(|word| text.contains(word));
    [Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::FBIG, Errno::AGAIN]
        .into_iter()
        .filter(|error| *error != Errno::AGAIN || about_threads())
        .find(|error| plain.contains(&format!("oserror{})", error.raw_os_error())))
        .and_then(limit_behind)
}

fn memory_limit() -> Option<OwnLimit> {
    let limits = [
        (
            Resource::As,
            "of addresses (RLIMIT_AS), and each lane reserves 4 GiB of them without using them",
            "raise it with `ulimit -v unlimited`, or LimitAS= in the unit; control groups bound memory instead",
        ),
        (Resource::Data, "of private memory (RLIMIT_DATA)", "raise it with `ulimit -d`, or LimitDATA= in the unit"),
    ];
    let mut limits = limits.into_iter().filter_map(|(resource, of, hint)| {
        let most = getrlimit(resource).current?;
        Some(OwnLimit { what: format!("this process may have {} {of}", short_size(most)), hint })
    });
    let strict = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").is_ok_and(|mode| mode.trim() == "2");
    let strict = strict.then(|| OwnLimit {
        what:
            "this machine promises no more memory than it has (vm.overcommit_memory = 2), and each lane reserves 4 GiB"
                .to_owned(),
        hint: "allow overcommitting with `sysctl vm.overcommit_memory=0`: reserved memory is not used",
    });
    limits.next().or(strict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_a_limit_of_the_process_causes_names_it() {
        let cases = [
            ("cannot read in.txt: Too many open files (os error 24)", Some("RLIMIT_NOFILE")),
            ("cannot read in.txt: Too many open files in system (os error 23)", Some("fs.file-max")),
            ("lane \"op-0.0\" cannot run: Resource temporarily unavailable (os error 11)", Some("RLIMIT_NPROC")),
            ("cannot read standard input: Resource temporarily unavailable (os error 11)", None),
            ("│ Too many open files (os\n  │ error 24)\n2 errors", Some("RLIMIT_NOFILE")),
            ("No space left on device (os error 28)", None),
            ("Is a directory (os error 21)", None),
            ("os error 240", None),
            ("os error 2", None),
        ];
        for (text, expected) in cases {
            let found = limit_named_in(text).map(|limit| limit.what);
            assert_eq!(found.is_some(), expected.is_some(), "{text}: {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{text}");
        }
    }
}
