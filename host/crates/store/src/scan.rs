use xxhash_rust::xxh3::Xxh3;

use crate::disk::DiskFile;
use crate::frame::FrameKind;
use crate::frame_reader::{FrameReader, NoFrame, ReadFrame};
use crate::header::RecordKind;
use crate::proof::Proof;
use crate::segment::{NoHead, SegmentHead};
use crate::whole::Whole;

/// A whole epoch of a segment.
#[derive(Debug, Clone)]
pub(crate) struct ScannedEpoch {
    pub(crate) number: u64,
    /// Its first byte, and the byte behind its end.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) whole: Whole,
    pub(crate) manifest: Vec<u8>,
}

/// The content of a segment.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) seed: u64,
    /// The whole epochs, in rising order.
    pub(crate) epochs: Vec<ScannedEpoch>,
    /// The byte behind the last whole epoch.
    pub(crate) end: u64,
    /// Whether there is a proof that the last whole epoch was synced.
    pub(crate) is_proven: bool,
    pub(crate) tail: Tail,
}

/// The bytes behind the last whole epoch of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    Clean,
    /// So many bytes of an epoch that was never synced.
    Unfinished(u64),
    /// Damage.
    Damaged { byte: u64, reason: &'static str },
    /// Something of a newer version.
    Newer(String),
}

/// A frame of the engine, for those who count.
#[derive(Debug)]
pub(crate) struct SeenFrame<'a> {
    pub(crate) epoch: u64,
    pub(crate) kind: FrameKind,
    pub(crate) stage: &'a str,
    pub(crate) bytes: u64,
}

/// How far a segment is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent<'p> {
    /// So many bytes belong to it, and whole epochs fill them.
    Sealed(u64),
    /// All of it, and an epoch at its end may be unfinished unless the proof says otherwise.
    Growing(&'p Proof),
}

/// Reads a segment, and checks every byte of it that counts.
pub(crate) fn scan(
    file: &dyn DiskFile,
    first: u64,
    extent: Extent<'_>,
    seen: &mut dyn FnMut(&SeenFrame<'_>),
) -> std::io::Result<Scan> {
    let length = file.length()?;
    let mut scan = Scan { seed: 0, epochs: Vec::new(), end: 0, is_proven: false, tail: Tail::Clean };
    let mut head = [0; SegmentHead::LENGTH];
    let read = file.read_at(&mut head, 0)?;
    match SegmentHead::decode(head.get(..read).unwrap_or_default()) {
        Ok(head) if head.first == first => scan.seed = head.seed,
        Ok(_) | Err(NoHead::Damaged) => {
            scan.tail = Tail::Damaged { byte: 0, reason: "the segment's head is damaged" };
            return Ok(scan);
        }
        Err(NoHead::Format(format)) => {
            scan.tail = Tail::Newer(format!("format {format}"));
            return Ok(scan);
        }
    }
    scan.end = SegmentHead::LENGTH as u64;
    let end = match extent {
        Extent::Sealed(sealed) => sealed.min(length),
        Extent::Growing(_) => length,
    };
    let proven = match extent {
        Extent::Sealed(_) => None,
        Extent::Growing(proof) => proof.epoch(first, scan.seed),
    };
    let mut reader = FrameReader::new(file, scan.seed, scan.end, end);
    let stop = read_epochs(&mut reader, first, &mut scan, seen);
    let (byte, expected) = (reader.at(), first.saturating_add(scan.epochs.len() as u64));
    scan.tail = match stop {
        NoFrame::Io(error) => return Err(error),
        NoFrame::Newer(what) => Tail::Newer(what),
        NoFrame::End if scan.end == end => match extent {
            Extent::Sealed(sealed) if length < sealed => {
                Tail::Damaged { byte: length, reason: "the segment is shorter than it was" }
            }
            _ if proven.is_some_and(|proven| proven >= expected) => {
                Tail::Damaged { byte, reason: "the end of the segment is missing" }
            }
            _ if scan.epochs.is_empty() => Tail::Damaged { byte, reason: "the segment has no whole epoch" },
            _ => Tail::Clean,
        },
        stop => {
            let reason = match stop {
                NoFrame::Damaged(reason) => reason,
                _ => "the bytes end within an epoch",
            };
            // A segment is only listed once its first epoch was synced.
            let is_synced = scan.epochs.is_empty()
                || matches!(extent, Extent::Sealed(_))
                || proven.is_some_and(|proven| proven >= expected);
            let is_damage = is_synced || reader.has_later_epoch(expected)?;
            if is_damage { Tail::Damaged { byte, reason } } else { Tail::Unfinished(end - scan.end) }
        }
    };
    scan.is_proven = scan.epochs.len() == 1
        || matches!(extent, Extent::Sealed(_))
        || proven.is_some_and(|proven| proven.checked_add(1) >= Some(expected));
    Ok(scan)
}

/// Reads epochs until something stops it.
fn read_epochs(
    reader: &mut FrameReader<'_>,
    first: u64,
    scan: &mut Scan,
    seen: &mut dyn FnMut(&SeenFrame<'_>),
) -> NoFrame {
    let mut body = Vec::new();
    let mut number = first;
    let mut start = reader.at();
    let mut frames = 0;
    let mut digest = Xxh3::new();
    loop {
        let at = reader.at();
        let frame = match reader.next(&mut body, |header| header.kind == RecordKind::Whole) {
            Ok(frame) => frame,
            Err(stop) => return stop,
        };
        let ReadFrame { header, stage, checksum } = frame;
        match header.kind {
            RecordKind::Put(kind) if header.epoch == number => {
                seen(&SeenFrame { epoch: number, kind, stage: &stage, bytes: header.frame_length() });
                frames += 1;
                digest.update(&checksum.to_le_bytes());
            }
            RecordKind::Whole if header.epoch == number => {
                let Some((whole, manifest)) = Whole::decode(&body) else {
                    return NoFrame::Newer("an end of an epoch in another form".to_owned());
                };
                let is_own = whole.frames == frames && whole.digest == digest.digest();
                if !is_own || whole.oldest > number || whole.follows >= Some(number) {
                    reader.go_back(at);
                    return NoFrame::Damaged("the end of an epoch does not match its frames");
                }
                let end = reader.at();
                scan.epochs.push(ScannedEpoch { number, start, end, whole, manifest: manifest.to_vec() });
                (scan.end, start) = (end, end);
                number = number.saturating_add(1);
                frames = 0;
                digest = Xxh3::new();
            }
            RecordKind::Put(_) | RecordKind::Whole => {
                reader.go_back(at);
                return NoFrame::Damaged("a frame belongs to another epoch");
            }
        }
    }
}
