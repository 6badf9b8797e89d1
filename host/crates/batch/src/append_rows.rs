use super::Batch;

impl Batch {
    /// Adds these records of `other`, unless their shape differs (as [`Batch::push`]). Copies column by column, as
    /// [`Batch::append_kept`]. Rows past the end of `other` are left out.
    #[must_use]
    pub fn append_rows(&mut self, other: &Self, rows: &[u32]) -> bool {
        if !self.take_shape(other.shape(), Some(other)) {
            return false;
        }
        self.meet(other);
        self.payloads.append_rows(&other.payloads, rows);
        if let Some(keys) = other.keys() {
            self.keys.append_rows(keys, rows);
        }
        if let Some(times) = other.timestamps() {
            append_rows(&mut self.timestamps, times, rows);
        }
        if let Some(headers) = other.headers() {
            self.headers.append_rows(headers, rows);
        }
        if let (Some(own), Some(table)) = (self.table_mut(), other.table()) {
            rows.iter().for_each(|&row| own.append_range(table, row as usize, row as usize + 1));
        }
        append_rows(&mut self.origins, &other.origins, rows);
        true
    }
}

fn append_rows<T: Copy>(out: &mut Vec<T>, from: &[T], rows: &[u32]) {
    out.extend(rows.iter().filter_map(|&row| from.get(row as usize).copied()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, Record};

    #[test]
    fn chosen_rows_are_added_with_all_their_columns() {
        let mut from = Batch::new();
        for row in 0_u8..5 {
            let (payload, key) = (vec![row; usize::from(row)], [row]);
            let record = Record::of(&payload, Origin::new(1, u64::from(row)));
            let record = Record { key: Some(&key), timestamp: Some(i64::from(row)), headers: Some(&key), ..record };
            assert!(from.push(record));
        }
        let mut into = Batch::new();
        assert!(into.append_rows(&from, &[4, 0]) && into.append_rows(&from, &[2, 9]));
        let rows: Vec<_> = (0..into.len()).map(|row| into.record(row)).collect();
        assert_eq!(rows, [4, 0, 2].map(|row| from.record(row)));
    }

    #[test]
    fn rows_of_another_shape_are_refused() {
        let batch = |key| {
            let mut batch = Batch::new();
            assert!(batch.push(Record { key, ..Record::of(b"x", Origin::NONE) }));
            batch
        };
        let mut into = batch(None);
        assert!(!into.append_rows(&batch(Some(&b"k"[..])), &[0]));
        assert_eq!(into.len(), 1);
    }
}
