use std::sync::Arc;
use std::time::Duration;

use super::answers::{AnswerCollector, Outputs};
use super::field_reader::{FieldReader, Unread};
use super::on_error_policy::OnErrorPolicy;
use super::outlets::Outlets;
use super::preparation::Preparation;
use super::printed_outputs::PrintedOutputs;
use super::stopped::Stopped;
use sage_batch::fields::{FieldType, Part, Schema, Table};
use sage_batch::{Batch, BatchPool, Column, Producer};
use sage_formats::key::KeyWriter;
use sage_plan::{ChosenField, Kind};
use sage_time::Watermark;

/// The `fields` and the `key` of an input, on one edge: reads the fields if the records are text, makes the keys, and
/// leaves only the chosen fields.
///
/// A record whose fields cannot be read, or that has no key, is rejected by the stage that receives the edge, as that
/// stage's `on_error` and its readers say.
pub(super) struct EdgeInput {
    /// Reads the fields from text. `None` where the sender gives them.
    pub(super) reader: Option<FieldReader>,
    pub(super) key: Option<KeyWriter>,
    pub(super) chosen: Option<Vec<ChosenField>>,
    pub(super) refusals: Refusals,
    /// The chosen columns of tables with the first schema, and their own schema.
    pub(super) picked: Option<Picked>,
    pub(super) buffers: Buffers,
}

/// A schema, the schema of its chosen columns, and where each of them comes from.
pub(super) type Picked = (Arc<Schema>, Arc<Schema>, Vec<Part>);

/// Memory that one batch leaves to the next.
#[derive(Default)]
pub(super) struct Buffers {
    keys: Column,
    key: Vec<u8>,
    rows: Table,
}

/// Rejects records in the name of the stage that receives an edge.
pub(super) struct Refusals {
    pub(super) policy: OnErrorPolicy,
    /// The outputs of that stage, of which only `rejects` is used.
    pub(super) outlets: Outlets,
    pub(super) record_limit: u64,
    pub(super) pool: Arc<BatchPool>,
}

impl Preparation for EdgeInput {
    fn prepare(&mut self, batch: Batch, pool: &BatchPool) -> (Batch, Vec<Unread>) {
        let mut refused = Vec::new();
        let mut batch = match &mut self.reader {
            Some(reader) => {
                let (batch, unread) = reader.read(batch, pool);
                refused.extend(unread.map(|unread| *unread));
                batch
            }
            None => batch,
        };
        if let Some(chosen) = &self.chosen {
            choose(&mut batch, chosen, &mut self.picked, &mut self.buffers.rows);
        }
        if let Some(key) = &mut self.key {
            let (sound, without_key) = keyed(batch, key, &mut self.buffers, pool);
            refused.extend(without_key);
            batch = sound;
        }
        (batch, refused)
    }

    fn refuse(&mut self, refused: Unread) -> Result<(), Stopped> {
        self.refusals.reject(refused)
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        self.refusals.outlets.rejects.flush()
    }

    fn advance(&mut self, to: Watermark) {
        self.refusals.outlets.rejects.advance(to);
    }

    fn tell_in_silence(&mut self) -> Result<Option<Duration>, Stopped> {
        let rejects = &mut self.refusals.outlets.rejects;
        rejects.tell_in_silence().map(|()| rejects.tells_in())
    }

    fn tell(&mut self) -> Result<(), Stopped> {
        self.refusals.outlets.rejects.tell()
    }

    fn mark(&mut self, epoch: u64) -> Result<(), Stopped> {
        self.refusals.outlets.rejects.mark(epoch)
    }

    fn producers(&mut self) -> Vec<Producer> {
        self.refusals.outlets.rejects.producers()
    }

    fn join_as(&mut self, producers: &mut dyn Iterator<Item = Producer>) {
        self.refusals.outlets.rejects.join_as(producers);
    }
}

impl Refusals {
    fn reject(&mut self, mut refused: Unread) -> Result<(), Stopped> {
        self.policy.counters.records_in.add(refused.reasons.len() as u64);
        let mut outputs = Outputs::default();
        let rejecting = AnswerCollector {
            kind: Kind::Filter,
            attempt: 1,
            outlets: &self.outlets,
            policy: &self.policy,
            record_limit: self.record_limit,
            pool: &self.pool,
            shape: None,
            kept: Vec::new(),
            printed: &PrintedOutputs::default(),
        };
        rejecting.text_for_rejects(&mut refused.records);
        rejecting.unread(&refused, &mut outputs)?;
        outputs.rejects.into_iter().try_for_each(|batch| self.outlets.rejects.send(batch))
    }
}

/// Gives each record its key. Records without one leave the batch.
fn keyed(mut batch: Batch, key: &mut KeyWriter, buffers: &mut Buffers, pool: &BatchPool) -> (Batch, Option<Unread>) {
    let Buffers { keys, key: text, .. } = buffers;
    keys.clear();
    let mut bad: Vec<(usize, String)> = Vec::new();
    let empty = Table::default();
    let table = batch.table().unwrap_or(&empty);
    for row in 0..batch.len() {
        text.clear();
        match key.write(table, row, text) {
            Ok(()) => keys.push(text),
            Err(error) => bad.push((row, error.to_string())),
        }
    }
    if bad.is_empty() {
        batch.swap_keys(keys);
        return (batch, None);
    }
    let (mut sound, unread) = Unread::set_aside(batch, bad, pool);
    if !sound.is_empty() {
        sound.swap_keys(keys);
    }
    (sound, Some(unread))
}

/// Leaves only the chosen fields, under their names. A field that nobody reads may not have been read.
fn choose(batch: &mut Batch, chosen: &[ChosenField], known: &mut Option<Picked>, rows: &mut Table) {
    let Some(table) = batch.table_mut() else { return };
    let fresh = known.as_ref().is_none_or(|(input, ..)| !Arc::ptr_eq(input, table.schema()));
    if fresh {
        let fields = table.schema().fields();
        let there = chosen.iter().filter_map(|item| {
            let at = table.schema().position(&item.field)?;
            Some((FieldType { name: item.name.clone(), ..fields.get(at)?.clone() }, Part::Input(at)))
        });
        let (fields, parts) = there.unzip();
        // The plan has checked that the names differ.
        let schema = Arc::new(Schema::new(fields).unwrap_or_default());
        *known = Some((Arc::clone(table.schema()), schema, parts));
    }
    let Some((_, schema, parts)) = known else { return };
    let len = table.len();
    rows.assemble(schema, len, parts, &mut Table::default(), table);
    batch.replace_by_fields(rows);
}
