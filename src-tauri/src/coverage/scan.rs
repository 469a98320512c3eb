//! One look at this machine: every agent, where it is, what runs of it, and how it is protected. Blocks; starts nothing.

use super::{
    installs::installs,
    judge::{Ground, Whole, session},
    leads::{Leads, PROXIES, leads},
    places::Places,
    process::Process,
    processes::{OfSystem, Processes},
    recognise::{Family, Marks},
    table::{Known, Table, table},
};
use crate::{
    doctor::{AgentSurroundings, variables_of},
    health::unix_ms,
    status::coverage::{Agent, By, Coverage, Heard, Running},
    wrap::{ANYTHING, Profile, profiles},
};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

/// What is looked at.
pub struct Look {
    /// The environment: PATH, and where package managers keep their folders.
    pub env: Arc<dyn Fn(&str) -> Option<String> + Send + Sync>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The folder of the terminal that asks: what agents would find there counts. `None`: nobody starts agents from here.
    pub terminal: Option<PathBuf>,
    /// Where Leeward accepts, or would.
    pub address: Option<SocketAddr>,
    /// What the running Leeward knows, or why it could not be asked; `None`: there is none.
    pub heard: Option<Result<Heard, String>>,
}

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look").field("home", &self.home).field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

/// As an engine looks: at what this process may see, for no terminal.
pub fn of_engine(heard: Heard) -> Coverage {
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_path_buf());
    let address = Some(heard.address);
    look(&Look { env: Arc::new(crate::config::environment), home, terminal: None, address, heard: Some(Ok(heard)) })
}

/// Looks at all agents.
pub fn look(asked: &Look) -> Coverage {
    let places = Places { home: asked.home.clone(), env: asked.env.clone(), root: None, system: std::env::consts::OS };
    look_at(asked, &places, &OfSystem)
}

/// The same, in these places and among these processes.
pub(super) fn look_at(asked: &Look, places: &Places, processes: &dyn Processes) -> Coverage {
    let mut coverage = Coverage {
        at_unix_ms: unix_ms(),
        address: asked.address.map(|address| address.to_string()),
        serving: matches!(asked.heard, Some(Ok(_))),
        agents: Vec::new(),
        unlisted: None,
    };
    let (profiles, table) = match (profiles(), table()) {
        (Ok(profiles), Ok(table)) => (profiles, table),
        (Err(e), _) | (_, Err(e)) => {
            coverage.unlisted = Some(format!("the table of agents cannot be read: {e}"));
            return coverage;
        }
    };
    let (all, unlisted) = match processes.list() {
        Ok(all) => (all, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let scan = Scan {
        asked,
        places,
        processes,
        family: Family::of(&all),
        all,
        unlisted: unlisted.clone(),
        ground: Ground { heard: asked.heard.as_ref().map(|heard| heard.as_ref().map_err(String::as_str)) },
    };
    let agents = profiles.iter().filter(|profile| profile.name != ANYTHING);
    coverage.agents = agents.map(|profile| scan.agent(profile, &table)).collect();
    coverage.unlisted = unlisted;
    coverage
}

struct Scan<'a> {
    asked: &'a Look,
    places: &'a Places,
    processes: &'a dyn Processes,
    all: Vec<Process>,
    family: Family,
    unlisted: Option<String>,
    ground: Ground<'a>,
}

impl Scan<'_> {
    fn agent(&self, profile: &Profile, table: &Table) -> Agent {
        let known = table.agent.iter().find(|known| known.name == profile.name).cloned();
        let known = known.unwrap_or_else(|| Known { name: profile.name.clone(), ..Known::default() });
        let installs = installs(profile, &known, table, self.places);
        let running = self.running(profile, &known);
        let plainly = self.plainly(&known);
        let judged = Whole {
            name: &profile.name,
            about: &profile.about,
            has_setup: known.has_setup,
            installed: !installs.is_empty(),
            running: &running,
            unlisted: self.unlisted.as_deref(),
            leads: &plainly,
        }
        .judge(&self.ground);
        let names: Vec<&str> = profile.user_agents.iter().map(String::as_str).chain([profile.name.as_str()]).collect();
        Agent {
            name: profile.name.clone(),
            title: profile.title.clone(),
            about: profile.about.clone(),
            has_setup: known.has_setup,
            is_set_up: matches!(plainly, Leads::ToLeeward(By::Settings, _)),
            verdict: judged.verdict,
            by: judged.by,
            why: judged.why,
            advice: judged.advice,
            installs,
            running,
            last_request: self.ground.last_request(&names),
        }
    }

    /// Where a session leads that is started plainly: from the terminal that asks, else from anywhere.
    fn plainly(&self, known: &Known) -> Leads {
        let env = |name: &str| self.asked.terminal.as_ref().and_then(|_| self.places.var(name));
        let (home, cwd) = (self.places.home.as_deref(), self.asked.terminal.as_deref());
        leads(known, &AgentSurroundings { env: &env, home, cwd, own: self.asked.address }, self.places)
    }

    fn running(&self, profile: &Profile, known: &Known) -> Vec<Running> {
        let marks = Marks { programs: &profile.programs, package: known.package.as_deref() };
        let names: Vec<String> = variables_of(&known.name).into_iter().chain(PROXIES.map(str::to_owned)).collect();
        let sessions = marks.sessions(&self.all).into_iter();
        sessions.map(|process| self.session(process, known, &names)).collect()
    }

    fn session(&self, process: &Process, known: &Known, names: &[String]) -> Running {
        let inside = self.processes.inside(process.pid, names);
        let (variables, hidden) = match inside.variables {
            Ok(variables) => (variables, None),
            Err(why) => (BTreeMap::new(), Some(why)),
        };
        let env = |name: &str| variables.get(name).cloned();
        let (home, cwd) = (self.places.home.as_deref(), inside.folder.as_deref());
        let around = AgentSurroundings { env: &env, home, cwd, own: self.asked.address };
        let found = leads(known, &around, self.places);
        // Files that outrank variables say where it leads even where the variables are hidden.
        let leads = match (hidden, found) {
            (Some(_), found @ (Leads::ToLeeward(..) | Leads::Elsewhere(_))) if known.settings_win => found,
            (Some(why), _) => Leads::Unclear(format!("the variables that it was started with cannot be read: {why}")),
            (None, found) => found,
        };
        session(process, inside.folder, &self.family, &self.ground, &leads)
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
