//! Starts agents behind the proxy: a table of agents, a pure plan, and the process that stays beside the agent.
//!
//! Never writes a file of the user's and never sets a credential. Sees config, instance and control, not the engine.

mod around;
mod claude;
mod codex;
mod find;
mod kimi;
mod opencode;
mod plan;
mod route;
mod shell;
mod show;
mod table;

pub use around::{Surroundings, with_own};
pub use find::{NotFound, find_agent, find_program};
pub use plan::{Plan, PlanError, Request, plan};
pub use route::{MARKER, base_url};
pub use shell::Shell;
pub use table::{ANYTHING, Base, Only, Profile, Provider, Special, profiles};
