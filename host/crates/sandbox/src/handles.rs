/// Most handles that a guest has at a time, to the host's resources and to its own. Each is an entry in a table
/// of the runtime.
pub(super) const MOST_HANDLES: usize = 1024;
