use super::attempt::{listed, went_through};
use super::canary::Heard;
use super::examination::Examination;
use sage_machine::Tier;

const HINT: &str = "if a container's own filter blocks the calls, start the container with --security-opt \
                    seccomp=PROFILE.json and a profile that allows seccomp, landlock_create_ruleset, \
                    landlock_add_rule, landlock_restrict_self and memfd_create (seccomp=unconfined allows all); \
                    elsewhere, run a kernel with CONFIG_SECCOMP_FILTER on x86-64 or aarch64";

/// A worker tries forbidden system calls.
pub(super) fn examine(heard: Result<&Heard, &str>) -> Examination {
    let examined = |found, detail, hint| Examination {
        name: "system calls",
        found,
        needed: Tier::Hard,
        mechanism: "seccomp, no_new_privs, no capabilities".to_owned(),
        detail,
        hint,
    };
    let report = match heard {
        Ok(heard) => &heard.report,
        Err(error) => return examined(Tier::None, error.to_owned(), Some(HINT.to_owned())),
    };
    match went_through(&report.calls) {
        Some(through) => examined(Tier::None, format!("a worker was not refused: {through}"), Some(HINT.to_owned())),
        None => examined(Tier::Hard, format!("a worker was refused: {}", listed(&report.calls)), None),
    }
}
