use super::outlet::Outlet;
use super::stopped::Stopped;

/// The outputs of a lane: its ports.
pub(super) struct Outlets {
    pub(super) main: Outlet,
    pub(super) rejects: Outlet,
    /// By port number, from 1.
    pub(super) sides: Vec<Outlet>,
}

impl Outlets {
    /// Sends the gathered outputs of all ports.
    pub(super) fn flush(&mut self) -> Result<(), Stopped> {
        self.main.flush()?;
        self.rejects.flush()?;
        self.sides.iter_mut().try_for_each(Outlet::flush)
    }

    /// Sends the gathered outputs of all ports, and marks an epoch behind them.
    pub(super) fn mark(&mut self, epoch: u64) -> Result<(), Stopped> {
        self.flush()?;
        self.main.mark(epoch);
        self.rejects.mark(epoch);
        self.sides.iter().for_each(|side| side.mark(epoch));
        Ok(())
    }
}
