use std::collections::BTreeMap;
use std::env::consts::ARCH;

use libc::{ENOSYS, EPERM, PROT_EXEC};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

use super::call_pattern::{Test, Way};
use super::calls::{Calls, allowed, refused_to_drive};
use super::error::LockdownError;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Limits every thread of the process to these calls from now on. Other calls fail with `EPERM`, so that code
/// with a fallback can use it.
pub(super) fn install(calls: &Calls) -> Result<(), LockdownError> {
    // The kernel reads the flags of `clone3` from memory, which a filter cannot read. If `clone3` seems
    // missing, libc uses `clone`. One filter has a single result for its refused calls, so `clone3` has a
    // filter of its own.
    let mut hidden = rules([(libc::SYS_clone3, vec![])])?;
    if calls.compiles {
        // `RLIMIT_DATA` does not count memory files. If `memfd_create` seems missing, wasmtime copies the
        // initial data of a guest.
        hidden.insert(libc::SYS_memfd_create, vec![]);
    }
    apply(hidden, SeccompAction::Allow, SeccompAction::Errno(ENOSYS.unsigned_abs()))?;
    if calls.drives {
        let refused = rules(refused_to_drive(calls.process))?;
        return apply(refused, SeccompAction::Allow, SeccompAction::Errno(EPERM.unsigned_abs()));
    }
    let known = rules(allowed(calls).into_iter().chain([(libc::SYS_clone3, vec![])]))?;
    apply(known, SeccompAction::Errno(EPERM.unsigned_abs()), SeccompAction::Allow)
}

/// Stops every thread of the process from making executable memory. A [`Purpose::Compile`](super::Purpose)
/// process calls it after it compiled a component and before it asks the component for its side outputs.
///
/// # Errors
/// The kernel refuses the filter.
pub fn forbid_new_code() -> Result<(), LockdownError> {
    let executable = || vec![vec![(2, Test::Bits { of: PROT_EXEC as u64, are: PROT_EXEC as u64 })]];
    let refused =
        rules([(libc::SYS_mmap, executable()), (libc::SYS_mprotect, executable()), (libc::SYS_seccomp, vec![])])?;
    apply(refused, SeccompAction::Allow, SeccompAction::Errno(EPERM.unsigned_abs()))
}

fn rules(calls: impl IntoIterator<Item = (i64, Vec<Way>)>) -> Result<Rules, LockdownError> {
    let mut rules = Rules::new();
    for (number, ways) in calls {
        let ways: Result<Vec<_>, _> = ways.into_iter().map(rule).collect();
        rules.entry(number).or_default().extend(ways?);
    }
    Ok(rules)
}

fn rule(way: Way) -> Result<SeccompRule, LockdownError> {
    let conditions: Result<Vec<_>, _> = way
        .into_iter()
        .map(|(argument, test)| {
            let (length, operator, value) = match test {
                Test::Is(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value),
                Test::IsNot(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value),
                Test::IsWhole(value) => (SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value),
                Test::Bits { of, are } => (SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(of), are),
            };
            SeccompCondition::new(argument, length, operator, value)
        })
        .collect();
    let conditions = conditions.map_err(seccompiler::Error::from)?;
    Ok(SeccompRule::new(conditions).map_err(seccompiler::Error::from)?)
}

fn apply(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<(), LockdownError> {
    let machine = TargetArch::try_from(ARCH).map_err(|_| LockdownError::Machine(ARCH))?;
    let filter = SeccompFilter::new(rules, otherwise, matched, machine).map_err(seccompiler::Error::from)?;
    let program = BpfProgram::try_from(filter).map_err(seccompiler::Error::from)?;
    Ok(apply_filter_all_threads(&program)?)
}
