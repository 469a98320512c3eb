//! The variables of a plan, given to a command. All others are inherited.

use crate::wrap::plan::Plan;
use tokio::process::Command;

/// Gives them, and takes away what the agent must not have.
pub(super) fn give(command: &mut Command, plan: &Plan) {
    for name in &plan.unset {
        command.env_remove(name);
    }
    command.envs(&plan.set).envs(plan.secret.iter().map(|(name, secret)| (name, secret.reveal())));
}
