use std::collections::BTreeMap;
use std::path::{Component, PathBuf};

use super::given_amount::given_amount;
use super::table::{Node, Table};
use super::{Diagnostic, Diagnostics, Spanned, TenantCeiling, TenantFolder, TenantName, TenantSigners};

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
        of_server(&mut table, &place, &mut ceiling, errors);
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

/// Reads what a server holds a tenant to.
fn of_server(table: &mut Table<'_, '_>, place: &str, ceiling: &mut TenantCeiling, errors: &mut Diagnostics) {
    if let Some(gpus) = table.amount("num_gpus", errors) {
        ceiling.num_gpus = given_amount(&format!("num_gpus of {place}"), &gpus, errors);
    }
    let number = |count: Option<Spanned<u64>>| count.map(|count| count.value);
    ceiling.jobs = number(table.count("jobs", errors));
    ceiling.queued = number(table.count("queued", errors));
    ceiling.weight = positive(table, "weight", place, 1000, errors);
    ceiling.requests_per_second = positive(table, "requests_per_second", place, 100_000, errors);
    ceiling.component_bytes = table.size("component_bytes", errors).map(|size| size.value);
    signatures(table, place, ceiling, errors);
    ceiling.log_bytes = table.size("log_bytes", errors).map(|size| size.value);
    for node in table.array("folders", errors).unwrap_or_default() {
        ceiling.folders.extend(folder(table, node, place, errors));
    }
    for node in table.array("connect", errors).unwrap_or_default() {
        let Some(written) = table.string_of("connect", node, errors) else { continue };
        match written.value.parse() {
            Ok(address) => ceiling.connect.push(address),
            Err(_) => {
                let message = format!("connect of {place}: \"{}\" is not an address with a port", written.value);
                errors.push(Diagnostic::new(message).on(&written).hint("write IP:port, for example \"10.0.0.5:5432\""));
            }
        }
    }
    if let Some(nodes) = table.array("models", errors) {
        let names = nodes.iter().filter_map(|node| table.string_of("models", node, errors));
        ceiling.models = Some(names.map(|name| name.value).collect());
    }
    if let Some(user) = table.string("user", errors) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if user.value.is_empty() || user.value == "root" || !user.value.chars().all(plain) {
            let message = format!("user of {place} is \"{}\"", user.value.escape_default());
            errors.push(Diagnostic::new(message).on(&user).hint("a name in /etc/passwd, and not root"));
        } else {
            ceiling.user = Some(user.value);
        }
    }
    if let Some(isolation) = table.string("isolation", errors) {
        match isolation.value.as_str() {
            "process" => {}
            "thread" if ceiling.needs_hard_limits() => {
                let message = format!("isolation of {place} is \"thread\", and it bounds cpus or memory");
                let hint = "the kernel holds processes to cpus and memory, so use \"process\"";
                errors.push(Diagnostic::new(message).on(&isolation).hint(hint));
            }
            "thread" => ceiling.may_use_threads = true,
            other => {
                let message = format!("isolation of {place} is \"{other}\", it is \"process\" or \"thread\"");
                errors.push(Diagnostic::new(message).on(&isolation));
            }
        }
    }
}

fn signatures(table: &mut Table<'_, '_>, place: &str, ceiling: &mut TenantCeiling, errors: &mut Diagnostics) {
    for node in table.array("signers", errors).unwrap_or_default() {
        if let (Some(line), TenantSigners::Lines(lines)) =
            (table.string_of("signers", node, errors), &mut ceiling.signers)
        {
            lines.push(line.value);
        }
    }
    let has_lines = ceiling.signers != TenantSigners::default();
    if let Some(file) = table.string("signers_file", errors) {
        let path = PathBuf::from(&file.value);
        if has_lines {
            let message = format!("{place} has signers and signers_file");
            errors.push(Diagnostic::new(message).on(&file).hint("write all signers into one of them"));
        } else if path.is_absolute() {
            ceiling.signers = TenantSigners::File(path);
        } else {
            let message = format!("signers_file of {place} is \"{}\", it is an absolute path", file.value);
            errors.push(Diagnostic::new(message).on(&file));
        }
    }
    let Some(signatures) = table.string("signatures", errors) else { return };
    match signatures.value.as_str() {
        "off" => {}
        "required" if ceiling.signers == TenantSigners::default() => {
            let message = format!("signatures of {place} is \"required\", and nobody may sign");
            errors.push(
                Diagnostic::new(message).on(&signatures).hint("list public keys in signers, or name a signers_file"),
            );
        }
        "required" => ceiling.signatures_required = true,
        other => {
            let message = format!("signatures of {place} is \"{other}\", it is \"required\" or \"off\"");
            errors.push(Diagnostic::new(message).on(&signatures));
        }
    }
}

fn positive(
    table: &mut Table<'_, '_>,
    key: &'static str,
    place: &str,
    most: u32,
    errors: &mut Diagnostics,
) -> Option<u32> {
    let count = table.count(key, errors)?;
    let number = u32::try_from(count.value).ok().filter(|number| (1..=most).contains(number));
    if number.is_none() {
        let message = format!("{key} of {place} is {}, it is 1 to {most}", count.value);
        errors.push(Diagnostic::new(message).on(&count));
    }
    number
}

fn folder(tenant: &Table<'_, '_>, node: &Node<'_>, place: &str, errors: &mut Diagnostics) -> Option<TenantFolder> {
    let mut table = tenant.table_of("folders", node, errors)?.called(&format!("a folder of {place}"));
    let path = table.string("path", errors);
    let write = table.boolean("write", errors).unwrap_or(false);
    if path.is_none() && table.key_span("path").is_none() {
        table.missing("path", "for example: { path = \"/srv/blue\", write = true }", errors);
    }
    table.finish(errors);
    let path = path?;
    let folder = PathBuf::from(&path.value);
    let plain = folder.is_absolute() && !folder.components().any(|part| matches!(part, Component::ParentDir));
    if !plain {
        let message = format!("a folder of {place} is \"{}\", it must be an absolute path without ..", path.value);
        errors.push(Diagnostic::new(message).on(&path));
        return None;
    }
    Some(TenantFolder { path: folder, write })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse_host;

    fn read(text: &str) -> Result<super::TenantCeiling, Vec<String>> {
        match parse_host("host.toml", text.as_bytes(), Path::new("/")) {
            Ok(settings) => Ok(settings.tenants.into_values().next().unwrap()),
            Err(errors) => Err(errors.iter().map(|error| error.message.clone()).collect()),
        }
    }

    #[test]
    fn a_tenant_has_bounds_and_grants_for_a_server() {
        let blue = read(
            "[tenant.blue]\nnum_gpus = 1.5\njobs = 5\nqueued = 10\nweight = 2\nrequests_per_second = 20\n\
             component_bytes = '1GiB'\nmodels = ['magika']\nconnect = ['10.0.0.5:5432']\nisolation = 'thread'\n\
             folders = [{ path = '/srv/blue', write = true }, { path = '/srv/shared' }]\n",
        )
        .unwrap();
        assert_eq!((blue.num_gpus, blue.jobs, blue.queued, blue.weight), (Some(15_000), Some(5), Some(10), Some(2)));
        assert_eq!((blue.requests_per_second, blue.component_bytes), (Some(20), Some(1 << 30)));
        assert_eq!(blue.models, Some(vec!["magika".to_owned()]));
        assert_eq!(blue.connect, ["10.0.0.5:5432".parse().unwrap()]);
        let folders: Vec<(&str, bool)> =
            blue.folders.iter().map(|folder| (folder.path.to_str().unwrap(), folder.write)).collect();
        assert_eq!((folders, blue.may_use_threads), (vec![("/srv/blue", true), ("/srv/shared", false)], true));
        assert!(!blue.needs_hard_limits());
        assert!(read("[tenant.blue]\nmemory = '1GiB'").unwrap().needs_hard_limits());
    }

    #[test]
    fn a_wrong_bound_or_grant_names_its_tenant() {
        for (line, says) in [
            ("weight = 0", "weight of [tenant.blue] is 0, it is 1 to 1000"),
            ("requests_per_second = 1000000", "requests_per_second of [tenant.blue] is 1000000, it is 1 to 100000"),
            ("connect = ['db:5432']", "connect of [tenant.blue]: \"db:5432\" is not an address with a port"),
            (
                "cpus = 1\nisolation = 'thread'",
                "isolation of [tenant.blue] is \"thread\", and it bounds cpus or memory",
            ),
            ("signatures = 'required'", "signatures of [tenant.blue] is \"required\", and nobody may sign"),
            ("signatures = 'on'", "signatures of [tenant.blue] is \"on\", it is \"required\" or \"off\""),
            ("signers_file = 'blue'", "signers_file of [tenant.blue] is \"blue\", it is an absolute path"),
            ("signers = ['a']\nsigners_file = '/b'", "[tenant.blue] has signers and signers_file"),
            ("user = 'root'", "user of [tenant.blue] is \"root\""),
            ("isolation = 'none'", "isolation of [tenant.blue] is \"none\", it is \"process\" or \"thread\""),
            (
                "folders = [{ path = 'srv' }]",
                "a folder of [tenant.blue] is \"srv\", it must be an absolute path without ..",
            ),
            (
                "folders = [{ path = '/a/../b' }]",
                "a folder of [tenant.blue] is \"/a/../b\", it must be an absolute path without ..",
            ),
            ("folders = [{ path = '/a', right = 1 }]", "unknown key \"right\" in a folder of [tenant.blue]"),
        ] {
            assert_eq!(read(&format!("[tenant.blue]\n{line}\n")).unwrap_err(), [says], "{line}");
        }
        assert!(!read("[tenant.blue]\nfolders = [{ write = true }]\n").unwrap_err().is_empty());
    }
}
