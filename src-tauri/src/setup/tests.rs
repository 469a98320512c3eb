//! Set-up and undo on files as people have them (tests/settings): our values come, users edit, our values go, and nothing else
//! has changed.

use super::{
    change::FileChange,
    key::{Form, Key},
    places::{LISTED, Place},
    state::{State, state},
    text, *,
};
use crate::{config::Config, wrap::AgentContext};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const BASE: &str = "http://127.0.0.1:8787";

/// A home folder with a journal and one file.
struct World {
    folder: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Config::under(folder.path()).unwrap().paths).unwrap();
        Self { folder, store }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("home/file")
    }

    fn write(&self, bytes: &[u8]) {
        fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        fs::write(self.path(), bytes).unwrap();
    }

    fn read(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// Sets values up; how many changes were not its own.
    fn set(&mut self, form: Form, wanted: &[(Key, String)]) -> usize {
        let place = Place { path: self.path(), form };
        let change = FileChange::set(&self.store, &[], "claude", &place, wanted);
        let Some((change, drifts)) = change.unwrap_or_else(|why| panic!("{why:?}")) else { return 0 };
        change.apply(&mut self.store).unwrap();
        drifts.len()
    }

    fn undo(&mut self) -> Vec<Drift> {
        let path = self.path();
        let Some((change, drifts)) = FileChange::undo(&self.store, &[], "claude", &path).unwrap() else { return Vec::new() };
        change.apply(&mut self.store).unwrap();
        assert!(self.store.journal.entries.is_empty());
        drifts
    }

    fn state(&self) -> State {
        state("claude", &self.store.journal, BASE, &|path| fs::read(path))
    }
}

/// The files, with what is wanted in each.
fn corpus() -> Vec<(String, Form, Vec<(Key, String)>, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/settings");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let names = ["ANTHROPIC_BASE_URL", "CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING", "ENABLE_TOOL_SEARCH"];
    let corpus: Vec<_> = files
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let value = |key: Key| (key, format!("{BASE}/@x/v1"));
            let (form, wanted) = match name.split('-').next().unwrap() {
                "claude" | "qwen" => (Form::Json, names.map(|name| value(Key::of(&["env", name]))).to_vec()),
                "vscode" => (Form::Json, names.map(|name| value(Key::listed(LISTED, name))).to_vec()),
                "opencode" => {
                    let ids = ["anthropic", "openai", "groq"];
                    (Form::Json, ids.map(|id| value(Key::of(&["provider", id, "options", "baseURL"]))).to_vec())
                }
                "codex" if name.contains("provider") => {
                    (Form::Toml, vec![value(Key::of(&["model_providers", "corp", "base_url"]))])
                }
                "codex" => (Form::Toml, vec![value(Key::of(&["openai_base_url"]))]),
                "gemini" => {
                    (Form::Env, ["CODE_ASSIST_ENDPOINT", "GOOGLE_GEMINI_BASE_URL"].map(|name| value(Key::of(&[name]))).to_vec())
                }
                _ => (Form::Shell, vec![(Key::block(), format!("# ours\nexport A={BASE}"))]),
            };
            (name, form, wanted, fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(corpus.len() >= 19, "{}", corpus.len());
    corpus
}

/// The file as other editors would have saved it.
fn variants(text: &str) -> Vec<Vec<u8>> {
    let unix = text.replace("\r\n", "\n");
    let texts = [text.to_owned(), unix.replace('\n', "\r\n"), unix.trim_end().to_owned(), format!("{unix}\n\n")];
    let marked = texts.iter().map(|text| text::encoded(text, true));
    texts.iter().map(|text| text.clone().into_bytes()).chain(marked).collect()
}

#[test]
fn untouched_files_come_back_to_the_byte_and_a_second_set_up_changes_nothing() {
    for (name, form, wanted, text) in corpus() {
        for before in variants(&text) {
            let mut world = World::new();
            world.write(&before);
            assert_eq!(world.state(), State::NotSetUp);
            world.set(form, &wanted);
            let after = world.read();
            assert_ne!(after, before, "{name}");
            assert_eq!(world.state(), State::SetUp(vec![world.path()]), "{name}");
            let journal = world.store.journal.clone();
            assert_eq!(world.set(form, &wanted), 0);
            assert_eq!((world.read(), &world.store.journal), (after, &journal), "{name}");
            // The port has changed: what was there before is still known.
            let moved: Vec<_> = wanted.iter().map(|(key, value)| (key.clone(), value.replace("8787", "9000"))).collect();
            world.set(form, &moved);
            assert_eq!(world.undo(), [], "{name}");
            assert_eq!(world.read(), before, "{name}");
        }
    }
}

/// Edits that mean the same before and after set-up: each is done at a line that both texts have once.
fn edited(random: &mut fastrand::Rng, form: Form, texts: [&str; 2]) -> [String; 2] {
    let mut out = texts.map(str::to_owned);
    for n in 0..random.usize(1..5) {
        let old: Vec<String> = out[0].split_inclusive('\n').map(str::to_owned).collect();
        let once = |text: &str, line: &str| text.split_inclusive('\n').filter(|l| *l == line).count() == 1;
        let is_anchor = |at: &usize| {
            let line = &old[*at];
            let code = line.split("//").next().unwrap_or_default().trim_end();
            let opens = code.ends_with('{') && !old.get(at + 1).is_none_or(|next| next.trim_start().starts_with('}'));
            let ok = match form {
                Form::Json => opens,
                Form::Toml => line.contains(" = ") && !line.trim_end().ends_with('['),
                Form::Env => line.contains('=') && !line.starts_with("NOTE"),
                Form::Shell => true,
            };
            ok && line.ends_with('\n') && out.iter().all(|text| once(text, line))
        };
        let anchors: Vec<usize> = (0..old.len()).filter(is_anchor).collect();
        let Some(at) = random.choice(&anchors) else { break };
        let line = &old[*at];
        let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
        let comment = random.bool();
        let added = match form {
            Form::Json if comment => format!("  // note {n}{end}"),
            Form::Json => format!("  \"user{n}\": [{n}, \"x\"],{end}"),
            Form::Toml if !comment => format!("user{n} = \"{n}\"{end}"),
            Form::Env if !comment => format!("USER{n}='{n}'{end}"),
            _ => format!("# note {n}{end}"),
        };
        out = out.map(|text| text.split_inclusive('\n').map(|l| if l == line { format!("{l}{added}") } else { l.into() }).collect());
    }
    out
}

#[test]
fn what_users_edit_stays_and_only_our_keys_go() {
    let mut random = fastrand::Rng::with_seed(22);
    let mut edits = 0;
    for (name, form, wanted, text) in corpus() {
        for before in variants(&text) {
            for _ in 0..12 {
                let mut world = World::new();
                world.write(&before);
                world.set(form, &wanted);
                let after = world.read();
                let (old, marked) = text::decoded(&before).unwrap();
                let (new, _) = text::decoded(&after).unwrap();
                let [old_edited, new_edited] = edited(&mut random, form, [old, new]);
                edits += usize::from(old_edited != old);
                world.write(&text::encoded(&new_edited, marked));
                if random.bool() {
                    // A second set-up in between knows what is the user's.
                    world.set(form, &wanted);
                }
                assert_eq!(world.undo(), [], "{name}");
                let left = String::from_utf8(world.read()).unwrap();
                assert_eq!(left, String::from_utf8(text::encoded(&old_edited, marked)).unwrap(), "{name}: from\n{new_edited}");
            }
        }
    }
    assert!(edits > 600, "only {edits} edits were made");
}

#[test]
fn a_file_that_its_agent_writes_anew_loses_our_keys_alone() {
    for (name, form, wanted, text) in corpus().into_iter().filter(|(name, ..)| name.ends_with(".json")) {
        let mut world = World::new();
        world.write(text.as_bytes());
        world.set(form, &wanted);
        let value = |bytes: &[u8]| -> serde_json::Value { serde_json::from_slice(bytes).unwrap_or_default() };
        let mut all = value(&world.read());
        all["added"] = 1.into();
        world.write(format!("{all:#}").as_bytes());
        assert_eq!(world.undo(), []);
        let mut left = value(&world.read());
        left.as_object_mut().unwrap().remove("added");
        let mut want = value(text.as_bytes());
        if want.is_null() {
            want = serde_json::json!({});
        }
        assert_eq!(left, want, "{name}");
    }
}

#[test]
fn what_was_changed_or_taken_out_since_is_told_and_stays() {
    let wanted = [(Key::of(&["env", "A"]), format!("{BASE}/a")), (Key::of(&["env", "B"]), format!("{BASE}/b"))];
    let mut world = World::new();
    world.write(b"{\n  \"env\": {\n    \"A\": \"mine\"\n  }\n}\n");
    world.set(Form::Json, &wanted);
    world.write(String::from_utf8(world.read()).unwrap().replace("8787/a", "1/else").as_bytes());
    let State::Drifted(told) = world.state() else { panic!("{:?}", world.state()) };
    assert!(told.len() == 1 && told[0].ends_with("env.A was changed"), "{told:?}");
    assert_eq!(world.undo(), [Drift { key: "env.A".into(), now: Some("http://127.0.0.1:1/else".into()) }]);
    assert_eq!(world.read(), b"{\n  \"env\": {\n    \"A\": \"http://127.0.0.1:1/else\"\n  }\n}\n");
    // Set up again: from now on that is what was there before.
    world.set(Form::Json, &wanted);
    world.write(b"{}");
    assert!(matches!(world.state(), State::Drifted(told) if told.len() == 2));
    assert_eq!(world.undo().len(), 2);
    assert_eq!(world.read(), b"{}");
    world.set(Form::Json, &wanted);
    fs::remove_file(world.path()).unwrap();
    assert!(matches!(world.state(), State::Drifted(told) if told[0].ends_with("is gone")));
    world.undo();
    assert!(!world.path().exists());
}

#[test]
fn a_file_and_folders_that_were_new_go_again_unless_somebody_uses_them() {
    let wanted = [(Key::of(&["env", "A"]), BASE.to_owned())];
    let mut world = World::new();
    world.set(Form::Json, &wanted);
    assert!(world.path().exists());
    world.undo();
    assert!(!world.path().parent().unwrap().exists(), "neither file nor folder");
    world.set(Form::Json, &wanted);
    let added = String::from_utf8(world.read()).unwrap().replacen('{', "{\n  \"model\": \"opus\",", 1);
    world.write(added.as_bytes());
    world.set(Form::Json, &[(Key::of(&["env", "A"]), "http://127.0.0.1:9000".to_owned())]);
    world.undo();
    assert_eq!(world.read(), b"{\n  \"model\": \"opus\"\n}\n");
}

#[test]
fn two_agents_in_one_file_are_undone_one_by_one() {
    let mut world = World::new();
    world.write(b"K=1\n");
    let place = Place { path: world.path(), form: Form::Env };
    for (agent, name) in [("gemini", "A"), ("qwen", "B")] {
        let wanted = [(Key::of(&[name]), BASE.to_owned())];
        let (change, _) = FileChange::set(&world.store, &[], agent, &place, &wanted).unwrap().unwrap();
        change.apply(&mut world.store).unwrap();
    }
    for (agent, left) in [("gemini", format!("K=1\nB={BASE}\n")), ("qwen", "K=1\n".into())] {
        let (change, _) = FileChange::undo(&world.store, &[], agent, &place.path).unwrap().unwrap();
        change.apply(&mut world.store).unwrap();
        assert_eq!(String::from_utf8(world.read()).unwrap(), left);
    }
    assert!(world.store.journal.entries.is_empty());
}

#[test]
fn whoever_changes_the_file_meanwhile_wins_and_the_journal_knows_nothing() {
    let wanted = [(Key::of(&["env", "A"]), BASE.to_owned())];
    let mut world = World::new();
    world.write(b"{}");
    let place = Place { path: world.path(), form: Form::Json };
    let (change, _) = FileChange::set(&world.store, &[], "claude", &place, &wanted).unwrap().unwrap();
    world.write(b"{\"model\": \"opus\"}");
    assert!(change.apply(&mut world.store).unwrap_err().why.contains("another program"));
    assert_eq!((world.read(), world.store.journal.entries.len()), (b"{\"model\": \"opus\"}".to_vec(), 0));
}

/// Agents' files in a home folder that is not there.
struct Home {
    vars: BTreeMap<&'static str, &'static str>,
    files: BTreeMap<PathBuf, &'static str>,
}

impl Home {
    fn new(vars: &[(&'static str, &'static str)], files: &[(&str, &'static str)]) -> Self {
        Self { vars: vars.iter().copied().collect(), files: files.iter().map(|(path, text)| (PathBuf::from(path), *text)).collect() }
    }

    /// What is wanted, a line each, or the refusal.
    fn wanted(&self, agent: &str, config: &str, replace: bool) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), config).unwrap();
        let config = Config::under(folder.path()).unwrap();
        let store = Store::look(&config.paths).unwrap();
        let env = |name: &str| self.vars.get(name).map(|value| (*value).to_owned());
        let read = |path: &Path| {
            self.files.get(path).map(|text| (*text).to_owned()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
        };
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

#[cfg(unix)]
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
            &[("/data/claude/settings.json", r#"{"env": {"ANTHROPIC_BASE_URL": "https://api.anthropic.com", "ENABLE_TOOL_SEARCH": "auto", "CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING": "0"}}"#)],
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
            &[("/home/me/.codex/config.toml", "model_provider = 'x'\n[model_providers.x]\nbase_url = 'https://api.openai.com/v1'")],
            &["/home/me/.codex/config.toml: model_providers.x.base_url = http://127.0.0.1:8787/@openai/v1"],
        ),
        (
            "gemini",
            &[],
            &[("/home/me/.env", "GEMINI_API_KEY=nobody"), ("/home/me/.gemini/settings.json", r#"{"selectedAuthType": "gemini-api-key"}"#)],
            &[
                "/home/me/.env: GOOGLE_GEMINI_BASE_URL = http://127.0.0.1:8787/@gemini",
                "/home/me/.env: CODE_ASSIST_ENDPOINT = http://127.0.0.1:8787/@code-assist",
            ],
        ),
        ("gemini", &[("GEMINI_CLI_HOME", "/data")], &[], &["/data/.gemini/.env: CODE_ASSIST_ENDPOINT = http://127.0.0.1:8787/@code-assist"]),
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
        (".zshrc", "export NO_PROXY=\"${NO_PROXY:+$NO_PROXY,}localhost"),
        ("fish/conf.d/leeward.fish", "set -gx OPENAI_BASE_URL http://127.0.0.1:8787/@openai/v1"),
        ("powershell/profile.ps1", "$env:ANTHROPIC_BASE_URL = '"),
    ] {
        assert!(shell.iter().any(|block| block.contains(file) && block.contains(line)), "{file}: {shell:#?}");
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_set_up_is_refused_with_the_reason() {
    let key = ("/home/me/.codex/auth.json", r#"{"OPENAI_API_KEY": "nobody"}"#);
    type Case<'a> = (&'a str, &'a [(&'static str, &'static str)], &'a [(&'a str, &'static str)], &'a [&'a str]);
    let gateway = ("/home/me/.claude/settings.json", r#"{"env": {"ANTHROPIC_BASE_URL": "https://gate.corp/a"}}"#);
    let cases: &[Case<'_>] = &[
        ("claude", &[], &[gateway], &["settings.json: env.ANTHROPIC_BASE_URL is https://gate.corp/a", "--replace", "[upstreams]"]),
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
