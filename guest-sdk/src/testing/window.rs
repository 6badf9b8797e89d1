use std::collections::BTreeMap;

use super::fields::fields_of;
use super::fields_rows::Input;
use super::lane::{Lane, Open};
use super::outcome::{Failure, Outcome};
use super::record::{Record, batch};
use super::windows::Windows;
use crate::Context;
use crate::operator::{self, Described, FieldsWindowLane, WindowLane};
use crate::types::{Closing, Column};

/// A `window` under test, with the windows that a host would keep.
///
/// ```
/// use std::time::Duration;
/// use sage_guest::testing::{self, Record, Windows};
/// use sage_guest::{Emitter, Error, Window};
///
/// #[derive(Default)]
/// struct Count;
///
/// #[sage_guest::window]
/// impl Count {
///     fn add(&mut self, count: &mut u64, _: &str) {
///         *count += 1;
///     }
///
///     fn merge(&mut self, count: &mut u64, later: u64) {
///         *count += later;
///     }
///
///     fn finish(&mut self, _: &Window, count: u64, out: &mut Emitter) -> Result<(), Error> {
///         out.emit(count)
///     }
/// }
///
/// let minutes = Windows::tumbling(Duration::from_secs(60));
/// let mut lane = testing::Window::<Count>::open(serde_json::json!({}), minutes)?;
/// let at = |second: i64| Record::new("x").key("k").timestamp(second * 1_000_000);
/// lane.run([at(0), at(59), at(60)]);
/// assert_eq!(lane.advance_to(60_000_000).texts(), ["2"]);
/// lane.run([at(1)]);
/// assert_eq!(lane.late(), [at(1)]);
/// assert_eq!(lane.end().texts(), ["1"]);
/// # Ok::<(), String>(())
/// ```
pub type Window<O> = Windowed<WindowLane<O>>;
/// A `window` whose records are by field, under test.
pub type FieldsWindow<O> = Windowed<FieldsWindowLane<O>>;

/// A window operator with the windows that a host would keep.
#[derive(Debug)]
pub struct Windowed<L> {
    lane: Lane<L>,
    rules: Windows,
    watermark: i64,
    /// The windows by key, start and end.
    kept: BTreeMap<Place, Kept>,
    late: Vec<Record>,
}

/// The key, start and end of a window.
type Place = (Vec<u8>, i64, i64);

#[derive(Debug, Clone)]
struct Kept {
    accumulator: Vec<u8>,
    emissions: u32,
    unfinished: bool,
}

/// The calls of a window operator.
pub trait WindowCalls: Open {
    /// Calls `fold`. Returns the accumulators, and the rejected records.
    #[doc(hidden)]
    fn fold(lane: &mut Lane<Self>, records: &[Record], to: &Fold<'_>) -> (Column, Vec<Failure>);
    /// Calls `merge`.
    #[doc(hidden)]
    fn merge(lane: &mut Lane<Self>, left: &Column, right: &Column) -> Column;
    /// Calls `finish`.
    #[doc(hidden)]
    fn finish(lane: &mut Lane<Self>, windows: &Closing) -> Outcome;
    /// The records that the host would not pass on, because their fields are not those of the description.
    #[doc(hidden)]
    fn unreadable(records: &[Record]) -> Vec<Failure>;
}

/// The parameters of `fold` beside the records.
#[derive(Debug)]
pub struct Fold<'a> {
    rows: &'a [u32],
    slots: &'a [u32],
    accumulators: &'a Column,
    new: &'a [u8],
}

impl<L: WindowCalls> Windowed<L> {
    /// Opens the operator with this `config`, as the only lane of the only instance, with these windows.
    ///
    /// # Errors
    /// The error that the operator's `open` returned.
    pub fn open(config: serde_json::Value, windows: Windows) -> Result<Self, String> {
        let context = Context { config: config.to_string(), ..Context::default() };
        let lane = Lane::open_as(context)?;
        Ok(Self { lane, rules: windows, watermark: i64::MIN, kept: BTreeMap::new(), late: Vec::new() })
    }

    /// Processes a batch. Each record needs a key and an event time. The failures are the rejected records; the results
    /// of windows come with [`advance_to`](Self::advance_to).
    ///
    /// # Panics
    /// A record has no key or no event time.
    pub fn run<R: Into<Record>>(&mut self, records: impl IntoIterator<Item = R>) -> Outcome {
        let mut records: Vec<(usize, Record)> = records.into_iter().map(Into::into).enumerate().collect();
        let all: Vec<Record> = records.iter().map(|(_, record)| record.clone()).collect();
        let mut failures = L::unreadable(&all);
        records.retain(|(index, _)| failures.iter().all(|failure| failure.record != *index));
        loop {
            let rejected = self.fold(&records);
            if rejected.is_empty() {
                break;
            }
            // As a host does: again without the rejected records.
            let mut gone = Vec::new();
            for Failure { record, message } in rejected {
                if let Some((index, _)) = records.get(record) {
                    failures.push(Failure { record: *index, message });
                    gone.push(*index);
                }
            }
            records.retain(|(index, _)| !gone.contains(index));
        }
        failures.sort_by_key(|failure| failure.record);
        Outcome { outputs: Vec::new(), failures }
    }

    /// Folds the records. Returns those that the operator rejects; then nothing has changed.
    fn fold(&mut self, records: &[(usize, Record)]) -> Vec<Failure> {
        let (mut kept, mut late) = (self.kept.clone(), Vec::new());
        let mut places: Vec<(u32, Place)> = Vec::new();
        for (row, (_, record)) in (0u32..).zip(records) {
            let (key, time) = record.key_and_time();
            let before = places.len();
            for (start, end) in self.rules.of(time) {
                let place = match self.rules.merge() {
                    true => self.join(&mut kept, &mut places, (key.clone(), start, end)),
                    false => (key.clone(), start, end),
                };
                if self.rules.is_late(place.2, self.watermark) {
                    continue;
                }
                places.push((row, place.clone()));
                kept.entry(place).or_insert(Kept { accumulator: Vec::new(), emissions: 0, unfinished: false });
            }
            if places.len() == before {
                late.push(record.clone());
            }
        }
        let records: Vec<Record> = records.iter().map(|(_, record)| record.clone()).collect();
        let (mut rows, mut slots, mut windows) = (Vec::new(), Vec::new(), Vec::new());
        for (row, place) in &places {
            let slot = windows.iter().position(|other| *other == place).unwrap_or_else(|| {
                windows.push(place);
                windows.len() - 1
            });
            rows.push(*row);
            slots.push(slot as u32);
        }
        let before = |place: &&Place| kept.get(*place).map_or(&[][..], |kept| &kept.accumulator);
        let accumulators = Column::of(windows.iter().map(before));
        let mut new = vec![0; windows.len().div_ceil(8)];
        for (slot, place) in windows.iter().enumerate() {
            let is_new = kept.get(*place).is_none_or(|kept| !kept.unfinished && kept.emissions == 0);
            if let Some(byte) = new.get_mut(slot / 8).filter(|_| is_new) {
                *byte |= 1 << (slot % 8);
            }
        }
        if !rows.is_empty() {
            let to = Fold { rows: &rows, slots: &slots, accumulators: &accumulators, new: &new };
            let (sums, rejected) = L::fold(&mut self.lane, &records, &to);
            if !rejected.is_empty() {
                return rejected;
            }
            assert_eq!(sums.len(), windows.len(), "an accumulator for each slot");
            for (place, sum) in windows.into_iter().zip(sums.iter()) {
                if let Some(kept) = kept.get_mut(place) {
                    (kept.accumulator, kept.unfinished) = (sum.to_vec(), true);
                }
            }
        }
        (self.kept, self.late) = (kept, std::mem::take(&mut self.late).into_iter().chain(late).collect());
        Vec::new()
    }

    /// The session that a record joins. Sessions that become one are merged.
    fn join(
        &mut self,
        kept: &mut BTreeMap<Place, Kept>,
        places: &mut [(u32, Place)],
        (key, start, end): Place,
    ) -> Place {
        let joined: Vec<_> =
            kept.keys().filter(|(other, from, to)| *other == key && *from < end && start < *to).cloned().collect();
        let from = joined.iter().map(|(_, from, _)| *from).fold(start, i64::min);
        let to = joined.iter().map(|(_, _, to)| *to).fold(end, i64::max);
        let place = (key, from, to);
        let mut sum: Option<Kept> = None;
        for other in &joined {
            let Some(part) = kept.remove(other) else { continue };
            sum = Some(match sum {
                None => part,
                // A session of this batch alone has nothing to merge yet.
                Some(sum) if !part.unfinished && part.emissions == 0 => sum,
                Some(sum) if !sum.unfinished && sum.emissions == 0 => part,
                Some(sum) => {
                    let (left, right) = (Column::of([&sum.accumulator]), Column::of([&part.accumulator]));
                    let merged = L::merge(&mut self.lane, &left, &right);
                    let emissions = sum.emissions.max(part.emissions);
                    Kept { accumulator: merged.get(0).unwrap_or_default().to_vec(), emissions, unfinished: true }
                }
            });
        }
        if let Some(sum) = sum {
            kept.insert(place.clone(), sum);
        }
        for (_, other) in places.iter_mut().filter(|(_, other)| joined.contains(other)) {
            *other = place.clone();
        }
        place
    }

    /// Raises the watermark, in microseconds since the Unix epoch, and finishes the windows that end at it or before.
    /// The outputs are their results.
    pub fn advance_to(&mut self, watermark: i64) -> Outcome {
        self.watermark = self.watermark.max(watermark);
        let mut due: Vec<_> =
            self.kept.iter().filter(|((_, _, end), kept)| kept.unfinished && *end <= self.watermark).collect();
        due.sort_by_key(|((key, start, end), _)| (*end, key.clone(), *start));
        let closing = Closing {
            keys: Column::of(due.iter().map(|((key, _, _), _)| key)),
            starts: due.iter().map(|((_, start, _), _)| *start).collect(),
            ends: due.iter().map(|((_, _, end), _)| *end).collect(),
            accumulators: Column::of(due.iter().map(|(_, kept)| &kept.accumulator)),
            emissions: due.iter().map(|(_, kept)| kept.emissions).collect(),
        };
        let outcome = if due.is_empty() { Outcome::default() } else { L::finish(&mut self.lane, &closing) };
        let (rules, watermark) = (self.rules, self.watermark);
        self.kept.retain(|(_, _, end), kept| {
            if kept.unfinished && *end <= watermark {
                (kept.unfinished, kept.emissions) = (false, kept.emissions + 1);
            }
            kept.unfinished || !rules.is_late(*end, watermark)
        });
        outcome
    }

    /// Ends the input, which finishes all windows.
    pub fn end(&mut self) -> Outcome {
        self.advance_to(i64::MAX)
    }

    /// The records that came too late for all of their windows.
    pub fn late(&self) -> &[Record] {
        &self.late
    }

    /// Number of windows that are kept.
    pub fn windows(&self) -> usize {
        self.kept.len()
    }

    /// Drops this copy and opens a fresh one, as a host does after a trap. Windows survive, because the host holds them.
    ///
    /// # Errors
    /// The error that the operator's `open` returned.
    pub fn restart(&mut self) -> Result<(), String> {
        self.lane.restart()
    }

    /// Closes the operator.
    pub fn close(self) {
        self.lane.close();
    }
}

impl<L: Open> Lane<L> {
    /// The accumulators of the last call.
    fn told_accumulators(&mut self) -> Column {
        std::mem::take(&mut self.host().accumulators).pop().unwrap_or_default()
    }
}

macro_rules! open {
    ($($lane:ident: $kind:ident),*) => {$(
        impl<O: operator::$kind> Open for $lane<O> {
            fn open_lane(&mut self, context: &Context) -> Result<(), String> {
                self.open(context)
            }

            fn close_lane(&mut self) {
                self.close();
            }
        }
    )*};
}

open!(WindowLane: Window, FieldsWindowLane: FieldsWindow);

impl<O: operator::Window> WindowCalls for WindowLane<O> {
    fn fold(lane: &mut Lane<Self>, records: &[Record], to: &Fold<'_>) -> (Column, Vec<Failure>) {
        let batch = batch(records);
        lane.call_with_batch(|lane| lane.fold(&batch, to.rows, to.slots, to.accumulators, to.new));
        (lane.told_accumulators(), lane.failures())
    }

    fn merge(lane: &mut Lane<Self>, left: &Column, right: &Column) -> Column {
        lane.call(|lane| lane.merge(left, right));
        lane.told_accumulators()
    }

    fn finish(lane: &mut Lane<Self>, windows: &Closing) -> Outcome {
        lane.call(|lane| lane.finish(windows));
        let told = std::mem::take(&mut lane.host().emitted);
        let mut outcome = Outcome::default();
        outcome.emitted(&[], told);
        without_parents(outcome)
    }

    fn unreadable(_: &[Record]) -> Vec<Failure> {
        Vec::new()
    }
}

impl<O: operator::FieldsWindow + Described> WindowCalls for FieldsWindowLane<O> {
    fn fold(lane: &mut Lane<Self>, records: &[Record], to: &Fold<'_>) -> (Column, Vec<Failure>) {
        let input = Input::of::<O, _>(records.iter().cloned());
        lane.call_with_batch(|lane| lane.fold(&input.batch, to.rows, to.slots, to.accumulators, to.new));
        (lane.told_accumulators(), lane.failures())
    }

    fn merge(lane: &mut Lane<Self>, left: &Column, right: &Column) -> Column {
        lane.call(|lane| lane.merge(left, right));
        lane.told_accumulators()
    }

    fn finish(lane: &mut Lane<Self>, windows: &Closing) -> Outcome {
        lane.call(|lane| lane.finish(windows));
        without_parents(lane.outcome(&fields_of::<O>(), &mut Input::none()))
    }

    fn unreadable(records: &[Record]) -> Vec<Failure> {
        Input::of::<O, _>(records.iter().cloned()).failures
    }
}

/// A window is no input record.
fn without_parents(mut outcome: Outcome) -> Outcome {
    for output in &mut outcome.outputs {
        output.parent = None;
    }
    outcome
}
