use std::time::Duration;

use super::outlet::Outlet;
use super::stopped::Stopped;
use sage_batch::Producer;
use sage_time::Watermark;

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
        self.all().try_for_each(|outlet| outlet.mark(epoch))
    }

    /// Moves event time on behind everything that was sent: see [`Outlet::advance`].
    pub(super) fn advance(&mut self, to: Watermark) {
        self.all().for_each(|outlet| outlet.advance(to));
    }

    /// Tells receivers in silence of the watermark: see [`Outlet::tell_in_silence`].
    pub(super) fn tell_in_silence(&mut self) -> Result<(), Stopped> {
        self.all().try_for_each(Outlet::tell_in_silence)
    }

    /// Tells every receiver, which must be flushed, of the watermark at once.
    pub(super) fn tell(&mut self) -> Result<(), Stopped> {
        self.all().try_for_each(Outlet::tell)
    }

    /// The time until receivers have to be told of the watermark.
    pub(super) fn tells_in(&mut self) -> Option<Duration> {
        self.all().filter_map(|outlet| outlet.tells_in()).min()
    }

    /// Each of the lane's producers at its receivers, in order.
    pub(super) fn producers(&mut self) -> Vec<Producer> {
        self.all().flat_map(Outlet::producers).collect()
    }

    /// The lane sends as a part of these producers: see [`Outlet::join_as`].
    pub(super) fn join_as(&mut self, producers: &[Producer]) {
        let mut producers = producers.iter().copied();
        self.all().for_each(|outlet| outlet.join_as(&mut producers));
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Outlet> {
        [&mut self.main, &mut self.rejects].into_iter().chain(&mut self.sides)
    }
}
