use std::fs;
use std::io;
use std::path::Path;

use super::ResourceError;

/// Bytes of the machine's memory, or of the part that a container shows. `root` is `/` except in tests.
pub(super) fn memory_of_the_machine(root: &Path) -> Result<u64, ResourceError> {
    let path = root.join("proc/meminfo");
    fs::read_to_string(&path)
        .and_then(|text| total_in(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no MemTotal line")))
        .map_err(|cause| ResourceError::ReadMemory { path, cause })
}

/// Parses the line `MemTotal:       24684096 kB`.
fn total_in(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_and_a_machine_that_does_not_say_is_an_error_with_the_file() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("proc/meminfo");
        let error = memory_of_the_machine(root.path()).unwrap_err();
        let expected = format!("cannot read how much memory this machine has from {}", file.display());
        assert_eq!(error.to_string(), expected);
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::write(&file, "MemTotal:       1000 kB\nMemFree: 1 kB\n").unwrap();
        assert_eq!(memory_of_the_machine(root.path()).unwrap(), 1000 * 1024);
    }
}
