use std::net::SocketAddr;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};

use super::error::LockdownError;

/// The newest landlock version that this code was tested with. Older kernels enforce less; the caller compares their
/// version.
pub(super) const NEWEST: ABI = ABI::V6;

/// A ruleset that allows nothing yet: no file, no TCP port, no signal and no abstract socket of another process.
pub(super) fn deny_all() -> Result<RulesetCreated, LockdownError> {
    Ok(Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?)
}

/// Allows TCP connections to the ports of these addresses.
pub(super) fn allow_ports(
    mut ruleset: RulesetCreated,
    connect: &[SocketAddr],
) -> Result<RulesetCreated, LockdownError> {
    for address in connect {
        ruleset = ruleset.add_rule(NetPort::new(address.port(), AccessNet::ConnectTcp))?;
    }
    if !connect.is_empty() {
        // A client socket first binds to any free port.
        ruleset = ruleset.add_rule(NetPort::new(0, AccessNet::BindTcp))?;
    }
    Ok(ruleset)
}
