use super::entry::{CLOCK, Entry, WATERMARK, WINDOWS, fixed_size, ordered};
use super::fold::{failure, no_windows};
use super::keeper::{Ripe, WindowKeeper};
use crate::answer::{Answer, Call};
use crate::contract::{ClosingRef, ColumnRef};
use crate::failure::Failure;
use crate::guest::Guest;
use crate::keyed_state::KeyedState;
use sage_batch::Column;

/// Most bytes of accumulators that one call gets, unless a single one has more.
const MOST_BYTES: usize = 4 << 20;

/// Windows that are finished in one call.
#[derive(Debug, Default)]
struct Closing {
    keys: Column,
    starts: Vec<i64>,
    ends: Vec<i64>,
    accumulators: Column,
    emissions: Vec<u32>,
    ripe: Vec<Ripe>,
}

impl Guest {
    /// window: raises the watermark, and finishes up to `most` windows that are due. `true` means that more are due.
    /// The answer has what the guest emitted, with the keys and times of the windows where the guest gave none.
    ///
    /// # Errors
    /// As [`Guest::call`]. The windows and the watermark are then as before.
    pub fn advance(&mut self, watermark: i64, most: u32) -> Result<(bool, &mut Answer), Failure> {
        let Some(mut keeper) = self.windows.take() else { return Err(no_windows()) };
        let advanced = self.advance_windows(&mut keeper, watermark, most);
        if advanced.is_err() {
            self.store.data_mut().state.roll_back();
        }
        advanced?;
        self.store.data_mut().state.commit();
        let more = keeper.is_due(keeper.watermark);
        self.windows = Some(keeper);
        Ok((more, self.answer()?))
    }

    fn advance_windows(&mut self, keeper: &mut WindowKeeper, watermark: i64, most: u32) -> Result<(), Failure> {
        let before = keeper.watermark;
        keeper.watermark = before.max(watermark);
        if keeper.watermark > before {
            let entry = (WATERMARK, &ordered(keeper.watermark)[..]);
            let state = &mut self.store.data_mut().state;
            state.put(CLOCK, [entry].into_iter()).map_err(failure)?;
        }
        if !self.finish_due(keeper, (most, MOST_BYTES))? {
            self.answer()?.begin(Call::Finish(0));
        }
        Ok(())
    }

    /// Finishes the windows that are due at the watermark, up to so many windows and bytes of accumulators. `false` means
    /// that none was. The state is written, and not committed.
    pub(super) fn finish_due(&mut self, keeper: &mut WindowKeeper, most: (u32, usize)) -> Result<bool, Failure> {
        let state = &mut self.store.data_mut().state;
        let table = state.table_or_new(WINDOWS).map_err(failure)?;
        let closing = keeper.closing(state, table, most).map_err(failure)?;
        if closing.ripe.is_empty() {
            return Ok(false);
        }
        let Some(finish) = self.loaded.exports().finish else { return Err(no_windows()) };
        let finish = self.find(&finish)?;
        self.answer()?.inherit_keys(&closing.keys);
        let params = ClosingRef {
            keys: column(&closing.keys),
            starts: &closing.starts,
            ends: &closing.ends,
            accumulators: column(&closing.accumulators),
            emissions: &closing.emissions,
        };
        self.invoke_open::<_, ()>(finish, Call::Finish(closing.ripe.len()), (params,))?;
        self.answer()?.complete_with_windows(&closing.keys, &closing.ends);
        let state = &mut self.store.data_mut().state;
        keeper.finished(state, table, &closing).map_err(failure)?;
        Ok(true)
    }
}

impl WindowKeeper {
    /// Takes the windows that are due at the watermark, up to so many windows and bytes of accumulators.
    fn closing(
        &mut self,
        state: &mut KeyedState,
        table: u32,
        (windows, bytes): (u32, usize),
    ) -> wasmtime::Result<Closing> {
        let mut closing = Closing::default();
        while closing.ripe.len() < windows as usize && closing.accumulators.byte_len() < bytes {
            let Some(ripe) = self.take_ripe(state, table, self.watermark)? else { break };
            let Some((_, entry)) = self.find(state, table, ripe.place) else { continue };
            closing.keys.push(self.key(state, table, ripe.place));
            closing.starts.push(ripe.window.start);
            closing.ends.push(ripe.window.end);
            closing.accumulators.push(entry.accumulator);
            closing.emissions.push(ripe.emissions);
            closing.ripe.push(ripe);
        }
        Ok(closing)
    }

    /// Notes that windows were finished: they are deleted, or wait for late records.
    fn finished(&mut self, state: &mut KeyedState, table: u32, closing: &Closing) -> wasmtime::Result<()> {
        let mut value = Vec::new();
        for (ripe, accumulator) in closing.ripe.iter().zip(closing.accumulators.iter()) {
            if self.rules.is_late(ripe.window, self.watermark) {
                self.forget(state, table, ripe.place)?;
                continue;
            }
            let emissions = ripe.emissions.saturating_add(1);
            let end = fixed_size(&self.rules).is_none().then_some(ripe.window.end);
            Entry { emissions, unfinished: false, end, accumulator }.write(&mut value);
            match end {
                None => state.put_at(table, ripe.place.slot, &value)?,
                Some(_) => state.map_put_at((table, ripe.place.slot), &ordered(ripe.place.start), &value)?,
            }
            self.note(ripe.place, ripe.window, false)?;
        }
        Ok(())
    }
}

fn column(column: &Column) -> ColumnRef<'_> {
    ColumnRef::from((column.offsets(), column.bytes()))
}
