use std::fmt;

use serde::Serialize;

/// A part of the lockdown that needs a newer kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Only the sandbox and the user's rights protect files outside the granted folders. This matters only if
    /// folders are granted (needs Linux 5.13 with landlock enabled).
    FileFence,
    /// A file in a folder granted for reading can be truncated by its path (needs Linux 6.2).
    TruncateFence,
    /// Only the sandbox blocks TCP to ports that are not granted. This matters only if addresses are granted
    /// (needs Linux 6.7).
    TcpFence,
    /// Only the system call filter blocks signals to other processes (needs Linux 6.12).
    SignalFence,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FileFence => "the kernel does not fence off files (needs Linux 5.13 with landlock)",
            Self::TruncateFence => "the kernel does not fence off truncation (needs Linux 6.2 with landlock)",
            Self::TcpFence => "the kernel does not fence off TCP ports (needs Linux 6.7 with landlock)",
            Self::SignalFence => "the kernel does not fence off signals (needs Linux 6.12 with landlock)",
        })
    }
}
