//! Each kind of installation of each agent, in a home folder of its own.

use super::{super::places::Env, *};
use crate::{
    coverage::table::{Kind, table},
    wrap::{ANYTHING, profiles},
};
use std::{collections::BTreeMap, sync::Arc};

/// A made-up machine.
struct Machine {
    folder: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    system: &'static str,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("home")).unwrap();
        Self { folder, variables: BTreeMap::new(), system: "linux" }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// A place of the table as a folder of this machine; what a variable stands for is made up.
    fn place(&mut self, place: &str) -> PathBuf {
        let place = place.replace('*', "v20.1.0");
        if let Some(rest) = place.strip_prefix("~/") {
            return self.path("home").join(rest);
        }
        if let Some(rest) = place.strip_prefix('$') {
            let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
            let folder = self.path(&format!("var-{name}"));
            self.variables.insert(name.to_owned(), folder.display().to_string());
            return folder.join(rest);
        }
        self.path("root").join(place.trim_start_matches('/'))
    }

    fn write(&self, path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn program(&self, path: &Path) -> PathBuf {
        let path = PathBuf::from(format!("{}{}", path.display(), std::env::consts::EXE_SUFFIX));
        self.write(&path, "");
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    fn find(&self, facts: &Facts, agent: &str) -> Vec<Install> {
        let variables = self.variables.clone();
        let env: Env = Arc::new(move |name| variables.get(name).cloned());
        let (home, root) = (Some(self.path("home")), Some(self.path("root")));
        let (profile, known) = facts.agents.iter().find(|(profile, _)| profile.name == agent).unwrap();
        installs(profile, known, &facts.table, &Places { home, env, root, system: self.system })
    }
}

/// Both tables, read once.
struct Facts {
    table: Table,
    agents: Vec<(Profile, Known)>,
}

fn facts() -> Facts {
    let table = table().unwrap();
    let profiles = profiles().unwrap().into_iter().filter(|profile| profile.name != ANYTHING);
    let known = |name: &str| table.agent.iter().find(|known| known.name == name).cloned().unwrap();
    Facts { agents: profiles.map(|profile| (profile.clone(), known(&profile.name))).collect(), table }
}

fn one(found: Vec<Install>, what: &str) -> Install {
    assert_eq!(found.len(), 1, "{what}: {found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn every_agent_is_found_in_path_and_where_its_installer_puts_it() {
    let facts = facts();
    for (profile, _) in &facts.agents {
        let mut machine = Machine::new();
        assert_eq!(machine.find(&facts, &profile.name), [], "{}", profile.name);
        let program = machine.program(&machine.path("bin").join(&profile.programs[0]));
        machine
            .variables
            .insert("PATH".into(), format!("relative{}{}", if cfg!(windows) { ';' } else { ':' }, machine.path("bin").display()));
        let found = one(machine.find(&facts, &profile.name), &profile.name);
        assert_eq!((found.kind, found.of.as_str(), found.path), (InstallKind::Program, "PATH", program), "{}", profile.name);
        for place in &profile.also_in {
            let mut machine = Machine::new();
            let folder = machine.place(place);
            machine.program(&folder.join(&profile.programs[0]));
            assert_eq!(one(machine.find(&facts, &profile.name), place).kind, InstallKind::Program, "{place}");
        }
    }
}

#[test]
fn every_agent_is_found_in_every_folder_of_the_table() {
    let facts = facts();
    for (profile, _) in &facts.agents {
        for folder in &facts.table.folder {
            for place in &folder.at {
                let mut machine = Machine::new();
                let at = machine.place(place);
                let program = machine.program(&at.join(&profile.programs[0]));
                let found = one(machine.find(&facts, &profile.name), place);
                assert_eq!(found.path, program, "{place}");
                // An agent's own installer may use the same folder.
                let own = profile.also_in.contains(place);
                assert!(own || (found.kind, found.of.as_str()) == (folder.kind.into(), folder.of.as_str()), "{place}: {found:?}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn what_npm_installed_says_its_version_and_is_one_wherever_it_is_linked() {
    let facts = facts();
    for (profile, known) in &facts.agents {
        let Some(package) = &known.package else { continue };
        let mut machine = Machine::new();
        let root = machine.path("home/.nvm/versions/node/v22.0.0");
        let manifest = root.join(format!("lib/node_modules/{package}/package.json"));
        machine.write(&manifest, &format!(r#"{{"name":"{package}","version":"3.4.5"}}"#));
        let program = machine.program(&manifest.with_file_name("cli.js"));
        for linked in [root.join("bin"), machine.path("bin")] {
            std::fs::create_dir_all(&linked).unwrap();
            std::os::unix::fs::symlink(&program, linked.join(&profile.programs[0])).unwrap();
        }
        machine.variables.insert("PATH".into(), machine.path("bin").display().to_string());
        let found = one(machine.find(&facts, &profile.name), package);
        assert_eq!((found.kind, found.version.as_deref()), (InstallKind::Npm, Some("3.4.5")), "{found:?}");
        assert_eq!(found.path, machine.path("bin").join(&profile.programs[0]), "PATH's comes first");
    }
}

#[cfg(unix)]
#[test]
fn what_pipx_and_uv_installed_says_its_version() {
    let facts = facts();
    for (profile, known) in &facts.agents {
        let Some(python) = &known.python else { continue };
        for (environment, of) in [(".local/share/pipx/venvs/a", "pipx"), (".local/share/uv/tools/a", "uv")] {
            let machine = Machine::new();
            let environment = machine.path("home").join(environment);
            machine.write(&environment.join(format!("lib/python3.12/site-packages/{python}-0.86.1.dist-info/METADATA")), "");
            let program = machine.program(&environment.join("bin").join(&profile.programs[0]));
            let linked = machine.path("home/.local/bin");
            std::fs::create_dir_all(&linked).unwrap();
            std::os::unix::fs::symlink(program, linked.join(&profile.programs[0])).unwrap();
            let found = one(machine.find(&facts, &profile.name), of);
            assert_eq!((found.kind, found.of.as_str()), (InstallKind::Python, of), "{found:?}");
            assert_eq!(found.version.as_deref(), Some("0.86.1"), "{found:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn homebrew_and_the_local_installation_are_told_apart_by_where_a_program_really_is() {
    let facts = facts();
    for (real, of, version) in [
        ("root/opt/homebrew/Cellar/claude-code/2.1.7/bin/claude", "Homebrew", Some("2.1.7")),
        ("home/.claude/local/node_modules/.bin/claude", "its installer", None),
        ("home/.local/share/claude/versions/2.1.329", "PATH", Some("2.1.329")),
    ] {
        let mut machine = Machine::new();
        let program = machine.program(&machine.path(real));
        std::fs::create_dir_all(machine.path("bin")).unwrap();
        std::os::unix::fs::symlink(program, machine.path("bin/claude")).unwrap();
        machine.variables.insert("PATH".into(), machine.path("bin").display().to_string());
        let found = one(machine.find(&facts, "claude"), real);
        assert_eq!((found.of.as_str(), found.version.as_deref()), (of, version), "{real}");
    }
}

#[test]
fn extensions_of_every_editor_are_found_and_those_that_were_removed_are_not() {
    let facts = facts();
    for (profile, known) in &facts.agents {
        for id in &known.extensions {
            for editor in &facts.table.editor {
                for place in &editor.at {
                    let mut machine = Machine::new();
                    let folder = machine.place(place);
                    machine.write(&folder.join(format!("{id}-2.1.9-linux-x64/package.json")), r#"{"version":"2.1.9"}"#);
                    machine.write(&folder.join(format!("{id}-2.0.1/x")), "");
                    machine.write(&folder.join(format!("{id}x-2.1.9/package.json")), r#"{"version":"2.1.9"}"#);
                    machine.write(&folder.join(".obsolete"), &format!(r#"{{"{id}-2.0.1":true}}"#));
                    let found = one(machine.find(&facts, &profile.name), id);
                    assert_eq!((found.kind, found.of.as_str()), (InstallKind::Extension, editor.of.as_str()), "{place}");
                    assert_eq!(found.version.as_deref(), Some("2.1.9"), "{place}");
                    std::fs::remove_file(folder.join(format!("{id}-2.1.9-linux-x64/package.json"))).unwrap();
                    let found = one(machine.find(&facts, &profile.name), id);
                    assert_eq!(found.version.as_deref(), Some("2.1.9"), "the folder's name says it too");
                }
            }
        }
    }
}

#[test]
fn plugins_and_applications_are_found_on_their_system_alone() {
    let facts = facts();
    for (profile, known) in &facts.agents {
        for system in ["linux", "macos", "windows"] {
            for ide in facts.table.ide.iter().filter(|ide| ide.system == system) {
                for (plugin, place) in known.plugins.iter().flat_map(|plugin| ide.at.iter().map(move |place| (plugin, place))) {
                    let mut machine = Machine { system, ..Machine::new() };
                    let folder = machine.place(&place.replace('*', "PyCharm2025.2")).join(plugin);
                    machine.write(&folder.join(format!("lib/{plugin}-0.1.14-beta.jar")), "");
                    machine.write(&folder.join("lib/annotations-23.0.0.jar"), "");
                    let found = one(machine.find(&facts, &profile.name), place);
                    assert_eq!((found.of.as_str(), found.version.as_deref()), ("PyCharm2025.2", Some("0.1.14")), "{place}");
                }
            }
            for app in known.apps.iter().filter(|app| app.system == system) {
                let mut machine = Machine { system, ..Machine::new() };
                let path = machine.place(&app.file.replace('*', "2.1.78"));
                machine.write(&path.join("Contents/Info.plist"), "<key>CFBundleShortVersionString</key>\n<string>1.2.3</string>");
                let found = one(machine.find(&facts, &profile.name), &app.file);
                let want = if app.file.contains('*') { "2.1.78" } else { "1.2.3" };
                assert_eq!((found.kind, found.version.as_deref()), (InstallKind::App, Some(want)), "{}", app.file);
                let elsewhere = Machine { system: "elsewhere", ..machine };
                assert_eq!(elsewhere.find(&facts, &profile.name), [], "{}", app.file);
            }
        }
    }
}

#[test]
fn a_file_that_is_no_manifest_gives_no_version_and_no_text() {
    let facts = facts();
    let mut machine = Machine::new();
    let folder = machine.place("~/.vscode/extensions");
    for (at, text) in
        ["{", "[]", r#"{"version":7}"#, r#"{"version":"\u001b]0;hush"}"#, r#"{"version":"1.2 hush"}"#].iter().enumerate()
    {
        machine.write(&folder.join(format!("anthropic.claude-code-{at}/package.json")), text);
    }
    let found = machine.find(&facts, "claude");
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|one| one.version.is_none()), "{found:?}");
    assert_eq!(InstallKind::from(Kind::Package), InstallKind::Package);
}
