//! Starts agents behind the proxy: a table of agents, a pure plan, and the process that stays beside the agent.
//!
//! Never writes a file of the user's (a secret that the agent must be given is in one of our own for as long) and never sets a credential. Sees config and instance, not the engine.

mod bases;
mod bypass;
mod child;
mod claude;
mod codex;
mod context;
mod counted;
mod draft;
mod find;
mod gemini;
mod kimi;
mod mask;
mod mode;
mod opencode;
mod options;
mod plain_http;
mod plan;
mod private_argument;
mod qwen;
mod route;
mod session;
mod shell;
mod show;
mod table;
mod terminal;
mod trust;

pub use child::{Agent, exit_code, spawn};
#[cfg(unix)]
pub use child::{Init, WITNESS, bear_witness, is_init};
pub use context::{AgentContext, with_own};
pub use counted::Counted;
pub use draft::PlanError;
pub use find::{NotFound, find_agent, find_program};
pub use mode::{Chosen, choose, mode_refusal};
pub use plan::{Plan, Request, needs_version, plan, stated_proxies};
pub use private_argument::{PrivateArgument, PrivateArguments};
pub use route::MARKER;
pub use session::{Session, make_known, open, own_egress};
pub use shell::Shell;
pub use table::{ANYTHING, Base, Only, Profile, Provider, Special, profiles};
pub use terminal::{HOLD, NoTerminal, Terminal, terminal};
pub use trust::{Trust, bundle_to_be, trust};
