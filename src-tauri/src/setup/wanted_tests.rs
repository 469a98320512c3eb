//! Tables over the agents: what set-up writes for each, where, and what it refuses, in a home folder that is not there.
#![cfg(unix)]

use super::{key::Key, *};
use crate::{config::Config, wrap::AgentContext};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Agents' files in a home folder that is not there.
struct Home {
    vars: BTreeMap<&'static str, &'static str>,
    files: BTreeMap<PathBuf, &'static str>,
}

impl Home {
    fn new(vars: &[(&'static str, &'static str)], files: &[(&str, &'static str)]) -> Self {
        Self {
            vars: vars.iter().copied().collect(),
            files: files.iter().map(|(path, text)| (PathBuf::from(path), *text)).collect(),
        }
    }

    /// What is wanted, a line each, or the refusal.
    fn wanted(&self, agent: &str, config: &str, replace: bool) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), config).unwrap();
        let config = Config::under(folder.path()).unwrap();
        let store = Store::look(&config.paths).unwrap();
        let env = |name: &str| self.vars.get(name).map(|value| (*value).to_owned());
        let read =
            |path: &Path| self.files.get(path).map(|text| (*text).to_owned()).ok_or_else(|| std::io::ErrorKind::NotFound.into());
        let list = |folder: &Path| self.files.keys().filter(|path| path.parent() == Some(folder)).cloned().collect();
        let home = Some(PathBuf::from("/home/me"));
        let context = AgentContext { env: &env, read: &read, list: &list, home, cwd: "/home/me/project".into() };
        plan::tests_wanted(agent, replace, &config, &store, &context).map(|wanted| {
            let line = |path: &Path, key: &Key, value: &str| format!("{}: {key} = {value}", path.display());
            let files = wanted.files.iter();
            files.flat_map(|(place, values)| values.iter().map(|(key, value)| line(&place.path, key, value))).collect()
        })
    }
}

#[test]
fn each_agent_gets_what_wrap_would_give_it_in_files_of_its_own() {
    const TOKEN: &str = "http://leeward:0123456789abcdef0123456789abcdef@127.0.0.1:8787";
    type Case<'a> = (&'a str, &'a [(&'static str, &'static str)], &'a [(&'a str, &'static str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            "claude",
            // What a session of `wrap` has set counts as not set.
            &[("ANTHROPIC_BASE_URL", "https://gate.corp"), ("HTTPS_PROXY", TOKEN), ("NO_PROXY", "x")],
            &[],
            &[
                "/home/me/.claude/settings.json: env.ANTHROPIC_BASE_URL = http://127.0.0.1:8787",
                "/home/me/.claude/settings.json: env.CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING = 1",
                "/home/me/.claude/settings.json: env.ENABLE_TOOL_SEARCH = true",
            ],
        ),
        (
            "claude",
            &[("CLAUDE_CONFIG_DIR", "/data/claude")],
            &[(
                "/data/claude/settings.json",
                r#"{"env": {"ANTHROPIC_BASE_URL": "https://api.anthropic.com", "ENABLE_TOOL_SEARCH": "auto", "CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING": "0"}}"#,
            )],
            &["/data/claude/settings.json: env.ANTHROPIC_BASE_URL = http://127.0.0.1:8787"],
        ),
        (
            "codex",
            &[("CODEX_HOME", "/data/codex")],
            &[("/data/codex/auth.json", r#"{"OPENAI_API_KEY": "nobody"}"#)],
            &["/data/codex/config.toml: openai_base_url = http://127.0.0.1:8787/@openai/v1"],
        ),
        (
            "codex",
            &[],
            &[(
                "/home/me/.codex/config.toml",
                "model_provider = 'x'\n[model_providers.x]\nbase_url = 'https://api.openai.com/v1'",
            )],
            &["/home/me/.codex/config.toml: model_providers.x.base_url = http://127.0.0.1:8787/@openai/v1"],
        ),
        (
            "gemini",
            &[],
            &[
                ("/home/me/.env", "GEMINI_API_KEY=nobody"),
                ("/home/me/.gemini/settings.json", r#"{"selectedAuthType": "gemini-api-key"}"#),
            ],
            &[
                "/home/me/.env: GOOGLE_GEMINI_BASE_URL = http://127.0.0.1:8787/@gemini",
                "/home/me/.env: CODE_ASSIST_ENDPOINT = http://127.0.0.1:8787/@code-assist",
            ],
        ),
        (
            "gemini",
            &[("GEMINI_CLI_HOME", "/data")],
            &[],
            &["/data/.gemini/.env: CODE_ASSIST_ENDPOINT = http://127.0.0.1:8787/@code-assist"],
        ),
        (
            "opencode",
            &[("ANTHROPIC_API_KEY", "nobody")],
            &[("/home/me/.config/opencode/opencode.jsonc", "{ // x\n \"provider\": {\"groq\": {}}}")],
            &[
                "/home/me/.config/opencode/opencode.jsonc: provider.anthropic.options.baseURL = http://127.0.0.1:8787/v1",
                "/home/me/.config/opencode/opencode.jsonc: provider.groq.options.baseURL = http://127.0.0.1:8787/@groq/openai/v1",
            ],
        ),
        (
            "qwen",
            &[],
            &[("/home/me/.qwen/.env", "OPENAI_BASE_URL=https://api.openai.com/v1")],
            &[
                "/home/me/.qwen/.env: OPENAI_BASE_URL = http://127.0.0.1:8787/@openai/v1",
                "/home/me/.qwen/settings.json: env.ANTHROPIC_BASE_URL = http://127.0.0.1:8787",
                "/home/me/.qwen/settings.json: env.GOOGLE_GEMINI_BASE_URL = http://127.0.0.1:8787/@gemini",
            ],
        ),
    ];
    for (agent, vars, files, want) in cases {
        assert_eq!(Home::new(vars, files).wanted(agent, "", false).unwrap(), *want, "{agent} {vars:?} {files:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn editors_and_shells_in_use_get_theirs() {
    const BASE: &str = "http://127.0.0.1:8787";
    let files = [
        ("/home/me/.config/Code/User/settings.json", "{}"),
        ("/home/me/.config/VSCodium/User/keybindings.json", "[]"),
        (
            "/home/me/.config/Cursor/User/settings.json",
            r#"{"claudeCode.environmentVariables": [{"name": "ANTHROPIC_BASE_URL", "value": "https://gate.corp"}]}"#,
        ),
        ("/home/me/.bashrc", "alias a=b"),
        ("/home/me/.config/fish/config.fish", ""),
        ("/home/me/.config/powershell/profile.ps1", ""),
    ];
    let home = Home::new(&[("SHELL", "/usr/bin/zsh"), ("HTTPS_PROXY", "http://gate.corp:3128"), ("NO_PROXY", "x.corp")], &files);
    let claude = home.wanted("claude", "", false).unwrap();
    for (file, is_there) in [("Code/", true), ("VSCodium/", true), ("Cursor/", false), ("Code - Insiders/", false)] {
        let line = format!("{file}User/settings.json: claudeCode.environmentVariables[ANTHROPIC_BASE_URL] = {BASE}");
        assert_eq!(claude.iter().any(|l| l.ends_with(&line)), is_there, "{file}: {claude:#?}");
    }
    assert!(home.wanted("claude", "", true).unwrap().iter().any(|line| line.contains("Cursor")));
    assert!(claude.iter().any(|line| line.ends_with(": env.NO_PROXY = x.corp,localhost,127.0.0.1,::1")), "{claude:#?}");
    let shell = home.wanted("shell", "", false).unwrap();
    for (file, line) in [
        (".bashrc", "export ANTHROPIC_BASE_URL=http://127.0.0.1:8787"),
        (".zshrc", "NO_PROXY=\"${NO_PROXY:+$NO_PROXY,}localhost"),
        ("fish/conf.d/leeward.fish", "set -gx OPENAI_BASE_URL http://127.0.0.1:8787/@openai/v1"),
        ("powershell/profile.ps1", "$env:ANTHROPIC_BASE_URL = '"),
    ] {
        assert!(shell.iter().any(|block| block.contains(file) && block.contains(line)), "{file}: {shell:#?}");
    }
}

#[test]
fn what_cannot_be_set_up_is_refused_with_the_reason() {
    let key = ("/home/me/.codex/auth.json", r#"{"OPENAI_API_KEY": "nobody"}"#);
    type Case<'a> = (&'a str, &'a [(&'static str, &'static str)], &'a [(&'a str, &'static str)], &'a [&'a str]);
    let gateway = ("/home/me/.claude/settings.json", r#"{"env": {"ANTHROPIC_BASE_URL": "https://gate.corp/a"}}"#);
    let cases: &[Case<'_>] = &[
        (
            "claude",
            &[],
            &[gateway],
            &["settings.json: env.ANTHROPIC_BASE_URL is https://gate.corp/a", "--replace", "[upstreams]"],
        ),
        (
            "claude",
            &[],
            &[("/home/me/.claude/settings.json", r#"{"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:3456"}}"#)],
            &["claude-code-router"],
        ),
        ("claude", &[("CLAUDE_CODE_USE_BEDROCK", "1")], &[], &["Amazon Bedrock"]),
        ("codex", &[], &[("/home/me/.codex/auth.json", r#"{"tokens": {}}"#)], &["ChatGPT login", "leeward wrap codex"]),
        ("codex", &[("HTTP_PROXY", "http://gate.corp:3128")], &[key], &["HTTP_PROXY", "NO_PROXY"]),
        ("codex", &[], &[key, ("/home/me/.codex/config.toml", "model_provider = 'ollama'")], &["`ollama`"]),
        ("opencode", &[], &[], &["no provider"]),
        ("shell", &[], &[], &["no profile"]),
    ];
    for (agent, vars, files, words) in cases {
        let why = Home::new(vars, files).wanted(agent, "", false).unwrap_err();
        assert!(words.iter().all(|word| why.contains(word)), "{agent} {vars:?}: {why}");
    }
    let home = Home::new(&[], &[gateway]);
    let known = home.wanted("claude", "[upstreams]\ncorp = 'https://gate.corp/a'", false).unwrap();
    assert!(known[0].ends_with("= http://127.0.0.1:8787/@corp"), "a gateway that the config knows is kept: {known:?}");
    assert!(home.wanted("claude", "", true).unwrap()[0].ends_with("= http://127.0.0.1:8787"));
    #[cfg(target_os = "linux")]
    {
        let managed = ("/etc/codex/managed_config.toml", "openai_base_url = 'https://gate.corp'");
        assert!(Home::new(&[], &[key, managed]).wanted("codex", "", false).unwrap_err().contains("managed by your organisation"));
        let managed = ("/etc/claude-code/managed-settings.json", r#"{"env": {"ANTHROPIC_BASE_URL": "https://gate.corp"}}"#);
        let why = Home::new(&[], &[managed]).wanted("claude", "[upstreams]\ncorp = 'https://gate.corp'", false).unwrap_err();
        assert!(why.contains("managed by your organisation"), "{why}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_starts_leeward_at_login_is_seen() {
    let lasting = |files: &[(&str, &'static str)]| {
        let home = Home::new(&[], files);
        let read =
            |path: &Path| home.files.get(path).map(|text| (*text).to_owned()).ok_or_else(|| std::io::ErrorKind::NotFound.into());
        let list = |folder: &Path| home.files.keys().filter(|path| path.parent() == Some(folder)).cloned().collect();
        let context =
            AgentContext { env: &|_| None, read: &read, list: &list, home: Some("/home/me".into()), cwd: "/home/me".into() };
        lasting_port(&context)
    };
    let entry = "/home/me/.config/autostart/leeward-tray.desktop";
    assert_eq!(lasting(&[]), None);
    assert_eq!(lasting(&[(entry, "[Desktop Entry]\nHidden=true\n")]), None);
    assert_eq!(lasting(&[(entry, "[Desktop Entry]\nExec=leeward-tray\n")]), Some(Lasting::Tray(entry.into())));
    let unit = "/home/me/.config/systemd/user/leeward.socket";
    assert_eq!(lasting(&[(unit, ""), (entry, "")]), Some(Lasting::Service(unit.into())));
    assert_eq!(lasting(&[("/home/me/.config/systemd/user/other.socket", "")]), None);
}
