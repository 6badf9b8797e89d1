use std::ffi::{OsStr, OsString};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use serde::Serialize;

/// The report of NVIDIA's management library (NVML) about this machine's GPUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum NvmlReport {
    /// NVML was not asked, because nothing here needs it.
    NotAsked,
    /// NVML cannot be used.
    Unusable {
        /// The name or path of the library.
        library: String,
        /// The reason.
        why: String,
    },
    /// NVML answered.
    Answered {
        /// The driver's version.
        driver: Option<String>,
        /// The GPUs, in NVML's order.
        gpus: Vec<Gpu>,
    },
}

/// A GPU that NVML knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// The GPU itself.
    pub own: GpuPart,
    /// Its MIG instances, if MIG is on. Then work goes to the instances, and the GPU itself is never leased.
    pub instances: Option<Vec<GpuPart>>,
}

/// A GPU or a MIG instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GpuPart {
    /// The UUID, which stays the same over restarts.
    pub uuid: String,
    /// The maker's name for the model.
    pub name: Option<String>,
    /// Bytes of its memory. `None` if NVML does not report it, for example if the GPU has no memory of its
    /// own.
    pub memory: Option<u64>,
}

/// The environment variable that names another library.
const VARIABLE: &str = "SAGE_HOST_NVML";
/// The library that the driver installs. The dynamic loader finds it in its usual places.
const LIBRARY: &str = "libnvidia-ml.so.1";

impl NvmlReport {
    /// Loads the library and reads the GPUs. Can take seconds if no GPU is awake.
    #[must_use]
    pub fn ask() -> Self {
        let library = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        Self::ask_library(&library.unwrap_or_else(|| OsString::from(LIBRARY)))
    }

    /// Like [`NvmlReport::ask`], with a given library.
    #[must_use]
    pub fn ask_library(library: &OsStr) -> Self {
        let unusable = |error: NvmlError| Self::Unusable {
            library: library.to_string_lossy().into_owned(),
            why: said(&error, library),
        };
        let nvml = match Nvml::builder().lib_path(library).init() {
            Ok(nvml) => nvml,
            Err(error) => return unusable(error),
        };
        match gpus(&nvml) {
            Ok(gpus) => Self::Answered { driver: nvml.sys_driver_version().ok(), gpus },
            Err(error) => unusable(error),
        }
    }

    /// The reason why NVML knows no GPU, in one line. `None` if it knows a GPU.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::NotAsked => Some("NVML was not asked: host.toml says discover_devices = false".to_owned()),
            Self::Unusable { library, why } => Some(format!("NVML: {library}: {why}")),
            Self::Answered { gpus, .. } if gpus.is_empty() => Some("NVML knows no GPU on this machine".to_owned()),
            Self::Answered { .. } => None,
        }
    }
}

/// The GPUs that answer. A GPU that has fallen off the bus must not hide the others.
fn gpus(nvml: &Nvml) -> Result<Vec<Gpu>, NvmlError> {
    let mut gpus = Vec::new();
    for index in 0..nvml.device_count()? {
        let device = match nvml.device_by_index(index) {
            Ok(device) => device,
            Err(error) => {
                tracing::warn!(index, %error, "a GPU does not answer");
                continue;
            }
        };
        match part(&device) {
            Ok(own) => gpus.push(Gpu { own, instances: instances(&device) }),
            Err(error) => tracing::warn!(index, %error, "a GPU does not tell its UUID"),
        }
    }
    Ok(gpus)
}

fn part(device: &nvml_wrapper::Device<'_>) -> Result<GpuPart, NvmlError> {
    let memory = device.memory_info().ok().map(|memory| memory.total).filter(|bytes| *bytes > 0);
    Ok(GpuPart { uuid: device.uuid()?, name: device.name().ok(), memory })
}

/// The MIG instances. `None` if MIG is off or not supported.
fn instances(device: &nvml_wrapper::Device<'_>) -> Option<Vec<GpuPart>> {
    // NVML_DEVICE_MIG_ENABLE. A pending mode takes effect when the GPU is reset.
    const ENABLED: u32 = 1;
    if device.mig_mode().ok()?.current != ENABLED {
        return None;
    }
    // The count is an upper bound. An index without an instance returns "not found".
    let most = device.mig_device_count().unwrap_or(0);
    Some((0..most).filter_map(|index| part(&device.mig_device_by_index(index).ok()?).ok()).collect())
}

/// The error text without the library's name. The dynamic loader begins its message with that name, and the
/// report already contains it.
fn said(error: &NvmlError, library: &OsStr) -> String {
    let text = match error {
        NvmlError::LibloadingError(error) => error.to_string(),
        error => error.to_string(),
    };
    let prefix = format!("{}: ", library.to_string_lossy());
    text.strip_prefix(&prefix).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_missing_or_broken_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("libnvidia-ml.so.1");
        std::fs::write(&text, "no library at all").unwrap();
        let missing = folder.path().join("nowhere.so");
        for (library, why) in [(&text, "file too short"), (&missing, "cannot open shared object file")] {
            let report = NvmlReport::ask_library(library.as_os_str());
            let NvmlReport::Unusable { library: named, why: said } = &report else { panic!("{report:?}") };
            assert_eq!(named, &library.display().to_string());
            assert!(said.starts_with(why) || said.contains("invalid ELF header"), "{said}");
            assert!(report.trouble().unwrap().starts_with(&format!("NVML: {}: ", library.display())));
        }
    }

    #[test]
    fn a_library_that_is_not_nvml_is_named_too() {
        // Every machine that runs this test has this library, and the library has no function of NVML.
        let report = NvmlReport::ask_library(OsStr::new("libc.so.6"));
        let NvmlReport::Unusable { library, why } = &report else { panic!("{report:?}") };
        assert_eq!(library, "libc.so.6");
        assert!(why.contains("nvmlInit"), "{why}");
    }
}
