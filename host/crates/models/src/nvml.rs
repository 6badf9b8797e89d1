use std::ffi::{OsStr, OsString};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use serde::Serialize;

/// What NVIDIA's management library said of this machine's GPUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum NvmlReport {
    /// It was not asked: nothing here needs it.
    NotAsked,
    /// It cannot be used.
    Unusable {
        /// The library, as it was looked for.
        library: String,
        /// Why not.
        why: String,
    },
    /// It answered.
    Answered {
        /// The driver's version.
        driver: Option<String>,
        /// The GPUs, in its order.
        gpus: Vec<Gpu>,
    },
}

/// A GPU that NVML knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// Itself.
    pub own: GpuPart,
    /// Its MIG instances, where MIG is on: then work goes to these, and the GPU itself is nobody's.
    pub instances: Option<Vec<GpuPart>>,
}

/// A GPU or a MIG instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GpuPart {
    /// The name that stays the same over restarts.
    pub uuid: String,
    /// What the maker calls it.
    pub name: Option<String>,
    /// Bytes of its memory; `None` where NVML does not tell, as where it has none apart from the machine's.
    pub memory: Option<u64>,
}

/// The environment variable that names another library.
const VARIABLE: &str = "SAGE_HOST_NVML";
/// What the driver installs. The loader looks for it in its usual places.
const LIBRARY: &str = "libnvidia-ml.so.1";

impl NvmlReport {
    /// Loads the library and asks. Where no GPU is awake that can take seconds.
    #[must_use]
    pub fn ask() -> Self {
        let library = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        Self::ask_library(&library.unwrap_or_else(|| OsString::from(LIBRARY)))
    }

    /// The same of a certain library.
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

    /// Why it knows no GPUs, in a line; `None` where it knows some.
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

/// Those that answer. One that has fallen off the bus must not hide the others.
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

/// MIG instances; `None` where MIG is off, or the GPU has none of it.
fn instances(device: &nvml_wrapper::Device<'_>) -> Option<Vec<GpuPart>> {
    // NVML_DEVICE_MIG_ENABLE. What is pending takes effect when the GPU is reset.
    const ENABLED: u32 = 1;
    if device.mig_mode().ok()?.current != ENABLED {
        return None;
    }
    // As many as there can be; numbers without an instance answer "not found".
    let most = device.mig_device_count().unwrap_or(0);
    Some((0..most).filter_map(|index| part(&device.mig_device_by_index(index).ok()?).ok()).collect())
}

/// The loader begins its message with the library's name, which is said already.
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
        // It is there on every machine that runs this, and has no function of NVML's.
        let report = NvmlReport::ask_library(OsStr::new("libc.so.6"));
        let NvmlReport::Unusable { library, why } = &report else { panic!("{report:?}") };
        assert_eq!(library, "libc.so.6");
        assert!(why.contains("nvmlInit"), "{why}");
    }
}
