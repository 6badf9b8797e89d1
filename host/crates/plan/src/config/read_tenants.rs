use std::collections::BTreeMap;

use super::given_amount::given_amount;
use super::table::Table;
use super::{Diagnostic, Diagnostics, TenantCeiling, TenantName};

/// Reads the tables below `[tenant]`. A bound on a resource that the host does not have is an error, because it
/// would never apply. `known` tells which resources the host has.
pub(super) fn read_tenants(
    tenants: &Table<'_, '_>,
    known: impl Fn(&str) -> bool,
    errors: &mut Diagnostics,
) -> BTreeMap<TenantName, TenantCeiling> {
    let mut read = BTreeMap::new();
    for (name, node) in tenants.entries() {
        let place = format!("[tenant.{}]", name.value);
        let Some(mut table) = tenants.table_of(&name.value, node, errors).map(|table| table.called(&place)) else {
            continue;
        };
        let mut ceiling = TenantCeiling::default();
        if let Some(cpus) = table.amount("cpus", errors) {
            ceiling.cpus = given_amount(&format!("cpus of {place}"), &cpus, errors);
        }
        ceiling.memory = table.size("memory", errors).map(|memory| memory.value);
        if let Some(inner) = table.table("resources", errors) {
            for (resource, node) in inner.entries() {
                if !known(&resource.value) {
                    let message = format!("{place} bounds {}, which [resources] does not declare", resource.value);
                    errors.push(Diagnostic::new(message).on(&resource).hint("declare what all tenants have together"));
                } else if let Some(amount) = inner.amount_of(&resource.value, node, errors)
                    && let Some(amount) = given_amount(&format!("{} of {place}", resource.value), &amount, errors)
                {
                    ceiling.resources.insert(resource.value, amount);
                }
            }
        }
        table.finish(errors);
        match name.value.parse::<TenantName>() {
            Ok(tenant) => {
                read.insert(tenant, ceiling);
            }
            Err(error) => errors.push(Diagnostic::new(error.to_string()).on(&name)),
        }
    }
    read
}
