use std::io::{self, Write};

/// An output for lines, with the knowledge of when a written line is visible to a reader.
pub(super) trait LineOutput: Write {
    /// Whether `write` may hold bytes back until `flush`, as a compressor does.
    fn keeps_back(&self) -> bool {
        false
    }
}

impl LineOutput for Vec<u8> {}
impl LineOutput for io::PipeWriter {}
