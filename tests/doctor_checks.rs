//! Checks of agents' surroundings over the program itself: connectors, IDEs, proxy scripts, intercept mode's authority. And what a
//! bundle holds where every file of theirs has a secret.

use crate::{doctor::Examined, home::Home};
#[cfg(target_os = "linux")]
use crate::{
    doctor::{command, home},
    home::Ran,
};
use leeward::authority::Authority;
#[cfg(target_os = "linux")]
use scripted::{Plan, Upstream};
#[cfg(target_os = "linux")]
use serde_json::json;
#[cfg(target_os = "linux")]
use std::{io::Read, net::TcpListener};

/// Writes a file below the home folder.
fn file(home: &Home, name: &str, text: &str) {
    let path = home.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const LOGIN: &str = r#"{"oauthAccount":{"emailAddress":"planted@example.com"},"claudeAiMcpEverConnected":["claude.ai Planted"]}"#;
const WAITS: &str = r#"{"claude.ai Planted":{"timestamp":1},"mine":{"timestamp":1}}"#;

#[test]
fn connectors_that_are_not_linked_are_told_and_a_switch_is_heeded() {
    let home = Home::new();
    Examined::of(&home, &["connectors"]).assert("connectors", "not-run", "has not been started");
    file(&home, ".claude.json", LOGIN);
    Examined::of(&home, &["connectors"]).assert("connectors", "ok", "remembers no connector");
    file(&home, ".claude/mcp-needs-auth-cache.json", WAITS);
    let examined = Examined::of(&home, &["connectors"]);
    examined.assert("connectors", "warning", "1 claude.ai connector is not linked");
    assert!(!examined.json.to_string().to_lowercase().contains("planted"), "{:#}", examined.json);
    home.configure("connectors = 'off'\n");
    Examined::of(&home, &["connectors"]).assert("connectors", "ok", "Leeward's config");
    file(&home, ".claude/mcp-needs-auth-cache.json", "{ planted");
    let examined = Examined::of(&home, &["connectors"]);
    examined.assert("connectors", "not-known", "is not JSON");
    assert!(!examined.json.to_string().contains("planted"));
    let hypotheses = examined.json["hypotheses"].as_array().unwrap();
    assert!(hypotheses.iter().any(|h| h["hypothesis"] == "Connectors that are not linked" && h["result"] == "not-known"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_ide_that_gives_its_agent_a_dead_endpoint_is_broken() {
    let home = Home::new();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let points_at = |url: &str| {
        let variable = json!({ "claudeCode.environmentVariables": [{ "name": "ANTHROPIC_BASE_URL", "value": url }] });
        file(&home, ".config/Code/User/settings.json", &variable.to_string());
    };
    Examined::of(&home, &["ide"]).assert("ide", "not-run", "no settings");
    points_at(&format!("http://{dead}"));
    Examined::of(&home, &["ide"]).assert("ide", "broken", "Nobody listens there");
    points_at(&format!("http://{}", home.address));
    Examined::of(&home, &["ide"]).assert("ide", "broken", "start Leeward");
    points_at("nonsense");
    Examined::of(&home, &["ide"]).assert("ide", "warning", "is no URL");
    let proxy = "<application><component><option name=\"USE_HTTP_PROXY\" value=\"true\" /><option name=\"PROXY_HOST\" value=\"gate.invalid\" /><option name=\"PROXY_PORT\" value=\"3128\" /></component></application>";
    file(&home, ".config/JetBrains/GoLand2026.2/options/proxy.settings.xml", proxy);
    points_at("https://api.anthropic.com");
    let examined = Examined::of(&home, &["ide"]);
    let rows = examined.rows("ide");
    assert!(rows.len() == 2 && rows.iter().all(|row| row["verdict"] == "ok"), "{:#}", examined.json);
    assert_eq!((&rows[0]["subject"], &rows[1]["subject"]), (&json!("Visual Studio Code"), &json!("GoLand2026.2")));
    let _serving = home.serve(&[]);
    points_at(&format!("http://{}", home.address));
    assert_eq!(Examined::of(&home, &["ide"]).rows("ide")[0]["verdict"], "ok");
}

/// GNOME's settings as its own program prints them.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_script_is_told_with_what_it_means_for_the_way() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let home = home(&upstream, "");
    let gnome = |mode: &str| {
        home.agent(
            "gsettings",
            &format!("case \"$3\" in mode) echo \"'{mode}'\" ;; *) echo \"'http://me:planted@corp.invalid/x.pac'\" ;; esac"),
        );
    };
    Examined::of(&home, &["pac"]).assert("pac", "ok", "names no proxy script");
    gnome("none");
    Examined::of(&home, &["pac"]).assert("pac", "ok", "GNOME");
    gnome("auto");
    let examined = Examined::of(&home, &["pac"]);
    examined.assert("pac", "warning", "http://corp.invalid/x.pac");
    assert!(!examined.json.to_string().contains("planted"), "{:#}", examined.json);
    upstream.stop().await;
    Examined::of(&home, &["pac"]).assert("pac", "broken", "no direct way");
    home.agent("gsettings", "exit 1");
    Examined::of(&home, &["pac"]).assert("pac", "not-known", "could not be read");
    file(&home, ".config/kioslaverc", "[Proxy Settings]\nProxyType=2\nProxy Config Script=http://kde.invalid/x.pac\n");
    Examined::of(&home, &["pac"]).assert("pac", "broken", "http://kde.invalid/x.pac");
    let mut named = command(&home, &["--json", "pac"]);
    named.env("auto_proxy", "http://variable.invalid/x.pac");
    Examined::by(named).assert("pac", "broken", "auto_proxy names a proxy script");
}

#[test]
fn the_authority_of_intercept_mode_is_looked_at_and_never_made() {
    let home = Home::new();
    home.configure("mode = 'intercept'\n");
    Examined::of(&home, &["authority"]).assert("authority", "not-run", "the config asks for that mode");
    let folder = home.paths().authority_dir();
    assert!(!folder.exists(), "a doctor makes none");
    let id = Authority::new(folder.clone()).current().unwrap();
    Examined::of(&home, &["authority"]).assert("authority", "ok", "more days");
    std::fs::remove_file(folder.join(format!("{id}.key"))).unwrap();
    Examined::of(&home, &["authority"]).assert("authority", "broken", "authority rotate");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_holds_no_secret_of_an_agents_files_either() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let home = home(&upstream, "");
    home.agent("claude", "exit 1");
    let secret = "planted-word-of-the-test";
    file(
        &home,
        ".claude/settings.json",
        &json!({ "env": { "ANTHROPIC_BASE_URL": format!("https://me:{secret}@gate.invalid/x?key={secret}"), "ANTHROPIC_AUTH_TOKEN": secret } }).to_string(),
    );
    file(&home, ".claude.json", LOGIN);
    file(&home, ".claude/mcp-needs-auth-cache.json", WAITS);
    file(
        &home,
        ".config/Code/User/settings.json",
        &json!({ "http.proxy": format!("http://me:{secret}@gate.invalid:1"), "claudeCode.environmentVariables": [
            { "name": "ANTHROPIC_BASE_URL", "value": format!("https://me:{secret}@gate.invalid") }, { "name": "ANTHROPIC_API_KEY", "value": secret },
        ] })
        .to_string(),
    );
    file(
        &home,
        ".config/kioslaverc",
        &format!("[Proxy Settings]\nProxyType=2\nProxy Config Script=http://me:{secret}@gate.invalid/x?key={secret}\n"),
    );
    let mut command = command(&home, &["--bundle", "leeward.zip"]);
    command.env("ANTHROPIC_API_KEY", secret).env("OPENAI_BASE_URL", format!("https://me:{secret}@gate.invalid/v1"));
    let ran = Ran::from(command.output().unwrap());
    let mut zip = zip::ZipArchive::new(std::fs::File::open(home.path("work/leeward.zip")).unwrap()).unwrap();
    let mut seen = 0;
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert!(!text.to_lowercase().contains("planted"), "{:?}: {text}", entry.name());
        seen += usize::from(text.contains("gate.invalid"));
    }
    assert!(seen >= 2, "what was looked at is in it, without its secrets");
    assert!(!format!("{ran:?}").contains(secret), "nor on the screen: {ran:?}");
}
