/// The rows of a batch by receiver, in their order: a counting sort.
///
/// Rows go to their receivers group by group and column by column. Row by row, each row touched the ends of all columns
/// of its receiver, and with a thousand receivers none of them was in a cache.
#[derive(Debug, Default)]
pub(super) struct Scatter {
    /// The receiver of each row.
    places: Vec<u32>,
    /// The end of each receiver's group in `rows`.
    ends: Vec<u32>,
    rows: Vec<u32>,
}

impl Scatter {
    /// Sorts `rows` rows by their place, which must be below `places`.
    pub(super) fn sort(&mut self, rows: usize, places: usize, place: impl FnMut(usize) -> u32) {
        self.places.clear();
        self.places.extend((0..rows).map(place));
        self.ends.clear();
        self.ends.resize(places, 0);
        for &place in &self.places {
            if let Some(count) = self.ends.get_mut(place as usize) {
                *count += 1;
            }
        }
        // From here to the end of the loop below, `ends` are the positions for the next row of each group.
        let mut start = 0;
        for end in &mut self.ends {
            start += std::mem::replace(end, start);
        }
        self.rows.clear();
        self.rows.resize(start as usize, 0);
        for (row, &place) in (0..).zip(&self.places) {
            if let Some(next) = self.ends.get_mut(place as usize)
                && let Some(free) = self.rows.get_mut(*next as usize)
            {
                *free = row;
                *next += 1;
            }
        }
    }

    /// The rows of each place, from place 0.
    pub(super) fn groups(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| self.rows.get(start as usize..end as usize).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_row_is_in_the_group_of_its_place_in_order(places in prop::collection::vec(0u32..9, 0..50)) {
            let mut scatter = Scatter::default();
            for _ in 0..2 {
                scatter.sort(places.len(), 9, |row| places[row]);
                let expected: Vec<Vec<u32>> = (0..9)
                    .map(|place| (0..).zip(&places).filter(|(_, own)| **own == place).map(|(row, _)| row).collect())
                    .collect();
                prop_assert_eq!(scatter.groups().collect::<Vec<_>>(), expected);
            }
        }
    }
}
