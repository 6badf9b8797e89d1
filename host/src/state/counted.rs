use sage_machine::counted;

/// A count with its noun.
pub(super) fn of(count: usize, thing: &str) -> String {
    counted(u32::try_from(count).unwrap_or(u32::MAX), thing)
}
