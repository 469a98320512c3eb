//! Whole looks, at made-up processes: what is found, and that no secret of theirs is in it.

use super::*;
use crate::{coverage::process::Inside, status::coverage::Protection};

struct Made {
    all: Result<Vec<Process>, String>,
    variables: BTreeMap<u32, Result<BTreeMap<String, String>, String>>,
}

impl Processes for Made {
    fn list(&self) -> Result<Vec<Process>, String> {
        self.all.clone()
    }

    fn inside(&self, pid: u32, names: &[String]) -> Inside {
        let variables = self.variables.get(&pid).cloned().unwrap_or_else(|| Ok(BTreeMap::new()));
        let asked = |all: BTreeMap<String, String>| all.into_iter().filter(|(name, _)| names.contains(name)).collect();
        Inside { folder: Some(format!("/work/{pid}").into()), variables: variables.map(asked) }
    }
}

fn process(pid: u32, arguments: &[&str]) -> Process {
    let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
    Process { pid, parent: Some(1), arguments, program: None, since_unix_ms: Some(9) }
}

fn look(processes: &Made) -> Coverage {
    let home = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:8787".parse().unwrap();
    let heard = Heard { address, sessions: Vec::new(), last_seen_unix_ms: BTreeMap::new(), since_unix_ms: 1 };
    let home = Some(home.path().to_path_buf());
    let env: super::super::places::Env = Arc::new(|_| None);
    let asked = Look { env: env.clone(), home: home.clone(), terminal: None, address: Some(address), heard: Some(Ok(heard)) };
    look_at(&asked, &Places { home, env, root: Some("/nowhere".into()), system: "linux" }, processes)
}

#[test]
fn sessions_of_every_agent_are_found_and_no_secret_of_theirs_is_in_what_is_said() {
    const SECRET: &str = "sk-hush";
    let names: Vec<String> =
        profiles().unwrap().into_iter().map(|profile| profile.name).filter(|name| name != ANYTHING).collect();
    let agents = (1..).zip(&names);
    let all = agents.clone().map(|(pid, name)| process(pid, &[name, "--api-key", SECRET])).collect();
    let url = format!("https://me:{SECRET}@gate.corp/{SECRET}?key={SECRET}");
    let variables = agents.map(|(pid, name)| {
        let own = variables_of(name).into_iter().map(|name| (name, url.clone()));
        let planted = [("ANTHROPIC_API_KEY", SECRET), ("HTTPS_PROXY", url.as_str()), ("ANTHROPIC_CUSTOM_HEADERS", SECRET)];
        let planted = planted.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        (pid, Ok(own.chain(planted).collect()))
    });
    let coverage = look(&Made { all: Ok(all), variables: variables.collect() });
    assert_eq!(coverage.agents.len(), names.len());
    for (agent, name) in coverage.agents.iter().zip(&names) {
        assert_eq!((&agent.name, agent.running.len(), agent.verdict), (name, 1, Protection::NotProtected), "{agent:?}");
        let running = &agent.running[0];
        assert!(running.since_unix_ms == Some(9) && running.folder.is_some(), "{running:?}");
        assert_eq!(running.why.contains("https://gate.corp"), !variables_of(name).is_empty(), "{running:?}");
    }
    assert!(coverage.bypassed());
    let said = serde_json::to_string(&coverage).unwrap() + &format!("{coverage:?}");
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn what_hides_its_variables_is_not_known_and_what_is_ours_is_protected() {
    let base = |url: &str| BTreeMap::from([("ANTHROPIC_BASE_URL".to_owned(), url.to_owned())]);
    let all = vec![
        process(1, &["claude"]),
        process(2, &["goose"]),
        process(3, &["node", "/x/node_modules/@openai/codex/bin/codex.js"]),
    ];
    let variables = BTreeMap::from([(1, Ok(base("http://localhost:8787"))), (2, Err("it hides its memory".to_owned()))]);
    let coverage = look(&Made { all: Ok(all), variables });
    let agent = |name: &str| coverage.agents.iter().find(|agent| agent.name == name).unwrap();
    assert_eq!((agent("claude").verdict, agent("claude").by.as_slice()), (Protection::Protected, &[By::Environment][..]));
    assert_eq!(agent("goose").verdict, Protection::NotKnown);
    assert!(agent("goose").running[0].why.contains("it hides its memory"), "{:?}", agent("goose"));
    assert_eq!(agent("codex").verdict, Protection::NotProtected);
    assert_eq!(agent("gemini").verdict, Protection::NotInstalled);
}

#[test]
fn where_processes_cannot_be_listed_nothing_is_called_unprotected() {
    let coverage = look(&Made { all: Err("no /proc".into()), variables: BTreeMap::new() });
    assert_eq!(coverage.unlisted.as_deref(), Some("no /proc"));
    assert!(!coverage.bypassed());
    assert!(coverage.agents.iter().all(|agent| agent.verdict != Protection::NotProtected), "{coverage:?}");
}
