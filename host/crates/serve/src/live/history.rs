use std::collections::VecDeque;

use super::Look;

/// The last looks at a job.
#[derive(Debug, Default)]
pub struct History {
    looks: VecDeque<Look>,
    last: u64,
}

impl History {
    /// Looks that are kept: two minutes at one a second.
    pub const KEPT: usize = 120;

    /// Numbers a look and adds it.
    pub fn add(&mut self, mut look: Look) -> u64 {
        self.last += 1;
        look.seq = self.last;
        self.looks.push_back(look);
        if self.looks.len() > Self::KEPT {
            self.looks.pop_front();
        }
        self.last
    }

    /// The looks after number `since`, and whether some between are not kept any more.
    #[must_use]
    pub fn since(&self, since: u64) -> (Vec<Look>, bool) {
        let new: Vec<Look> = self.looks.iter().filter(|look| look.seq > since).cloned().collect();
        let gap = new.first().is_some_and(|first| first.seq > since + 1);
        (new, gap)
    }

    /// The last look.
    #[must_use]
    pub fn last(&self) -> Option<&Look> {
        self.looks.back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_is_late_gets_a_gap() {
        let mut history = History::default();
        assert_eq!(history.since(0), (Vec::new(), false));
        for number in 1..=History::KEPT as u64 + 5 {
            assert_eq!(history.add(Look::silent(1, "why".to_owned(), 0)), number);
        }
        let (looks, gap) = history.since(0);
        assert_eq!((looks.len(), looks[0].seq, gap), (History::KEPT, 6, true));
        assert_eq!((history.since(5).1, history.since(4).1), (false, true));
        assert!(history.since(1000).0.is_empty());
    }
}
