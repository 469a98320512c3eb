//! Starts agents behind the proxy: a table of agents, a pure plan, and the process that stays beside the agent.
//!
//! Never writes a file of the user's and never sets a credential. Sees config, instance and control, not the engine.

mod bases;
mod child;
mod claude;
mod codex;
mod context;
mod find;
mod gemini;
mod keep;
mod kimi;
mod opencode;
mod plan;
mod qwen;
mod route;
mod session;
mod shell;
mod show;
mod start;
mod table;
mod terminal;

#[cfg(unix)]
#[path = "wrap/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "wrap/windows.rs"]
mod platform;

pub use child::{Agent, exit_code, spawn};
pub use context::{AgentContext, with_own};
pub use find::{NotFound, find_agent, find_program};
pub use keep::{is_kept, keep_serving};
pub use plan::{Plan, PlanError, Request, plan};
pub use platform::leave_terminal;
pub use route::{MARKER, base_url};
pub use session::{Session, open};
pub use shell::Shell;
pub use start::{Background, IDLE, StartError, TRY_AGAIN, running, running_or_start};
pub use table::{ANYTHING, Base, Only, Profile, Provider, Special, profiles};
pub use terminal::{NoTerminal, Terminal, terminal};
