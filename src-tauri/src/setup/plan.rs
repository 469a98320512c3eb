//! Plans set-up and its undo for several agents: what is to become of which file, what is to be said, and whom it refuses. Writes
//! nothing.

use super::{
    change::FileChange,
    inverse::{self, Drift},
    journal::{Journal, Store},
    places::{self, SHELL, TARGETS},
    text, tools,
    wanted::{self, Wanted},
};
use crate::{
    config::{Config, OUTER_PROXY, is_tunnel_proxy},
    wrap::{self, AgentContext},
};
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

/// What is planned.
#[derive(Debug, Default)]
pub struct SetupPlan {
    /// One for each agent, in the order asked for.
    pub agents: Vec<Outcome>,
    /// The files that change.
    pub changes: Vec<FileChange>,
}

/// What becomes of an agent.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What `leeward setup` calls it.
    pub agent: String,
    /// Why it is left as it is, as a sentence without a full stop.
    pub refused: Option<String>,
    /// Whether a file of it changes.
    pub changes: bool,
    /// What is good to know.
    pub notes: Vec<String>,
    /// What keeps requests from Leeward, or is not as set-up left it.
    pub warnings: Vec<String>,
}

/// Those of `TARGETS` that are installed, or have been in use; not the shells.
pub fn installed(context: &AgentContext<'_>) -> Vec<String> {
    let profiles = wrap::profiles().unwrap_or_default();
    let is_there = |name: &&str| {
        let profile = profiles.iter().find(|profile| profile.name == **name);
        let in_use = || places::folder(name, context).is_some_and(|folder| !(context.list)(&folder).is_empty());
        profile.is_some_and(|profile| wrap::find_agent(profile, context).is_ok()) || in_use()
    };
    TARGETS.into_iter().filter(|name| *name != SHELL).filter(is_there).map(str::to_owned).collect()
}

/// Those that the journal names, whichever version has set them up.
pub fn set_up(journal: &Journal) -> Vec<String> {
    let named: BTreeSet<&str> =
        journal.entries.iter().flat_map(|entry| entry.values.iter().map(|value| value.agent.as_str())).collect();
    named.into_iter().map(str::to_owned).collect()
}

/// Plans set-up. `replace`: endpoints that Leeward does not know give way to it.
///
/// # Errors
/// Why no agent can be set up with this config, as a sentence.
pub fn plan(
    agents: &[String],
    config: &Config,
    replace: bool,
    store: &Store,
    context: &AgentContext<'_>,
) -> Result<SetupPlan, String> {
    if config.listen.port() == 0 {
        return Err("`listen` in Leeward's config leaves the port to the system; set-up needs one that stays".into());
    }
    if config.client_token.is_some() {
        return Err("Leeward's config asks for a client_token, and set-up writes no secret into a file of an agent".into());
    }
    let mut plan = SetupPlan::default();
    for agent in agents {
        let mut outcome = Outcome { agent: agent.clone(), ..Outcome::default() };
        let mut changes = plan.changes.clone();
        match one(agent, config, replace, store, context, &mut changes, &mut outcome) {
            Ok(()) => plan.changes = changes,
            Err(why) => outcome.refused = Some(why),
        }
        plan.agents.push(outcome);
    }
    Ok(plan)
}

fn one(
    agent: &str,
    config: &Config,
    replace: bool,
    store: &Store,
    context: &AgentContext<'_>,
    changes: &mut Vec<FileChange>,
    outcome: &mut Outcome,
) -> Result<(), String> {
    let Wanted { files, notes, warnings } =
        as_before(agent, replace, store, context, |context| wanted::wanted(agent, config, replace, context))?;
    outcome.notes.extend(notes);
    outcome.warnings.extend(warnings);
    for (place, values) in &files {
        if let Ok(text) = (context.read)(&place.path) {
            outcome.warnings.extend(tools::in_text(&text).into_iter().map(|tool| {
                format!("{tool} has written into {}, too, and may write over what is set here", place.path.display())
            }));
        }
        if let Some((change, drifts)) = FileChange::set(store, changes, agent, place, values).map_err(|refusal| refusal.why)? {
            outcome.warnings.extend(drifts.iter().map(|drift| changed(&place.path, drift)));
            outcome.changes = true;
            changes.retain(|other| other.path != change.path);
            changes.push(change);
        }
    }
    // What an earlier set-up wrote where nothing is wanted any more.
    let is_gone = |path: &PathBuf| !files.iter().any(|(place, _)| place.path == *path);
    for path in paths_of(&store.journal, agent).into_iter().filter(is_gone) {
        undo_file(agent, &path, store, changes, outcome).map_err(|refusal| refusal.why)?;
    }
    Ok(())
}

/// Plans the undo.
pub fn plan_undo(agents: &[String], store: &Store) -> SetupPlan {
    let mut plan = SetupPlan::default();
    for agent in agents {
        let mut outcome = Outcome { agent: agent.clone(), ..Outcome::default() };
        let mut refused = Vec::new();
        for path in paths_of(&store.journal, agent) {
            // One file that cannot be edited keeps no other one from being what it was.
            if let Err(refusal) = undo_file(agent, &path, store, &mut plan.changes, &mut outcome) {
                refused.push(refusal.why);
            }
        }
        outcome.refused = (!refused.is_empty()).then(|| refused.join("; "));
        plan.agents.push(outcome);
    }
    plan
}

fn undo_file(
    agent: &str,
    path: &Path,
    store: &Store,
    changes: &mut Vec<FileChange>,
    outcome: &mut Outcome,
) -> Result<(), super::change::Refusal> {
    if let Some((change, drifts)) = FileChange::undo(store, changes, agent, path)? {
        outcome.warnings.extend(drifts.iter().map(|drift| changed(path, drift)));
        outcome.changes = true;
        changes.retain(|other| other.path != change.path);
        changes.push(change);
    }
    Ok(())
}

fn paths_of(journal: &Journal, agent: &str) -> Vec<PathBuf> {
    let of_agent = journal.entries.iter().filter(|entry| entry.values.iter().any(|value| value.agent == agent));
    of_agent.map(|entry| entry.path.clone()).collect()
}

fn changed(path: &Path, drift: &Drift) -> String {
    match &drift.now {
        Some(now) => {
            let now = crate::escape::foreign(now);
            format!("{}: {} was changed since and is {now}; it stays so", path.display(), drift.key)
        }
        None => format!("{}: {} was taken out since; it stays so", path.display(), drift.key),
    }
}

/// The surroundings as they would be without set-up, and without the session that this command may run in. With `replace`,
/// endpoints in the agent's own files count as not set.
fn as_before<T>(
    agent: &str,
    replace: bool,
    store: &Store,
    context: &AgentContext<'_>,
    look: impl FnOnce(&AgentContext<'_>) -> T,
) -> T {
    let profiles = wrap::profiles().unwrap_or_default();
    // A shell's variables are what its profile has set already.
    let name = if agent == SHELL && replace { wrap::ANYTHING } else { agent };
    let profile = profiles.into_iter().find(|profile| profile.name == name);
    let endpoints = profile.iter().flat_map(|profile| &profile.base);
    let mut hidden: Vec<String> =
        endpoints.flat_map(|base| base.over.iter().chain(&base.also).chain([&base.variable]).cloned()).collect();
    hidden.extend(["OPENCODE_CONFIG_CONTENT".to_owned(), OUTER_PROXY.to_owned()]);
    let within = context.var(wrap::MARKER).is_some();
    if within {
        // `wrap` and `env` have set them.
        hidden.extend(profile.iter().flat_map(|profile| profile.set.keys().cloned()));
    }
    if agent == "codex" {
        hidden.push("OPENAI_BASE_URL".into());
    }
    let env = |name: &str| {
        let value = (context.env)(name).filter(|_| !hidden.iter().any(|hidden| hidden == name))?;
        (!is_tunnel_proxy(&value)).then_some(value)
    };
    let home = context.var("GEMINI_CLI_HOME").filter(|_| agent == "gemini").map(|home| context.cwd.join(home));
    let home = home.or_else(|| context.home.clone());
    let qwens = home.as_ref().filter(|_| agent == "qwen").map(|home| home.join(".qwen"));
    let read = |path: &Path| -> io::Result<String> {
        // Its folder may be elsewhere, which its row of the table does not know.
        let moved = qwens.as_ref().and_then(|own| Some(places::folder("qwen", context)?.join(path.strip_prefix(own).ok()?)));
        let path = moved.as_deref().unwrap_or(path);
        let text = (context.read)(path)?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let text = match store.entry(path) {
            Some(entry) => inverse::inverse(entry, None, &text).map_or(text, |(text, _)| text),
            None => text,
        };
        Ok(if replace { without_endpoints(agent, path, &text, context) } else { text })
    };
    // In the home folder every file is the user's own, and none a project's.
    let cwd = home.clone().unwrap_or_else(|| context.cwd.clone());
    look(&AgentContext { env: &env, read: &read, list: context.list, home, cwd })
}

fn without_endpoints(agent: &str, path: &Path, text: &str, context: &AgentContext<'_>) -> String {
    let own = places::main(agent, context).filter(|place| place.path == path).map(|place| place.form);
    let env =
        || (agent == "qwen" && places::qwens_env_files(context).iter().any(|file| file == path)).then_some(super::Form::Env);
    let Some(form) = own.or_else(env) else { return text.to_owned() };
    wanted::endpoints(agent, form, text)
        .iter()
        .fold(text.to_owned(), |text, key| text::restore(form, &text, key, None).unwrap_or(text))
}

/// What is wanted for an agent, for the tables of the tests.
#[cfg(all(test, unix))]
pub(super) fn tests_wanted(
    agent: &str,
    replace: bool,
    config: &Config,
    store: &Store,
    context: &AgentContext<'_>,
) -> Result<Wanted, String> {
    as_before(agent, replace, store, context, |context| wanted::wanted(agent, config, replace, context))
}
