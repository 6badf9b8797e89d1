use super::args::RemoteCommand;
use super::{
    audit, components, context, events, explain, logs, ps, revisions, rollout, savepoint, secret, serve, stop, submit,
    tenant, token, top, verbs,
};
use crate::failure::Failure;
use crate::printer::Printer;

/// Runs a command.
pub(crate) fn perform(command: &RemoteCommand, printer: Printer) -> Result<(), Failure> {
    match command {
        RemoteCommand::Serve(arguments) => serve::serve(arguments, printer),
        RemoteCommand::Submit(arguments) => submit::submit(arguments, printer),
        RemoteCommand::Ps(arguments) => ps::ps(arguments, printer),
        RemoteCommand::Logs(arguments) => logs::logs(arguments, printer),
        RemoteCommand::Events(arguments) => events::events(arguments, printer),
        RemoteCommand::Stop(arguments) => stop::stop(arguments, printer),
        RemoteCommand::Savepoint(arguments) => savepoint::savepoint(arguments, printer),
        RemoteCommand::Start(arguments) => verbs::start(arguments, printer),
        RemoteCommand::Restart(arguments) => verbs::restart(arguments, printer),
        RemoteCommand::Rm(arguments) => verbs::rm(arguments, printer),
        RemoteCommand::Rollout(arguments) => rollout::rollout(arguments, printer),
        RemoteCommand::Rollback(arguments) => rollout::rollback(arguments, printer),
        RemoteCommand::Revisions(arguments) => revisions::revisions(arguments, printer),
        RemoteCommand::Diff(arguments) => revisions::diff(arguments, printer),
        RemoteCommand::Deploy(arguments) => components::deploy(arguments, printer),
        RemoteCommand::Components(arguments) => components::components(arguments, printer),
        RemoteCommand::Top(arguments) => top::top(arguments, printer),
        RemoteCommand::Explain(arguments) => explain::explain(arguments, printer),
        RemoteCommand::Token(command) => token::token(command, printer),
        RemoteCommand::Secret(command) => secret::secret(command, printer),
        RemoteCommand::Tenant(command) => tenant::tenant(command, printer),
        RemoteCommand::Audit(arguments) => audit::audit(arguments, printer),
        RemoteCommand::Context(command) => context::context(command, printer),
    }
}
