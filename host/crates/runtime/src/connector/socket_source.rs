use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{ConnectorError, Filled, Source, SourceProgress};
use sage_batch::frames::{Frame, Frames};
use sage_batch::wire::WireError;
use sage_batch::{Batch, Origin};
use sage_plan::SocketSpec;

/// Batches that another program gives over a unix socket. The program listens, and the source connects, so records
/// come only from whoever may make a socket at this path.
pub(super) struct SocketSource {
    spec: SocketSpec,
    number: u16,
    longest: usize,
    stream: Arc<File>,
    frames: Frames,
    /// Records of a frame that is larger than a batch, and those of them that were given.
    held: Batch,
    given: usize,
    /// Bytes of a record of the frame, on average.
    each: usize,
    done: u64,
}

impl SocketSource {
    /// Fewest and most bytes that are read at a time. Small frames come many at a time.
    const PIECES: (usize, usize) = (64 << 10, 256 << 10);
    /// Time after which the source looks for a stop, if nothing comes.
    const PATIENCE: Duration = Duration::from_millis(100);

    pub(super) fn open(spec: &SocketSpec, number: u16, longest: usize) -> Result<Self, ConnectorError> {
        let stream = connect(&spec.path)?;
        stream.set_nonblocking(true).map_err(|error| broken(&spec.path, error))?;
        let stream = Arc::new(File::from(OwnedFd::from(stream)));
        let (frames, held) = (Frames::default(), Batch::new());
        Ok(Self { spec: spec.clone(), number, longest, stream, frames, held, given: 0, each: 1, done: 0 })
    }

    /// Gives records of the frame that is held.
    fn give(&mut self, batch: &mut Batch, max_records: usize, max_bytes: usize) {
        let left = self.held.len() - self.given;
        let fit = (max_bytes / self.each).clamp(1, max_records.max(1));
        // A frame of the size of a batch is a batch.
        if self.given == 0 && left <= max_records && left <= 2 * fit {
            std::mem::swap(batch, &mut self.held);
            self.held.clear();
            self.done += left as u64;
            return;
        }
        let end = self.given + left.min(fit);
        // An empty batch takes any shape.
        let _ = batch.append_range(&self.held, self.given, end);
        self.done += (end - self.given) as u64;
        self.given = end;
        if self.given == self.held.len() {
            self.held.clear();
            self.given = 0;
        }
    }

    /// Reads until a frame is whole. `None` if nothing more has come yet.
    fn frame(&mut self) -> Result<Option<Frame>, ConnectorError> {
        loop {
            let next = self.frames.next(self.spec.schema.as_ref(), &mut self.held);
            if let Some(frame) = next.map_err(|error| self.refused(&error))? {
                return Ok(Some(frame));
            }
            let lacks = self.frames.lacks().map_err(|error| self.refused(&error))?;
            let buffer = self.frames.buffer();
            let piece = lacks.clamp(Self::PIECES.0, Self::PIECES.1) as u64;
            let before = buffer.len();
            match (&*self.stream).take(piece).read_to_end(buffer) {
                // `read_to_end` keeps what came before an error.
                _ if buffer.len() > before => {}
                Ok(_) => {
                    let what = format!("the program at \"{}\" ended before its records did", self.spec.path.display());
                    return Err(ConnectorError::new(what).hint("it says that there are no more records with a frame"));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(broken(&self.spec.path, error)),
            }
        }
    }

    /// Checks the records of a frame, and gives them their places.
    fn take(&mut self) -> Result<(), ConnectorError> {
        let (number, first) = (self.number, self.done);
        let count = self.held.len();
        self.held.set_origins((0..count as u64).map(|row| Origin::new(number, first + row)));
        let bytes = self.held.record_bytes();
        self.each = (bytes / count.max(1)).max(1);
        // No record is larger than all of them, and most frames are small.
        if bytes <= self.longest {
            return Ok(());
        }
        // The bytes of a record by field are those of its texts, lists and structs, and of the other values.
        let size = |row| match self.held.table() {
            None => self.held.payloads().get(row).map_or(0, <[u8]>::len),
            Some(table) => {
                let mut one = sage_batch::fields::Table::new(Arc::clone(table.schema()));
                one.append_range(table, row, row + 1);
                one.weight()
            }
        };
        match (0..count).find(|&row| size(row) > self.longest) {
            None => Ok(()),
            Some(row) => {
                let (at, most) = (first + row as u64, self.longest);
                let what = format!("record {at} has {} bytes, at most {most} are taken", size(row));
                self.held.clear();
                Err(ConnectorError::new(what)
                    .hint("a record is bounded by 4MiB and by object_store_memory of each stage that reads it"))
            }
        }
    }

    fn refused(&self, error: &WireError) -> ConnectorError {
        let path = self.spec.path.display();
        ConnectorError::new(format!("the program at \"{path}\" sent what is no batch: {error}"))
            .hint("docs/reference/socket-frames.md has the form of a frame")
    }
}

impl Source for SocketSource {
    fn fill(&mut self, batch: &mut Batch, max_records: usize, max_bytes: usize) -> Result<Filled, ConnectorError> {
        while self.held.is_empty() {
            match self.frame()? {
                None => return Ok(Filled::Idle(Self::PATIENCE)),
                Some(Frame::End) => return Ok(Filled::End),
                Some(Frame::Failed(reason)) => {
                    return Err(ConnectorError::new(format!("the program that gives the records failed: {reason}")));
                }
                Some(Frame::Records) => self.take()?,
            }
        }
        self.give(batch, max_records, max_bytes);
        Ok(Filled::More)
    }

    fn awaited(&self) -> Option<Arc<File>> {
        Some(Arc::clone(&self.stream))
    }

    fn progress(&self) -> SourceProgress {
        SourceProgress { done: self.done, total: None, bytes: false, bounded: true }
    }
}

/// Connects to the program that listens at `path`.
pub(super) fn connect(path: &Path) -> Result<UnixStream, ConnectorError> {
    UnixStream::connect(path).map_err(|error| {
        let what = format!("no program listens at \"{}\"", path.display());
        ConnectorError::caused(what, error).hint("start the program that gives or takes the records first")
    })
}

/// The error of a broken connection.
pub(super) fn broken(path: &Path, error: io::Error) -> ConnectorError {
    ConnectorError::caused(format!("lost the program at \"{}\"", path.display()), error)
}

/// As [`broken`], for `map_err`.
pub(super) fn lost(path: &Path) -> impl Fn(io::Error) -> ConnectorError + '_ {
    move |error| broken(path, error)
}
