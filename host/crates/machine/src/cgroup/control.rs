use std::fmt;

use serde::Serialize;

/// A resource of a group that the kernel can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// Bytes of memory, including the kernel's own memory for the group.
    Memory,
    /// CPU time, by quota.
    Cpu,
    /// The set of CPUs.
    Cpuset,
    /// Number of processes and threads.
    Pids,
}

impl Controller {
    /// All controllers.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Cpu, Self::Cpuset, Self::Pids];

    /// The kernel's name of the controller.
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

/// The canary's result for one controller: whether it can be limited on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Control {
    /// True if a limit was written and read back, and a process was started under it.
    pub available: bool,
    /// The mechanism: `cgroup v1 memory.limit_in_bytes`.
    pub mechanism: String,
    /// The reason, if the control is not available.
    pub why_not: Option<String>,
    /// Advice for the user.
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

/// The canary's results for all controllers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controls {
    /// Bytes of memory, including swap.
    pub memory: Control,
    /// CPU time, by quota.
    pub cpu: Control,
    /// The set of CPUs.
    pub cpuset: Control,
    /// Number of processes and threads.
    pub pids: Control,
}

impl Controls {
    /// The result for one controller.
    #[must_use]
    pub fn of(&self, controller: Controller) -> &Control {
        match controller {
            Controller::Memory => &self.memory,
            Controller::Cpu => &self.cpu,
            Controller::Cpuset => &self.cpuset,
            Controller::Pids => &self.pids,
        }
    }

    /// Calls `control` for each controller.
    pub(super) fn each(mut control: impl FnMut(Controller) -> Control) -> Self {
        Self {
            memory: control(Controller::Memory),
            cpu: control(Controller::Cpu),
            cpuset: control(Controller::Cpuset),
            pids: control(Controller::Pids),
        }
    }
}

/// The cgroup versions that this machine uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Composition {
    /// v1: one hierarchy for each controller.
    V1,
    /// v1 for limits. v2 exists beside it, without limits, for killing and pressure.
    Hybrid,
    /// v2, from its root.
    Unified,
    /// v2, from a group that was delegated to this process: a systemd scope, a container, a user's part.
    Delegated,
    /// No usable control groups.
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
