//! A correct sink: appends to /out/written.txt in a granted folder.
use contract::*;

use std::io::Write;

struct Guest;

impl Writer for Guest {
    fn write(batch: Batch) {
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open("/out/written.txt").expect("a granted folder");
        for entry in entries(&batch.payloads) {
            file.write_all(&[entry, b"\n"].concat()).expect("writable");
        }
    }

    fn flush() -> Result<(), String> {
        std::fs::write("/out/flushed.txt", "yes").map_err(|e| e.to_string())
    }

    fn close() {
        std::fs::write("/out/closed.txt", "yes").expect("writable");
    }
}

export!(sink, Guest);
