//! What it takes to start an agent behind Leeward. Pure: table, surroundings and address in, `Plan` out.
//! Starts nothing, writes nothing, prints nothing.

use super::{
    bases::{self, Stated},
    claude, codex,
    context::AgentContext,
    kimi, opencode, qwen,
    route::{FirstParty, MARKER, Router},
    table::{Profile, Special},
};
use crate::config::{Config, Secret};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// What to start.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The agent's row of the table.
    pub profile: &'a Profile,
    /// Its executable.
    pub program: PathBuf,
    /// The user's arguments for it.
    pub args: Vec<OsString>,
    /// Where Leeward accepts, or will.
    pub address: SocketAddr,
}

/// How to start it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The profile's name.
    pub agent: String,
    /// The agent's title, for people.
    pub title: String,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments, the user's among them.
    pub args: Vec<OsString>,
    /// Variables to set; everything else is inherited.
    pub set: BTreeMap<String, String>,
    /// Upstreams that Leeward must know for this session, by name: gateways the user had set.
    pub upstreams: BTreeMap<String, String>,
    /// The upstream to connect to in advance; `None` is the default one.
    pub warm: Option<String>,
    /// What is good to know: what is lost behind a base URL, whose login is used.
    pub notes: Vec<String>,
    /// What keeps requests from going through Leeward.
    pub warnings: Vec<String>,
}

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

/// A plan in the making, shared with the agents' own code.
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

/// Plans the start of an agent.
///
/// # Errors
/// When a base URL that the user has set cannot be an upstream.
pub fn plan(request: Request<'_>, config: &Config, context: &AgentContext<'_>) -> Result<Plan, PlanError> {
    let Request { profile, program, args, address } = request;
    let marker = context.var(MARKER);
    let mut draft = Draft {
        profile,
        context,
        router: Router::new(address, config, marker.as_deref()),
        client_token: config.client_token.as_ref(),
        args,
        set: BTreeMap::new(),
        used: Vec::new(),
        notes: profile.lost.clone(),
        warnings: Vec::new(),
    };
    draft.set.insert(MARKER.into(), draft.router.base().to_owned());
    match profile.special {
        Some(Special::Claude) => claude::draft(&mut draft)?,
        Some(Special::Codex) => codex::draft(&mut draft)?,
        Some(Special::Opencode) => opencode::draft(&mut draft)?,
        Some(Special::Kimi) => {
            let stated = kimi::stated(&mut draft);
            bases::draft(&mut draft, &stated)?;
        }
        Some(Special::Qwen) => {
            let stated = qwen::stated(&mut draft);
            bases::draft(&mut draft, &stated)?;
        }
        Some(Special::Aider | Special::Gemini) | None => bases::draft(&mut draft, &Stated::new())?,
    }
    // Claude's settings can name a proxy too, and it has looked at both.
    if profile.special != Some(Special::Claude) {
        for (name, value) in bypass(&|name| context.var(name), draft.router.base()) {
            draft.set.insert(name, value);
        }
        for (name, value) in &profile.set {
            if context.var(name).is_none() {
                draft.set.insert(name.clone(), value.clone());
            }
        }
    }
    let sends_token = matches!(profile.special, Some(Special::Claude | Special::Codex));
    if draft.client_token.is_some() && !sends_token {
        draft.warnings.push(format!(
            "Leeward's config asks for a client token, which {} cannot send, so its requests are refused; wrap agents on this \
             machine with a Leeward that listens on 127.0.0.1 without client_token",
            profile.title
        ));
    }
    let warm = draft.used.into_iter().next().flatten();
    let (agent, title) = (profile.name.clone(), profile.title.clone());
    let upstreams = draft.router.gateways;
    Ok(Plan {
        agent,
        title,
        program,
        args: draft.args,
        set: draft.set,
        upstreams,
        warm,
        notes: draft.notes,
        warnings: draft.warnings,
    })
}

/// The proxy variables that clients read.
pub(super) const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// What must be set so that a proxy of the user's is not asked for loopback; empty when there is no proxy.
/// Appends to what is there, in both spellings, because clients differ in which one they read.
pub(super) fn bypass(var: &dyn Fn(&str) -> Option<String>, base: &str) -> BTreeMap<String, String> {
    let mut set = BTreeMap::new();
    if !PROXIES.iter().any(|name| var(name).is_some()) {
        return set;
    }
    let host = base.trim_start_matches("http://").rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
    for (name, other) in [("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")] {
        let own = var(name);
        let current = own.clone().or_else(|| var(other)).unwrap_or_default();
        let listed: Vec<&str> = current.split([',', ' ']).map(str::trim).collect();
        let mut wanted = vec!["localhost", "127.0.0.1", "::1"];
        if !wanted.contains(&host) {
            wanted.push(host);
        }
        wanted.retain(|w| !listed.contains(w) && !listed.contains(&"*"));
        let parts: Vec<&str> = Some(current.as_str()).filter(|c| !c.is_empty()).into_iter().chain(wanted).collect();
        let value = parts.join(",");
        if own.as_deref() != Some(value.as_str()) {
            set.insert(name.to_owned(), value);
        }
    }
    set
}

/// True when an argument is the option `name` with or without `=value`.
pub(super) fn is_option(arg: &OsString, name: &str) -> bool {
    arg.to_str().is_some_and(|a| a == name || a.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
}

/// The value of the last `--name value` or `--name=value` before a `--`, under any of the option's names.
pub(super) fn option_value<'a>(args: &'a [OsString], names: &[&str]) -> Option<&'a str> {
    let end = args.iter().position(|a| a == "--").unwrap_or(args.len());
    args[..end].iter().enumerate().rev().find_map(|(at, arg)| {
        let name = names.iter().find(|name| is_option(arg, name))?;
        match arg.to_str()?.strip_prefix(name)?.strip_prefix('=') {
            Some(value) => Some(value),
            None => args[..end].get(at + 1)?.to_str(),
        }
    })
}

/// Where an agent keeps its files: a folder that a variable names, else one below the home folder.
pub(super) fn home_of(context: &AgentContext<'_>, variable: &str, below_home: &str) -> Option<PathBuf> {
    context
        .var(variable)
        .map(|folder| context.cwd.join(folder))
        .or_else(|| context.home.as_ref().map(|h| h.join(Path::new(below_home))))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
pub(super) mod tests;
