/// The maximal runs of rows that are not in `rejected` (rising).
pub(super) fn runs_without(rejected: &[usize], rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let starts = std::iter::once(0).chain(rejected.iter().map(|row| row + 1));
    let ends = rejected.iter().copied().chain(std::iter::once(rows));
    starts.zip(ends).filter(|(start, end)| start < end)
}

/// The maximal runs of parents that rise by one. The columns of a run are copied together.
pub(super) fn rising_runs(parents: &[u32]) -> impl Iterator<Item = (usize, usize)> {
    parents
        .chunk_by(|before, after| before + 1 == *after)
        .map(|run| (run.first().map_or(0, |&p| p as usize), run.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_between_the_rejected_ones_go_on() {
        let cases = [
            (vec![], 3, vec![(0, 3)]),
            (vec![0, 1, 2], 3, vec![]),
            (vec![1], 3, vec![(0, 1), (2, 3)]),
            (vec![0, 2], 5, vec![(1, 2), (3, 5)]),
        ];
        for (rejected, rows, expected) in cases {
            assert_eq!(runs_without(&rejected, rows).collect::<Vec<_>>(), expected, "{rejected:?} of {rows}");
        }
    }

    #[test]
    fn parents_that_rise_by_one_are_copied_together() {
        assert_eq!(rising_runs(&[0, 1, 2, 2, 2, 5, 6]).collect::<Vec<_>>(), [(0, 3), (2, 1), (2, 1), (5, 2)]);
        assert_eq!(rising_runs(&[]).count(), 0);
    }
}
