use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Places;

/// The file and line of each record, found by the record's number. The index is exact and small.
///
/// Record and line numbers mostly rise in step, so only the exceptions are kept: a *run* is a series of records
/// whose lines rise by the same number (1; or 2 if a blank line follows each record). After
/// [`FilePlaces::MOST_RUNS`] runs (1.5 MiB), the further records of that file are described by number instead
/// of by line.
#[derive(Debug, Default)]
pub(super) struct FilePlaces {
    index: Mutex<Index>,
    /// Whether the oldest places are forgotten when there are too many.
    forgets: bool,
}

#[derive(Debug, Default)]
struct Index {
    files: Vec<FileStart>,
    runs: Vec<Run>,
}

#[derive(Debug)]
struct FileStart {
    name: String,
    first_record: u64,
    /// First record without a line, because there were too many runs.
    lost_at: Option<u64>,
}

/// Records `record`, `record + 1`, … lie on lines `line`, `line + stride`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    record: u64,
    line: u64,
    stride: u64,
}

impl Run {
    /// The run at the beginning of a file without header and blank lines.
    fn at_top(record: u64) -> Self {
        Self { record, line: 1, stride: 1 }
    }

    fn line_of(&self, record: u64) -> u64 {
        self.line + record.saturating_sub(self.record) * self.stride
    }
}

impl FilePlaces {
    /// Largest number of runs, over all files.
    const MOST_RUNS: usize = 1 << 16;

    fn keep(&self, run: Run, instead_of_last: bool) {
        let mut index = self.lock();
        let Index { files, runs } = &mut *index;
        if instead_of_last && let Some(last) = runs.last_mut() {
            *last = run;
        } else if runs.len() < Self::MOST_RUNS || self.forgets {
            if runs.len() >= Self::MOST_RUNS {
                runs.drain(..Self::MOST_RUNS / 2);
            }
            runs.push(run);
        } else if let Some(file) = files.last_mut() {
            file.lost_at.get_or_insert(run.record);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places for FilePlaces {
    fn describe(&self, offset: u64) -> String {
        let index = self.lock();
        let files = index.files.partition_point(|file| file.first_record <= offset);
        let Some(file) = files.checked_sub(1).and_then(|i| index.files.get(i)) else {
            return format!("record {offset}");
        };
        if file.lost_at.is_some_and(|lost_at| offset >= lost_at) {
            return format!("{}, record {}", file.name, offset - file.first_record + 1);
        }
        let runs = index.runs.partition_point(|run| run.record <= offset);
        let run = runs.checked_sub(1).and_then(|i| index.runs.get(i)).filter(|run| run.record >= file.first_record);
        let line = run.unwrap_or(&Run::at_top(file.first_record)).line_of(offset);
        format!("{}:{line}", file.name)
    }
}

/// The reader's access to [`FilePlaces`]. The keeper is told of every record, and takes the lock only if record
/// and line fall out of step.
#[derive(Debug)]
pub(super) struct PlaceKeeper {
    places: Arc<FilePlaces>,
    run: Run,
    kept: bool,
}

impl PlaceKeeper {
    pub(super) fn new() -> Self {
        Self { places: Arc::default(), run: Run::at_top(0), kept: false }
    }

    /// Places of a source without an end: the newest of them.
    pub(super) fn of_newest() -> Self {
        Self { places: Arc::new(FilePlaces { forgets: true, ..FilePlaces::default() }), ..Self::new() }
    }

    /// The shared index.
    pub(super) fn places(&self) -> &Arc<FilePlaces> {
        &self.places
    }

    /// Begins a file; its first record is number `record`.
    pub(super) fn begin_file(&mut self, name: String, record: u64) {
        let mut index = self.places.lock();
        if self.places.forgets && index.files.len() >= FilePlaces::MOST_RUNS {
            index.files.drain(..FilePlaces::MOST_RUNS / 2);
        }
        index.files.push(FileStart { name, first_record: record, lost_at: None });
        drop(index);
        self.run = Run::at_top(record);
        self.kept = false;
    }

    /// Notes that record `record`, which follows the record noted last, begins on `line`.
    #[inline]
    pub(super) fn note(&mut self, record: u64, line: u64) {
        if self.run.line_of(record) != line {
            self.fall_out_of_step(record, line);
        }
    }

    #[cold]
    fn fall_out_of_step(&mut self, record: u64, line: u64) {
        if record == self.run.record + 1 && line > self.run.line {
            // The run has one record so far; this record sets its stride.
            self.run.stride = line - self.run.line;
            self.places.keep(self.run, self.kept);
        } else {
            self.run = Run { record, line, stride: 1 };
            self.places.keep(self.run, false);
        }
        self.kept = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn describe_all(files: &[&[u64]]) -> (Vec<String>, usize) {
        let mut keeper = PlaceKeeper::new();
        let mut record = 0;
        for (number, lines) in files.iter().enumerate() {
            keeper.begin_file(format!("f{number}"), record);
            for &line in *lines {
                keeper.note(record, line);
                record += 1;
            }
        }
        let found = (0..record).map(|r| keeper.places.describe(r)).collect();
        (found, keeper.places.lock().runs.len())
    }

    #[test]
    fn lines_in_step_need_nothing_kept_and_regular_gaps_one_run() {
        let cases: [(&[&[u64]], usize); 5] = [
            (&[&[1, 2, 3, 4]], 0),
            (&[&[2, 3, 4, 5]], 1),
            (&[&[1, 3, 5, 7, 9]], 1),
            (&[&[1, 2], &[1, 2, 3]], 0),
            (&[&[2, 4, 6], &[], &[2, 3, 7, 8, 9]], 3),
        ];
        for (files, runs) in cases {
            let expected: Vec<_> = files
                .iter()
                .enumerate()
                .flat_map(|(f, lines)| lines.iter().map(move |l| format!("f{f}:{l}")))
                .collect();
            assert_eq!(describe_all(files), (expected, runs), "{files:?}");
        }
    }

    #[test]
    fn a_source_without_an_end_keeps_its_newest_places() {
        let mut keeper = PlaceKeeper::of_newest();
        let most = FilePlaces::MOST_RUNS as u64;
        // Two files in turns: a start and a run for each record.
        for record in 0..3 * most {
            keeper.begin_file(if record % 2 == 0 { "a" } else { "b" }.to_owned(), record);
            keeper.note(record, record / 2 + 7);
        }
        let index = keeper.places.lock();
        assert!(index.files.len() <= FilePlaces::MOST_RUNS && index.runs.len() <= FilePlaces::MOST_RUNS);
        drop(index);
        let last = 3 * most - 1;
        assert_eq!(keeper.places.describe(last), format!("b:{}", last / 2 + 7));
        assert_eq!(keeper.places.describe(last - 1), format!("a:{}", (last - 1) / 2 + 7));
        assert_eq!(keeper.places.describe(0), "record 0", "it was forgotten");
    }

    #[test]
    fn too_many_gaps_fall_back_to_record_numbers_and_stay_small() {
        let mut keeper = PlaceKeeper::new();
        keeper.begin_file("f".to_owned(), 0);
        let mut line = 0;
        let mut lines = Vec::new();
        for record in 0..400_000u64 {
            line += 1 + record.trailing_zeros() as u64;
            lines.push(line);
            keeper.note(record, line);
        }
        assert_eq!(keeper.places.lock().runs.len(), FilePlaces::MOST_RUNS);
        assert_eq!(keeper.places.describe(1000), format!("f:{}", lines[1000]));
        assert_eq!(keeper.places.describe(399_999), "f, record 400000");
        keeper.begin_file("g".to_owned(), 400_000);
        keeper.note(400_000, 1);
        assert_eq!(keeper.places.describe(400_000), "g:1");
    }

    proptest! {
        #[test]
        fn every_record_is_described_by_its_own_line(
            gaps in prop::collection::vec(prop::collection::vec(1u64..4, 0..30), 0..5)
        ) {
            let files: Vec<Vec<u64>> = gaps
                .iter()
                .map(|file| file.iter().scan(0, |line, gap| { *line += gap; Some(*line) }).collect())
                .collect();
            let expected: Vec<_> = files
                .iter()
                .enumerate()
                .flat_map(|(f, lines)| lines.iter().map(move |l| format!("f{f}:{l}")))
                .collect();
            let files: Vec<&[u64]> = files.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(describe_all(&files).0, expected);
        }
    }
}
