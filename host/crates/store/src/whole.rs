/// The body of the frame that ends an epoch. The manifest follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole {
    /// The epoch that this one continues. A base epoch continues none.
    pub(crate) follows: Option<u64>,
    /// The oldest epoch that stays restorable.
    pub(crate) oldest: u64,
    /// Milliseconds since 1970.
    pub(crate) wall_ms: u64,
    /// Number of frames before this one.
    pub(crate) frames: u64,
    /// Checksum over the checksums of these frames.
    pub(crate) digest: u64,
    /// Whether the run came to its end.
    pub(crate) ended: bool,
}

const ENDED: u64 = 1;

impl Whole {
    /// Length in bytes, without the manifest.
    pub(crate) const LENGTH: usize = 48;

    pub(crate) fn encode(&self) -> Vec<u8> {
        let flags = if self.ended { ENDED } else { 0 };
        let fields = [self.follows.unwrap_or(0), self.oldest, self.wall_ms, self.frames, self.digest, flags];
        fields.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    /// Reads the body and the manifest after it. `None` if the bytes are not such a body.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut rest = bytes;
        let mut field = || {
            let (field, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u64::from_le_bytes(*field))
        };
        let follows = Some(field()?).filter(|epoch| *epoch != 0);
        let (oldest, wall_ms, frames, digest, flags) = (field()?, field()?, field()?, field()?, field()?);
        (flags & !ENDED == 0)
            .then_some((Self { follows, oldest, wall_ms, frames, digest, ended: flags & ENDED != 0 }, rest))
    }
}
