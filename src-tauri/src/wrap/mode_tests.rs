//! What every agent is given in every mode (A16): the tables of section 7, with merging, chaining and nesting.

use super::{super::plan::tests::World, *};
use crate::{
    config::{Connectors, is_tunnel_proxy},
    wrap::{Plan, profiles, route::MARKER},
};

const PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const LOCAL: &str = "localhost,127.0.0.1,::1";
const BUNDLE: &str = "/leeward/bundle.pem";
const AUTH: &str = "/home/me/.codex/auth.json";
/// A base URL for keys needs it.
const LOGIN: (&str, &str) = ("/home/me/.gemini/settings.json", r#"{"security":{"auth":{"selectedType":"gemini-api-key"}}}"#);
const KEY: &str = r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk"}"#;

fn world(mode: Mode, vars: &[(&str, &str)], files: &[(&str, &str)]) -> World {
    World { mode, ..World::new(vars, files) }
}

/// Names and values, the token replaced; those of base URLs and what they cost are the base-URL tests' business.
fn given(plan: &Plan) -> Vec<(String, String)> {
    let token = plan.token.as_ref().map_or("-", Secret::reveal);
    let all = plan.set.iter().map(|(k, v)| (k.clone(), v.clone()));
    let secret = plan.secret.iter().map(|(k, v)| (k.clone(), v.reveal().replace(token, "TOKEN")));
    let mut all: Vec<_> = all.chain(secret).filter(|(name, _)| name != MARKER).collect();
    all.sort();
    all
}

fn base_urls(plan: &Plan) -> usize {
    let args = plan.args.iter().filter(|arg| arg.to_string_lossy().contains("base_url")).count();
    plan.set.iter().filter(|(name, value)| *name != MARKER && value.contains("http://127.0.0.1:8787")).count() + args
}

#[test]
fn every_agent_is_given_what_its_mode_says_and_nothing_else() {
    let proxy = "http://leeward:TOKEN@127.0.0.1:8787";
    for profile in profiles().unwrap() {
        let name = profile.name.as_str();
        for mode in [Mode::Auto, Mode::BaseUrl, Mode::Tunnel, Mode::Intercept] {
            if !profile.modes.contains(&mode) {
                continue;
            }
            let plan = world(mode, &[("OPENAI_API_KEY", "k")], &[(AUTH, KEY), LOGIN]).plan(name, &["x"]);
            let mut want: Vec<(String, String)> = Vec::new();
            if mode != Mode::BaseUrl {
                want.extend(PROXY.map(|name| (name.into(), proxy.into())));
                want.extend(["NO_PROXY", "no_proxy"].map(|name| (name.into(), LOCAL.into())));
                want.push(("LEEWARD_OUTER_PROXY".into(), "none".into()));
            }
            if mode == Mode::Intercept {
                want.extend(profile.ca.iter().map(|name| (name.clone(), BUNDLE.into())));
            }
            let given = given(&plan);
            assert!(want.iter().all(|pair| given.contains(pair)), "{name} {mode:?}: {given:?}");
            let others: Vec<_> = given.iter().filter(|pair| !want.contains(pair)).collect();
            let has_base_url = matches!(mode, Mode::Auto | Mode::BaseUrl);
            let is_base = |(k, v): &(String, String)| v.contains("http://127.0.0.1:8787") || profile.set.contains_key(k);
            assert!(others.iter().all(|pair| has_base_url && is_base(pair)), "{name} {mode:?}: {others:?}");
            assert_eq!(base_urls(&plan) > 0, has_base_url, "{name} {mode:?}: {plan:?}");
            assert!(plan.unset.is_empty() && plan.upstreams.is_empty(), "{name} {mode:?}");
            assert!(!["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].iter().any(|n| given.iter().any(|(k, _)| k == n)));
            assert_eq!(plan.covers.mode, mode);
            let doors = match mode {
                Mode::Auto => (Door::BaseUrl, Door::Tunnel),
                Mode::BaseUrl => (Door::BaseUrl, Door::Direct),
                Mode::Tunnel => (Door::Tunnel, Door::Tunnel),
                Mode::Intercept => (Door::Intercept, Door::Intercept),
            };
            assert_eq!((plan.covers.inference, plan.covers.rest), doors, "{name} {mode:?}");
            assert_eq!(plan.warnings, [""; 0], "{name} {mode:?}");
        }
    }
}

#[test]
fn a_token_is_long_new_each_time_and_shown_to_nobody() {
    let plans = ["claude", "codex", "anything"].map(|name| world(Mode::Auto, &[], &[]).plan(name, &[]));
    let tokens = plans.each_ref().map(|plan| plan.token.as_ref().unwrap().reveal());
    assert!(tokens.iter().all(|token| token.len() >= 32) && tokens[0] != tokens[1] && tokens[1] != tokens[2]);
    let settings = ("/home/me/.claude/settings.json", r#"{"env":{"HTTPS_PROXY":"http://127.0.0.1:9"}}"#);
    let overruled = world(Mode::Auto, &[], &[settings]).plan("claude", &[]);
    for plan in plans.iter().chain([&overruled]) {
        let token = plan.token.as_ref().unwrap().reveal();
        let shells = [crate::wrap::Shell::Sh, crate::wrap::Shell::Fish, crate::wrap::Shell::PowerShell];
        let mut shown: Vec<String> = shells.map(|shell| plan.script(shell)).into();
        shown.push(format!("{plan:?}"));
        shown.extend(plan.args.iter().map(|arg| arg.to_string_lossy().into_owned()));
        assert!(shown.iter().all(|text| !text.contains(token)), "{shown:?}");
        assert!(shown[0].contains("HTTPS_PROXY=http://leeward:…@127.0.0.1:8787"), "{}", shown[0]);
    }
    assert_eq!(overruled.private.texts().len(), 1, "the settings with the token are in a file");
}

#[test]
fn a_list_of_the_users_is_merged_and_a_proxy_of_the_users_is_remembered() {
    for (vars, no_proxy, outer) in [
        (&[][..], LOCAL.to_owned(), "none"),
        (&[("NO_PROXY", "x.corp")], format!("x.corp,{LOCAL}"), "none"),
        (&[("no_proxy", "x.corp,::1")], "x.corp,::1,localhost,127.0.0.1".to_owned(), "none"),
        (&[("HTTPS_PROXY", "http://corp:1")], LOCAL.to_owned(), "http://corp:1"),
        (&[("HTTPS_PROXY", "http://corp:1"), ("https_proxy", "http://corp:2")], LOCAL.to_owned(), "http://corp:2"),
        (&[("HTTP_PROXY", "http://corp:1"), ("ALL_PROXY", "socks5://corp:2")], LOCAL.to_owned(), "none"),
    ] {
        for agent in ["claude", "goose", "anything"] {
            for mode in [Mode::Auto, Mode::Tunnel] {
                let plan = world(mode, vars, &[]).plan(agent, &[]);
                let inherits = vars.contains(&("NO_PROXY", no_proxy.as_str()));
                assert!(inherits || plan.set["NO_PROXY"] == no_proxy, "{agent} {vars:?}: {:?}", plan.set);
                assert_eq!(plan.secret[OUTER_PROXY].reveal(), outer, "{agent} {vars:?}");
                assert!(PROXY.iter().all(|name| is_tunnel_proxy(plan.secret[*name].reveal())));
            }
        }
    }
    let all = world(Mode::Auto, &[("NO_PROXY", "*")], &[]).plan("claude", &[]);
    assert!(all.warnings.iter().any(|w| w.contains("NO_PROXY is `*`")), "{:?}", all.warnings);
}

#[test]
fn settings_that_name_a_proxy_are_overruled_whole() {
    const USER: &str = "/home/me/.claude/settings.json";
    const PROJECT: &str = "/work/.claude/settings.json";
    for (file, env) in [
        (USER, r#""HTTPS_PROXY":"http://127.0.0.1:9""#),
        (USER, r#""https_proxy":"http://127.0.0.1:9""#),
        (USER, r#""NO_PROXY":"*""#),
        (PROJECT, r#""HTTPS_PROXY":"http://evil.example:9""#),
        (USER, r#""NODE_EXTRA_CA_CERTS":"/old.pem""#),
    ] {
        for mode in [Mode::Auto, Mode::Tunnel, Mode::Intercept] {
            if env.contains("CA_CERTS") && mode != Mode::Intercept {
                continue;
            }
            let settings = format!(r#"{{"env":{{{env}}}}}"#);
            let plan = world(mode, &[], &[(file, &settings)]).plan("claude", &["-p", "hi"]);
            let [text] = plan.private.texts()[..] else { panic!("{env} {mode:?}: {:?}", plan.args) };
            let given: serde_json::Value = serde_json::from_str(text).unwrap();
            let given = given["env"].as_object().unwrap();
            for name in PROXY {
                assert_eq!(given[name].as_str().unwrap(), plan.secret[name].reveal(), "{env} {mode:?}");
            }
            let stars = if env.contains('*') { "*" } else { LOCAL };
            assert_eq!((&given["NO_PROXY"], &given["no_proxy"]), (&stars.into(), &stars.into()), "{env} {mode:?}: {given:?}");
            assert_eq!(given.get("NODE_EXTRA_CA_CERTS").and_then(|v| v.as_str()), (mode == Mode::Intercept).then_some(BUNDLE));
            assert!(!given.contains_key("HTTP_PROXY") && !given.contains_key("ALL_PROXY"));
            // A project's file chooses no way out for Leeward.
            let is_users = file == USER && env.contains("http://127");
            assert_eq!(plan.secret[OUTER_PROXY].reveal(), if is_users { "http://127.0.0.1:9" } else { "none" }, "{env}");
        }
    }
    let plan = world(Mode::Auto, &[], &[(USER, r#"{"env":{"FOO":"1"}}"#)]).plan("claude", &["-p"]);
    assert_eq!(plan.args, ["-p"], "settings that say nothing of it stay as they are");
}

#[test]
fn a_session_inside_a_session_has_a_proxy_of_its_own_or_none() {
    for outer_vars in [&[][..], &[("HTTPS_PROXY", "http://corp:1")]] {
        for agent in ["claude", "goose", "anything"] {
            let outer = world(Mode::Auto, outer_vars, &[]).plan(agent, &[]);
            let mut vars: Vec<(String, String)> = outer.set.clone().into_iter().collect();
            vars.extend(outer.secret.iter().map(|(k, v)| (k.clone(), v.reveal().to_owned())));
            let raw = |name: &str| vars.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            // As `config::environment` shows it.
            let seen: Vec<(&str, String)> = vars
                .iter()
                .filter_map(|(name, value)| match PROXY.contains(&name.as_str()) {
                    true => raw(OUTER_PROXY).filter(|outer| outer != "none").map(|outer| (name.as_str(), outer)),
                    false => Some((name.as_str(), value.clone())),
                })
                .collect();
            let seen: Vec<(&str, &str)> = seen.iter().map(|(k, v)| (*k, v.as_str())).collect();
            let case = format!("{agent} {outer_vars:?}");
            let inner = world(Mode::Auto, &seen, &[]).plan(agent, &[]);
            assert_eq!(inner.secret[OUTER_PROXY], outer.secret[OUTER_PROXY], "{case}");
            assert_ne!(inner.token, outer.token, "{case}");
            let plain = world(Mode::BaseUrl, &seen, &[]).plan(agent, &[]);
            match outer_vars.first() {
                Some((_, corp)) => assert!(PROXY.iter().all(|name| plain.secret[*name].reveal() == *corp), "{case}"),
                None => assert!(PROXY.iter().all(|name| plain.unset.contains(*name)), "{case}: {:?}", plain.unset),
            }
            assert!(plain.unset.contains(OUTER_PROXY), "{case}");
            let tunnel = world(Mode::Tunnel, &seen, &[]).plan(agent, &[]);
            assert!(
                outer
                    .set
                    .keys()
                    .filter(|name| name.ends_with("_HOST") || name.ends_with("_URL"))
                    .all(|name| { name == MARKER || tunnel.unset.contains(name) }),
                "{case}: {:?}",
                tunnel.unset
            );
        }
    }
}

#[test]
fn connectors_are_switched_off_in_every_mode() {
    for mode in [Mode::Auto, Mode::BaseUrl, Mode::Tunnel, Mode::Intercept] {
        for (agent, is_set) in [("claude", true), ("anything", true), ("goose", false)] {
            let on = world(mode, &[], &[]).plan(agent, &[]);
            let off = World { connectors: Connectors::Off, ..world(mode, &[], &[]) }.plan(agent, &[]);
            assert!(!on.set.contains_key("ENABLE_CLAUDEAI_MCP_SERVERS"), "{agent} {mode:?}");
            let value = off.set.get("ENABLE_CLAUDEAI_MCP_SERVERS").map(String::as_str);
            assert_eq!(value, is_set.then_some("false"), "{agent} {mode:?}");
        }
        let settings = ("/home/me/.claude/settings.json", r#"{"env":{"ENABLE_CLAUDEAI_MCP_SERVERS":"true"}}"#);
        let world = World { connectors: Connectors::Off, ..world(mode, &[], &[settings]) };
        let args = world.plan("claude", &[]).args;
        let shown = args.iter().map(|arg| arg.to_string_lossy()).collect::<String>();
        assert!(shown.contains(r#""ENABLE_CLAUDEAI_MCP_SERVERS":"false""#), "{mode:?}: {shown}");
    }
}

#[test]
fn a_mode_that_an_agent_cannot_take_is_refused_with_the_reason_and_the_others() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), "mode = 'intercept'").unwrap();
    let config = Config::under(home.path()).unwrap();
    for profile in profiles().unwrap() {
        for (mode, name, _) in Mode::CHOICES {
            match choose(&profile, Some(*mode), &config) {
                Ok(chosen) => assert_eq!(chosen, Chosen { mode: *mode, instead: None }),
                Err(why) => {
                    let why = why.to_string();
                    let says = [&profile.title, &format!("cannot use the mode {name}: "), "it can use auto, base-url, tunnel"];
                    assert!(says.iter().all(|word| why.contains(*word)), "{why}");
                    assert!(*mode == Mode::Intercept && profile.ca.is_empty(), "{why}");
                }
            }
        }
        // A wish in the config ends no start.
        let chosen = choose(&profile, None, &config).unwrap();
        let can = !profile.ca.is_empty();
        assert_eq!(chosen.mode, if can { Mode::Intercept } else { Mode::Auto }, "{}", profile.name);
        assert_eq!(chosen.instead.is_none(), can);
    }
}

#[test]
fn what_uses_no_base_url_is_a_warning_only_where_it_bypasses_leeward() {
    let gemini = |mode| world(mode, &[], &[]).plan("gemini", &[]);
    let bedrock = |mode| world(mode, &[("CLAUDE_CODE_USE_BEDROCK", "1")], &[]).plan("claude", &[]);
    let opencode = |mode| world(mode, &[], &[]).plan("opencode", &[]);
    for plan in [&gemini as &dyn Fn(Mode) -> Plan, &bedrock, &opencode] {
        let [base, auto] = [Mode::BaseUrl, Mode::Auto].map(plan);
        assert!(base.warnings.iter().any(|w| w.contains("bypass Leeward")), "{:?}", base.warnings);
        assert_eq!(auto.warnings, [""; 0]);
        assert!(auto.notes.iter().any(|n| n.contains("use the tunnel")), "{:?}", auto.notes);
    }
    assert_eq!(bedrock(Mode::Auto).covers.inference, Door::Tunnel);
    assert_eq!(opencode(Mode::Auto).covers.inference, Door::Tunnel);
}
