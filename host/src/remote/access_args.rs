use std::path::PathBuf;

use clap::{Args, Subcommand};
use sage_serve::tls::Fingerprint;

use super::server_args::ServerArguments;
use crate::printer::OutputFormat;

/// Tokens of a server.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  sage-host token new --tenant blue --role deploy
  sage-host token ls
  sage-host token rm k3jq5wzyx2ab")]
pub(crate) enum TokenCommand {
    /// Make a token and print it. It is shown only this once.
    New(NewTokenArguments),
    /// List tokens, without their secrets.
    Ls(ListArguments),
    /// Remove tokens. They open nothing any more when the command returns.
    Rm(RemoveTokenArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "The token is the only thing on standard output:
  sage-host token new --tenant blue --role deploy > blue.token

  --role  metrics       read metrics
          read          and jobs, logs, events, components
          operate       and start, stop, restart jobs
          deploy        and submit and remove jobs, send components
          tenant-admin  and make tokens and secrets of the tenant
          admin         everything, for all tenants

Examples:
  sage-host token new --tenant blue --role deploy --expires 30d
  sage-host token new --role metrics --expires never --note prometheus")]
pub(crate) struct NewTokenArguments {
    /// What its owner may do
    #[arg(long, value_name = "ROLE", default_value = "read",
          value_parser = ["metrics", "read", "operate", "deploy", "tenant-admin", "admin"])]
    pub(crate) role: String,
    /// Time after which it opens nothing: 12h, 90d, never
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = lifetime)]
    pub(crate) expires: Lifetime,
    /// Words about it, for the list
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub(crate) note: String,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// How long a token lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// For ever.
    Never,
    /// For so many milliseconds.
    Milliseconds(u64),
}

fn lifetime(written: &str) -> Result<Lifetime, String> {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    if written == "never" {
        return Ok(Lifetime::Never);
    }
    if let Some(days) = written.strip_suffix('d') {
        let days: u64 = days.parse().map_err(|_| format!("\"{days}\" is no number of days"))?;
        return days.checked_mul(DAY).map(Lifetime::Milliseconds).ok_or_else(|| format!("{days} days are too many"));
    }
    let lifetime = crate::values::duration(written)?;
    Ok(Lifetime::Milliseconds(u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)))
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host token ls --output json")]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host token rm k3jq5wzyx2ab")]
pub(crate) struct RemoveTokenArguments {
    /// Identifiers of tokens, as `token ls` shows them
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each entry has the digest of the one before. The command checks this chain, and fails if an entry was
changed or removed.

Examples:
  sage-host audit
  sage-host audit --since 100 --output json"
)]
pub(crate) struct AuditArguments {
    /// Only entries after this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) since: Option<u64>,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// Tenants of a server.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  sage-host tenant ls
  sage-host tenant show blue")]
pub(crate) enum TenantCommand {
    /// List tenants, and what each uses of its ceiling.
    Ls(ListTenantsArguments),
    /// Print the ceiling of a tenant, and what it uses.
    Show(ShowTenantArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host tenant ls")]
pub(crate) struct ListTenantsArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host tenant show blue")]
pub(crate) struct ShowTenantArguments {
    /// Name of the tenant
    #[arg(value_name = "TENANT")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

impl TenantCommand {
    /// The format of the command's result.
    pub(super) fn output(&self) -> OutputFormat {
        match self {
            Self::Ls(arguments) => arguments.server.output,
            Self::Show(arguments) => arguments.server.output,
        }
    }
}

/// The servers that this user knows.
#[derive(Debug, Subcommand)]
#[command(after_help = "Contexts are in contexts.toml in XDG_CONFIG_HOME/sage-host, otherwise in ~/.config/sage-host.

Examples:
  sage-host context add prod --server https://sage.example --token-file ~/prod.token
  sage-host context use prod
  sage-host ps --context prod")]
pub(crate) enum ContextCommand {
    /// Add a server, or replace what is known of it. The first one is used from then on.
    Add(AddContextArguments),
    /// Use a server when no option names another.
    Use(NamedContextArguments),
    /// List the servers.
    Ls(ListContextsArguments),
    /// Forget a server.
    Rm(NamedContextArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host context add prod --server https://sage.example --token-file ~/prod.token --tenant blue
  sage-host context add lab --server https://10.0.0.7 --token-file lab.token --pin sha256:9f2c…")]
pub(crate) struct AddContextArguments {
    /// Name of the context
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The server: http://HOST:PORT or https://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
    /// File with the token
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// File with the authorities that may have signed the server's certificate, in PEM
    #[arg(long, value_name = "FILE", conflicts_with = "pin")]
    pub(crate) ca: Option<PathBuf>,
    /// The server's certificate, by its SHA-256, whoever signed it
    #[arg(long, value_name = "SHA256")]
    pub(crate) pin: Option<Fingerprint>,
    /// Tenant whose jobs are meant, for a token that sees several
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// Send the token to another machine without encryption
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host context use prod")]
pub(crate) struct NamedContextArguments {
    /// Name of the context
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host context ls")]
pub(crate) struct ListContextsArguments {
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}

impl TokenCommand {
    /// The format of the command's result.
    pub(super) fn output(&self) -> OutputFormat {
        match self {
            Self::New(arguments) => arguments.server.output,
            Self::Ls(arguments) => arguments.server.output,
            Self::Rm(arguments) => arguments.server.output,
        }
    }
}

impl ContextCommand {
    /// The format of the command's result.
    pub(super) fn output(&self) -> OutputFormat {
        match self {
            Self::Add(arguments) => arguments.output,
            Self::Use(arguments) | Self::Rm(arguments) => arguments.output,
            Self::Ls(arguments) => arguments.output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_in_days_or_a_duration_or_has_no_end() {
        for (written, milliseconds) in [("90d", 7_776_000_000), ("12h", 43_200_000), ("1500ms", 1500)] {
            assert_eq!(lifetime(written), Ok(Lifetime::Milliseconds(milliseconds)));
        }
        assert_eq!(lifetime("never"), Ok(Lifetime::Never));
        for wrong in ["", "d", "-1d", "1.5d", "99999999999999999d", "7"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
