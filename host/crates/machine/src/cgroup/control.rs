use std::fmt;

use serde::Serialize;

/// What a group can be held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// Bytes of memory, the kernel's own for the group included.
    Memory,
    /// CPU time.
    Cpu,
    /// Which CPUs.
    Cpuset,
    /// Processes and threads.
    Pids,
}

impl Controller {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Cpu, Self::Cpuset, Self::Pids];

    /// The kernel's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Cpuset => "cpuset",
            Self::Pids => "pids",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that can, or cannot, be limited here, as the canary found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Control {
    /// A limit was written, read back, and a process was started under it.
    pub available: bool,
    /// By what: `cgroup v1 memory.limit_in_bytes`.
    pub mechanism: String,
    /// What went wrong, when it is not available.
    pub why_not: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Control {
    pub(super) fn works(mechanism: String) -> Self {
        Self { available: true, mechanism, why_not: None, hint: None }
    }

    pub(super) fn fails(mechanism: String, why: String, hint: Option<String>) -> Self {
        Self { available: false, mechanism, why_not: Some(why), hint }
    }
}

/// Everything that can, or cannot, be limited here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controls {
    /// Bytes of memory, swap included.
    pub memory: Control,
    /// CPU time, by quota.
    pub cpu: Control,
    /// Which CPUs.
    pub cpuset: Control,
    /// Processes and threads.
    pub pids: Control,
}

impl Controls {
    /// That of one controller.
    #[must_use]
    pub fn of(&self, controller: Controller) -> &Control {
        match controller {
            Controller::Memory => &self.memory,
            Controller::Cpu => &self.cpu,
            Controller::Cpuset => &self.cpuset,
            Controller::Pids => &self.pids,
        }
    }

    /// Made by asking for each.
    pub(super) fn each(mut control: impl FnMut(Controller) -> Control) -> Self {
        Self {
            memory: control(Controller::Memory),
            cpu: control(Controller::Cpu),
            cpuset: control(Controller::Cpuset),
            pids: control(Controller::Pids),
        }
    }
}

/// Which of the kernel's ways to group processes this machine uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Composition {
    /// v1: a hierarchy for each controller.
    V1,
    /// v1 for limits, and v2 beside it, without them, for killing and pressure.
    Hybrid,
    /// v2, from its root.
    Unified,
    /// v2, from a group that was handed to us: a systemd scope, a container, a user's part.
    Delegated,
    /// Nothing that can be used.
    None,
}

impl fmt::Display for Composition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "cgroup v1",
            Self::Hybrid => "cgroup v1, with v2 beside it",
            Self::Unified => "cgroup v2",
            Self::Delegated => "cgroup v2, in a group handed down",
            Self::None => "no cgroups",
        })
    }
}
