use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// An action that must not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// The action.
    pub(super) what: String,
    /// The error number of the kernel; `None` if the action succeeded.
    pub(super) refused: Option<i32>,
}

impl Attempt {
    pub(super) fn of<T>(what: &str, outcome: Result<T, Errno>) -> Self {
        Self { what: what.to_owned(), refused: outcome.err().map(Errno::raw_os_error) }
    }

    /// Returns `true` if the kernel forbade the action. A missing resource does not count.
    pub(super) fn is_forbidden(&self) -> bool {
        self.refused.is_some_and(|code| [Errno::PERM, Errno::ACCESS].contains(&Errno::from_raw_os_error(code)))
    }
}

/// The actions that were not forbidden, as text for people; `None` if all were forbidden.
pub(super) fn went_through(attempts: &[Attempt]) -> Option<String> {
    let through: Vec<&str> =
        attempts.iter().filter(|attempt| !attempt.is_forbidden()).map(|attempt| attempt.what.as_str()).collect();
    (!through.is_empty()).then(|| through.join(", "))
}

/// The actions, as text for people.
pub(super) fn listed(attempts: &[Attempt]) -> String {
    attempts.iter().map(|attempt| attempt.what.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_for_another_reason_than_a_right_counts_as_gone_through() {
        let attempts = [
            Attempt::of("forbidden", Err::<(), _>(Errno::PERM)),
            Attempt::of("denied", Err::<(), _>(Errno::ACCESS)),
            Attempt::of("missing", Err::<(), _>(Errno::NOENT)),
            Attempt::of("done", Ok(())),
        ];
        assert_eq!(went_through(&attempts).as_deref(), Some("missing, done"));
        assert_eq!(went_through(attempts.get(..2).unwrap()), None);
    }
}
