use std::collections::BTreeMap;

use super::assignment::Timed;
use super::entry::{WINDOWS, fixed_size};
use super::keeper::WindowKeeper;
use crate::answer::{Answer, Call};
use crate::contract::{BatchRef, ColumnRef};
use crate::failure::{Failure, FailureCode};
use crate::fields_contract::{FieldBatchRef, TableColumns, TableRef};
use crate::guest::Guest;
use crate::printed::Printed;
use sage_batch::fields::Table;
use sage_batch::{Column, RawColumns};

impl Guest {
    /// window: adds records to their windows. Late records are in the answer, and so are those that the guest rejects:
    /// it folds the batch again without them. Windows that were finished before and have taken records are finished again.
    ///
    /// # Errors
    /// As [`Guest::call`].
    pub(crate) fn fold(
        &mut self,
        table: Option<&Table>,
        columns: &RawColumns<'_>,
        edge: Option<u32>,
    ) -> Result<&mut Answer, Failure> {
        let Some(mut keeper) = self.windows.take() else { return Err(no_windows()) };
        let mut rejected: BTreeMap<u32, String> = BTreeMap::new();
        let folded = self.fold_until_accepted(&mut keeper, &mut rejected, table, columns, edge).and_then(|()| {
            // Their accumulators were all passed to one call already, so no call is bounded further.
            let corrects = keeper.is_due(keeper.watermark);
            if corrects { self.finish_due(&mut keeper, (u32::MAX, usize::MAX)) } else { Ok(false) }
        });
        if folded.is_err() {
            self.store.data_mut().state.roll_back();
        }
        let corrected = folded?;
        self.store.data_mut().state.commit();
        let assignment = &mut keeper.assignment;
        rejected.extend(assignment.refused.drain(..));
        let answer = self.answer()?;
        if !corrected {
            answer.begin(Call::Merge(0));
        }
        answer.set_outcome(columns.payloads.0.len().saturating_sub(1), &assignment.late, &rejected);
        self.windows = Some(keeper);
        self.answer()
    }

    /// Folds a batch without the records that the guest rejects. The state is written, and not committed.
    fn fold_until_accepted(
        &mut self,
        keeper: &mut WindowKeeper,
        rejected: &mut BTreeMap<u32, String>,
        table: Option<&Table>,
        columns: &RawColumns<'_>,
        edge: Option<u32>,
    ) -> Result<(), Failure> {
        let rows = columns.payloads.0.len().saturating_sub(1);
        let read = table.map(|table| self.begin_table(table)).transpose()?;
        loop {
            let excluded: Vec<u32> = rejected.keys().copied().collect();
            let state = &mut self.store.data_mut().state;
            let windows = state.table_or_new(WINDOWS).map_err(failure)?;
            keeper.assignment.clear();
            let records = match Timed::of(columns) {
                Ok(records) => records,
                Err(why) => {
                    keeper.assignment.refuse_all(rows, why);
                    return Ok(());
                }
            };
            if fixed_size(&keeper.rules).is_some() {
                keeper.assign_fixed(state, windows, &records, &excluded).map_err(failure)?;
            } else {
                keeper.assign_sessions(state, windows, &records, &excluded);
                self.merge_sessions(keeper)?;
                keeper.make_session_slots();
            }
            if keeper.assignment.rows.is_empty() {
                return Ok(());
            }
            self.call_fold(keeper, table.zip(read.as_deref()), columns, edge)?;
            let answer = self.answer()?;
            let before = rejected.len();
            rejected
                .extend(answer.rejected().filter_map(|(row, why)| Some((u32::try_from(row).ok()?, why.to_owned()))));
            if rejected.len() > before {
                self.store.data_mut().state.roll_back();
                continue;
            }
            let accumulators = std::mem::take(answer.column());
            let state = &mut self.store.data_mut().state;
            let kept = match fixed_size(&keeper.rules) {
                Some(_) => keeper.keep_fixed(state, windows, accumulators.iter()),
                None => keeper.keep_sessions(state, windows, accumulators.iter()),
            };
            *self.answer()?.column() = accumulators;
            return kept.map_err(failure);
        }
    }

    fn call_fold(
        &mut self,
        keeper: &WindowKeeper,
        fields: Option<(&Table, &[usize])>,
        columns: &RawColumns<'_>,
        edge: Option<u32>,
    ) -> Result<(), Failure> {
        let to = &keeper.assignment;
        let (rows, slots) = (to.rows.as_slice(), to.slots.as_slice());
        let (accumulators, new) = (column(&to.accumulators), to.new.as_slice());
        let records = columns.payloads.0.len().saturating_sub(1);
        let call = Call::Fold { records, slots: to.slot_count() };
        self.store.data_mut().edge = edge;
        let (keys, headers) = (columns.keys.map(Into::into), columns.headers.map(Into::into));
        let (work, timestamps) = (self.work, columns.timestamps);
        match fields {
            None => {
                let batch = BatchRef { payloads: columns.payloads.into(), keys, timestamps, headers };
                self.invoke_open::<_, ()>(work, call, (batch, rows, slots, accumulators, new))
            }
            Some((table, read)) => {
                let TableColumns { fields, children } = TableColumns::of(table, read);
                let rows_of_table = u32::try_from(table.len()).unwrap_or(u32::MAX);
                let table = TableRef { rows: rows_of_table, fields: &fields, children: &children };
                let batch = FieldBatchRef { table, keys, timestamps, headers };
                self.invoke_open::<_, ()>(work, call, (batch, rows, slots, accumulators, new))
            }
        }
    }

    /// Merges the accumulators of sessions that have become one, two at a time and those of all keys together.
    fn merge_sessions(&mut self, keeper: &mut WindowKeeper) -> Result<(), Failure> {
        loop {
            let (mut left, mut right) = (Column::new(), Column::new());
            for group in keeper.assignment.sessions.torn() {
                for pair in group.from.chunks_exact(2) {
                    if let [one, other] = pair {
                        left.push(&one.accumulator);
                        right.push(&other.accumulator);
                    }
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            let Some(merge) = self.loaded.exports().merge else { return Err(no_windows()) };
            let merge = self.find(&merge)?;
            self.invoke_open::<_, ()>(merge, Call::Merge(left.len()), (column(&left), column(&right)))?;
            let merged = std::mem::take(self.answer()?.column());
            let mut results = merged.iter();
            for group in keeper.assignment.sessions.torn() {
                group.take_merged(&mut results);
            }
            drop(results);
            *self.answer()?.column() = merged;
        }
    }
}

fn column(column: &Column) -> ColumnRef<'_> {
    ColumnRef::from((column.offsets(), column.bytes()))
}

pub(super) fn failure(error: wasmtime::Error) -> Failure {
    Failure::of(&error, &Printed::default())
}

pub(super) fn no_windows() -> Failure {
    Failure::new(FailureCode::Open, "the operator has no windows (a fault of the host)")
}
