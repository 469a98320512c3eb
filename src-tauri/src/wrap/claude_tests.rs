//! Claude Code's settings files against its environment, one case a test.

use super::super::plan::tests::World;
use super::*;

const URL: &str = "http://127.0.0.1:8787";
const USER: &str = "/home/me/.claude/settings.json";
const GATEWAY: &str = r#"{"env":{"ANTHROPIC_BASE_URL":"https://gateway.corp/anthropic"},"model":"x"}"#;

fn managed() -> String {
    managed_folders()[0].join("managed-settings.json").display().to_string()
}

/// The `env` block handed over as `--settings`, if there is one.
fn overruled(args: &[std::ffi::OsString]) -> Option<Value> {
    let text = option_value(args, &["--settings"])?;
    Some(serde_json::from_str::<Value>(text).unwrap()["env"].clone())
}

#[test]
fn without_settings_the_environment_is_enough() {
    let plan = World::new(&[], &[(USER, r#"{"env":{"FOO":"1"}}"#)]).plan("claude", &["-p", "hi"]);
    assert_eq!(plan.args, ["-p", "hi"]);
    assert_eq!(plan.set[BASE], URL);
    assert_eq!(plan.set["ENABLE_TOOL_SEARCH"], "true");
    assert_eq!(plan.set["CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING"], "1");
    assert_eq!((plan.warm.as_deref(), plan.warnings.len()), (None, 0));
    assert!(plan.notes.iter().any(|n| n.contains("Remote Control")));
}

#[test]
fn the_users_own_values_stay() {
    let world = World::new(
        &[("ENABLE_TOOL_SEARCH", "auto:5")],
        &[(USER, r#"{"env":{"CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING":0}}"#)],
    );
    let plan = world.plan("claude", &[]);
    assert!(!plan.set.contains_key("ENABLE_TOOL_SEARCH"));
    assert!(!plan.set.contains_key("CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING"));
    assert!(plan.args.is_empty());
}

#[test]
fn a_gateway_in_the_environment_becomes_the_upstream() {
    let plan = World::new(&[(BASE, "https://gateway.corp/anthropic")], &[]).plan("claude", &[]);
    let (name, url) = plan.upstreams.first_key_value().unwrap();
    assert_eq!(url, "https://gateway.corp/anthropic");
    assert_eq!(plan.set[BASE], format!("{URL}/@{name}"));
    assert_eq!(plan.warm.as_ref(), Some(name));
}

#[test]
fn a_settings_file_is_overruled_for_this_session() {
    // A session that begins in the home folder finds the user's own files there.
    for (file, cwd) in [(USER, "/work"), (USER, "/home/me"), ("/home/me/.claude/settings.local.json", "/home/me")] {
        let plan = World { cwd, ..World::new(&[], &[(file, GATEWAY)]) }.plan("claude", &["--resume"]);
        let name = plan.upstreams.keys().next().unwrap_or_else(|| panic!("{file}"));
        assert_eq!(overruled(&plan.args).unwrap()[BASE], format!("{URL}/@{name}"), "{file}");
        assert_eq!(plan.args.last().unwrap(), "--resume");
        assert!(plan.warnings.is_empty() && plan.notes.iter().any(|n| n.contains("--settings")), "{file}");
    }
}

#[test]
fn the_strongest_settings_file_names_the_upstream() {
    let own = r#"{"env":{"ANTHROPIC_BASE_URL":"https://own.corp"}}"#;
    let files = [(USER, GATEWAY), ("/work/own.json", own)];
    for (args, url) in [(vec![], "https://gateway.corp/anthropic"), (vec!["--settings", "own.json"], "https://own.corp")] {
        let plan = World::new(&[(BASE, "https://shell.corp")], &files).plan("claude", &args);
        assert_eq!(plan.upstreams.values().collect::<Vec<_>>(), [url]);
    }
}

#[test]
fn a_settings_file_that_points_at_leeward_needs_no_overruling() {
    let settings = format!(r#"{{"env":{{"ANTHROPIC_BASE_URL":"{URL}"}}}}"#);
    let plan = World::new(&[], &[(USER, &settings)]).plan("claude", &[]);
    assert_eq!((plan.args.len(), plan.upstreams.len(), plan.set[BASE].as_str()), (0, 0, URL));
}

#[test]
fn an_empty_value_neutralises_and_is_overruled() {
    let settings = r#"{"env":{"ANTHROPIC_BASE_URL":"","ENABLE_TOOL_SEARCH":""}}"#;
    let plan = World::new(&[(BASE, "https://shell.corp")], &[(USER, settings)]).plan("claude", &[]);
    assert!(plan.upstreams.is_empty(), "the settings file had switched the gateway off");
    let env = overruled(&plan.args).unwrap();
    assert_eq!((env[BASE].as_str(), env["ENABLE_TOOL_SEARCH"].as_str()), (Some(URL), Some("true")));
}

#[test]
fn settings_given_as_json_are_joined_and_as_a_file_are_left_with_a_warning() {
    let own = r#"{"model":"opus","env":{"FOO":"1"}}"#;
    for args in [vec!["--settings", own], vec![&*format!("--settings={own}")]] {
        let plan = World::new(&[], &[(USER, GATEWAY)]).plan("claude", &args);
        let text = option_value(&plan.args, &["--settings"]).unwrap();
        let settings: Value = serde_json::from_str(text).unwrap();
        assert_eq!((settings["model"].as_str(), settings["env"]["FOO"].as_str()), (Some("opus"), Some("1")));
        assert!(settings["env"][BASE].as_str().unwrap().starts_with(URL));
        assert_eq!(plan.args.len(), args.len());
    }
    let plan = World::new(&[], &[(USER, GATEWAY), ("/work/mine.json", "{}")]).plan("claude", &["--settings", "mine.json"]);
    assert_eq!(plan.args, ["--settings", "mine.json"]);
    assert!(plan.warnings[0].contains("mine.json") && plan.warnings[0].contains("bypass"), "{:?}", plan.warnings);
}

#[test]
fn settings_of_the_users_own_command_line_outrank_files() {
    let own = r#"{"env":{"ANTHROPIC_BASE_URL":"https://mine.corp"}}"#;
    let plan = World::new(&[], &[(USER, GATEWAY)]).plan("claude", &["--settings", own]);
    assert_eq!(plan.upstreams.values().collect::<Vec<_>>(), ["https://mine.corp"]);
    assert!(overruled(&plan.args).unwrap()[BASE].as_str().unwrap().starts_with(URL));
}

#[test]
fn a_managed_value_is_told_and_not_fought() {
    let plan = World::new(&[], &[(&managed(), GATEWAY), (USER, GATEWAY)]).plan("claude", &[]);
    assert!(plan.args.is_empty());
    assert!(
        plan.warnings[0].contains("managed by your organisation") && plan.warnings[0].contains("bypass"),
        "{:?}",
        plan.warnings
    );
    let part = managed_folders()[0].join("managed-settings.d/10-gateway.json").display().to_string();
    let plan = World::new(&[], &[(&part, GATEWAY)]).plan("claude", &[]);
    assert!(plan.warnings[0].contains("10-gateway.json"), "{:?}", plan.warnings);
}

#[test]
fn a_proxy_in_settings_gets_its_exception_there() {
    let settings = r#"{"env":{"HTTPS_PROXY":"http://p:1","NO_PROXY":"x.corp"}}"#;
    let plan = World::new(&[], &[(USER, settings)]).plan("claude", &[]);
    assert_eq!(overruled(&plan.args).unwrap()["NO_PROXY"], "x.corp,localhost,127.0.0.1,::1");
}

#[test]
fn other_providers_are_told() {
    let plan = World::new(&[("CLAUDE_CODE_USE_BEDROCK", "1")], &[]).plan("claude", &[]);
    assert!(plan.warnings[0].contains("Bedrock"), "{:?}", plan.warnings);
    assert!(World::new(&[("CLAUDE_CODE_USE_BEDROCK", "0")], &[]).plan("claude", &[]).warnings.is_empty());
}

#[test]
fn a_broken_settings_file_is_named() {
    let plan = World::new(&[], &[(USER, "{,}")]).plan("claude", &[]);
    let warning = plan.warnings[0].replace('\\', "/");
    assert!(warning.contains(USER) && warning.contains("not valid JSON"), "{:?}", plan.warnings);
}

#[test]
fn another_config_folder_is_honoured() {
    let plan =
        World::new(&[("CLAUDE_CONFIG_DIR", "/cfg")], &[("/cfg/settings.json", GATEWAY), (USER, "{,}")]).plan("claude", &[]);
    assert_eq!((plan.upstreams.len(), plan.warnings.len()), (1, 0));
}

/// A proxy of the user's settings is the way out; one in a cloned repository is nobody's.
#[test]
fn proxies_of_the_users_settings_are_stated_in_both_spellings() {
    for (file, env, want) in [
        (USER, r#""HTTPS_PROXY":"http://corp:1""#, Some("http://corp:1")),
        (USER, r#""https_proxy":"http://corp:1""#, Some("http://corp:1")),
        (USER, r#""FOO":"x""#, None),
        ("/work/.claude/settings.json", r#""HTTPS_PROXY":"http://evil:1""#, None),
    ] {
        let text = format!(r#"{{"env":{{{env}}}}}"#);
        let read = |path: &std::path::Path| match path == std::path::Path::new(file) {
            true => Ok(text.clone()),
            false => Err(std::io::ErrorKind::NotFound.into()),
        };
        let context = AgentContext {
            env: &|_| None,
            read: &read,
            list: &|_| Vec::new(),
            home: Some("/home/me".into()),
            cwd: "/work".into(),
        };
        let stated = stated_proxies(&context, &[]);
        for name in PROXY_VARIABLES {
            assert_eq!(stated.get(name).map(String::as_str), want, "{file} {env}");
        }
    }
}
