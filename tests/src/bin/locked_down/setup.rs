use std::net::SocketAddr;
use std::path::PathBuf;

use sage_plan::FolderGrant;
use sage_process::lockdown::{Lockdown, ProcessLimits, Purpose};
use serde::Deserialize;

/// The operations to try, as JSON in the first argument.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockdownSetup {
    pub(crate) probe: Probe,
    /// Granted folders: path on the host, path for the guest, and whether the guest may write.
    #[serde(default)]
    pub(crate) folders: Vec<(PathBuf, String, bool)>,
    #[serde(default)]
    pub(crate) connect: Vec<SocketAddr>,
    /// The files to try, or the component to run.
    #[serde(default)]
    pub(crate) paths: Vec<PathBuf>,
    /// Batches with which the guest is called.
    #[serde(default)]
    pub(crate) batches: Vec<Vec<String>>,
    #[serde(default)]
    pub(crate) compiles: bool,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Probe {
    Calls,
    Threads,
    TooLate,
    Files,
    Guest,
    FileTooLarge,
}

impl LockdownSetup {
    pub(crate) fn read() -> Self {
        let words = std::env::args().nth(1).expect("an order");
        serde_json::from_str(&words).unwrap_or_else(|e| panic!("{e} in {words}"))
    }

    pub(crate) fn lockdown(&self) -> Lockdown {
        let writes = self.folders.iter().any(|(_, _, write)| *write);
        Lockdown {
            purpose: if self.compiles { Purpose::Compile } else { Purpose::Run },
            keep: vec![0, 1, 2],
            folders: self.grants(),
            connect: self.connect.clone(),
            limits: ProcessLimits {
                open_files: 64,
                file_bytes: (!writes).then_some(256 << 10),
                data_bytes: None,
                cpu_seconds: None,
            },
        }
    }

    pub(crate) fn grants(&self) -> Vec<FolderGrant> {
        let folders = self.folders.iter().cloned();
        folders.map(|(host, guest, write)| FolderGrant { host, guest, write }).collect()
    }
}
