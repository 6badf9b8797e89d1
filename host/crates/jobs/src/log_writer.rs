use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::log_files::{numbers, path};
use crate::{LogLevel, LogLine, LogOrigin, now};

/// Writes the log of a job: files `0001.jsonl`, `0002.jsonl` and so on, of [`JobLog::FILE_BYTES`] each, of which the
/// newest [`JobLog::FILES`] are kept.
///
/// A log never stops its job. A line that cannot be written, for example because the disk is full, is dropped and
/// counted. Its number stays unused, so a reader sees the gap, and the first line after it says how many are missing.
///
/// A line of an earlier attempt that was cut in the middle is removed when the log is opened.
#[derive(Debug)]
pub struct JobLog {
    folder: PathBuf,
    attempt: u32,
    /// Number of the last line.
    seq: u64,
    file: Option<Open>,
    /// Lines dropped since the last line that was written.
    dropped: u64,
    /// Time of the last failure.
    failed: Option<Instant>,
}

/// The file to which lines are appended.
#[derive(Debug)]
struct Open {
    number: u64,
    file: File,
    bytes: u64,
}

/// A message for the log.
#[derive(Debug, Clone, Copy)]
pub struct LogMessage<'a> {
    /// Severity.
    pub level: LogLevel,
    /// Who wrote it.
    pub origin: LogOrigin,
    /// The operator, where there is one.
    pub operator: Option<&'a str>,
    /// The instance of the operator.
    pub instance: Option<u32>,
    /// The text, without control characters.
    pub text: &'a str,
}

impl JobLog {
    /// Size at which a file is complete.
    pub const FILE_BYTES: u64 = 1 << 20;
    /// Number of files that are kept.
    pub const FILES: usize = 8;
    /// Time after a failure in which lines are dropped without a new try.
    const AGAIN: Duration = Duration::from_millis(200);

    /// Opens the log in this folder and continues the numbers of earlier attempts. A folder that cannot be made or read
    /// is tried again with each line.
    #[must_use]
    pub fn open(folder: impl Into<PathBuf>, attempt: u32) -> Self {
        let mut log = Self { folder: folder.into(), attempt, seq: 0, file: None, dropped: 0, failed: None };
        if log.reopen().is_err() {
            log.failed = Some(Instant::now());
        }
        log
    }

    /// Appends a line.
    pub fn write(&mut self, message: LogMessage<'_>) {
        let waits = self.failed.is_some_and(|failed| failed.elapsed() < Self::AGAIN);
        let ready = !waits && (self.file.is_some() || self.reopen().is_ok());
        self.seq += 1;
        if !ready {
            self.dropped += 1;
            if !waits {
                self.failed = Some(Instant::now());
            }
            return;
        }
        let missing = self.dropped;
        if missing > 0 {
            let text = format!("{missing} lines of the log were lost: they could not be written");
            let lost = LogMessage {
                level: LogLevel::Warn,
                origin: LogOrigin::Host,
                operator: None,
                instance: None,
                text: &text,
            };
            // It takes the number of the last line that was lost.
            if self.append(self.seq - 1, lost).is_err() {
                self.drop_line();
                return;
            }
            self.dropped = 0;
        }
        if self.append(self.seq, message).is_err() {
            self.drop_line();
        } else {
            self.failed = None;
        }
    }

    /// Lines that were dropped since the last line that was written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn drop_line(&mut self) {
        self.dropped += 1;
        self.failed = Some(Instant::now());
    }

    fn append(&mut self, seq: u64, message: LogMessage<'_>) -> io::Result<()> {
        let line = LogLine {
            seq,
            at: now(),
            attempt: self.attempt,
            level: message.level,
            origin: message.origin,
            operator: message.operator.map(str::to_owned),
            instance: message.instance,
            message: message.text.to_owned(),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        if self.file.as_ref().is_none_or(|open| open.bytes + text.len() as u64 > Self::FILE_BYTES && open.bytes > 0) {
            let complete = self.file.take().map_or(0, |complete| complete.number);
            self.start(complete + 1)?;
        }
        let Some(open) = &mut self.file else { return Err(io::Error::other("no file is open")) };
        if let Err(error) = open.file.write_all(&text) {
            // A part of the line may be in the file.
            let _ = open.file.set_len(open.bytes);
            let _ = open.file.seek(SeekFrom::Start(open.bytes));
            return Err(error);
        }
        open.bytes += text.len() as u64;
        Ok(())
    }

    /// Opens the newest file, without the line at its end that was cut.
    fn reopen(&mut self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let numbers = numbers(&self.folder)?;
        for number in numbers.iter().rev() {
            // The newest file has no whole line if its attempt was killed just after it had made the file.
            if let Some(last) = last_seq(&path(&self.folder, *number))? {
                self.seq = self.seq.max(last + self.dropped);
                break;
            }
        }
        self.start(numbers.last().copied().unwrap_or(1))
    }

    /// Opens the file of this number for appending, and removes the oldest ones.
    fn start(&mut self, number: u64) -> io::Result<()> {
        let path = path(&self.folder, number);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        let bytes = whole_lines(&path)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        self.file = Some(Open { number, file, bytes });
        let numbers = numbers(&self.folder)?;
        for oldest in numbers.iter().rev().skip(Self::FILES) {
            fs::remove_file(crate::log_files::path(&self.folder, *oldest))?;
        }
        Ok(())
    }
}

/// Number of bytes up to the last line end. Only the owner of the job's folder writes there, so the size is bounded.
fn whole_lines(path: &Path) -> io::Result<u64> {
    let text = fs::read(path)?;
    Ok(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1))
}

/// The number of the last whole line of a file.
fn last_seq(path: &Path) -> io::Result<Option<u64>> {
    let text = fs::read(path)?;
    let lines = text.split(|byte| *byte == b'\n').rev();
    // The part after the last line end is not a whole line.
    let mut lines = lines.skip(1).filter_map(|line| serde_json::from_slice::<LogLine>(line).ok());
    Ok(lines.next().map(|line| line.seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(log: &mut JobLog, text: &str) {
        log.write(LogMessage {
            level: LogLevel::Info,
            origin: LogOrigin::Host,
            operator: Some("parse"),
            instance: Some(2),
            text,
        });
    }

    fn lines(folder: &Path) -> Vec<LogLine> {
        let files = numbers(folder).unwrap();
        let text: String = files.iter().map(|number| fs::read_to_string(path(folder, *number)).unwrap()).collect();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn numbers_rise_over_files_and_attempts_and_old_files_go() {
        let folder = tempfile::tempdir().unwrap();
        let text = "x".repeat(200 << 10);
        for attempt in 1..=3 {
            let mut log = JobLog::open(folder.path(), attempt);
            for _ in 0..30 {
                say(&mut log, &text);
            }
        }
        let lines = lines(folder.path());
        assert_eq!(lines.last().map(|line| (line.seq, line.attempt)), Some((90, 3)));
        assert!(lines.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1), "no line is missing");
        assert_eq!(numbers(folder.path()).unwrap().len(), JobLog::FILES);
        for number in numbers(folder.path()).unwrap() {
            let bytes = fs::metadata(path(folder.path(), number)).unwrap().len();
            assert!(bytes <= JobLog::FILE_BYTES, "{bytes}");
        }
    }

    #[test]
    fn a_line_that_a_kill_cut_is_removed_and_its_number_is_given_again() {
        let folder = tempfile::tempdir().unwrap();
        say(&mut JobLog::open(folder.path(), 1), "whole");
        let first = path(folder.path(), 1);
        let mut text = fs::read(&first).unwrap();
        text.extend_from_slice(br#"{"seq":2,"at":1"#);
        fs::write(&first, text).unwrap();
        // The kill may also come between the making of a file and its first line.
        fs::write(path(folder.path(), 2), "").unwrap();
        say(&mut JobLog::open(folder.path(), 2), "again");
        let first = fs::read_to_string(&first).unwrap();
        assert!(first.ends_with(r#""at":1"#), "the file before the last one is left alone: {first}");
        let second = fs::read_to_string(path(folder.path(), 2)).unwrap();
        let line: LogLine = serde_json::from_str(second.trim_end()).unwrap();
        assert_eq!((line.seq, line.attempt, line.message.as_str()), (2, 2, "again"));

        let torn = [second.as_bytes(), br#"{"seq":3,"#].concat();
        fs::write(path(folder.path(), 2), torn).unwrap();
        say(&mut JobLog::open(folder.path(), 3), "third");
        let second = fs::read_to_string(path(folder.path(), 2)).unwrap();
        let seqs: Vec<u64> = second.lines().map(|line| serde_json::from_str::<LogLine>(line).unwrap().seq).collect();
        assert_eq!(seqs, [2, 3]);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_reported_when_there_is_room_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("logs");
        // A file in the place of the folder, so that nothing can be made there.
        fs::write(&place, "").unwrap();
        let mut log = JobLog::open(&place, 1);
        say(&mut log, "lost");
        say(&mut log, "lost too");
        assert_eq!(log.dropped(), 2);
        fs::remove_file(&place).unwrap();
        log.failed = None;
        say(&mut log, "kept");
        let lines = lines(&place);
        assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(lines[0].message, "2 lines of the log were lost: they could not be written");
        assert_eq!(lines[1].message, "kept");
        assert_eq!(log.dropped(), 0);
    }
}
