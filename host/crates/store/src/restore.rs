use crate::catalog::Entry;
use crate::error::{Damage, RestoreError, StoreError, failed};
use crate::fault_point::fault_point;
use crate::frame::Frame;
use crate::frame_reader::{FrameReader, NoFrame};
use crate::header::RecordKind;
use crate::segment::{SegmentHead, segment_name};
use crate::store::Store;

impl Store {
    /// Hands over the frames of an epoch: first the keyed state, with the frames of the base epoch and then those of
    /// all epochs of changes up to this one, and among the last ones the epoch's own frames of the other kinds.
    /// Frames of other kinds of earlier epochs are not handed over. The order is that in which they were put.
    ///
    /// Each frame is checked before it is handed over.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEpoch`]; errors of the disk; [`StoreError::Damaged`] if a frame has changed since the folder
    /// was opened; the error of `receiver`, which ends the restore.
    pub fn restore<E>(
        &self,
        number: u64,
        mut receiver: impl FnMut(Frame<'_>, &[u8]) -> Result<(), E>,
    ) -> Result<(), RestoreError<E>> {
        let (at, _) = self.entry(number)?;
        let entries = self.entries.get(..=at).unwrap_or_default();
        let base = entries.iter().rposition(|entry| entry.is_base).unwrap_or(0);
        let entries = entries.get(base..).unwrap_or_default();
        let mut body = Vec::new();
        for entries in entries.chunk_by(|a, b| a.segment == b.segment) {
            self.restore_segment(entries, number, &mut body, &mut receiver)?;
        }
        Ok(())
    }

    fn restore_segment<E>(
        &self,
        entries: &[Entry],
        number: u64,
        body: &mut Vec<u8>,
        receiver: &mut impl FnMut(Frame<'_>, &[u8]) -> Result<(), E>,
    ) -> Result<(), RestoreError<E>> {
        let Some(first) = entries.first() else { return Ok(()) };
        let path = self.disk.path(&segment_name(first.segment));
        let file = self.disk.open(&segment_name(first.segment)).map_err(failed("open", &path))?;
        let mut head = [0; SegmentHead::LENGTH];
        let damaged = |byte, reason: &str| {
            let reason = reason.to_owned();
            StoreError::Damaged(Box::new(Damage { path: path.clone(), byte, reason, whole: Vec::new() }))
        };
        file.read_at(&mut head, 0).map_err(failed("read", &path))?;
        let seed = SegmentHead::decode(&head).map_err(|_| damaged(0, "the segment's head is damaged"))?.seed;
        for entry in entries {
            let mut reader = FrameReader::new(&*file, seed, entry.start, entry.end);
            loop {
                let wanted = |kind| matches!(kind, RecordKind::Put(kind) if kind.is_state() || entry.number == number);
                let frame = match reader.next(body, |header| wanted(header.kind)) {
                    Ok(frame) => frame,
                    Err(NoFrame::End) => break,
                    Err(NoFrame::Damaged(reason)) => return Err(damaged(reader.at(), reason).into()),
                    Err(NoFrame::Newer(what)) => return Err(StoreError::Newer { path, what }.into()),
                    Err(NoFrame::Io(error)) => return Err(failed("read", &path)(error).into()),
                };
                if let RecordKind::Put(kind) = frame.header.kind
                    && wanted(frame.header.kind)
                {
                    let (instance, lane) = (frame.header.instance, frame.header.lane);
                    let frame = Frame { kind, stage: &frame.stage, instance, lane };
                    fault_point("restore.half").map_err(failed("read", &path))?;
                    receiver(frame, body).map_err(RestoreError::Receiver)?;
                }
            }
        }
        Ok(())
    }
}
