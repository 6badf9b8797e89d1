use std::io::{self, Write};

/// Where lines are written, and when a line that was written is there for a reader.
pub(super) trait LineOutput: Write {
    /// Whether bytes that `write` took may stay here until `flush`, as a compressor's do.
    fn keeps_back(&self) -> bool {
        false
    }
}

impl LineOutput for Vec<u8> {}
impl LineOutput for io::PipeWriter {}
