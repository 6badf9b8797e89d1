use std::time::Duration;

use super::{broken, not_open};
use crate::{Context, Emitter, Error, metrics};

/// What a source found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There may be more: ask again.
    More,
    /// Nothing now: ask again after this long. The host waits a second at most.
    Idle(Duration),
    /// There will never be more.
    End,
}

/// Makes records. `#[sage_guest::source]` implements it.
pub trait Source: Sized {
    /// Names of the side outputs.
    const PORTS: &'static [&'static str];
    /// Start a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Emit a record, or some.
    fn next(&mut self, out: &mut Emitter) -> Result<Progress, Error>;
    /// Append to `out` what `seek` takes to go on after the last record emitted.
    fn position(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let _ = out;
        Ok(())
    }
    /// Go on from a position.
    fn seek(&mut self, position: &[u8]) -> Result<(), Error> {
        let _ = position;
        Err("this source cannot go on from a position: it has no `position` and `seek`".into())
    }
    /// The lane is done.
    fn close(self) {}
}

/// A [`Source`] at the boundary.
#[derive(Debug)]
pub struct SourceLane<O> {
    operator: Option<O>,
    out: Emitter,
}

impl<O: Source> SourceLane<O> {
    /// A lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: None, out: Emitter::new(O::PORTS) }
    }

    /// `ports` of the contract.
    pub fn ports(&self) -> Vec<String> {
        O::PORTS.iter().map(|name| (*name).to_owned()).collect()
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        let opened = O::open(context).map_err(|error| error.message().to_owned());
        metrics::flush();
        self.operator = Some(opened?);
        Ok(())
    }

    /// `next` of the contract: asks the operator until the host has what it wants, there is nothing, or it emits nothing.
    pub fn call(&mut self, max_records: u32, max_bytes: u32) -> Result<Progress, String> {
        let Some(operator) = &mut self.operator else { not_open() };
        self.out.begin_without_input(false, (max_records as usize, max_bytes as usize));
        let found = loop {
            let before = self.out.rows();
            self.out.at(0);
            match operator.next(&mut self.out) {
                Ok(Progress::More) if self.out.rows() > before && !self.out.is_full() => self.out.tell_if_much(),
                Ok(progress) => break Ok(progress),
                Err(error) => {
                    self.out.take_back();
                    break Err(error.message().to_owned());
                }
            }
        };
        self.out.finish();
        metrics::flush();
        found
    }

    /// `position` of the contract. It cannot answer with an error, so one fails the call.
    pub fn position(&mut self) -> Vec<u8> {
        let Some(operator) = &mut self.operator else { not_open() };
        let mut position = Vec::new();
        if let Err(error) = operator.position(&mut position) {
            broken("position", &error);
        }
        position
    }

    /// `seek` of the contract.
    pub fn seek(&mut self, position: &[u8]) -> Result<(), String> {
        let Some(operator) = &mut self.operator else { not_open() };
        operator.seek(position).map_err(|error| error.message().to_owned())
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.close();
        }
        metrics::flush();
    }
}

impl<O: Source> Default for SourceLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
