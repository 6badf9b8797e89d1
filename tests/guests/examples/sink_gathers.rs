//! A correct sink that keeps its records in memory and appends them to /out/written.txt at each flush, one
//! record on each line. The sink panics on poison. The sink also panics once on the record `stumble`, and once in
//! the flush of a record `trip`; a file tells the next instance that the panic has happened.
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
