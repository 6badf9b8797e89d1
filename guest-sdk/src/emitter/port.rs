use crate::attributes::{Attributes, append};
use crate::types::{Batch, Column};
use crate::{Error, IntoPayload};

/// Outputs of one port that have not yet gone to the host.
#[derive(Debug, Default)]
pub(super) struct Port {
    segments: Vec<Segment>,
    /// Empty segments, kept for the reuse of their buffers.
    spare: Vec<Segment>,
    /// Number of segments, and of rows in the last segment, when the current record began.
    mark: (usize, usize),
}

/// Records of which either all have a key or none has, and the same for event time.
#[derive(Debug, Default)]
struct Segment {
    batch: Batch,
    parents: Vec<u32>,
}

impl Port {
    /// Appends a record and returns its size in bytes.
    #[inline]
    pub(super) fn append(
        &mut self,
        payload: impl IntoPayload,
        attributes: Attributes<'_>,
        parent: u32,
    ) -> Result<usize, Error> {
        let Segment { batch, parents } = self.segment(attributes.key.is_some(), attributes.timestamp.is_some());
        let before = batch.payloads.bytes.len();
        if let Err(error) = payload.write(&mut batch.payloads.bytes) {
            batch.payloads.unwrite();
            return Err(error);
        }
        let mut size = batch.payloads.bytes.len() - before;
        batch.payloads.seal();
        let Batch { keys, timestamps, headers, .. } = batch;
        size += append(attributes, parents.len(), keys, timestamps, headers);
        parents.push(parent);
        Ok(size)
    }

    /// Returns the last segment, or a new one if the last segment has other columns.
    #[inline]
    fn segment(&mut self, key: bool, timestamp: bool) -> &mut Segment {
        let fits = self
            .segments
            .last()
            .is_some_and(|last| last.batch.keys.is_some() == key && last.batch.timestamps.is_some() == timestamp);
        if !fits {
            let mut segment = self.spare.pop().unwrap_or_default();
            if segment.batch.keys.is_some() != key {
                segment.batch.keys = key.then(Column::new);
            }
            if segment.batch.timestamps.is_some() != timestamp {
                segment.batch.timestamps = timestamp.then(Vec::new);
            }
            self.segments.push(segment);
        }
        let last = self.segments.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "the branch above leaves at least one segment")]
        &mut self.segments[last]
    }

    #[inline]
    pub(super) fn mark(&mut self) {
        let rows = self.segments.last().map_or(0, |last| last.parents.len());
        self.mark = (self.segments.len(), rows);
    }

    /// Drops the rows since the mark and returns their number.
    pub(super) fn take_back(&mut self) -> usize {
        let (segments, rows) = self.mark;
        let mut dropped = 0;
        while self.segments.len() > segments {
            if let Some(mut segment) = self.segments.pop() {
                dropped += segment.parents.len();
                segment.clear();
                self.spare.push(segment);
            }
        }
        if let Some(last) = self.segments.last_mut() {
            dropped += last.parents.len() - rows;
            last.truncate(rows);
        }
        dropped
    }

    pub(super) fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.batch.payloads.bytes.len()).sum()
    }

    /// Passes every segment, with the parents of its rows, to `tell` in order. The buffers are kept.
    pub(super) fn drain(&mut self, mut tell: impl FnMut(&Batch, &[u32])) {
        for mut segment in self.segments.drain(..) {
            if !segment.parents.is_empty() {
                tell(&segment.batch, &segment.parents);
            }
            segment.clear();
            self.spare.push(segment);
        }
        self.mark = (0, 0);
    }
}

impl Segment {
    fn clear(&mut self) {
        self.batch.payloads.clear();
        if let Some(keys) = &mut self.batch.keys {
            keys.clear();
        }
        if let Some(timestamps) = &mut self.batch.timestamps {
            timestamps.clear();
        }
        self.batch.headers = None;
        self.parents.clear();
    }

    fn truncate(&mut self, rows: usize) {
        self.batch.payloads.truncate(rows);
        if let Some(keys) = &mut self.batch.keys {
            keys.truncate(rows);
        }
        if let Some(timestamps) = &mut self.batch.timestamps {
            timestamps.truncate(rows);
        }
        if let Some(headers) = &mut self.batch.headers {
            headers.truncate(rows);
        }
        self.parents.truncate(rows);
    }
}
