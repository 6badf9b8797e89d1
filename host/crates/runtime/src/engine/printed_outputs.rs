//! Records by field of a process or source that a stage downstream reads as text, and that have none: a number in them
//! is not finite.

use super::field_text::text_for_people;
use super::on_error_policy::OnErrorPolicy;
use super::row_runs::runs_without;
use super::stopped::Stopped;
use sage_batch::{Batch, BatchPool, Origin};
use sage_formats::json::unprintable;
use sage_sandbox::Answer;

/// The outputs of a process or source by field that a stage downstream reads as text, by port. Empty for other
/// operators.
#[derive(Debug, Clone, Default)]
pub(super) struct PrintedOutputs(Vec<bool>);

impl PrintedOutputs {
    pub(super) fn new(ports: Vec<bool>) -> Self {
        Self(ports)
    }

    /// The records of a batch on this port that cannot be printed, with the reasons.
    fn unprintable(&self, port: u32, batch: &Batch) -> Vec<(usize, String)> {
        let is_printed = self.0.get(port as usize).copied().unwrap_or(false);
        let Some(table) = batch.table().filter(|_| is_printed) else { return Vec::new() };
        unprintable(table).into_iter().map(|(row, error)| (row, error.to_string())).collect()
    }

    /// Handles the records of a batch that come from no input record and cannot be printed: they leave the batch.
    /// The records must have their origins.
    ///
    /// # Errors
    /// The policy stops the pipeline.
    pub(super) fn without_unprintable(
        &self,
        port: u32,
        batch: Batch,
        policy: &OnErrorPolicy,
        pool: &BatchPool,
    ) -> Result<Batch, Stopped> {
        let found = self.unprintable(port, &batch);
        for (row, reason) in &found {
            let mut record = pool.take();
            // An empty batch takes any shape.
            let _ = record.append_range(&batch, *row, row + 1);
            text_for_people(&mut record);
            if let Some(record) = record.record(0) {
                policy.output_lost(record, reason)?;
            }
        }
        let rows: Vec<usize> = found.into_iter().map(|(row, _)| row).collect();
        Ok(without_rows(batch, &rows, pool))
    }

    /// process by field: takes all records of those input records out of the answer from which a record comes that
    /// cannot be printed. Returns these input records in rising order, with the reasons.
    pub(super) fn take_parents_of_unprintable(&self, answer: &mut Answer, pool: &BatchPool) -> Vec<(usize, String)> {
        let mut reasons: Vec<(usize, String)> = Vec::new();
        for emission in answer.emissions() {
            let Some(parents) = &emission.parents else { continue };
            let found = self.unprintable(emission.port, &emission.batch).into_iter();
            reasons.extend(found.filter_map(|(row, reason)| Some((*parents.get(row)? as usize, reason))));
        }
        if reasons.is_empty() {
            return reasons;
        }
        reasons.sort_by_key(|(parent, _)| *parent);
        reasons.dedup_by_key(|(parent, _)| *parent);
        let is_gone = |parent: u32| reasons.binary_search_by_key(&(parent as usize), |(gone, _)| *gone).is_ok();
        for emission in answer.emissions() {
            let Some(parents) = &mut emission.parents else { continue };
            let rows = parents.iter().enumerate().filter(|(_, parent)| is_gone(**parent)).map(|(row, _)| row);
            let rows: Vec<usize> = rows.collect();
            // A batch without origins takes no part of another, so the records get some.
            let count = emission.batch.len();
            emission.batch.set_origins(std::iter::repeat_n(Origin::NONE, count));
            emission.batch = without_rows(std::mem::take(&mut emission.batch), &rows, pool);
            parents.retain(|parent| !is_gone(*parent));
        }
        reasons
    }
}

/// The rows of a batch without these, in rising order.
fn without_rows(batch: Batch, rows: &[usize], pool: &BatchPool) -> Batch {
    if rows.is_empty() {
        return batch;
    }
    let mut rest = pool.take();
    for (start, end) in runs_without(rows, batch.len()) {
        // An empty batch takes any shape, and all of these rows have the same shape.
        let _ = rest.append_range(&batch, start, end);
    }
    pool.put(batch);
    rest
}
