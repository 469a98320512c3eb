//! What it takes to start an agent behind Leeward. Pure: table, surroundings and address in, `Plan` out.
//! Starts nothing, writes nothing, prints nothing.

use super::{
    bases::{self, Stated},
    bypass::bypass,
    claude, codex,
    context::AgentContext,
    draft::{Draft, PlanError},
    kimi,
    mode::{self, Tunnel},
    opencode,
    private_argument::PrivateArguments,
    qwen,
    route::{MARKER, Router},
    table::{Profile, Special},
    trust::Trust,
};
use crate::config::{Config, Connectors, Covers, Egress, Mode, Secret};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    net::SocketAddr,
    path::PathBuf,
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
    /// The agent's way out, where it is not Leeward's own.
    pub egress: Option<Egress>,
    /// How its requests reach Leeward.
    pub mode: Mode,
    /// Its version, where `needs_version` says that it counts.
    pub version: Option<String>,
    /// What it must trust where Leeward decrypts.
    pub trust: Option<Trust>,
    /// Whether it asks for claude.ai connectors.
    pub connectors: Connectors,
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
    /// Those that hold a secret: the agent gets them in files.
    pub private: PrivateArguments,
    /// Variables to set; everything else is inherited.
    pub set: BTreeMap<String, String>,
    /// The same for values that hold a secret.
    pub secret: BTreeMap<String, Secret>,
    /// Inherited variables that it must not have.
    pub unset: BTreeSet<String>,
    /// Opens tunnels for the agent's programs as long as its session lasts.
    pub token: Option<Secret>,
    /// The certificate authority that it is started with, where Leeward decrypts.
    pub authority: Option<String>,
    /// Whether it asks for claude.ai connectors.
    pub connectors: Connectors,
    /// What the mode covers.
    pub covers: Covers,
    /// Upstreams that Leeward must know for this session, by name: gateways the user had set.
    pub upstreams: BTreeMap<String, String>,
    /// The way to them, where it is not Leeward's own.
    pub egress: Option<Egress>,
    /// The upstream to connect to in advance; `None` is the default one.
    pub warm: Option<String>,
    /// What is good to know: what is lost behind a base URL, whose login is used.
    pub notes: Vec<String>,
    /// What keeps requests from going through Leeward.
    pub warnings: Vec<String>,
}

impl Plan {
    /// The program as it is, in its surroundings as they are: without Leeward.
    pub fn without_leeward(profile: &Profile, program: PathBuf, args: Vec<OsString>) -> Self {
        Self {
            agent: profile.name.clone(),
            title: profile.title.clone(),
            program,
            args,
            private: PrivateArguments::default(),
            set: BTreeMap::new(),
            secret: BTreeMap::new(),
            unset: BTreeSet::new(),
            token: None,
            authority: None,
            connectors: Connectors::default(),
            covers: Covers::default(),
            upstreams: BTreeMap::new(),
            egress: None,
            warm: None,
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Whether the plan for an agent depends on its version: a provider of ours says to the API which Codex it is.
pub fn needs_version(profile: &Profile, mode: Mode, config: &Config) -> bool {
    profile.special == Some(Special::Codex) && mode.has_base_url() && (!mode.has_tunnel() || config.client_token.is_some())
}

/// The proxies that an agent's own settings name, and which outrank its environment.
pub fn stated_proxies(profile: &Profile, args: &[OsString], context: &AgentContext<'_>) -> BTreeMap<String, String> {
    match profile.special {
        Some(Special::Claude) => claude::stated_proxies(context, args),
        _ => BTreeMap::new(),
    }
}

/// Plans the start of an agent.
///
/// # Errors
/// When a base URL that the user has set cannot be an upstream.
pub fn plan(request: Request<'_>, config: &Config, context: &AgentContext<'_>) -> Result<Plan, PlanError> {
    let Request { profile, program, args, address, egress, mode, version, trust, connectors } = request;
    // Nobody else's session may have the same names.
    let apart = egress.is_some().then(random).transpose()?;
    let marker = context.var(MARKER);
    let mut draft = Draft {
        profile,
        context,
        router: Router::new(address, config, marker.as_deref(), apart),
        client_token: config.client_token.as_ref(),
        args,
        private: Vec::new(),
        mode,
        version: version.as_deref(),
        set: BTreeMap::new(),
        secret: BTreeMap::new(),
        unset: BTreeSet::new(),
        used: Vec::new(),
        is_past_base_url: false,
        notes: if mode.has_base_url() { profile.lost.clone() } else { Vec::new() },
        warnings: Vec::new(),
    };
    draft.set.insert(MARKER.into(), draft.router.base().to_owned());
    let token = mode.has_tunnel().then(mode::new_token).transpose()?;
    let tunnel = token.as_ref().map(|token| Tunnel { token, bundle: trust.as_ref().map(|trust| trust.bundle.as_path()) });
    let off = profile.connectors.as_ref().filter(|_| connectors == Connectors::Off);
    draft.set.extend(off.map(|name| (name.clone(), "false".to_owned())));
    match profile.special {
        Some(Special::Claude) => claude::draft(&mut draft, tunnel)?,
        _ if !mode.has_base_url() => mode::without_base_urls(&mut draft),
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
        match tunnel {
            Some(Tunnel { token, bundle }) => mode::enter(&mut draft, token, bundle, &[], &|name| context.var(name)),
            None => draft.set.extend(bypass(&|name| context.var(name), draft.router.base(), None)),
        }
        for (name, value) in profile.set.iter().filter(|_| mode.has_base_url()) {
            if context.var(name).is_none() {
                draft.set.insert(name.clone(), value.clone());
            }
        }
    }
    if !mode.has_tunnel() {
        mode::leave(&mut draft);
    }
    let sends_token = !mode.has_base_url() || matches!(profile.special, Some(Special::Claude | Special::Codex));
    if draft.client_token.is_some() && !sends_token {
        draft.warnings.push(format!(
            "Leeward's config asks for a client token, which {} cannot send, so its requests are refused; wrap agents on this \
             machine with a Leeward that listens on 127.0.0.1 without client_token",
            profile.title
        ));
    }
    draft.warnings.extend(trust.iter().flat_map(|trust| trust.unusable.clone()));
    let covers = mode::covers(&draft, mode);
    let warm = draft.used.into_iter().next().flatten();
    let (agent, title) = (profile.name.clone(), profile.title.clone());
    let upstreams = draft.router.gateways;
    Ok(Plan {
        agent,
        title,
        program,
        args: draft.args,
        private: PrivateArguments::new(draft.private, &config.paths.state_dir),
        set: draft.set,
        secret: draft.secret,
        unset: draft.unset,
        token,
        authority: trust.as_ref().map(|trust| trust.authority.clone()),
        connectors,
        covers,
        upstreams,
        egress,
        warm,
        notes: draft.notes,
        warnings: draft.warnings,
    })
}

fn random() -> Result<[u8; 16], PlanError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| PlanError::Random(e.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "project_tests.rs"]
mod project_tests;
#[cfg(test)]
#[path = "plan_tests.rs"]
pub(super) mod tests;
