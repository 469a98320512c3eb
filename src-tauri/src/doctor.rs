//! Examines this machine for what keeps coding agents from their APIs, and says whose fault it is.
//!
//! Measures and reports; never repairs, never writes but the bundle that it is asked for, never sends an API's credential. A
//! check that could not ask says so, and blames nothing. It looks at upstreams through the engine's own dial, trust and
//! proxies, so that its verdict is about the engine's real way.

mod agents;
mod ask;
mod bundle;
mod burst;
mod check;
mod connectors;
mod context;
mod examiner;
mod finding;
mod hypotheses;
mod ide;
mod instance_check;
mod intercept;
mod known;
mod long;
mod machine;
mod markdown;
mod pac;
mod perform;
mod proxies;
mod remote;
mod report;
mod run;
mod settings_of_agents;
mod version;
mod way;
mod windows_sockets;

pub use bundle::status;
pub use bundle::{Bundle, Entry};
pub use check::Check;
pub use context::{Options, Place};
pub use examiner::{Doctor, Listed, Listing, Planned, Step};
pub use finding::{Finding, Row, Verdict};
pub use hypotheses::Hypothesis;
pub use report::Report;
pub use run::{Progress, run};
pub use settings_of_agents::{AgentSurroundings, Endpoint, Target, endpoint_of_variable, endpoints_of, variables_of};
pub use version::installed_version;
