//! Which mode an agent gets, and what a plan gives it in that mode: a proxy with the session's token, hosts that go past it, and
//! a certificate authority. Pure; the tables of section 7 of the contract are the test.

use super::{
    bypass::bypass,
    draft::{Draft, PlanError},
    table::Profile,
};
use crate::config::{Config, Covers, Door, Mode, NOT_SET, OUTER_PROXY, PROXY_VARIABLES, Secret, tunnel_proxy};
use std::path::Path;

/// Bytes of a session's token.
const TOKEN: usize = 32;

/// The session's own proxy, and the certificates to trust behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tunnel<'a> {
    pub token: &'a Secret,
    pub bundle: Option<&'a Path>,
}

/// The mode for an agent, and what to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The mode.
    pub mode: Mode,
    /// Why it is not what the config asks for.
    pub instead: Option<String>,
}

/// Chooses the mode: what the command line asks for, else the config.
///
/// # Errors
/// A sentence when the command line asks for a mode that the agent cannot take. What the config asks for ends no start.
pub fn choose(profile: &Profile, asked: Option<Mode>, config: &Config) -> Result<Chosen, PlanError> {
    if let Some(mode) = asked {
        return match mode_refusal(profile, mode) {
            None => Ok(Chosen { mode, instead: None }),
            Some(why) => Err(PlanError::Mode(why)),
        };
    }
    let mode = config.mode_of(&profile.name);
    let Some(why) = mode_refusal(profile, mode) else { return Ok(Chosen { mode, instead: None }) };
    let other = profile.modes.first().copied().unwrap_or_default();
    Ok(Chosen { mode: other, instead: Some(why) })
}

/// Why an agent cannot take a mode, and which ones it can.
pub fn mode_refusal(profile: &Profile, mode: Mode) -> Option<String> {
    let why = profile.without.get(mode.name())?;
    let others: Vec<_> = profile.modes.iter().map(|mode| mode.name()).collect();
    Some(format!("{} cannot use the mode {}: {why}; it can use {}", profile.title, mode.name(), others.join(", ")))
}

/// A token that nobody guesses, in hexadecimal digits.
pub(super) fn new_token() -> Result<Secret, PlanError> {
    let mut bytes = [0; TOKEN];
    getrandom::fill(&mut bytes).map_err(|e| PlanError::Random(e.to_string()))?;
    Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Gives the agent the proxy of its session. `past`: hosts that it must not be asked for. `effective`: what the agent sees of a variable by itself.
pub(super) fn enter(
    draft: &mut Draft<'_>,
    token: &Secret,
    bundle: Option<&Path>,
    past: &[String],
    effective: &dyn Fn(&str) -> Option<String>,
) {
    let proxy = tunnel_proxy(draft.router.base(), token);
    for name in PROXY_VARIABLES {
        draft.secret.insert(name.into(), proxy.clone());
    }
    let outer = PROXY_VARIABLES.iter().rev().find_map(|name| effective(name)).unwrap_or_else(|| NOT_SET.into());
    draft.secret.insert(OUTER_PROXY.into(), Secret::new(outer));
    draft.set.extend(bypass(effective, draft.router.base(), Some(past)));
    if ["NO_PROXY", "no_proxy"]
        .iter()
        .any(|name| effective(name).is_some_and(|hosts| hosts.split([',', ' ']).any(|host| host.trim() == "*")))
    {
        draft
            .warnings
            .push("NO_PROXY is `*`, so no request uses the tunnel; name the hosts in it that must not be proxied".into());
    }
    if bundle.is_some() {
        for host in draft.profile.intercept.iter().filter(|host| is_bypassed(host, effective)) {
            draft.warnings.push(format!("NO_PROXY names {host}, so requests to it bypass Leeward"));
        }
    }
    let bundle = bundle.map(|file| file.display().to_string());
    draft.set.extend(bundle.iter().flat_map(|bundle| draft.profile.ca.iter().map(|name| (name.clone(), bundle.clone()))));
}

/// Whether requests to a host go past a proxy. Agents read the list differently; this is what most of them do.
fn is_bypassed(host: &str, effective: &dyn Fn(&str) -> Option<String>) -> bool {
    let listed = ["NO_PROXY", "no_proxy"].iter().filter_map(|name| effective(name)).collect::<Vec<_>>().join(",");
    listed
        .split([',', ' '])
        .map(|entry| entry.trim().trim_start_matches("*.").trim_start_matches('.'))
        .any(|entry| !entry.is_empty() && (host == entry || host.strip_suffix(entry).is_some_and(|rest| rest.ends_with('.'))))
}

/// Takes the proxy of an outer session away again: it ends with that one.
pub(super) fn leave(draft: &mut Draft<'_>) {
    let Some(outer) = draft.context.var(OUTER_PROXY) else { return };
    for name in PROXY_VARIABLES {
        if outer == NOT_SET {
            draft.unset.insert(name.into());
        } else {
            draft.secret.insert(name.into(), Secret::new(outer.clone()));
        }
    }
    draft.unset.insert(OUTER_PROXY.into());
}

/// Takes base URLs of an outer session away: without one the agent uses its own. A gateway of the outer session stays.
pub(super) fn without_base_urls(draft: &mut Draft<'_>) {
    for base in &draft.profile.base {
        let Some(value) = draft.context.var(&base.variable) else { continue };
        let gateway =
            url::Url::parse(&value).ok().filter(|url| draft.router.is_own(url)).map(|url| url.path().starts_with("/@gw-"));
        match gateway {
            Some(false) => drop(draft.unset.insert(base.variable.clone())),
            Some(true) => draft.notes.push(format!("{} leads to a gateway through the outer session and stays", base.variable)),
            None => {}
        }
    }
}

/// What the plan covers.
pub(super) fn covers(draft: &Draft<'_>, mode: Mode) -> Covers {
    let rest = match mode {
        Mode::BaseUrl => Door::Direct,
        Mode::Auto | Mode::Tunnel => Door::Tunnel,
        Mode::Intercept => Door::Intercept,
    };
    let by_base_url = mode.has_base_url() && !draft.used.is_empty() && !draft.is_past_base_url;
    Covers { mode, inference: if by_base_url { Door::BaseUrl } else { rest }, rest }
}

#[cfg(test)]
#[path = "mode_tests.rs"]
mod tests;
