//! An honest sink that keeps what it is given in memory and appends it to /out/written.txt, each record on a line of its own, when it is flushed. It panics on
//! poison; and once, which the next guest knows by a file, on the record `stumble`, and in the flush of a record `trip`.
use contract::*;

use std::cell::RefCell;
use std::io::Write;

thread_local! {
    static GATHERED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

struct Guest;

impl Writer for Guest {
    fn write(batch: Batch) {
        for entry in entries(&batch.payloads) {
            assert!(entry != POISON, "indigestible");
            if entry == b"stumble" {
                panic_once("stumbled");
            }
            GATHERED.with_borrow_mut(|gathered| gathered.push(entry.to_vec()));
        }
    }

    fn flush() -> Result<(), String> {
        let gathered = GATHERED.take();
        if gathered.iter().any(|entry| entry == b"trip") {
            panic_once("tripped");
        }
        let lines: Vec<u8> = gathered.iter().flat_map(|entry| [b"\n", entry.as_slice()].concat()).collect();
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open("/out/written.txt")
            .map_err(|e| e.to_string())?;
        file.write_all(&lines).map_err(|e| e.to_string())
    }
}

fn panic_once(what: &str) {
    if std::fs::File::create_new(format!("/out/{what}")).is_ok() {
        panic!("{what}");
    }
}

export!(sink, Guest);
