use sage_time::WindowRules;

/// The watermarks of which a guest with windows has to be told: those at which a window may close or be forgotten. To the
/// guest, the steps between are all the same.
#[derive(Debug)]
pub(super) struct WindowTime {
    rules: WindowRules,
    told: i64,
}

impl WindowTime {
    /// A guest that has been told of nothing.
    pub(super) fn new(rules: WindowRules) -> Self {
        Self { rules, told: i64::MIN }
    }

    /// Returns `true` if the guest has to be told of this watermark, of which the caller then tells it.
    pub(super) fn take_due(&mut self, watermark: i64) -> bool {
        let due = self.rules.matters(self.told, watermark);
        if due {
            self.told = watermark;
        }
        due
    }
}
