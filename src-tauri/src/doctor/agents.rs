//! The check of installed agents: build, endpoint, and whether one goes through Leeward now. Starts none of them.

use super::{
    context::{Context, Serving},
    finding::{Finding, Verdict},
    known::{Agent, known},
    settings_of_agents::{AgentSurroundings, Endpoint, Target, endpoints, path},
    version::{self, Version},
};
use crate::socket_owner::{self, Owner};
use serde_json::{Value, json};
use std::path::PathBuf;

pub(super) fn agents(context: &Context) -> Vec<Finding> {
    let known = match known() {
        Ok(known) => known,
        Err(e) => return vec![Finding::not_known(format!("the table of agents cannot be read: {e}"))],
    };
    let installed = known.agent.iter().filter_map(|agent| Some((agent, find(agent, context)?)));
    let findings: Vec<Finding> = installed.map(|(agent, program)| look(agent, program, context).of(&agent.name)).collect();
    if findings.is_empty() {
        let names: Vec<&str> = known.agent.iter().map(|agent| agent.title.as_str()).collect();
        return vec![Finding::not_run(format!(
            "none of these is installed where PATH {} finds it: {}",
            context.place.whose(),
            names.join(", ")
        ))];
    }
    findings
}

fn find(agent: &Agent, context: &Context) -> Option<PathBuf> {
    let folders =
        std::env::join_paths(agent.also_in.iter().filter_map(|folder| path(folder, context.home.as_deref(), Some(&context.cwd))))
            .ok();
    agent.programs.iter().find_map(|program| {
        let in_path = which::which_in(program, context.var("PATH"), &context.cwd).ok();
        in_path.or_else(|| which::which_in(program, folders.as_ref(), &context.cwd).ok())
    })
}

fn look(agent: &Agent, program: PathBuf, context: &Context) -> Finding {
    let version = version::installed(&program, agent.package.as_deref());
    let env = |name: &str| context.var(name);
    let (home, cwd) = (context.home.as_deref(), Some(context.cwd.as_path()));
    let (endpoints, unread) = endpoints(agent, &AgentSurroundings { env: &env, home, cwd, own: context.address() });
    let sessions = sessions(agent, context);
    let dead: Vec<(&Endpoint, Owner)> = endpoints
        .iter()
        .filter_map(|endpoint| match endpoint.at {
            Target::Local(address) => Some((endpoint, socket_owner::of_listener(address))),
            Target::Leeward if !matches!(context.serving, Serving::Ours { .. }) => {
                Some((endpoint, socket_owner::of_listener(context.address()?)))
            }
            _ => None,
        })
        .filter(|(_, owner)| *owner == Owner::Nobody)
        .collect();
    let found = Found {
        agent,
        version,
        endpoints: &endpoints,
        dead: dead.iter().map(|(endpoint, _)| *endpoint).collect(),
        unread,
        sessions,
        whose: context.place.whose(),
    };
    let facts = found.facts(&program);
    found.judge(facts)
}

/// Open sessions of `leeward wrap`; `None` where nobody could be asked.
fn sessions(agent: &Agent, context: &Context) -> Option<usize> {
    let Serving::Ours { status: Ok(status), .. } = &context.serving else { return None };
    let all = status.get("sessions").and_then(Value::as_array)?;
    Some(all.iter().filter(|session| session.get("agent").and_then(Value::as_str) == Some(&agent.name)).count())
}

struct Found<'a> {
    agent: &'a Agent,
    version: Option<Version>,
    endpoints: &'a [Endpoint],
    /// Endpoints on this machine where nobody listens.
    dead: Vec<&'a Endpoint>,
    unread: Vec<String>,
    sessions: Option<usize>,
    /// Whose environment was looked at.
    whose: &'static str,
}

impl Found<'_> {
    fn facts(&self, program: &std::path::Path) -> Value {
        let bad = self.bad();
        let endpoints: Vec<Value> = self.endpoints.iter().map(|e| {
            let is_dead = self.dead.contains(&e);
            json!({ "scope": e.scope, "file": e.file, "name": e.name, "url": e.url, "leads_to": e.at.as_str(), "is_dead": is_dead })
        }).collect();
        json!({
            "title": self.agent.title,
            "program": program,
            "version": self.version.map(|v| v.to_string()),
            "known_bad": bad.map(|b| json!({ "from": b.from.to_string(), "until": b.until.to_string(), "what": b.what, "cure": b.cure, "source": b.source })),
            "endpoints": endpoints,
            "unread": self.unread,
            "wrap_sessions": self.sessions,
        })
    }

    fn bad(&self) -> Option<&super::known::BadBuild> {
        let version = self.version?;
        self.agent.bad.iter().find(|bad| bad.is(&version, std::env::consts::OS))
    }

    fn judge(&self, facts: Value) -> Finding {
        let title = &self.agent.title;
        let version = self.version.map_or_else(|| "its version is not in its files".to_owned(), |v| v.to_string());
        let mut said = vec![format!("{title} ({version}).")];
        match self.sessions {
            Some(0) => said.push("No session of `leeward wrap` is open for it.".into()),
            Some(n) => said.push(format!("{n} of its sessions go through Leeward now.")),
            None => {}
        }
        for endpoint in self.endpoints {
            let place = place(endpoint, self.whose);
            said.push(match endpoint.at {
                Target::Leeward => format!("{place} points at Leeward."),
                Target::Local(_) | Target::Elsewhere => {
                    format!("{place} points at {}.", endpoint.url.as_deref().unwrap_or_default())
                }
                Target::Unreadable => format!("{place} is no URL."),
            });
        }
        said.extend(self.unread.iter().map(|why| format!("{why}.")));
        if let Some(first) = self.dead.first() {
            said.push("Nobody listens there, so each request is refused.".into());
            let advice = if first.at == Target::Leeward {
                "start Leeward, or take it out of".to_owned()
            } else {
                "take it out of".to_owned()
            };
            return Finding::new(Verdict::Broken, said.join(" "), facts).advise(format!("{advice} {}", place(first, self.whose)));
        }
        if let Some(bad) = self.bad() {
            said.push(format!("Known to be bad: {} ({}).", bad.what, bad.source));
            return Finding::new(Verdict::Warning, said.join(" "), facts).advise(bad.cure.clone());
        }
        if let Some(unusable) = self.endpoints.iter().find(|e| e.at == Target::Unreadable) {
            return Finding::new(Verdict::Warning, said.join(" "), facts)
                .advise(format!("write a URL into {}, or take it out", place(unusable, self.whose)));
        }
        if let Some(managed) = self.endpoints.iter().find(|e| e.scope == "managed" && e.at != Target::Leeward) {
            said.push("Your organisation manages that setting, and nothing overrules it: its requests bypass Leeward.".into());
            return Finding::new(Verdict::Warning, said.join(" "), facts).advise(format!(
                "set `upstream` in Leeward's config to that gateway, and ask for {} to be changed",
                place(managed, self.whose)
            ));
        }
        if !self.unread.is_empty() {
            return Finding { facts, ..Finding::not_known(said.join(" ")) };
        }
        Finding::new(Verdict::Ok, said.join(" "), facts)
    }
}

fn place(endpoint: &Endpoint, whose: &str) -> String {
    match &endpoint.file {
        Some(file) => format!("{} in {}", endpoint.name, file.display()),
        None => format!("{} {}", endpoint.name, whose),
    }
}
