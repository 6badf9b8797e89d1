/// A run of several calls that failed, or what was lost with a device, until it is known whose fault that was.
///
/// Each call is tried once more apart. What they took in vain is paid by those that fail apart too: each its own part, and together what the others and
/// the device's recovery took. If none fails, those pay that could not be tried any more, since their deadline had passed or their lease had ended; and if
/// all have their answers apart, each pays its own. So a call that has its answer pays for one run, whatever failed beside it.
#[derive(Debug)]
pub(super) struct FailedRun<T> {
    pub(super) number: u64,
    pub(super) model: usize,
    /// Nanoseconds that the device took to be ready again.
    pub(super) recovery: u64,
    members: Vec<Member<T>>,
}

/// A call that was in it.
#[derive(Debug)]
pub(super) struct Member<T> {
    pub(super) call: T,
    pub(super) lease: u64,
    pub(super) share: u32,
    pub(super) rows: usize,
    /// Nanoseconds of the device that its part of its run took.
    pub(super) took: u64,
    pub(super) outcome: MemberOutcome,
}

/// What became of a call that was in a failed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberOutcome {
    /// It is yet to be tried apart.
    Open,
    /// It has its answer, or an error of its own that costs nobody else anything.
    Cleared,
    /// It was not tried apart.
    Gone,
    /// It failed apart.
    Failed,
    /// The device's process was killed for it, which it had held past its deadline.
    Culprit,
}

/// Where a call that is tried once more belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Apart {
    /// The failed run's number.
    pub(super) failed: u64,
    /// Its place among the members.
    pub(super) member: usize,
    /// Nothing else runs on the device meanwhile: what failed took more with it than its own run.
    pub(super) exclusive: bool,
}

impl<T> FailedRun<T> {
    pub(super) fn new(number: u64, model: usize) -> Self {
        Self { number, model, recovery: 0, members: Vec::new() }
    }

    /// Adds a call; answers its place.
    pub(super) fn add(&mut self, member: Member<T>) -> usize {
        self.members.push(member);
        self.members.len() - 1
    }

    /// Notes what became of one of its calls.
    pub(super) fn note(&mut self, member: usize, outcome: MemberOutcome) {
        if let Some(member) = self.members.get_mut(member) {
            member.outcome = outcome;
        }
    }

    /// Whether the outcome of each is known.
    pub(super) fn is_settled(&self) -> bool {
        self.members.iter().all(|member| member.outcome != MemberOutcome::Open)
    }

    /// The worst outcome of any.
    pub(super) fn worst(&self) -> MemberOutcome {
        let has = |outcome| self.members.iter().any(|member| member.outcome == outcome);
        [MemberOutcome::Culprit, MemberOutcome::Failed, MemberOutcome::Gone]
            .into_iter()
            .find(|outcome| has(*outcome))
            .unwrap_or(MemberOutcome::Cleared)
    }

    /// All rows that ran in it.
    pub(super) fn rows(&self) -> usize {
        self.members.iter().map(|member| member.rows).sum()
    }

    /// Who may have to pay how much of what it has taken so far, in nanoseconds.
    pub(super) fn suspects(&self) -> impl Iterator<Item = (&Member<T>, u64)> {
        let rows = self.rows();
        let own = move |member: &Member<T>| member.took.saturating_add(part(self.recovery, member.rows, rows));
        self.members.iter().map(move |member| (member, own(member)))
    }

    /// Who pays how much, in nanoseconds.
    pub(super) fn payers(&self) -> impl Iterator<Item = (&Member<T>, u64)> {
        let worst = self.worst();
        let shares = move |member: &Member<T>| member.outcome == worst;
        // Whoever failed apart would have taken its own part in any company.
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

/// What so many of all rows come to of a time.
pub(super) fn part(took: u64, rows: usize, all: usize) -> u64 {
    let part = u128::from(took) * rows as u128 / (all as u128).max(1);
    u64::try_from(part).unwrap_or(u64::MAX)
}
