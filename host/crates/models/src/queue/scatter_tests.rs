//! Each caller gets its own rows back, in their order, whichever calls it ran with.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::rows;
use super::scheduler::{Pick, Scheduler};
use super::work::{Ended, Kind, Rules, Work};
use crate::{InferenceError, Tensor, TensorData};

/// A call: its lease, the number of its rows, and their width.
#[derive(Debug, Clone)]
struct Asked {
    lease: u64,
    rows: usize,
    width: usize,
}

/// Two inputs. Their numbers identify the call and the element.
fn inputs(call: usize, asked: &Asked) -> Vec<Tensor> {
    let count = asked.rows * asked.width;
    let wide = (0..count).map(|i| i64::try_from(call * 1_000_000 + i).unwrap()).collect();
    let narrow = (0..asked.rows).map(|i| u8::try_from((call + i) % 251).unwrap()).collect();
    vec![
        Tensor::new(vec![asked.rows, asked.width], TensorData::I64(wide)).unwrap(),
        Tensor::new(vec![asked.rows], TensorData::U8(narrow)).unwrap(),
    ]
}

/// The outputs of the device: the inputs in reverse order.
fn device(mut inputs: Vec<Tensor>) -> Vec<Tensor> {
    inputs.reverse();
    inputs
}

fn asked() -> impl Strategy<Value = Asked> {
    (0..3_u64, 1..20_usize, 1..3_usize).prop_map(|(lease, rows, width)| Asked { lease, rows, width })
}

proptest! {
    #[test]
    fn whatever_runs_together_comes_back_to_who_asked(
        asked in prop::collection::vec(asked(), 1..40),
        max_rows in 1..12_usize,
        together in any::<bool>(),
        fails in prop::collection::vec(any::<bool>(), 0..10),
    ) {
        let now = Instant::now();
        let mut scheduler = Scheduler::new();
        scheduler.add_model(Rules { max_rows, max_delay: Duration::ZERO, cut: true, together }, None);
        let given: Vec<_> = asked.iter().enumerate().map(|(call, asked)| inputs(call, asked)).collect();
        for (call, asked) in asked.iter().enumerate() {
            let kind = Kind::of(&given[call]);
            let until = now + Duration::from_secs(1);
            let rows = 0..asked.rows;
            let (lease, since) = (asked.lease, now);
            let work = Work { call, lease, share: 10, model: 0, kind, rows, bytes: 0, since, until, apart: None };
            scheduler.submit(work).unwrap();
        }
        let mut answers: BTreeMap<usize, Vec<(usize, Vec<Tensor>)>> = BTreeMap::new();
        let mut fails = fails.into_iter();
        while let Pick::Run(batch) = scheduler.pick(now) {
            prop_assert!(batch.rows() <= max_rows);
            prop_assert!(together || batch.works.len() == 1);
            if batch.works.len() > 1 && fails.next() == Some(true) {
                scheduler.over(&batch, Ended::Failed, Duration::ZERO, now);
                continue;
            }
            let parts: Vec<_> =
                batch.works.iter().map(|work| (given[work.call].as_slice(), work.rows.clone())).collect();
            let outputs = device(rows::join(&parts).unwrap());
            let counts: Vec<_> = batch.works.iter().map(|work| work.rows.len()).collect();
            for (work, outputs) in batch.works.iter().zip(rows::split(outputs, &counts).unwrap()) {
                answers.entry(work.call).or_default().push((work.rows.start, outputs));
            }
        }
        for (call, asked) in asked.iter().enumerate() {
            let mut parts = answers.remove(&call).unwrap();
            parts.sort_by_key(|(first, _)| *first);
            let parts: Vec<_> = parts.iter().map(|(_, tensors)| (tensors.as_slice(), 0..tensors[0].rows())).collect();
            prop_assert_eq!(rows::join(&parts).unwrap(), device(inputs(call, asked)));
        }
    }
}

#[test]
fn an_answer_whose_rows_are_not_the_callers_is_an_error() {
    let tensor = |shape: Vec<usize>| {
        let count = shape.iter().product();
        Tensor::new(shape, TensorData::U8(vec![0; count])).unwrap()
    };
    for (shape, counts) in [(vec![4, 1], &[2, 3][..]), (vec![1], &[2]), (vec![], &[1]), (vec![], &[1, 1])] {
        let error = rows::split(vec![tensor(shape.clone())], counts).unwrap_err();
        assert!(matches!(error, InferenceError::Backend(_)), "{shape:?} for {counts:?}");
    }
    assert_eq!(rows::split(vec![tensor(vec![2])], &[2]).unwrap(), [[tensor(vec![2])]]);
}
