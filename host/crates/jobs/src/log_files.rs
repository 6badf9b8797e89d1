use std::path::{Path, PathBuf};
use std::{fs, io};

/// The file of a log with this number.
pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:04}.jsonl"))
}

/// The numbers of the files of a log, in rising order.
pub(crate) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jsonl")).and_then(|name| name.parse().ok());
        // A name that this program would not give is not a file of the log.
        numbers.extend(number.filter(|number| path(folder, *number).file_name() == Some(&name)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
