//! Batches of another program, over a stream of bytes: frames.
//!
//! A stream begins with [`HELLO`] of its sender. A frame is its kind and its length in bytes, each a number of 8 bytes
//! (little-endian), then that many bytes:
//!
//! | kind | content |
//! |---|---|
//! | 0 | no more records; empty |
//! | 1 | records as payloads, as [`Batch::write`] writes them |
//! | 2 | records by field, as [`Batch::write_by_field`] writes them |
//! | 3 | the sender has failed: the reason in UTF-8 |
//! | 4 | the fields of the frames of kind 2 that follow, as JSON; only towards a program |
//!
//! The receiver trusts nothing: a length is compared with [`MOST_BYTES`] before any room is made, room grows with the
//! bytes that came, and the content is checked as that of a guest.

use std::sync::Arc;

use super::fields::{Schema, Table};
use super::wire::WireError;
use super::{Batch, wire::WireReader};

/// First bytes of each side of a stream, with the version of the frames.
pub const HELLO: [u8; 8] = *b"sagecol1";
/// Most bytes of a frame. A program splits larger batches.
pub const MOST_BYTES: u64 = 64 << 20;
/// Bytes in front of the content of a frame.
const HEADER: usize = 16;
/// Longest reason of a failure that is kept, in bytes.
const MOST_REASON: usize = 16 << 10;

/// Kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum FrameKind {
    /// There are no more records.
    End = 0,
    /// Records as payloads.
    Payloads = 1,
    /// Records by field.
    Fields = 2,
    /// The sender has failed.
    Failed = 3,
    /// The fields of the records that follow.
    Schema = 4,
}

/// What a frame brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Records, which the batch has now.
    Records,
    /// There are no more records.
    End,
    /// The sender has failed, for this reason.
    Failed(String),
}

/// The start of a frame: its kind and its length.
#[must_use]
pub fn header(kind: FrameKind, length: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let (front, back) = header.split_at_mut(8);
    front.copy_from_slice(&(kind as u64).to_le_bytes());
    back.copy_from_slice(&(length as u64).to_le_bytes());
    header
}

/// The bytes of a stream that have come, until they are whole frames.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Bytes of `bytes` that were taken.
    taken: usize,
    greeted: bool,
    spare: Table,
}

impl Frames {
    /// The buffer to which the next bytes of the stream are appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        &mut self.bytes
    }

    /// Bytes that the frame in the buffer still lacks, as far as that is known. 0 if a frame is whole.
    ///
    /// # Errors
    /// As [`Frames::next`].
    pub fn lacks(&self) -> Result<usize, WireError> {
        let hello = if self.greeted { 0 } else { HELLO.len() };
        let here = self.bytes.len().saturating_sub(self.taken + hello);
        let rest = self.bytes.get(self.taken + hello..).unwrap_or_default();
        match read_header(rest)? {
            None => Ok(HEADER - here),
            Some((_, length)) => Ok((HEADER + length).saturating_sub(here)),
        }
    }

    /// Takes the next frame, if it is whole: `batch` becomes its records, without origins. Payloads are expected
    /// without a schema, and records by field with one.
    ///
    /// # Errors
    /// The stream is none of frames, a frame is too large or of an unknown kind, or its content breaks a rule.
    pub fn next(&mut self, schema: Option<&Arc<Schema>>, batch: &mut Batch) -> Result<Option<Frame>, WireError> {
        if !self.greeted {
            let Some(hello) = self.bytes.get(self.taken..self.taken + HELLO.len()) else { return Ok(None) };
            if hello != HELLO {
                let found = String::from_utf8_lossy(hello).escape_debug().to_string();
                return Err(WireError::broken(format!(
                    "the stream begins with \"{found}\", and not with \"sagecol1\""
                )));
            }
            self.greeted = true;
            self.taken += HELLO.len();
        }
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some((kind, length)) = read_header(rest)? else { return Ok(None) };
        let Some(content) = rest.get(HEADER..HEADER + length) else { return Ok(None) };
        let frame = read(kind, content, schema, batch, &mut self.spare);
        self.taken += HEADER + length;
        frame.map(Some)
    }
}

/// The kind and the length of the frame that begins here. `None` if its start is not whole.
fn read_header(bytes: &[u8]) -> Result<Option<(FrameKind, usize)>, WireError> {
    let Some((mut header, _)) = bytes.split_at_checked(HEADER) else { return Ok(None) };
    let kind = match header.get_number()? {
        0 => FrameKind::End,
        1 => FrameKind::Payloads,
        2 => FrameKind::Fields,
        3 => FrameKind::Failed,
        found => return Err(WireError::broken(format!("a frame of kind {found}"))),
    };
    let length = header.get_number()?;
    if length > MOST_BYTES {
        return Err(WireError::broken(format!("a frame of {length} bytes, at most {MOST_BYTES} are read")));
    }
    Ok(Some((kind, usize::try_from(length).unwrap_or(usize::MAX))))
}

fn read(
    kind: FrameKind,
    content: &[u8],
    schema: Option<&Arc<Schema>>,
    batch: &mut Batch,
    spare: &mut Table,
) -> Result<Frame, WireError> {
    let mut rest = content;
    match (kind, schema) {
        (FrameKind::End, _) => return Ok(Frame::End),
        (FrameKind::Failed, _) => {
            let reason = content.get(..MOST_REASON).unwrap_or(content);
            return Ok(Frame::Failed(String::from_utf8_lossy(reason).into_owned()));
        }
        (FrameKind::Payloads, None) => batch.read(&mut rest, MOST_BYTES)?,
        (FrameKind::Fields, Some(schema)) => batch.read_by_field(schema, spare, &mut rest, MOST_BYTES)?,
        (FrameKind::Payloads, Some(_)) => {
            return Err(WireError::broken("records as payloads, and the schema of the source says columns"));
        }
        (FrameKind::Fields, None) => {
            return Err(WireError::broken("records by field, and the source has no schema"));
        }
        (FrameKind::Schema, _) => return Err(WireError::broken("a frame of kind 4")),
    }
    if !rest.is_empty() {
        let left = rest.len();
        batch.clear();
        return Err(WireError::broken(format!("{left} bytes behind the records of a frame")));
    }
    Ok(Frame::Records)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fields::{DataType, FieldType};
    use crate::{Origin, Record};

    /// A stream, the schema of the source, and the reason for which the stream is refused.
    type Case = (Vec<u8>, Option<Arc<Schema>>, &'static str);

    fn payloads(words: &[&[u8]]) -> Vec<u8> {
        let mut batch = Batch::new();
        for word in words {
            assert!(batch.push(Record::of(word, Origin::NONE)));
        }
        let mut content = Vec::new();
        batch.write(&mut content, true).unwrap();
        frame(FrameKind::Payloads, &content)
    }

    fn frame(kind: FrameKind, content: &[u8]) -> Vec<u8> {
        [&header(kind, content.len()), content].concat()
    }

    fn schema() -> Arc<Schema> {
        let field = FieldType { name: "n".into(), data_type: DataType::S64, nullable: false, docs: String::new() };
        Arc::new(Schema::new(vec![field]).unwrap())
    }

    #[test]
    fn frames_are_read_in_any_pieces() {
        let stream = [&HELLO[..], &payloads(&[b"a", b"bc"]), &payloads(&[b""]), &frame(FrameKind::End, &[])].concat();
        for size in 1..stream.len() {
            let (mut frames, mut batch, mut seen) = (Frames::default(), Batch::new(), Vec::new());
            for piece in stream.chunks(size) {
                frames.buffer().extend_from_slice(piece);
                while let Some(frame) = frames.next(None, &mut batch).unwrap() {
                    let words: Vec<Vec<u8>> = batch.payloads().iter().map(<[u8]>::to_vec).collect();
                    seen.push((frame.clone(), if frame == Frame::Records { words } else { Vec::new() }));
                }
                assert!(frames.lacks().unwrap() > 0);
            }
            let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
            let expected =
                [(Frame::Records, words(&["a", "bc"])), (Frame::Records, words(&[""])), (Frame::End, Vec::new())];
            assert_eq!(seen, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_with_the_reason() {
        let number = |number: u64| number.to_le_bytes();
        let huge = [&number(1)[..], &number(MOST_BYTES + 1)].concat();
        let behind = frame(FrameKind::Payloads, &[&payloads(&[b"a"])[16..], &[0; 8]].concat());
        let offsets = [&number(0)[..], &number(2), &[9, 0, 0, 0, 1, 0, 0, 0], &number(0)].concat();
        let by_field = frame(FrameKind::Fields, &[]);
        let cases: [Case; 9] = [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), None, "begins with \"GET / HT\""),
            ([&HELLO[..], &number(9), &number(0)].concat(), None, "a frame of kind 9"),
            ([&HELLO[..], &number(4), &number(0)].concat(), None, "a frame of kind 4"),
            ([&HELLO[..], &huge].concat(), None, "a frame of 67108865 bytes, at most 67108864 are read"),
            ([&HELLO[..], &behind].concat(), None, "8 bytes behind the records"),
            ([&HELLO[..], &frame(FrameKind::Payloads, &offsets)].concat(), None, "payloads"),
            ([&HELLO[..], &by_field].concat(), None, "the source has no schema"),
            ([&HELLO[..], &by_field].concat(), Some(schema()), "the other side is gone"),
            ([&HELLO[..], &payloads(&[b"a"])].concat(), Some(schema()), "says columns"),
        ];
        for (stream, schema, reason) in cases {
            let mut frames = Frames::default();
            frames.buffer().extend_from_slice(&stream);
            let error = frames.next(schema.as_ref(), &mut Batch::new()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let mut frames = Frames::default();
        let failed = frame(FrameKind::Failed, "ValueError: läuft".as_bytes());
        frames.buffer().extend_from_slice(&[&HELLO[..], &failed].concat());
        let told = Frame::Failed("ValueError: läuft".to_owned());
        assert_eq!(frames.next(None, &mut Batch::new()), Ok(Some(told)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_frames(bytes in prop::collection::vec(any::<u8>(), 0..64), by_field: bool) {
            let schema = by_field.then(schema);
            let (mut frames, mut batch) = (Frames::default(), Batch::new());
            frames.buffer().extend_from_slice(&[&HELLO[..], &bytes].concat());
            while let Ok(Some(_)) = frames.next(schema.as_ref(), &mut batch) {}
        }
    }
}
