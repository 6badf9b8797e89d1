//! All outputs of a process or source together.

use std::rc::Rc;

use super::{FieldBatch, IntoFields, Port};

/// The outputs of an operator: nested pairs, so that each has the type of its own records.
pub trait Ports {
    /// Begins a call: with a batch, or without one.
    fn begin(&mut self, start: &Start<'_>);
    /// Sets the input record from which the following outputs come.
    fn at(&mut self, row: usize);
    /// Ends the current record: nothing can be emitted until the next one.
    fn leave(&mut self);
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

    fn leave(&mut self) {}

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

    fn leave(&mut self) {
        self.0.leave();
        self.1.leave();
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

/// Outputs that [`Batch::each`](super::Batch::each) takes: a `&mut Port<_>`, or a tuple of some.
pub trait Outputs {
    /// Sets the input record from which the following outputs come.
    fn at(&mut self, row: usize);
    /// Ends the current record.
    fn leave(&mut self);
    /// Takes back the outputs since [`at`](Self::at).
    fn take_back(&mut self);
    /// Sends the outputs of each port that holds much to the host.
    fn tell_if_much(&mut self);
}

impl<R: IntoFields> Outputs for &mut Port<R> {
    #[inline(always)]
    fn at(&mut self, row: usize) {
        Port::at(self, row);
    }

    fn leave(&mut self) {
        Port::leave(self);
    }

    #[cold]
    fn take_back(&mut self) {
        Port::take_back(self);
    }

    #[inline(always)]
    fn tell_if_much(&mut self) {
        Port::tell_if_much(self);
    }
}

macro_rules! tuples {
    ($(($($port:ident $at:tt),*))*) => {$(
        impl<$($port: Outputs),*> Outputs for ($($port,)*) {
            #[inline(always)]
            fn at(&mut self, row: usize) {
                $(self.$at.at(row);)*
            }

            fn leave(&mut self) {
                $(self.$at.leave();)*
            }

            #[cold]
            fn take_back(&mut self) {
                $(self.$at.take_back();)*
            }

            #[inline(always)]
            fn tell_if_much(&mut self) {
                $(self.$at.tell_if_much();)*
            }
        }
    )*};
}

tuples!((A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3));
