/// Version of the files and messages. A reader takes its own version and the one before.
pub const VERSION: u32 = 1;

/// Whether this program understands files and messages of this version.
#[must_use]
pub fn is_known_version(version: u32) -> bool {
    // There is no version before the first.
    (VERSION.saturating_sub(1).max(1)..=VERSION).contains(&version)
}
