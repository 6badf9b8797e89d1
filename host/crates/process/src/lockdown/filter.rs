use std::collections::BTreeMap;
use std::env::consts::ARCH;

use libc::{ENOSYS, EPERM, PROT_EXEC};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

use super::calls::{Calls, allowed, refused_to_drive};
use super::error::LockdownError;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// One way in which a call is meant: all of these conditions hold. None at all: any call of that number.
pub(super) type Way = Vec<(u8, Test)>;

/// What is asked of an argument of a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Test {
    /// It is this, in its lower 32 bits (numbers and flags that the kernel takes as `int`).
    Is(u64),
    /// It is not this, in its lower 32 bits.
    IsNot(u64),
    /// It is this, in all 64 bits.
    IsWhole(u64),
    /// Of these bits, exactly those are set.
    Bits {
        /// Which bits.
        of: u64,
        /// Which of them are set.
        are: u64,
    },
}

/// From now on every thread of the process makes only these calls. Others fail with `EPERM`, so that code that tries something
/// and goes on without it does go on.
pub(super) fn install(calls: &Calls) -> Result<(), LockdownError> {
    // The kernel reads the flags of `clone3` from memory, where a filter cannot look: told that it is not there, libc uses
    // `clone`. A filter has one answer for what it refuses, so this is one of its own.
    let mut hidden = rules([(libc::SYS_clone3, vec![])])?;
    if calls.compiles {
        // `RLIMIT_DATA` does not count it. Told that it is not there, wasmtime copies a guest's initial data instead.
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

/// From now on no thread of the process makes memory executable: what a [`Purpose::Compile`](super::Purpose) does between
/// compiling a component and asking it for its side outputs.
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
