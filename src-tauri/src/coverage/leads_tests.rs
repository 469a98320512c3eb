//! Where requests lead, by variables and files of each form.

use super::*;
use crate::coverage::table::table;
use std::{collections::BTreeMap, sync::Arc};

const OWN: &str = "127.0.0.1:8787";

/// Where an agent leads with these variables, and these files below the home folder (`~/`) or its own (`./`).
fn leads_of(agent: &str, variables: &[(&str, &str)], files: &[(&str, &str)]) -> Leads {
    let folder = tempfile::tempdir().unwrap();
    let (home, cwd) = (folder.path().join("home"), folder.path().join("work"));
    for folder in [&home, &cwd] {
        std::fs::create_dir_all(folder).unwrap();
    }
    for (name, text) in files {
        let path = match name.strip_prefix("./") {
            Some(rest) => cwd.join(rest),
            None => home.join(name.trim_start_matches("~/")),
        };
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    let env = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let known = table().unwrap().agent.into_iter().find(|known| known.name == agent).unwrap();
    let places = Places { home: Some(home.clone()), env: Arc::new(|_| None), root: None, system: "linux" };
    let own = Some(OWN.parse().unwrap());
    leads(&known, &AgentSurroundings { env: &env, home: Some(&home), cwd: Some(&cwd), own }, &places)
}

fn claude(url: &str) -> String {
    format!(r#"{{"env":{{"ANTHROPIC_BASE_URL":"{url}"}}}}"#)
}

#[test]
fn the_stronger_of_variable_and_file_counts() {
    let (ours, gate) = ("http://127.0.0.1:8787", "https://gate.corp");
    let (to_us, past) = (claude(ours), claude(gate));
    let user = "~/.claude/settings.json";
    for (agent, variables, files, want) in [
        ("claude", vec![], vec![], "api"),
        ("claude", vec![("ANTHROPIC_BASE_URL", ours)], vec![], "environment"),
        ("claude", vec![("ANTHROPIC_BASE_URL", gate)], vec![], "elsewhere"),
        ("claude", vec![], vec![(user, to_us.as_str())], "settings"),
        // Its files outrank its environment, the project's the user's.
        ("claude", vec![("ANTHROPIC_BASE_URL", gate)], vec![(user, to_us.as_str())], "settings"),
        ("claude", vec![("ANTHROPIC_BASE_URL", ours)], vec![(user, past.as_str())], "elsewhere"),
        ("claude", vec![], vec![(user, to_us.as_str()), ("./.claude/settings.json", past.as_str())], "elsewhere"),
        ("claude", vec![], vec![(user, past.as_str()), ("./.claude/settings.local.json", to_us.as_str())], "settings"),
        // Others' environment outranks their files.
        (
            "gemini",
            vec![("GOOGLE_GEMINI_BASE_URL", ours)],
            vec![("~/.gemini/.env", "GOOGLE_GEMINI_BASE_URL=https://gate.corp")],
            "environment",
        ),
        ("gemini", vec![], vec![("~/.gemini/.env", "GOOGLE_GEMINI_BASE_URL=http://localhost:8787/@gemini")], "settings"),
        ("codex", vec![], vec![("~/.codex/config.toml", "openai_base_url = 'http://127.0.0.1:8787/@openai/v1'")], "settings"),
        // Some of its requests go elsewhere.
        ("qwen", vec![("OPENAI_BASE_URL", ours), ("ANTHROPIC_BASE_URL", gate)], vec![], "elsewhere"),
        ("goose", vec![("ANTHROPIC_HOST", "http://127.0.0.1:9999")], vec![], "elsewhere"),
        ("goose", vec![("ANTHROPIC_HOST", "no url")], vec![], "elsewhere"),
        ("kimi", vec![("KIMI_BASE_URL", "http://127.0.0.1:8787/@kimi/coding/v1")], vec![], "environment"),
    ] {
        let found = leads_of(agent, &variables, &files);
        let got = match &found {
            Leads::ToLeeward(by, _) => by.as_str(),
            Leads::Elsewhere(_) => "elsewhere",
            Leads::ToApi => "api",
            Leads::Unclear(_) => "unclear",
        };
        assert_eq!(got, want, "{agent} {variables:?} {files:?}: {found:?}");
    }
}

#[test]
fn what_cannot_be_read_is_not_called_unprotected() {
    let user = "~/.claude/settings.json";
    for (agent, variables, files) in [
        ("claude", vec![], vec![(user, "{ hush")]),
        ("claude", vec![("ANTHROPIC_BASE_URL", "http://127.0.0.1:8787")], vec![(user, "{ hush")]),
        ("codex", vec![], vec![("~/.codex/config.toml", "hush =")]),
        ("codex", vec![], vec![("~/.codex/config.toml", "[model_providers.x]\nbase_url = 'http://127.0.0.1:8787/v1'")]),
        ("goose", vec![], vec![("~/.config/goose/config.yaml", "ANTHROPIC_HOST: http://localhost:8787\n")]),
        ("qwen", vec![], vec![("~/.qwen/settings.json", r#"{"env":{"OPENAI_BASE_URL":"http://127.0.0.1:8787/@openai/v1"}}"#)]),
        ("claude", vec![("HTTPS_PROXY", "http://leeward:hush@127.0.0.1:8787")], vec![]),
        ("codex", vec![("all_proxy", "http://leeward:hush@localhost:8787")], vec![]),
    ] {
        let found = leads_of(agent, &variables, &files);
        assert!(matches!(&found, Leads::Unclear(why) if !why.contains("hush")), "{agent} {variables:?} {files:?}: {found:?}");
    }
    // Another port is another program, and another proxy none of ours.
    for (agent, variables, files) in [
        ("goose", vec![], vec![("~/.config/goose/config.yaml", "ANTHROPIC_HOST: http://localhost:87871\n")]),
        ("claude", vec![("HTTPS_PROXY", "http://gate.corp:8787")], vec![]),
    ] {
        assert_eq!(leads_of(agent, &variables, &files), Leads::ToApi, "{agent} {variables:?} {files:?}");
    }
}

#[test]
fn what_is_said_names_the_place_and_holds_no_credential() {
    for (value, shown) in [
        ("https://me:hush@gate.corp/hush/v1?key=hush#hush", "ANTHROPIC_BASE_URL points to https://gate.corp"),
        ("http://127.0.0.1:99/hush", "ANTHROPIC_BASE_URL points to http://127.0.0.1:99"),
        ("https://gate.corp", "ANTHROPIC_BASE_URL points to https://gate.corp"),
        ("hush", "ANTHROPIC_BASE_URL is no URL"),
    ] {
        assert_eq!(leads_of("claude", &[("ANTHROPIC_BASE_URL", value)], &[]), Leads::Elsewhere(shown.into()), "{value}");
    }
    let found = leads_of("claude", &[], &[("~/.claude/settings.json", &claude("https://gate.corp/hush"))]);
    let Leads::Elsewhere(said) = found else { panic!("{found:?}") };
    assert!(
        said.starts_with("env.ANTHROPIC_BASE_URL in ") && said.ends_with("settings.json points to https://gate.corp"),
        "{said}"
    );
}
