//! A plan in the making, which the agents' own code fills in. Knows no agent.

use super::{
    context::AgentContext,
    route::{FirstParty, Router},
    table::Profile,
};
use crate::config::Secret;
use std::{collections::BTreeMap, ffi::OsString};

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
    pub set: BTreeMap<String, String>,
    /// Upstreams routed to, in order; the first is warmed.
    pub used: Vec<Option<String>>,
    pub notes: Vec<String>,
    pub warnings: Vec<String>,
}

impl Draft<'_> {
    /// Routes a base URL that stands at `place`, and remembers the upstream.
    pub(super) fn route(&mut self, place: &str, inherited: Option<&str>, first: FirstParty<'_>) -> Result<String, PlanError> {
        let route = self.router.route(inherited, first).map_err(|why| PlanError::BaseUrl { place: place.to_owned(), why })?;
        self.used.push(route.upstream);
        Ok(route.url)
    }
}
