//! Set-up that lasts, for agents that `wrap` does not start: plan, diff, journal, undo, drift.
//!
//! Writes files of the user's own and no other's, no secret, and only what it can take out again to the byte. Sees `wrap`'s plan
//! of an agent, and not the engine.

mod change;
mod diff;
mod disk;
mod hide;
mod inverse;
mod journal;
mod json;
mod key;
mod lasting;
mod lines;
mod places;
mod plan;
mod state;
mod text;
mod toml_text;
mod tools;
mod wanted;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wanted_tests;

pub use change::{FileChange, Refusal};
pub use inverse::Drift;
pub use journal::{Entry, Journal, JournalError, Store, Value, read_journal};
pub use key::{Form, Key, Made, Step};
pub use lasting::{Lasting, lasting_port};
pub use places::{SHELL, TARGETS};
pub use plan::{Outcome, SetupPlan, installed, plan, plan_undo, set_up};
pub use state::{State, state};
