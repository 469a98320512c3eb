//! Where the requests of an agent lead, by its variables and settings files. Reads files; what it says holds no credential.

use super::{places::Places, table::Known};
use crate::{
    doctor::{AgentSurroundings, Endpoint, Target, endpoint_of_variable, endpoints_of},
    status::coverage::By,
};
use std::{io::Read, net::SocketAddr, path::Path};

/// The proxies that requests to `https` APIs use, as clients look for them.
pub(super) const PROXIES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Settings files are smaller.
const MOST: u64 = 1 << 20;

/// Where requests lead. Texts are parts of sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    /// To Leeward, and what says so.
    ToLeeward(By, String),
    /// Elsewhere: what points where.
    Elsewhere(String),
    /// Nothing is set: to the API itself.
    ToApi,
    /// It cannot be said, and why.
    Unclear(String),
}

/// Where an agent with these surroundings asks.
pub(super) fn leads(known: &Known, around: &AgentSurroundings<'_>, places: &Places) -> Leads {
    let (endpoints, unread) = endpoints_of(&known.name, around);
    // A file that cannot be read may outrank what can, unless variables outrank files.
    let of_process = endpoints.iter().any(|one| one.scope == "environment");
    if let Some(why) = unread.first().filter(|_| known.settings_win || !of_process) {
        return Leads::Unclear(why.clone());
    }
    let in_force = in_force(&endpoints, known.settings_win);
    if let Some(other) = in_force.iter().find(|one| one.at != Target::Leeward) {
        return Leads::Elsewhere(points(other));
    }
    if let Some(first) = in_force.first() {
        let by = if first.scope == "environment" { By::Environment } else { By::Settings };
        return Leads::ToLeeward(by, place(first));
    }
    if let Some(file) = around.own.and_then(|own| mention(known, own, around.cwd, places)) {
        return Leads::Unclear(format!("{file} names Leeward's address, and whether that is in force is not known"));
    }
    let proxy = PROXIES.iter().find_map(|name| Some((name, (around.env)(name).filter(|value| !value.is_empty())?)));
    let proxy = proxy.map(|(name, value)| endpoint_of_variable(name, &value, around.own));
    if let Some(proxy) = proxy.filter(|proxy| proxy.at == Target::Leeward) {
        let name = proxy.name;
        return Leads::Unclear(format!(
            "its proxy is Leeward ({name}), and no open session of `leeward wrap` that it belongs to is known"
        ));
    }
    Leads::ToApi
}

/// Of what is set in several places for one thing, the one that counts. Files come the strongest first.
fn in_force(endpoints: &[Endpoint], settings_win: bool) -> Vec<&Endpoint> {
    let thing = |one: &Endpoint| one.name.rsplit('.').next().unwrap_or_default().to_ascii_uppercase();
    let (of_process, of_files): (Vec<&Endpoint>, Vec<&Endpoint>) = endpoints.iter().partition(|one| one.scope == "environment");
    let by_strength = if settings_win { [of_files, of_process] } else { [of_process, of_files] };
    let mut found: Vec<&Endpoint> = Vec::new();
    for one in by_strength.into_iter().flatten() {
        if !found.iter().any(|stronger| thing(stronger) == thing(one)) {
            found.push(one);
        }
    }
    found
}

/// What is set, and where.
fn place(endpoint: &Endpoint) -> String {
    match &endpoint.file {
        Some(file) => format!("{} in {}", endpoint.name, file.display()),
        None => endpoint.name.clone(),
    }
}

fn points(endpoint: &Endpoint) -> String {
    let place = place(endpoint);
    match endpoint.url.as_deref() {
        Some(url) => format!("{place} points to {}", origin(url)),
        None => format!("{place} is no URL"),
    }
}

/// A URL without its path: some gateways have a credential there.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

/// A settings file that names Leeward's address in a form that nobody reads here.
fn mention(known: &Known, own: SocketAddr, cwd: Option<&Path>, places: &Places) -> Option<String> {
    let port = own.port();
    let names = [own.to_string(), format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")];
    known.mentions.iter().find_map(|file| {
        let path = places.setting(file, cwd)?;
        let mut text = String::new();
        std::fs::File::open(&path).ok()?.take(MOST).read_to_string(&mut text).ok()?;
        names.iter().any(|name| holds(&text, name)).then(|| path.display().to_string())
    })
}

/// Port 87 is not named by `…:8787`.
fn holds(text: &str, address: &str) -> bool {
    text.match_indices(address).any(|(at, _)| !text[at + address.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
#[path = "leads_tests.rs"]
mod tests;
