use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{JobError, failed};
use crate::plain_file::open_plain;

/// Longest file that is read. A summary of 1,000 stages has about 400 KiB.
const LONGEST: u64 = 8 << 20;

/// Reads a file that [`write_json`] wrote.
///
/// # Errors
/// The file cannot be read, is longer than 8 MiB, or is not JSON of this type.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, JobError> {
    let file = open_plain(path).map_err(failed("read", path))?;
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text).map_err(failed("read", path))?;
    let malformed = |reason: String| JobError::Malformed { path: path.to_owned(), reason };
    if text.len() as u64 > LONGEST {
        return Err(malformed(format!("it is longer than {LONGEST} bytes")));
    }
    serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))
}

/// Writes a file so that readers see the old content or the new one, and so that the new one survives a loss of power
/// once this function has returned. Only the owner may read it.
///
/// # Errors
/// The file cannot be written. The old content is then unchanged.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), JobError> {
    replace(path, value, true)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

/// Writes a file so that readers see the old content or the new one. After a loss of power the file may be unreadable,
/// so this is for what is worth nothing then. Only the owner may read it.
///
/// # Errors
/// The file cannot be written. The old content is then unchanged.
pub fn replace_json(path: &Path, value: &impl Serialize) -> Result<(), JobError> {
    replace(path, value, false)
}

fn replace(path: &Path, value: &impl Serialize, durably: bool) -> Result<(), JobError> {
    let text = serde_json::to_vec(value)
        .map_err(|error| JobError::Malformed { path: path.to_owned(), reason: error.to_string() })?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let written = write_beside(beside, &text, durably).and_then(|()| fs::rename(beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(beside);
        failed("write", path)(error)
    })
}

fn write_beside(path: &Path, text: &[u8], durably: bool) -> std::io::Result<()> {
    // What is there is a rest of an earlier write, or a link of somebody who may write in the folder.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    if durably { file.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_belongs_to_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value.json");
        for value in [vec![1, 2, 3], vec![4]] {
            write_json(&path, &value).unwrap();
            assert_eq!(read_json::<Vec<u32>>(&path).unwrap(), value);
            let more = [value, vec![5]].concat();
            replace_json(&path, &more).unwrap();
            assert_eq!(read_json::<Vec<u32>>(&path).unwrap(), more);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_link_beside_a_file_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("value.json"), folder.path().join("other"));
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join("value.json.new")).unwrap();
        write_json(&path, &1).unwrap();
        assert_eq!((fs::read_to_string(&other).unwrap(), read_json::<u32>(&path).unwrap()), ("mine".to_owned(), 1));
    }

    #[test]
    fn an_absent_a_torn_and_an_endless_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value.json");
        assert!(read_json::<u32>(&path).unwrap_err().is_absent());
        fs::write(&path, "[1, 2").unwrap();
        let torn = read_json::<Vec<u32>>(&path).unwrap_err();
        assert!(torn.to_string().contains("EOF while parsing"), "{torn}");
        File::create(&path).and_then(|file| file.set_len(1 << 40)).unwrap();
        let endless = read_json::<u32>(&path).unwrap_err();
        assert!(endless.to_string().contains("longer than 8388608 bytes"), "{endless}");
    }
}
