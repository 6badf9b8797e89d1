use super::fold::failure;
use super::keeper::WindowKeeper;
use crate::failure::Failure;
use crate::guest::{Guest, GuestSpec};
use sage_plan::Kind;

impl Guest {
    /// window: finds the windows that the keyed state has.
    pub(crate) fn load_windows(&mut self, spec: &GuestSpec) -> Result<(), Failure> {
        let (Kind::Window, Some(rules)) = (self.kind(), spec.windows) else { return Ok(()) };
        let keeper = WindowKeeper::load(rules, &mut self.store.data_mut().state, &spec.budget);
        self.windows = Some(Box::new(keeper.map_err(failure)?));
        Ok(())
    }
}
