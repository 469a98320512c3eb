//! Set-up and undo on files as people have them (tests/settings): our values come, users edit, our values go, and nothing else
//! has changed.

use super::{
    change::FileChange,
    key::{Form, Key},
    places::{LISTED, Place},
    state::{State, state},
    text, *,
};
use crate::config::Config;
use std::{
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
        out = out
            .map(|text| text.split_inclusive('\n').map(|l| if l == line { format!("{l}{added}") } else { l.into() }).collect());
    }
    out
}

#[test]
fn what_users_edit_stays_and_only_our_keys_go() {
    let mut random = fastrand::Rng::with_seed(22);
    let mut edits = 0;
    for (name, form, wanted, text) in corpus() {
        for before in variants(&text) {
            for _ in 0..3 {
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
    assert!(edits > 150, "only {edits} edits were made");
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
