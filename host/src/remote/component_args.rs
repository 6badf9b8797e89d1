use std::path::PathBuf;

use clap::Args;

use super::server_args::ServerArguments;

#[derive(Debug, Args)]
#[command(
    after_help = "A signature is one of SSH's format, for the namespace sage-host. The server verifies it for tenants that
name signers in host.toml, and again before each attempt of a job. `submit` and `rollout` send FILE.sig, too, if it
exists.

Examples:
  sage-host deploy celsius.wasm
  ssh-keygen -Y sign -n sage-host -f ~/.ssh/id_ed25519 celsius.wasm
  sage-host deploy celsius.wasm --signature celsius.wasm.sig"
)]
pub(crate) struct DeployArguments {
    /// A component or a model
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Its signature, by `ssh-keygen -Y sign -n sage-host` [default: FILE.sig, if it exists]
    #[arg(long, value_name = "FILE")]
    pub(super) signature: Option<PathBuf>,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  sage-host components")]
pub(crate) struct ComponentsArguments {
    #[command(flatten)]
    pub(super) server: ServerArguments,
}
