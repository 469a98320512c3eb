//! A plan in the making, which the agents' own code fills in. Knows no agent.

use super::{
    context::AgentContext,
    private_argument::PrivateArgument,
    route::{FirstParty, Router},
    table::Profile,
};
use crate::{
    config::{Mode, Secret},
    escape,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A base URL of the user's cannot be an upstream.
    #[error("{place}: {why}; correct it, or unset it to use the agent's default")]
    BaseUrl {
        /// The variable, or the file and key.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// The agent cannot take the mode that was asked for.
    #[error("{0}")]
    Mode(String),
    /// No token for the session, or no name for its upstreams, could be made.
    #[error("the system gave no random bytes: {0}")]
    Random(String),
}

/// Whether an agent heeds a base URL in a file of the project, given the variables that it is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heeded {
    /// It does, once its user trusts the folder.
    OnceTrusted,
    /// It does.
    Always,
    /// What it is started with outranks the file.
    BelowOurs,
}

/// What is known of the plan so far.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub profile: &'a Profile,
    pub context: &'a AgentContext<'a>,
    pub router: Router<'a>,
    /// What Leeward's config asks of every client.
    pub client_token: Option<&'a Secret>,
    pub args: Vec<OsString>,
    /// Those among them that hold a secret.
    pub private: Vec<PrivateArgument>,
    pub mode: Mode,
    /// As the agent reports it, where that was asked.
    pub version: Option<&'a str>,
    pub set: BTreeMap<String, String>,
    /// Variables that hold a secret.
    pub secret: BTreeMap<String, Secret>,
    /// Inherited variables that the agent must not have.
    pub unset: BTreeSet<String>,
    /// Upstreams routed to, in order; the first is warmed.
    pub used: Vec<Option<String>>,
    /// Requests to models do not go to the base URL.
    pub is_past_base_url: bool,
    pub notes: Vec<String>,
    pub warnings: Vec<String>,
}

impl Draft<'_> {
    /// Reports why requests do not go to the base URL. Where there is a tunnel, they do not bypass Leeward all the same.
    pub(super) fn past_base_url(&mut self, why: &str, whose: &str, cure: &str) {
        if self.mode.has_tunnel() {
            self.notes.push(format!("{why}, so {whose} use the tunnel, which repairs connections and no requests"));
        } else {
            self.warnings.push(format!("{why}, so {whose} bypass Leeward{cure}"));
        }
    }

    /// Reports a base URL in a file of the project and leaves it to the agent: a cloned repository chooses no upstream.
    pub(super) fn leave_to_agent(&mut self, place: &str, value: &str, heeded: Heeded) {
        if url::Url::parse(value.trim()).is_ok_and(|url| self.router.is_own(&url)) {
            return;
        }
        let title = &self.profile.title;
        let past = if self.mode.has_tunnel() { "use the tunnel alone" } else { "bypass Leeward" };
        let outcome = match heeded {
            Heeded::OnceTrusted => {
                format!("{title} asks you whether it counts (trust); once it does, requests go there and {past}")
            }
            Heeded::Always => format!("{title} reads it by itself, so requests may go there and {past}"),
            Heeded::BelowOurs => format!("{title} gets its usual address"),
        };
        // Each file says it once, and what it says is foreign text.
        let warning = format!(
            "{} is `{}`: a file of this project chooses no upstream for Leeward; {outcome}; if you trust it, set it in your \
             environment or your own settings instead",
            escape::foreign(place),
            escape::foreign(value)
        );
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Routes a base URL that stands at `place`, and remembers the upstream.
    pub(super) fn route(&mut self, place: &str, inherited: Option<&str>, first: FirstParty<'_>) -> Result<String, PlanError> {
        let route = self.router.route(inherited, first).map_err(|why| PlanError::BaseUrl { place: place.to_owned(), why })?;
        self.used.push(route.upstream);
        Ok(route.url)
    }
}
