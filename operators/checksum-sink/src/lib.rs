//! `checksum-sink`: writes nothing. At each flush it logs the number of records and bytes, and a checksum that
//! does not depend on the order of the records: two runs with the same checksum had the same records. Shows a
//! sink with `flush`.

use sage_guest::{Context, Error, log, metrics};

/// Totals of the records so far.
#[derive(Debug)]
pub struct Checksum {
    operator: String,
    records: u64,
    bytes: u64,
    sum: u64,
}

/// Counts the incoming records and adds up their checksums.
#[sage_guest::sink]
impl Checksum {
    fn open(context: &Context) -> Self {
        Self { operator: context.operator.clone(), records: 0, bytes: 0, sum: 0 }
    }

    fn write(&mut self, record: &[u8]) {
        self.records += 1;
        self.bytes += record.len() as u64;
        self.sum = self.sum.wrapping_add(fnv(record));
    }

    fn flush(&mut self) -> Result<(), Error> {
        let Self { operator, records, bytes, sum } = self;
        log::info!("{operator}: {records} records, {bytes} bytes, checksum {sum:016x}");
        metrics::gauge("records", *records as f64);
        metrics::gauge("bytes", *bytes as f64);
        Ok(())
    }
}

/// FNV-1a, 64 bits (draft-eastlake-fnv).
fn fnv(record: &[u8]) -> u64 {
    record.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::{Checksum, fnv};

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_order_of_records_does_not_matter_and_their_content_does() {
        let said = |records: &[&str]| {
            let mut lane = testing::Sink::<Checksum>::open(json!({})).unwrap();
            lane.run(records);
            lane.flush().unwrap();
            assert_eq!(lane.gauge("records"), Some(records.len() as f64));
            lane.logs()[0].1.clone()
        };
        assert_eq!(said(&["a", "bc"]), said(&["bc", "a"]));
        assert_ne!(said(&["a", "bc"]), said(&["ab", "c"]));
    }
}
