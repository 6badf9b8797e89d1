use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::server_args::ServerArguments;
use crate::printer::OutputFormat;

/// Secrets of a tenant.
#[derive(Debug, Subcommand)]
#[command(after_help = "An operator's config names a secret, and the operator gets its value:
  config = { password = { secret = \"db-password\" } }

Examples:
  sage-host secret set db-password < password.txt
  sage-host secret ls
  sage-host secret rm db-password")]
pub(crate) enum SecretCommand {
    /// Keep a value with the server, or replace it. Jobs get a new value with their next start.
    Set(SetSecretArguments),
    /// List secrets, without their values.
    Ls(ListSecretsArguments),
    /// Remove secrets. Jobs that name them do not start any more.
    Rm(RemoveSecretsArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "The value is read from standard input, or from a file; one line end at its end is left out.
No option takes it, because other users see the arguments of a program. The server keeps it in a file that only
its own user may read, without encryption.

Examples:
  sage-host secret set db-password < password.txt
  sage-host secret set api-key --from-file key.txt --tenant blue")]
pub(crate) struct SetSecretArguments {
    /// Name of the secret
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// File with the value [default: standard input]
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host secret ls --output json")]
pub(crate) struct ListSecretsArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host secret rm db-password")]
pub(crate) struct RemoveSecretsArguments {
    /// Names of secrets
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

impl SecretCommand {
    /// The format of the command's result.
    pub(super) fn output(&self) -> OutputFormat {
        match self {
            Self::Set(arguments) => arguments.server.output,
            Self::Ls(arguments) => arguments.server.output,
            Self::Rm(arguments) => arguments.server.output,
        }
    }
}
