use clap::ValueEnum;

/// The place in which instances run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Isolation {
    /// In this process, each in a sandbox and with threads of its own.
    Thread,
    /// Each in a process of its own, in a control group that limits it to its resources: the kernel kills an
    /// instance that exceeds them, and no other. `sage-host doctor` shows which limits can be enforced here.
    Process,
}
