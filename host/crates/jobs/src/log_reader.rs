use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::LogLine;
use crate::log_files::{numbers, path};
use crate::plain_file::open_in;

/// Reads the log of a job from a number on, and what is added to it later.
#[derive(Debug)]
pub struct LogReader {
    folder: PathBuf,
    /// Number of the last line that was given.
    last: u64,
    /// The file that is being read, and the bytes of it that were.
    at: Option<(u64, u64)>,
}

/// A line, or the absence of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogItem {
    /// A line.
    Line(LogLine),
    /// Lines that are not kept any more, or were never written: those after `after` and before `before`.
    Gap {
        /// The last line before the gap.
        after: u64,
        /// The first line after it.
        before: u64,
    },
}

impl LogReader {
    /// Most bytes that one call reads.
    const PIECE: u64 = 1 << 20;

    /// Reads the lines after number `since`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, since: u64) -> Self {
        Self { folder: folder.into(), last: since, at: None }
    }

    /// The next lines, as many as there are up to a bound; none if there is nothing new. A line that is being written
    /// is given once it is whole, and a line that cannot be read is left out.
    pub fn next_lines(&mut self) -> Vec<LogItem> {
        let numbers = numbers(&self.folder).unwrap_or_default();
        let mut items = Vec::new();
        for number in numbers {
            let offset = match self.at {
                Some((at, _)) if number < at => continue,
                Some((at, offset)) if number == at => offset,
                _ => 0,
            };
            let file = path(&self.folder, number);
            let name = file.file_name().unwrap_or_default();
            let whole = read_whole_lines(&self.folder, name, offset, Self::PIECE).unwrap_or_default();
            self.at = Some((number, offset + whole.len() as u64));
            for line in whole.split(|byte| *byte == b'\n') {
                let Ok(line) = serde_json::from_slice::<LogLine>(line) else { continue };
                if line.seq <= self.last {
                    continue;
                }
                if line.seq > self.last + 1 {
                    items.push(LogItem::Gap { after: self.last, before: line.seq });
                }
                self.last = line.seq;
                items.push(LogItem::Line(line));
            }
            if !items.is_empty() {
                // The rest comes with the next call, so a long log is never in memory as a whole.
                break;
            }
        }
        items
    }
}

/// The bytes from an offset to the last line end.
fn read_whole_lines(folder: &Path, name: &OsStr, offset: u64, most: u64) -> std::io::Result<Vec<u8>> {
    let mut file = open_in(folder, name)?;
    if file.metadata()?.len() <= offset {
        return Ok(Vec::new());
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(whole);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobLog, LogLevel, LogMessage, LogOrigin};

    fn say(log: &mut JobLog, text: &str) {
        let (level, origin) = (LogLevel::Info, LogOrigin::Host);
        log.write(LogMessage { level, origin, operator: None, instance: None, text });
    }

    fn seqs(items: &[LogItem]) -> Vec<String> {
        let item = |item: &LogItem| match item {
            LogItem::Line(line) => line.seq.to_string(),
            LogItem::Gap { after, before } => format!("{after}..{before}"),
        };
        items.iter().map(item).collect()
    }

    #[test]
    fn lines_are_given_once_from_a_number_on_and_later_ones_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = LogReader::new(folder.path(), 1);
        assert_eq!(reader.next_lines(), []);
        let mut log = JobLog::open(folder.path(), 1);
        for text in ["one", "two", "three"] {
            say(&mut log, text);
        }
        assert_eq!(seqs(&reader.next_lines()), ["2", "3"]);
        say(&mut log, "four");
        assert_eq!(seqs(&reader.next_lines()), ["4"]);
        assert_eq!(reader.next_lines(), []);
    }

    #[test]
    fn lines_that_are_gone_are_a_gap_and_a_log_of_many_files_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = JobLog::open(folder.path(), 1);
        let text = "x".repeat(100 << 10);
        for _ in 0..100 {
            say(&mut log, &text);
        }
        let mut reader = LogReader::new(folder.path(), 0);
        let mut all = Vec::new();
        loop {
            let next = reader.next_lines();
            if next.is_empty() {
                break;
            }
            all.extend(seqs(&next));
        }
        assert!(all[0].starts_with("0.."), "{}", all[0]);
        assert_eq!(all.last().unwrap(), "100");
        assert!(all.len() > 70, "{}", all.len());
    }
}
