use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits, set_no_new_privs,
};

use super::error::LockdownError;

const NONE: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

/// Makes root an ordinary user, for this thread and its later threads. The process has no capability now, and
/// it gets none by running a program or by changing its user.
pub(super) fn drop_all() -> Result<(), LockdownError> {
    set_no_new_privs(true).map_err(LockdownError::step("refuse new privileges"))?;
    let held = capabilities(None).map_err(LockdownError::step("read its capabilities"))?;
    // Without this capability the kernel refuses the next two calls. They are then not needed: a process
    // without capabilities and with `no_new_privs` cannot gain any.
    if held.effective.contains(CapabilitySet::SETPCAP) {
        bound_to_none()?;
        set_capabilities_secure_bits(locked()).map_err(LockdownError::step("stop being special as root"))?;
    }
    match clear_ambient_capability_set() {
        // Kernels before 4.3 have no ambient set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(LockdownError::step("clear its ambient capabilities")(error)),
    }
    set_capabilities(None, NONE).map_err(LockdownError::step("drop its capabilities"))?;
    // A non-dumpable process hides its memory from other processes of this user.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(LockdownError::step("hide its memory"))
}

/// Returns `true` if this thread has no capability left.
pub(super) fn all_dropped() -> Result<bool, LockdownError> {
    capabilities(None).map(|held| held == NONE).map_err(LockdownError::step("read its capabilities"))
}

pub(super) fn bound_to_none() -> Result<(), LockdownError> {
    // Newer kernels know more capabilities than our headers, so this loop ends at the first unknown number.
    for number in 0..64 {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(error) => return Err(LockdownError::step("drop its bounding set")(error)),
        }
    }
    Ok(())
}

fn locked() -> CapabilitiesSecureBits {
    use CapabilitiesSecureBits as Bits;
    Bits::NO_ROOT
        | Bits::NO_ROOT_LOCKED
        | Bits::NO_SETUID_FIXUP
        | Bits::NO_SETUID_FIXUP_LOCKED
        | Bits::KEEP_CAPS_LOCKED
        | Bits::NO_CAP_AMBIENT_RAISE
        | Bits::NO_CAP_AMBIENT_RAISE_LOCKED
}
