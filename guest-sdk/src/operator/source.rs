use std::time::Duration;

use super::broken;
use super::running::Running;
use crate::{Context, Emitter, Error, metrics};

/// The result of `next` of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There may be more records: the host calls again.
    More,
    /// There are no records now: the host calls again after this time, at most a second.
    Idle(Duration),
    /// There will be no more records.
    End,
}

/// Makes records. `#[sage_guest::source]` implements this trait.
pub trait Source: Sized {
    /// Names of the side outputs.
    const PORTS: &'static [&'static str];
    /// Starts a lane.
    fn open(context: &Context) -> Result<Self, Error>;
    /// Emits one or more records.
    fn next(&mut self, out: &mut Emitter) -> Result<Progress, Error>;
    /// Appends the current position to `out`. `seek` takes this position and continues after the last record
    /// emitted.
    fn position(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let _ = out;
        Ok(())
    }
    /// Continues from a position.
    fn seek(&mut self, position: &[u8]) -> Result<(), Error> {
        let _ = position;
        Err("this source cannot go on from a position: it has no `position` and `seek`".into())
    }
    /// Ends the lane.
    fn close(self) {}
}

/// The lane of a [`Source`]: one copy of the operator behind the functions of the contract.
#[derive(Debug)]
pub struct SourceLane<O> {
    operator: Running<O>,
    out: Emitter,
}

impl<O: Source> SourceLane<O> {
    /// Creates a lane that is not open yet.
    pub fn new() -> Self {
        Self { operator: Running::default(), out: Emitter::new(O::PORTS) }
    }

    /// `ports` of the contract.
    pub fn ports(&self) -> Vec<String> {
        O::PORTS.iter().map(|name| (*name).to_owned()).collect()
    }

    /// `open` of the contract.
    pub fn open(&mut self, context: &Context) -> Result<(), String> {
        self.operator.open(|| O::open(context))
    }

    /// `next` of the contract: calls the operator until the emitter is full, the operator returns another value
    /// than `More`, or a call emits nothing.
    pub fn call(&mut self, max_records: u32, max_bytes: u32) -> Result<Progress, String> {
        let operator = self.operator.get();
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

    /// `position` of the contract. An error fails the call, because `position` cannot return an error.
    pub fn position(&mut self) -> Vec<u8> {
        let operator = self.operator.get();
        let mut position = Vec::new();
        if let Err(error) = operator.position(&mut position) {
            broken("position", &error);
        }
        position
    }

    /// `seek` of the contract.
    pub fn seek(&mut self, position: &[u8]) -> Result<(), String> {
        let operator = self.operator.get();
        operator.seek(position).map_err(|error| error.message().to_owned())
    }

    /// `close` of the contract.
    pub fn close(&mut self) {
        self.operator.close(O::close);
    }
}

impl<O: Source> Default for SourceLane<O> {
    fn default() -> Self {
        Self::new()
    }
}
