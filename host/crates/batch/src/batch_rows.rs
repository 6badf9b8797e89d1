use std::sync::Arc;

use super::{Batch, RowText};

impl Batch {
    /// The way from the payloads to the text of the records; `None` if the payloads are the text.
    #[must_use]
    pub fn rows(&self) -> Option<&Arc<dyn RowText>> {
        self.rows.as_ref()
    }

    /// Says that the payloads are rows, whose text `rows` writes. [`Batch::set_text`] gives the records their text.
    pub fn set_rows(&mut self, rows: Arc<dyn RowText>) {
        self.rows = Some(rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Origin, Record};

    #[derive(Debug)]
    struct Quoted;

    impl RowText for Quoted {
        fn write(&self, payloads: &Column, text: &mut Column) {
            payloads.iter().for_each(|payload| text.push(&[b"\"", payload, b"\""].concat()));
        }
    }

    #[test]
    fn rows_share_a_batch_only_with_rows_of_their_kind() {
        let plain = || {
            let mut batch = Batch::new();
            assert!(batch.push(Record::of(b"a", Origin::NONE)));
            batch
        };
        let (mut rows, mut others, mut gathered) = (plain(), plain(), Batch::new());
        rows.set_rows(Arc::new(Quoted));
        others.set_rows(Arc::new(Quoted));
        assert!(gathered.append_range(&rows, 0, 1) && gathered.append_range(&rows, 0, 1));
        assert!(!gathered.append_range(&others, 0, 1) && !gathered.append_range(&plain(), 0, 1));
        assert!(!gathered.push(Record::of(b"a", Origin::NONE)));

        let mut text = Column::new();
        gathered.rows().cloned().unwrap().write(gathered.payloads(), &mut text);
        gathered.set_text(&mut text);
        assert!(gathered.rows().is_none() && gathered.payloads().iter().eq([b"\"a\""; 2]));
        gathered.clear();
        assert!(gathered.append_range(&plain(), 0, 1) && gathered.rows().is_none());
    }
}
