use std::fmt;

use sage_machine::Claim;

/// The part of a resource that one running pipeline holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The holder: process, pipeline and tenant.
    pub holder: String,
    /// The amount, formatted for people.
    pub amount: String,
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} holds {}", self.holder, self.amount)
    }
}

/// The claims that hold any of a resource.
pub(super) fn holders<'c>(
    claims: impl IntoIterator<Item = &'c Claim>,
    of: impl Fn(&Claim) -> u64,
    show: impl Fn(u64) -> String,
) -> Vec<Holding> {
    let held = claims.into_iter().map(|claim| (claim, of(claim))).filter(|(_, amount)| *amount > 0);
    held.map(|(claim, amount)| Holding { holder: claim.to_string(), amount: show(amount) }).collect()
}
