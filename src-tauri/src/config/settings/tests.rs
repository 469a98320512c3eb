//! What is shown, what is refused with which key, what is written, and that nothing is half written.

use super::*;
use crate::config::KeyView;
use serde_json::json;
use std::path::PathBuf;

struct Home(tempfile::TempDir);

impl Home {
    fn new(text: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("config.toml"), text).unwrap();
        Self(home)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("config.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn settings(&self, env: &'static [(&str, &str)], flags: Flags) -> Settings {
        let folder = self.0.path().display().to_string();
        let look = move |name: &str| match name {
            "LEEWARD_HOME" => Some(folder.clone()),
            _ => env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()),
        };
        Settings::with(look, flags)
    }

    fn plain(&self) -> Settings {
        self.settings(&[], Flags::default())
    }
}

fn changes(json: Json) -> Changes {
    serde_json::from_value(json).unwrap()
}

fn shown(settings: &Settings, key: &str) -> KeyView {
    let running = settings.load().or_else(|_| Config::under(tempfile::tempdir().unwrap().path())).unwrap();
    settings.view(&running).unwrap().keys.into_iter().find(|k| k.key == key).unwrap()
}

#[test]
fn every_key_is_shown_with_who_decides_it() {
    let home = Home::new("drain = '90s'\n[limits]\nbody_bytes = 4096\n[upstreams]\nwork = 'https://gw.example'\n");
    let flags = Flags { listen: Some("127.0.0.1:0".into()), ..Flags::default() };
    let settings = home.settings(&[("LEEWARD_RETRY_TOTAL", "30s")], flags);
    let seen = |key: &str| {
        let k = shown(&settings, key);
        (k.kind, k.from, k.default, k.value)
    };
    assert_eq!(seen("drain"), ("duration", "file", json!("10m"), json!("90s")));
    assert_eq!(seen("limits.body_bytes"), ("size", "file", json!("512MiB"), json!(4096)));
    assert_eq!(seen("retry.total"), ("duration", "environment", json!("45s"), json!("30s")));
    assert_eq!(seen("listen"), ("text", "flag", json!("127.0.0.1:8787"), json!("127.0.0.1:0")));
    assert_eq!(seen("retry.budget"), ("number", "default", json!(0.2), json!(0.2)));
    assert_eq!(seen("stream.ping"), ("boolean", "default", json!(false), json!(false)));
    assert_eq!(seen("limits.connections"), ("integer", "default", json!(10000), json!(10000)));
    assert_eq!(seen("allowed_hosts"), ("list", "default", json!([]), json!([])));
    assert_eq!(seen("extra_ca"), ("text", "default", json!(null), json!(null)));
    assert_eq!(seen("upstreams"), ("table", "file", json!({}), json!({ "work": "https://gw.example" })));
    let total = shown(&settings, "retry.total");
    assert_eq!((total.section.as_str(), total.variable.as_deref()), ("retry", Some("LEEWARD_RETRY_TOTAL")));
    assert!(!total.help.contains("Default") && total.help.ends_with('.'), "{}", total.help);
    assert_eq!(shown(&settings, "stream.mode").choices, ["pass", "hold", "adaptive"]);
    assert!(shown(&settings, "workers").default.as_u64() > Some(0));
    let view = settings.view(&settings.load().unwrap()).unwrap();
    assert!(view.exists && view.problem.is_none() && view.path.ends_with("config.toml"));
    for key in view.keys {
        assert!(!key.help.is_empty() && !key.help.contains('\n'), "{}: {:?}", key.key, key.help);
    }
}

#[test]
fn secrets_never_leave() {
    let home = Home::new("client_token = 'hush-1-of-the-tests'\n[proxy]\nurl = 'http://me:hush-2@gate.corp:3128'\n");
    let settings = home.plain();
    let view = serde_json::to_string(&settings.view(&settings.load().unwrap()).unwrap()).unwrap();
    assert!(!view.contains("hush") && !view.contains("me:"), "{view}");
    for key in ["client_token", "proxy.url"] {
        let shown = shown(&settings, key);
        assert_eq!((shown.secret, shown.set, shown.value), (true, true, Json::Null), "{key}");
    }
    assert!(!shown(&Home::new("").plain(), "proxy.url").secret);
    assert!(!shown(&Home::new("").plain(), "client_token").set);
    for (key, value) in [("client_token", json!(4711)), ("proxy.url", json!("ftp://me:4711@x")), ("proxy.url", json!(["4711"]))] {
        let complaints = settings.check(&changes(json!({ key: value }))).unwrap();
        assert_eq!(complaints[0].key, key);
        assert!(!complaints[0].message.contains("4711"), "{complaints:?}");
    }
    // A broken file is reported without what stands in it.
    fs::write(home.file(), "client_token = 'hush-1-of-the-tests'\nlog = 'hush=loud'\n[retry]\ntotal = 'soon'\n").unwrap();
    let running = Config::under(Home::new("client_token = 'hush-3-of-the-tests'").0.path()).unwrap();
    let view = settings.view(&running).unwrap();
    assert!(view.problem.as_ref().unwrap().contains("`soon` is not a duration"));
    assert!(!serde_json::to_string(&view).unwrap().contains("hush-"), "{view:?}");
}

#[test]
fn bad_values_are_refused_with_their_key_and_nothing_is_written() {
    let home = Home::new("# mine\n[retry]\ntotal = '9s'\n");
    let settings = home.settings(&[("LEEWARD_DRAIN", "30s")], Flags::default());
    for (set, key, words) in [
        (json!({ "retry.totl": "3s" }), "retry.totl", "did you mean `retry.total`?"),
        (json!({ "retry": {} }), "retry", "there is no key"),
        (json!({ "retry.total": "soon" }), "retry.total", "`soon` is not a duration"),
        (json!({ "retry.total": 3 }), "retry.total", "expected a string"),
        (json!({ "retry.replays": -1 }), "retry.replays", "invalid value"),
        (json!({ "stream.mode": "halt" }), "stream.mode", "unknown variant"),
        (json!({ "allowed_hosts": "x" }), "allowed_hosts", "expected a sequence"),
        (json!({ "pool.size": 0 }), "pool.size", "must be at least 1"),
        (json!({ "connect.timeout": "60s" }), "retry.total", "shorter than one connection may take"),
        (json!({ "log": "leeward=loud" }), "log", "is not a log filter"),
        (json!({ "listen": "0.0.0.0:8787" }), "listen", "can be reached by other machines"),
        (json!({ "upstreams.a/b": "https://x" }), "upstreams.a/b", "cannot stand in a path"),
        (json!({ "upstreams.a": "nonsense" }), "upstreams.a", "is not a URL"),
        (json!({ "upstreams": { "a": 3 } }), "upstreams", "expected a string"),
        (json!({ "extra_ca": home.0.path().join("none.pem") }), "extra_ca", "cannot read"),
        (json!({ "drain": "1s" }), "drain", "is set by LEEWARD_DRAIN"),
    ] {
        let set = changes(set);
        let complaints = settings.check(&set).unwrap();
        assert_eq!(complaints[0].key, key, "{complaints:?}");
        assert!(complaints[0].message.contains(words), "{complaints:?}");
        assert!(matches!(settings.save(&set), Err(Refused::Values(same)) if same == complaints));
    }
    let several = settings.check(&changes(json!({ "pool.size": 0, "retry.budget": 2, "watch.stall": "3s" }))).unwrap();
    let keys: Vec<_> = several.iter().map(|c| c.key.as_str()).collect();
    assert_eq!(keys, ["pool.size", "retry.budget"], "all of them, and no good one");
    assert_eq!(home.text(), "# mine\n[retry]\ntotal = '9s'\n");
    assert_eq!(settings.check(&changes(json!({ "connect.timeout": "60s", "retry.total": "2m" }))).unwrap(), []);
}

#[test]
fn what_is_good_is_written_and_a_broken_file_can_be_mended() {
    let home = Home::new("# mine\n[retry]\ntotal = 'soon' # broken\n");
    let settings = home.plain();
    let complaints = settings.check(&changes(json!({ "drain": "1m" }))).unwrap();
    assert!(complaints[0].message.contains("`soon`"), "{complaints:?}");
    settings.save(&changes(json!({ "retry.total": "8s", "drain": "1m" }))).unwrap();
    assert!(home.text().contains("# mine") && home.text().contains("total = \"8s\" # broken"), "{}", home.text());
    let config = settings.load().unwrap();
    assert_eq!((config.retry.total.as_secs(), config.drain.as_secs()), (8, 60));
    settings.save(&changes(json!({ "retry.total": null, "drain": null }))).unwrap();
    assert_eq!(shown(&settings, "retry.total").from, "default");
}

#[test]
fn a_file_that_is_not_there_is_made_and_one_that_changed_meanwhile_is_kept() {
    let home = Home::new("");
    fs::remove_file(home.file()).unwrap();
    let settings = home.plain();
    assert!(!settings.view(&settings.load().unwrap()).unwrap().exists);
    settings.save(&changes(json!({}))).unwrap();
    assert!(!home.file().exists());
    settings.save(&changes(json!({ "workers": 3 }))).unwrap();
    fs::write(home.file(), home.text() + "# by hand\ndrain = '2m'\n").unwrap();
    settings.save(&changes(json!({ "workers": 2 }))).unwrap();
    assert_eq!(home.text(), "workers = 2\n# by hand\ndrain = '2m'\n");
}

#[test]
fn writers_wait_for_each_other() {
    let home = Home::new("");
    let settings = home.plain();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let settings = &settings;
            scope.spawn(move || settings.save(&changes(json!({ format!("upstreams.n{n}"): "https://x.example" }))).unwrap());
        }
    });
    assert_eq!((0..8).filter(|n| settings.load().unwrap().upstreams.contains_key(&format!("n{n}"))).count(), 8);
    assert_eq!(fs::read_dir(home.0.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[cfg(unix)]
#[test]
fn links_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let home = Home::new("");
    let real = home.0.path().join("dotfiles.toml");
    fs::rename(home.file(), &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, home.file()).unwrap();
    let settings = home.plain();
    settings.save(&changes(json!({ "workers": 3 }))).unwrap();
    assert!(fs::symlink_metadata(home.file()).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o400)).unwrap();
    let Err(Refused::File(why)) = settings.save(&changes(json!({ "workers": 2 }))) else { panic!("read-only") };
    assert!(why.contains("config.toml cannot be written"), "{why}");
    assert_eq!(home.text(), "workers = 3\n");
}
