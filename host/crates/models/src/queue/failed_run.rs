/// A failed run of several calls, or the runs that were lost with a device, until the culprit is known.
///
/// Each call is retried once in isolation. The wasted device time is charged as follows:
///
/// - If calls fail in isolation too, each of them pays its own part. Together they also pay the parts of the
///   other calls and the recovery of the device.
/// - If none fails in isolation, the calls that could not be retried pay in the same way. Their deadline had
///   passed, or their lease had ended.
/// - If all calls get their results in isolation, each pays its own part.
///
/// So a call that gets its result pays for one run, even if other calls failed beside it.
#[derive(Debug)]
pub(super) struct FailedRun<T> {
    pub(super) number: u64,
    pub(super) model: usize,
    /// Nanoseconds until the device was ready again.
    pub(super) recovery: u64,
    members: Vec<Member<T>>,
}

/// A call of the failed run.
#[derive(Debug)]
pub(super) struct Member<T> {
    pub(super) call: T,
    pub(super) lease: u64,
    pub(super) share: u32,
    pub(super) rows: usize,
    /// Nanoseconds of device time for this call's part of its run.
    pub(super) took: u64,
    pub(super) outcome: MemberOutcome,
}

/// The outcome of a call of a failed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberOutcome {
    /// The retry in isolation has not ended yet.
    Open,
    /// The call has its result, or an error of its own that costs other calls nothing.
    Cleared,
    /// The call was not retried in isolation.
    Gone,
    /// The call failed in isolation.
    Failed,
    /// The device's process was killed because of this call, which held it past its deadline.
    Culprit,
}

/// The failed run to which a retried call belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Apart {
    /// The failed run's number.
    pub(super) failed: u64,
    /// Index of the call among the members.
    pub(super) member: usize,
    /// Whether nothing else may run on the device during the retry, because the failure affected more than
    /// its own run.
    pub(super) exclusive: bool,
}

impl<T> FailedRun<T> {
    pub(super) fn new(number: u64, model: usize) -> Self {
        Self { number, model, recovery: 0, members: Vec::new() }
    }

    /// Adds a call. Returns its index.
    pub(super) fn add(&mut self, member: Member<T>) -> usize {
        self.members.push(member);
        self.members.len() - 1
    }

    /// Records the outcome of a call.
    pub(super) fn note(&mut self, member: usize, outcome: MemberOutcome) {
        if let Some(member) = self.members.get_mut(member) {
            member.outcome = outcome;
        }
    }

    /// Whether the outcome of every call is known.
    pub(super) fn is_settled(&self) -> bool {
        self.members.iter().all(|member| member.outcome != MemberOutcome::Open)
    }

    /// The worst outcome of all calls.
    pub(super) fn worst(&self) -> MemberOutcome {
        let has = |outcome| self.members.iter().any(|member| member.outcome == outcome);
        [MemberOutcome::Culprit, MemberOutcome::Failed, MemberOutcome::Gone]
            .into_iter()
            .find(|outcome| has(*outcome))
            .unwrap_or(MemberOutcome::Cleared)
    }

    /// Number of rows of all calls.
    pub(super) fn rows(&self) -> usize {
        self.members.iter().map(|member| member.rows).sum()
    }

    /// The calls that may have to pay, with the nanoseconds of device time that each has used so far.
    pub(super) fn suspects(&self) -> impl Iterator<Item = (&Member<T>, u64)> {
        let rows = self.rows();
        let own = move |member: &Member<T>| member.took.saturating_add(part(self.recovery, member.rows, rows));
        self.members.iter().map(move |member| (member, own(member)))
    }

    /// The calls that pay, with nanoseconds.
    pub(super) fn payers(&self) -> impl Iterator<Item = (&Member<T>, u64)> {
        let worst = self.worst();
        let shares = move |member: &Member<T>| member.outcome == worst;
        // A call that failed in isolation would have used its own part in any batch.
        let pays = move |member: &&Member<T>| shares(member) || member.outcome == MemberOutcome::Failed;
        let rows: usize = self.members.iter().filter(|member| shares(member)).map(|member| member.rows).sum();
        let others = self.members.iter().filter(move |member| !pays(member)).map(|member| member.took);
        let shared = others.fold(self.recovery, u64::saturating_add);
        let own = move |member: &Member<T>| {
            let more = if shares(member) { part(shared, member.rows, rows) } else { 0 };
            member.took.saturating_add(more)
        };
        self.members.iter().filter(pays).map(move |member| (member, own(member)))
    }
}

/// The part of a time for `rows` of `all` rows.
pub(super) fn part(took: u64, rows: usize, all: usize) -> u64 {
    let part = u128::from(took) * rows as u128 / (all as u128).max(1);
    u64::try_from(part).unwrap_or(u64::MAX)
}
