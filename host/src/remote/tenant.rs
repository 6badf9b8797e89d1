use sage_serve::server::TenantView;
use sage_text::short_size;
use serde::{Deserialize, Serialize};

use super::access_args::TenantCommand;
use super::connection::{connect, of_client};
use super::job_table::lines;
use super::logs::segment;
use crate::failure::Failure;
use crate::printer::Printer;

#[derive(Serialize, Deserialize)]
struct Tenants {
    tenants: Vec<TenantView>,
}

/// The command `tenant`.
pub(super) fn tenant(command: &TenantCommand, printer: Printer) -> Result<(), Failure> {
    match command {
        TenantCommand::Ls(arguments) => {
            let listed: Tenants = connect(&arguments.server)?.of_tenant(None).get("/v1/tenants").map_err(of_client)?;
            printer.result(|| table(&listed.tenants), &listed)
        }
        TenantCommand::Show(arguments) => {
            let path = format!("/v1/tenants/{}", segment(&arguments.name)?);
            let tenant: TenantView = connect(&arguments.server)?.of_tenant(None).get(&path).map_err(of_client)?;
            printer.result(|| bounds(&tenant) + &apart(&tenant), &tenant)
        }
    }
}

fn table(tenants: &[TenantView]) -> String {
    if tenants.is_empty() {
        return "there are no tenants; tables [tenant.NAME] of host.toml declare them\n".to_owned();
    }
    let row = |tenant: &TenantView| {
        let (used, most) = (&tenant.used, &tenant.ceiling);
        [
            tenant.name.to_string(),
            of(used.jobs.to_string(), most.jobs.map(|most| most.to_string())),
            of(used.queued.to_string(), most.queued.map(|most| most.to_string())),
            of(short_size(used.memory_limit), most.memory.map(short_size)),
            of(short_size(used.component_bytes), most.component_bytes.map(short_size)),
        ]
    };
    lines(["TENANT", "JOBS", "QUEUED", "MEMORY", "COMPONENTS"], tenants.iter().map(row))
}

fn of(used: String, most: Option<String>) -> String {
    most.map_or(used.clone(), |most| format!("{used}/{most}"))
}

/// What keeps the tenant apart from others, and how hard that is.
fn apart(tenant: &TenantView) -> String {
    match tenant.user {
        Some(user) => format!(
            "jobs run as user {user}, without capabilities, inside a fence of landlock (hard: the kernel keeps files and \
             processes of others from them)\n"
        ),
        None => {
            "jobs run as the user of the server, inside a fence of landlock (hard for files, TCP and signals; there is \
                 no second wall, because the server is not root or users = \"server\" in [serve])\n"
                .to_owned()
        }
    }
}

fn bounds(tenant: &TenantView) -> String {
    let (used, most) = (&tenant.used, &tenant.ceiling);
    let amount = |amount: Option<f64>| amount.map_or_else(|| "-".to_owned(), |amount| amount.to_string());
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let size = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), short_size);
    let row = |name: &str, used: String, most: String| [name.to_owned(), used, most];
    let dash = || "-".to_owned();
    let mut rows = vec![
        row("jobs", used.jobs.to_string(), count(most.jobs)),
        row("queued", used.queued.to_string(), count(most.queued)),
        row("memory", short_size(used.memory_limit), size(most.memory)),
        row("cpus", dash(), amount(most.cpus)),
        row("num_gpus", dash(), amount(most.num_gpus)),
        row("component_bytes", short_size(used.component_bytes), size(most.component_bytes)),
        row("log_bytes", dash(), size(most.log_bytes)),
        row("requests_per_second", dash(), count(most.requests_per_second.map(u64::from))),
        row("weight", dash(), most.weight.to_string()),
    ];
    rows.extend(most.resources.iter().map(|(name, most)| row(name, dash(), most.to_string())));
    lines(["RESOURCE", "USED", "CEILING"], rows.into_iter())
}
