//! All outputs of a process or source together.

use std::rc::Rc;

use super::{FieldBatch, IntoFields, Port};

/// The outputs of an operator: nested pairs, so that each has the type of its own records.
pub trait Ports {
    /// Begins a call: with a batch, or without one.
    fn begin(&mut self, start: &Start<'_>);
    /// Sets the input record from which the following outputs come.
    fn at(&mut self, row: usize);
    /// Takes back the outputs since [`at`](Self::at).
    fn take_back(&mut self);
    /// Sends the outputs of each port that holds much to the host.
    fn tell_if_much(&mut self);
    /// Sends all outputs to the host.
    fn tell(&mut self);
    /// Number of records and of bytes that this call has emitted.
    fn emitted(&self) -> (usize, usize);
}

/// The beginning of a call.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The batch being processed; `None` in `end` and in a source.
    pub(crate) input: Option<&'a Rc<FieldBatch>>,
    /// Whether outputs are never taken back, so that a long call can send them to the host early.
    pub(crate) streaming: bool,
    /// Records and bytes that the host asked for.
    pub(crate) limits: (usize, usize),
}

impl Ports for () {
    fn begin(&mut self, _: &Start<'_>) {}

    #[inline(always)]
    fn at(&mut self, _: usize) {}

    fn take_back(&mut self) {}

    #[inline(always)]
    fn tell_if_much(&mut self) {}

    fn tell(&mut self) {}

    fn emitted(&self) -> (usize, usize) {
        (0, 0)
    }
}

impl<R: IntoFields, P: Ports> Ports for (Port<R>, P) {
    fn begin(&mut self, start: &Start<'_>) {
        self.0.begin(start);
        self.1.begin(start);
    }

    #[inline(always)]
    fn at(&mut self, row: usize) {
        self.0.at(row);
        self.1.at(row);
    }

    #[cold]
    fn take_back(&mut self) {
        self.0.take_back();
        self.1.take_back();
    }

    #[inline(always)]
    fn tell_if_much(&mut self) {
        self.0.tell_if_much();
        self.1.tell_if_much();
    }

    fn tell(&mut self) {
        self.0.tell();
        self.1.tell();
    }

    fn emitted(&self) -> (usize, usize) {
        let ((rows, bytes), (more_rows, more_bytes)) = (self.0.emitted(), self.1.emitted());
        (rows + more_rows, bytes + more_bytes)
    }
}
