use crate::{Error, metrics};

/// The operator of a lane: there is one between `open` and `close` of the contract.
#[derive(Debug)]
pub(super) struct Running<O>(Option<O>);

impl<O> Default for Running<O> {
    fn default() -> Self {
        Self(None)
    }
}

impl<O> Running<O> {
    /// `open` of the contract.
    pub(super) fn open(&mut self, open: impl FnOnce() -> Result<O, Error>) -> Result<(), String> {
        let opened = open().map_err(|error| error.message().to_owned());
        metrics::flush();
        self.0 = Some(opened?);
        Ok(())
    }

    /// The operator.
    ///
    /// # Panics
    /// The lane is not open: the host broke the contract.
    #[inline(always)]
    pub(super) fn get(&mut self) -> &mut O {
        match &mut self.0 {
            Some(operator) => operator,
            None => not_open(),
        }
    }

    /// `close` of the contract.
    pub(super) fn close(&mut self, close: impl FnOnce(O)) {
        if let Some(operator) = self.0.take() {
            close(operator);
        }
        metrics::flush();
    }
}

/// Panics because the operator was called while it is not open. The host never makes such a call, and the
/// operator cannot continue.
#[cold]
#[expect(clippy::panic, reason = "a breach of the contract by the host; the trap is the answer")]
fn not_open() -> ! {
    panic!("the operator was called before `open` succeeded or after `close`")
}
