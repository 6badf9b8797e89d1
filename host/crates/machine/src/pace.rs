use std::time::Duration;

use super::cpu_clock::{process_cpu_time, process_cpu_time_of};

/// The time between two looks of a thread that watches what others change: short while the process works, and long
/// while it is idle, because an idle process neither suffers from a change nor disturbs anyone.
///
/// 1,000 idle runs with five looks a second each would use a whole CPU.
#[derive(Debug, Default)]
pub struct Pace {
    used: Duration,
    /// Looks in a row that found no work.
    idle: u32,
}

impl Pace {
    /// Time between two looks while the process works.
    pub const BUSY: Duration = Duration::from_millis(200);
    /// Time between two looks while the process is idle.
    pub const IDLE: Duration = Duration::from_millis(900);
    /// Longest time between two looks of [`Self::next_after_rest`].
    pub const RESTING: Duration = Duration::from_millis(3600);
    /// CPU time since the last look from which the process counts as busy.
    const WORK: Duration = Duration::from_millis(2);

    /// Whether this process and those children have worked since the last call. The first call says so too.
    pub fn worked(&mut self, children: impl Iterator<Item = i32>) -> bool {
        let children = children.map(process_cpu_time_of).fold(Duration::ZERO, |sum, one| sum.saturating_add(one));
        let used = process_cpu_time().saturating_add(children);
        // A child that has ended takes its time along. What it did in the meantime is not known.
        let worked = used.checked_sub(self.used).is_none_or(|since| since >= Self::WORK);
        self.used = used;
        self.idle = if worked { 0 } else { self.idle.saturating_add(1) };
        worked
    }

    /// The time until the next look of a thread whose looks are dear: the longer the process is idle, the longer, up to
    /// [`Self::RESTING`].
    #[must_use]
    pub fn next_after_rest(&self) -> Duration {
        match self.idle {
            0 => Self::BUSY,
            idle => (Self::IDLE * (1 << (idle - 1).min(2))).min(Self::RESTING),
        }
    }

    /// The time until the next look.
    #[must_use]
    pub fn next(worked: bool) -> Duration {
        if worked { Self::BUSY } else { Self::IDLE }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use sage_test_support::wait_until;

    use super::*;

    #[test]
    fn work_of_the_process_and_of_its_children_is_noticed() {
        let mut pace = Pace::default();
        assert!(pace.worked(std::iter::empty()), "nothing is known at first");
        let from = process_cpu_time();
        while process_cpu_time() - from < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        assert!(pace.worked(std::iter::empty()));
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        let number = i32::try_from(child.id()).unwrap();
        wait_until("the child works", || (process_cpu_time_of(number) > Duration::from_millis(5)).then_some(()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(process_cpu_time_of(number), Duration::ZERO);
    }

    #[test]
    fn dear_looks_become_rare_while_nothing_happens() {
        let pauses = (0..6).map(|idle| Pace { idle, ..Pace::default() }.next_after_rest().as_millis());
        assert_eq!(pauses.collect::<Vec<_>>(), [200, 900, 1800, 3600, 3600, 3600]);
    }
}
