use std::sync::Arc;

use sage_batch::fields::{Schema, Table};
use sage_batch::wire::{WireError, WireReader, get_bytes, get_column, get_small, get_u32s, get_u64};
use sage_batch::{Batch, Column};
use sage_plan::Kind;

/// Parts of an answer from another process. They have been read, but not yet checked against the call.
///
/// All emissions pass through a single one: with one for each, every emission would keep the memory of the
/// largest that was ever at its index.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) answered: bool,
    pub(super) column: Column,
    pub(super) bitmap: Vec<u8>,
    pub(super) parents: Vec<u32>,
    pub(super) emission: ReceivedEmission,
    pub(super) late: Vec<u32>,
    pub(super) rejected: Vec<u32>,
    pub(super) messages: Column,
}

/// An emission from another process, read but not yet checked.
#[derive(Debug, Default)]
pub(super) struct ReceivedEmission {
    pub(super) port: u32,
    pub(super) batch: Batch,
    pub(super) parents: Option<Vec<u32>>,
    /// by field: lends its buffers to the batch.
    spare: Table,
}

impl Received {
    /// Reads everything but emissions and tables. `limit` is the output limit of a call in bytes: no part is
    /// longer.
    pub(super) fn read(
        &mut self,
        (kind, by_field): (Kind, bool),
        limit: u64,
        from: &mut impl WireReader,
    ) -> Result<(), WireError> {
        match kind {
            Kind::Map if by_field => {}
            Kind::FlatMap if by_field => get_u32s(from, limit, &mut self.parents)?,
            Kind::Map | Kind::KeyBy => {
                self.answered = get_u64(from)? != 0;
                if self.answered {
                    get_column(from, "column", limit, &mut self.column)?;
                }
            }
            Kind::Filter => {
                self.answered = get_u64(from)? != 0;
                get_bytes(from, limit, &mut self.bitmap)?;
            }
            Kind::FlatMap => {
                get_column(from, "payloads", limit, &mut self.column)?;
                get_u32s(from, limit, &mut self.parents)?;
            }
            Kind::Window => get_u32s(from, limit, &mut self.late)?,
            Kind::Process | Kind::Source | Kind::Sink => {}
        }
        get_u32s(from, limit, &mut self.rejected)?;
        if !self.rejected.is_empty() {
            get_column(from, "messages", limit, &mut self.messages)?;
        }
        Ok(())
    }
}

impl ReceivedEmission {
    /// Reads an emission. Returns the bytes that it costs its receiver, counted as for a guest. No part of it
    /// is longer than `limit`.
    pub(super) fn read(&mut self, limit: u64, from: &mut impl WireReader) -> Result<u64, WireError> {
        self.port = get_small(from)?;
        self.batch.read(from, limit)?;
        self.read_parents(limit, from)
    }

    /// As [`ReceivedEmission::read`], for records with the fields that `gives` returns for their port.
    pub(super) fn read_by_field(
        &mut self,
        gives: impl Fn(u32) -> Option<Arc<Schema>>,
        limit: u64,
        from: &mut impl WireReader,
    ) -> Result<u64, WireError> {
        self.port = get_small(from)?;
        let unknown = || WireError::broken(format!("records on port {}, which there is not", self.port));
        let schema = gives(self.port).ok_or_else(unknown)?;
        self.batch.read_by_field(&schema, &mut self.spare, from, limit)?;
        self.read_parents(limit, from)
    }

    fn read_parents(&mut self, limit: u64, from: &mut impl WireReader) -> Result<u64, WireError> {
        self.parents = match get_u64(from)? {
            0 => None,
            _ => {
                let mut parents = self.parents.take().unwrap_or_default();
                get_u32s(from, limit, &mut parents)?;
                Some(parents)
            }
        };
        Ok((self.batch.weight() + size_of::<Self>()) as u64)
    }
}
