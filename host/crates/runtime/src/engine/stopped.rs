/// The run was cut, so this lane must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;
