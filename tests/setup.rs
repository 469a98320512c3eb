//! `leeward setup`: what it shows, asks, writes and takes back, in a home of its own.
#![cfg(unix)]

use crate::home::{Home, Ran};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
    process::{Command, Stdio},
};

const SETTINGS: &str = ".claude/settings.json";
const TEXT: &str = "{\n  // mine\n  \"env\": {\n    \"ANTHROPIC_AUTH_TOKEN\": \"hush\"\n  },\n  \"model\": \"opus\",\n}\n";

/// A home in which something starts Leeward at login.
fn lasting() -> Home {
    let home = Home::new();
    let folder = if cfg!(target_os = "macos") { "Library/LaunchAgents" } else { ".config/systemd/user" };
    fs::create_dir_all(home.path(folder)).unwrap();
    let file = if cfg!(target_os = "macos") { "app.leeward.serve.plist" } else { "leeward.socket" };
    write(&home, &format!("{folder}/{file}"), "");
    home
}

fn write(home: &Home, name: &str, text: &str) {
    fs::create_dir_all(home.path(name).parent().unwrap()).unwrap();
    fs::write(home.path(name), text).unwrap();
}

/// Where only the test's own agents are installed.
fn setup(home: &Home, args: &[&str]) -> Ran {
    let mut command = home.command(&["setup"]);
    command.args(args).env("PATH", home.path("bin")).env("SHELL", "/bin/bash");
    Ran::from(command.output().unwrap())
}

/// Every file of the home apart from Leeward's own, with its content.
fn files(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut folders, mut found) = (vec![home.path("")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true if entry.path() == home.path("leeward") => {}
                true => {
                    found.push((entry.path(), Vec::new()));
                    folders.push(entry.path());
                }
                false => found.push((entry.path(), fs::read(entry.path()).unwrap())),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn it_shows_asks_writes_and_takes_back_to_the_byte() {
    let home = lasting();
    write(&home, SETTINGS, TEXT);
    write(&home, ".codex/auth.json", "{\"OPENAI_API_KEY\": \"nobody\"}");
    let before = files(&home);
    let shown = setup(&home, &["all", "--dry-run"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for line in [
        format!("+    \"ANTHROPIC_BASE_URL\": \"http://{}\",", home.address),
        format!("+openai_base_url = \"http://{}/@openai/v1\"", home.address),
    ] {
        assert!(shown.stdout.contains(&line), "{line}: {shown:?}");
    }
    assert!(shown.stdout.contains("[redacted]") && !shown.stdout.contains("hush"), "no secret is shown: {shown:?}");
    assert!(!home.paths().setup_dir().exists(), "a dry run writes nothing");
    let unasked = setup(&home, &["all"]);
    assert!(
        unasked.code == Some(64) && unasked.stderr.contains("2 files would change") && unasked.stderr.contains("--yes"),
        "{unasked:?}"
    );
    assert_eq!(files(&home), before);
    let done = setup(&home, &["all", "--yes"]);
    assert!(done.code == Some(0) && done.stderr.contains("no Leeward runs now"), "{done:?}");
    let after = files(&home);
    let again = setup(&home, &["all", "--yes"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (Some(0), "claude is set up already\ncodex is set up already\n"),
        "{again:?}"
    );
    assert_eq!(files(&home), after);
    let text = home.read(SETTINGS);
    assert!(text.contains("// mine") && text.contains("ENABLE_TOOL_SEARCH"), "{text}");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(home.paths().setup_dir().join("journal.json")), 0o600);
    let kept = fs::read_dir(home.paths().setup_dir().join("before")).unwrap().count();
    assert_eq!(kept, 1, "the file that was there");
    let undone = setup(&home, &["all", "--undo", "--yes"]);
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert_eq!(files(&home), before, "files and folders that were new are gone");
    assert_eq!(fs::read_dir(home.paths().setup_dir().join("before")).unwrap().count(), 0);
    let nothing = setup(&home, &["all", "--undo", "--yes"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), "nothing is set up: there is nothing to undo\n"));
}

#[test]
fn without_anything_that_starts_leeward_it_says_what_to_do() {
    let home = Home::new();
    write(&home, SETTINGS, "{}");
    let refused = setup(&home, &["claude", "--yes"]);
    assert_eq!((refused.code, home.read(SETTINGS).as_str()), (Some(69), "{}"), "{refused:?}");
    for word in ["leeward service install", "Start at login", "--without-service"] {
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
    let done = setup(&home, &["claude", "--yes", "--without-service"]);
    assert!(done.code == Some(0) && home.read(SETTINGS).contains("ANTHROPIC_BASE_URL"), "{done:?}");
    // Undo needs neither.
    assert_eq!(setup(&home, &["claude", "--undo", "--yes"]).code, Some(0));
    assert_eq!(home.read(SETTINGS), "{}");
}

#[test]
fn one_agent_that_cannot_be_set_up_keeps_no_other_from_it() {
    let home = lasting();
    write(&home, SETTINGS, "{\n  \"model\": \"opus\"\n  \"env\": {}\n}\n");
    write(&home, ".gemini/settings.json", "{}");
    write(
        &home,
        ".config/opencode/opencode.json",
        "{\"provider\": {\"anthropic\": {\"options\": {\"baseURL\": \"https://gate.corp\"}}}}",
    );
    let done = setup(&home, &["all", "--yes"]);
    assert_eq!(done.code, Some(73), "{done:?}");
    for words in [
        "settings.json:2: it is not valid JSON",
        "opencode.json: provider.anthropic.options.baseURL is https://gate.corp",
        "--replace",
    ] {
        assert!(done.stderr.contains(words), "{words}: {done:?}");
    }
    assert!(home.read(".gemini/.env").starts_with("CODE_ASSIST_ENDPOINT=http://127.0.0.1"), "{done:?}");
    let replaced = setup(&home, &["opencode", "--yes", "--replace"]);
    assert_eq!(replaced.code, Some(0), "{replaced:?}");
    assert!(!home.read(".config/opencode/opencode.json").contains("gate.corp"));
    assert_eq!(setup(&home, &["all", "--undo", "--yes"]).code, Some(0));
    assert!(home.read(".config/opencode/opencode.json").contains("gate.corp") && !home.path(".gemini/.env").exists());
}

#[test]
fn what_its_user_has_changed_since_stays_and_is_told() {
    let home = lasting();
    write(&home, SETTINGS, "{\"model\":\"opus\"}");
    setup(&home, &["claude", "--yes"]);
    let text = home
        .read(SETTINGS)
        .replace("opus", "sonnet")
        .replace("\"ENABLE_TOOL_SEARCH\":\"true\"", "\"ENABLE_TOOL_SEARCH\":\"auto\"");
    write(&home, SETTINGS, &text);
    let undone = setup(&home, &["claude", "--undo", "--yes"]);
    assert!(
        undone.code == Some(0) && undone.stderr.contains("env.ENABLE_TOOL_SEARCH was changed since and is auto"),
        "{undone:?}"
    );
    assert_eq!(home.read(SETTINGS), "{\"model\":\"sonnet\",\"env\":{\"ENABLE_TOOL_SEARCH\":\"auto\"}}");
}

#[test]
fn links_stay_links_and_files_that_are_not_to_be_written_are_not() {
    let home = lasting();
    write(&home, "dotfiles/settings.json", "{}");
    fs::create_dir_all(home.path(".claude")).unwrap();
    symlink(home.path("dotfiles/settings.json"), home.path(SETTINGS)).unwrap();
    assert_eq!(setup(&home, &["claude", "--yes"]).code, Some(0));
    assert!(fs::symlink_metadata(home.path(SETTINGS)).unwrap().is_symlink());
    assert!(home.read("dotfiles/settings.json").contains("ANTHROPIC_BASE_URL"));
    assert_eq!(setup(&home, &["claude", "--undo", "--yes"]).code, Some(0));
    assert_eq!(home.read("dotfiles/settings.json"), "{}");
    fs::set_permissions(home.path("dotfiles/settings.json"), PermissionsExt::from_mode(0o444)).unwrap();
    let refused = setup(&home, &["claude", "--yes"]);
    assert!(refused.code == Some(73) && refused.stderr.contains("settings.json is read-only"), "{refused:?}");
}

#[test]
fn a_shell_that_starts_has_the_variables() {
    let home = lasting();
    write(&home, ".bashrc", "export BEFORE=1");
    let done = setup(&home, &["shell", "--yes"]);
    assert!(done.code == Some(0), "{done:?}");
    let mut sh = Command::new("sh");
    sh.args(["-c", ". ./.bashrc && echo $BEFORE $ANTHROPIC_BASE_URL"])
        .env_clear()
        .current_dir(home.path(""))
        .stdin(Stdio::null());
    let said = Ran::from(sh.output().unwrap());
    assert_eq!(said.stdout, format!("1 http://{}\n", home.address), "{said:?}");
    // What `all` sets up has no shell in it, and what it undoes has.
    assert_eq!(setup(&home, &["all", "--undo", "--yes"]).code, Some(0));
    assert_eq!(home.read(".bashrc"), "export BEFORE=1");
}

#[test]
fn a_config_that_set_up_could_not_be_true_to_is_refused() {
    let home = lasting();
    for (config, word) in [("listen = '127.0.0.1:0'", "port"), ("client_token = 'hush-of-the-tests'", "client_token")] {
        fs::write(home.paths().config_file, config).unwrap();
        let refused = setup(&home, &["claude", "--yes"]);
        assert!(refused.code == Some(78) && refused.stderr.contains(word), "{config}: {refused:?}");
        assert!(!refused.stderr.contains("hush"), "{refused:?}");
    }
}
