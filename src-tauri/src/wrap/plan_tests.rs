//! Plans for the agents that need no code of their own, and what all plans share.

use super::*;
use std::{collections::BTreeMap, io, path::Path};

/// AgentContext made of tables.
pub(in crate::wrap) struct World {
    pub home: tempfile::TempDir,
    /// Leeward's config file.
    pub config: &'static str,
    pub vars: BTreeMap<String, String>,
    pub files: BTreeMap<PathBuf, String>,
    /// How it reaches Leeward.
    pub mode: Mode,
    pub connectors: Connectors,
    /// Where the agent starts; the home folder is `/home/me`.
    pub cwd: &'static str,
}

impl World {
    pub(in crate::wrap) fn new(vars: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
        Self {
            home: tempfile::tempdir().unwrap(),
            config: "",
            vars: own(vars).into_iter().collect(),
            files: own(files).into_iter().map(|(k, v)| (k.into(), v)).collect(),
            mode: Mode::BaseUrl,
            connectors: Connectors::On,
            cwd: "/work",
        }
    }

    pub(in crate::wrap) fn try_plan(&self, agent: &str, args: &[&str]) -> Result<Plan, PlanError> {
        std::fs::write(self.home.path().join("config.toml"), self.config).unwrap();
        let config = Config::under(self.home.path()).unwrap();
        let profiles = crate::wrap::profiles().unwrap();
        let profile = profiles.iter().find(|p| p.name == agent).unwrap();
        let list = |folder: &Path| self.files.keys().filter(|f| f.parent() == Some(folder)).cloned().collect();
        let context = AgentContext {
            env: &|name| self.vars.get(name).cloned(),
            read: &|path| self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into()),
            list: &list,
            home: Some("/home/me".into()),
            cwd: self.cwd.into(),
        };
        let args = args.iter().map(OsString::from).collect();
        plan(
            Request {
                profile,
                program: "/bin/agent".into(),
                args,
                address: "127.0.0.1:8787".parse().unwrap(),
                egress: None,
                mode: self.mode,
                version: Some("9.8.7".into()),
                trust: (self.mode == Mode::Intercept).then(|| Trust {
                    authority: "0a1b2c3d".into(),
                    bundle: "/leeward/bundle.pem".into(),
                    unusable: Vec::new(),
                }),
                connectors: self.connectors,
            },
            &config,
            &context,
        )
    }

    pub(in crate::wrap) fn plan(&self, agent: &str, args: &[&str]) -> Plan {
        self.try_plan(agent, args).unwrap()
    }
}

fn set(plan: &Plan) -> Vec<(&str, &str)> {
    plan.set.iter().filter(|(k, _)| *k != MARKER).map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

const BASE: &str = "http://127.0.0.1:8787";

#[test]
fn every_agent_gets_its_variables() {
    let table: [(&str, &[(&str, &str)]); 4] = [
        (
            "aider",
            &[
                ("ANTHROPIC_API_BASE", ""),
                ("DEEPSEEK_API_BASE", "/@deepseek"),
                ("OPENAI_API_BASE", "/@openai/v1"),
                ("OPENROUTER_API_BASE", "/@openrouter/api/v1"),
            ],
        ),
        (
            "goose",
            &[
                ("ANTHROPIC_HOST", ""),
                ("GOOGLE_HOST", "/@gemini"),
                ("OPENAI_HOST", "/@openai"),
                ("OPENROUTER_HOST", "/@openrouter"),
            ],
        ),
        ("qwen", &[("ANTHROPIC_BASE_URL", ""), ("GOOGLE_GEMINI_BASE_URL", "/@gemini"), ("OPENAI_BASE_URL", "/@openai/v1")]),
        ("kimi", &[("KIMI_BASE_URL", "/@kimi/coding/v1")]),
    ];
    for (agent, expected) in table {
        let plan = World::new(&[], &[]).plan(agent, &["--flag", "x"]);
        let expected: Vec<(&str, String)> = expected.iter().map(|(k, path)| (*k, format!("{BASE}{path}"))).collect();
        let expected: Vec<(&str, &str)> = expected.iter().map(|(k, v)| (*k, v.as_str())).collect();
        assert_eq!(set(&plan), expected, "{agent}");
        assert_eq!(plan.args, ["--flag", "x"], "{agent}");
        assert_eq!((plan.warnings.len(), plan.upstreams.len()), (0, 0), "{agent}");
        assert_eq!(plan.set[MARKER], BASE);
    }
}

#[test]
fn anything_gets_all_of_them_and_keeps_what_the_user_chose() {
    let world = World::new(&[("ENABLE_TOOL_SEARCH", "auto"), ("OPENAI_BASE_URL", "https://gateway.corp/v1")], &[]);
    let plan = world.plan("anything", &[]);
    assert!(!plan.set.contains_key("ENABLE_TOOL_SEARCH"));
    assert_eq!(plan.set["CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING"], "1");
    assert_eq!(plan.set["ANTHROPIC_BASE_URL"], BASE);
    assert_eq!(plan.set["OPENAI_API_BASE"], format!("{BASE}/@openai/v1"));
    let (name, url) = plan.upstreams.first_key_value().unwrap();
    assert_eq!(
        (plan.set["OPENAI_BASE_URL"].as_str(), url.as_str()),
        (format!("{BASE}/@{name}").as_str(), "https://gateway.corp/v1")
    );
    assert!(!plan.set.contains_key("KIMI_BASE_URL") && !plan.set.contains_key("GOOGLE_VERTEX_BASE_URL"), "only when inherited");
}

#[test]
fn a_wrap_inside_a_wrap_changes_nothing() {
    for agent in ["aider", "gemini", "goose", "qwen", "kimi", "anything"] {
        let world = World::new(&[("HTTPS_PROXY", "http://proxy:3128"), ("OPENAI_BASE_URL", "https://gateway.corp/v1")], &[]);
        let outer = world.plan(agent, &[]);
        let inner = World { vars: world.vars.clone().into_iter().chain(outer.set.clone()).collect(), ..World::new(&[], &[]) };
        let plan = inner.plan(agent, &[]);
        for (name, value) in &plan.set {
            assert_eq!(Some(value), outer.set.get(name), "{agent}: {name}");
        }
        assert!(plan.upstreams.is_empty(), "{agent}");
    }
}

#[test]
fn a_gateway_in_a_file_of_the_agents_is_kept_as_upstream() {
    for (agent, file, text, variable) in [
        ("gemini", "/home/me/.gemini/.env", "GOOGLE_GEMINI_BASE_URL=\"https://gateway.corp/v1\"", "GOOGLE_GEMINI_BASE_URL"),
        ("goose", "/home/me/.config/goose/config.yaml", "OPENAI_HOST: https://gateway.corp/v1", "OPENAI_HOST"),
        (
            "kimi",
            "/home/me/.kimi/config.toml",
            "default_model = 'k'\n[models.k]\nprovider = 'corp'\n[providers.corp]\ntype = 'kimi'\nbase_url = 'https://gateway.corp/v1'",
            "KIMI_BASE_URL",
        ),
    ] {
        let plan = World::new(&[], &[(file, text)]).plan(agent, &[]);
        let (name, url) = plan.upstreams.first_key_value().unwrap_or_else(|| panic!("{agent}: {file}"));
        assert_eq!((url.as_str(), plan.set[variable].as_str()), ("https://gateway.corp/v1", format!("{BASE}/@{name}").as_str()));
        let own = World::new(&[(variable, "https://other.corp")], &[(file, text)]).plan(agent, &[]);
        assert_eq!(own.upstreams.values().next().unwrap(), "https://other.corp", "{agent}: the environment outranks the file");
    }
}

#[test]
fn kimi_with_another_kind_of_provider_is_told() {
    let config =
        "default_model = 'm'\n[models.m]\nprovider = 'a'\n[providers.a]\ntype = 'anthropic'\nbase_url = 'https://x.corp'";
    let plan = World::new(&[], &[("/home/me/.kimi/config.toml", config)]).plan("kimi", &[]);
    assert!(plan.warnings[0].contains("provider `a`") && plan.warnings[0].contains("bypass"), "{:?}", plan.warnings);
}

#[test]
fn a_base_url_that_cannot_be_an_upstream_is_named() {
    let refused = World::new(&[("OPENAI_API_BASE", "gateway.corp/v1")], &[]).try_plan("aider", &[]).unwrap_err().to_string();
    assert!(refused.starts_with("OPENAI_API_BASE: ") && refused.contains("unset it"), "{refused}");
    let refused =
        World::new(&[], &[("/home/me/.env", "AIDER_OPENAI_API_BASE=ftp://x")]).try_plan("aider", &[]).unwrap_err().to_string();
    let refused = refused.replace('\\', "/");
    assert!(refused.starts_with("/home/me/.env: AIDER_OPENAI_API_BASE: "), "{refused}");
}

#[test]
fn a_client_token_is_sent_by_agents_that_can_and_missed_by_the_others() {
    let world = |vars| World { config: "client_token = 'hush-of-the-tests'", ..World::new(vars, &[]) };
    let claude = world(&[("ANTHROPIC_CUSTOM_HEADERS", "x-a: b")]).plan("claude", &[]);
    assert_eq!(claude.set["ANTHROPIC_CUSTOM_HEADERS"], "x-a: b\nx-leeward-token: hush-of-the-tests");
    let key = ("/home/me/.codex/auth.json", r#"{"auth_mode":"apikey"}"#);
    let codex = World { files: World::new(&[], &[key]).files, ..world(&[]) }.plan("codex", &[]);
    assert_eq!(codex.set["LEEWARD_CLIENT_TOKEN"], "hush-of-the-tests");
    let option = "model_providers.leeward.env_http_headers.x-leeward-token=\"LEEWARD_CLIENT_TOKEN\"";
    assert!(codex.args.iter().any(|a| a == option), "{:?}", codex.args);
    for (plan, warnings) in [(&claude, 0), (&codex, 1)] {
        assert!(plan.warnings.len() == warnings && !plan.script(crate::wrap::Shell::Sh).contains("hush"), "{:?}", plan.warnings);
    }
    assert!(codex.warnings[0].contains("without client_token keeps Codex's own provider"), "{:?}", codex.warnings);
    for mode in [Mode::Tunnel, Mode::Intercept] {
        let claude = World { mode, ..world(&[]) }.plan("claude", &[]);
        assert!(!format!("{:?} {:?}", claude.set, claude.secret).contains("hush"), "the API gets no token of Leeward's");
    }
    let goose = world(&[]).plan("goose", &[]);
    assert!(goose.warnings[0].contains("client token"), "{:?}", goose.warnings);
}

#[test]
fn aiders_files_outrank_its_environment_and_options_outrank_them() {
    let environment = [("OPENAI_API_BASE", "https://shell.corp"), ("ANTHROPIC_API_BASE", "https://shell.corp")];
    let plan = World::new(&environment, &[]).plan("aider", &["--model", "x"]);
    assert_eq!((plan.args.len(), plan.upstreams.values().next().map(String::as_str)), (2, Some("https://shell.corp")));
    let plan = World::new(&[("AIDER_OPENAI_API_BASE", "https://a.corp"), environment[0]], &[]).plan("aider", &[]);
    assert_eq!(
        (plan.args[0].to_str(), plan.upstreams.values().next().unwrap().as_str()),
        (Some("--openai-api-base"), "https://a.corp")
    );
    for (file, text, option) in [
        ("/home/me/.env", "OPENAI_API_BASE=https://file.corp", "--openai-api-base"),
        ("/home/me/.env", "ANTHROPIC_API_BASE=https://file.corp", "--set-env"),
        ("/home/me/.aider.conf.yml", "openai-api-base: https://file.corp", "--openai-api-base"),
    ] {
        let plan = World::new(&environment, &[(file, text)]).plan("aider", &["--model", "x"]);
        assert_eq!(plan.args[0], option, "{file}");
        let (name, _) = plan.upstreams.iter().find(|(_, url)| *url == "https://file.corp").unwrap_or_else(|| panic!("{file}"));
        assert!(plan.args[1].to_str().unwrap().ends_with(&format!("{BASE}/@{name}")), "{file}: {:?}", plan.args);
        assert_eq!(plan.args[2..], ["--model", "x"], "{file}");
    }
}

/// Every user of the machine can read a program's arguments.
#[test]
fn no_plan_puts_a_secret_into_the_arguments() {
    const TOKEN: &str = "hush-of-the-tests";
    const SETTINGS: &str =
        r#"{"env":{"ANTHROPIC_CUSTOM_HEADERS":"x-key: hush-of-the-user","ANTHROPIC_BASE_URL":"https://gateway.corp"}}"#;
    let inline = ["--settings", SETTINGS];
    let joined = format!("--settings={SETTINGS}");
    let files: [&[(&str, &str)]; 2] = [&[], &[("/home/me/.claude/settings.json", SETTINGS)]];
    let vars: [&[(&str, &str)]; 2] = [&[], &[("ANTHROPIC_CUSTOM_HEADERS", "x-key: hush-of-the-user")]];
    let mut in_files = 0;
    for agent in crate::wrap::profiles().unwrap().iter().map(|profile| profile.name.as_str()) {
        for (files, vars) in files.iter().flat_map(|files| vars.iter().map(move |vars| (files, vars))) {
            for (args, is_stated) in
                [(&[][..], !files.is_empty()), (&inline, true), (&[joined.as_str()], true), (&["-p"], !files.is_empty())]
            {
                let world = World { config: "client_token = 'hush-of-the-tests'", ..World::new(vars, files) };
                let plan = world.plan(agent, args);
                let shown: Vec<_> = plan.args.iter().map(|arg| arg.to_string_lossy()).collect();
                let case = format!("{agent} {args:?} {vars:?} {files:?}: {shown:?}");
                assert!(!shown.iter().any(|arg| arg.contains(TOKEN)), "{case}");
                if agent != "claude" {
                    assert!(plan.private.arguments.is_empty(), "{case}");
                    continue;
                }
                assert!(!shown.iter().any(|arg| arg.contains("hush")), "{case}");
                assert!(!plan.script(crate::wrap::Shell::Sh).contains(TOKEN), "{case}");
                let [text] = plan.private.texts()[..] else {
                    assert!(plan.private.arguments.is_empty() && !is_stated, "{case}");
                    continue;
                };
                let env = serde_json::from_str::<serde_json::Value>(text).unwrap()["env"].clone();
                assert_eq!(
                    env["ANTHROPIC_CUSTOM_HEADERS"],
                    format!("x-key: hush-of-the-user\nx-leeward-token: {TOKEN}"),
                    "{case}"
                );
                assert!(env["ANTHROPIC_BASE_URL"].as_str().unwrap().starts_with(BASE), "{case}");
                in_files += 1;
            }
        }
    }
    assert!(in_files >= 12, "{in_files}");
}
