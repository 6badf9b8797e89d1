//! The host undoes the output of a failed `next`: no record comes out twice.
use contract::*;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static AT: AtomicU64 = AtomicU64::new(0);
static SOUGHT: AtomicBool = AtomicBool::new(false);

struct Guest;

impl Reader for Guest {
    fn next(_max_records: u32, _max_bytes: u32) -> Result<Progress, String> {
        let at = AT.load(Relaxed);
        output::emit(0, &batch_of(column((at..at + 10).map(|i| format!("r{i}")))), None);
        assert!(at != 50 || SOUGHT.load(Relaxed), "after emitting");
        AT.store(at + 10, Relaxed);
        Ok(if at + 10 == 100 { Progress::End } else { Progress::More })
    }

    fn position() -> Vec<u8> {
        AT.load(Relaxed).to_le_bytes().to_vec()
    }

    fn seek(position: Vec<u8>) -> Result<(), String> {
        let at = position.try_into().map_err(|_| "a position has eight bytes".to_owned())?;
        AT.store(u64::from_le_bytes(at), Relaxed);
        SOUGHT.store(true, Relaxed);
        Ok(())
    }
}

export!(source, Guest);
