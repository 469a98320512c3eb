//! Codex's config, login and options.

use super::super::plan::tests::World;
use crate::config::{Door, Mode};

const CONFIG: &str = "/home/me/.codex/config.toml";
const AUTH: &str = "/home/me/.codex/auth.json";

fn options(world: &World, args: &[&str]) -> Vec<String> {
    let plan = world.plan("codex", args);
    let all: Vec<String> = plan.args.iter().map(|a| a.to_str().unwrap().to_owned()).collect();
    let ours = &all[..all.len() - args.len()];
    assert_eq!(&all[ours.len()..], args, "the user's own arguments come last");
    assert!(ours.iter().step_by(2).all(|a| a == "-c"));
    ours.iter().skip(1).step_by(2).cloned().collect()
}

#[test]
fn a_key_keeps_codexs_own_provider_and_a_chatgpt_login_where_there_is_a_tunnel() {
    let ours = [
        r#"model_provider="leeward""#,
        r#"model_providers.leeward.name="OpenAI""#,
        r#"model_providers.leeward.base_url="http://127.0.0.1:8787/@chatgpt""#,
        r#"model_providers.leeward.wire_api="responses""#,
        "model_providers.leeward.requires_openai_auth=true",
        "model_providers.leeward.supports_websockets=false",
        r#"model_providers.leeward.env_http_headers.OpenAI-Organization="OPENAI_ORGANIZATION""#,
        r#"model_providers.leeward.env_http_headers.OpenAI-Project="OPENAI_PROJECT""#,
        r#"model_providers.leeward.http_headers.version="9.8.7""#,
    ];
    let keyed = [r#"openai_base_url="http://127.0.0.1:8787/@openai/v1""#];
    for (vars, files, has_key) in [
        (vec![], vec![], false),
        (vec![], vec![(AUTH, r#"{"tokens":{"a":"b"},"OPENAI_API_KEY":null}"#)], false),
        (vec![("OPENAI_API_KEY", "sk")], vec![(AUTH, r#"{"tokens":{"a":"b"}}"#)], false),
        (vec![], vec![(AUTH, r#"{"OPENAI_API_KEY":"sk"}"#)], true),
        (vec![], vec![(AUTH, r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk"}"#)], true),
        (vec![("OPENAI_API_KEY", "sk")], vec![], true),
        (vec![("CODEX_HOME", "/c")], vec![("/c/auth.json", r#"{"auth_mode":"apikey"}"#)], true),
    ] {
        for mode in [Mode::BaseUrl, Mode::Auto, Mode::Tunnel, Mode::Intercept] {
            let world = World { mode, ..World::new(&vars, &files) };
            let plan = world.plan("codex", &["exec", "hi"]);
            let case = format!("{mode:?} {vars:?} {files:?}");
            let want: &[&str] = match (has_key, mode) {
                (_, Mode::Tunnel | Mode::Intercept) | (false, Mode::Auto) => &[],
                (true, _) => &keyed,
                (false, _) => &ours,
            };
            assert_eq!(options(&world, &["exec", "hi"]), want, "{case}");
            let by_base_url = !want.is_empty();
            assert_eq!(plan.covers.inference == Door::BaseUrl, by_base_url, "{case}");
            let upstream = if has_key { "openai" } else { "chatgpt" };
            assert_eq!(plan.warm.as_deref(), by_base_url.then_some(upstream), "{case}");
            let told = plan.warnings.iter().any(|w| w.contains("provider `leeward`") && w.contains("the mode auto"));
            assert_eq!(told, want.len() > 1, "{case}: {:?}", plan.warnings);
        }
    }
}

#[test]
fn an_endpoint_among_the_users_options_becomes_the_upstream() {
    let gateway = "openai_base_url=\"https://gateway.corp/v1\"";
    for given in [vec!["-c", gateway], vec![&*format!("--config={gateway}")], vec![&*format!("-c{gateway}")]] {
        let world = World { mode: Mode::Auto, ..World::new(&[("OPENAI_API_KEY", "sk")], &[]) };
        let plan = world.plan("codex", &[&given[..], &["exec"]].concat());
        assert_eq!(plan.upstreams.values().next().unwrap(), "https://gateway.corp/v1");
        let args: Vec<_> = plan.args.iter().map(|arg| arg.to_string_lossy()).collect();
        assert!(!args.iter().any(|arg| arg.contains("corp")), "the last option wins: {args:?}");
        assert_eq!(args.iter().filter(|arg| arg.contains("openai_base_url=\"http://127.0.0.1:8787/@gw-")).count(), 2, "{args:?}");
    }
}

#[test]
fn a_provider_of_the_users_keeps_everything_but_its_address() {
    let config = "model_provider = 'corp'\n[model_providers.corp]\nname = 'Corp'\nbase_url = 'https://gateway.corp/v1'";
    let world = World::new(&[], &[(CONFIG, config)]);
    let plan = world.plan("codex", &[]);
    let name = plan.upstreams.keys().next().unwrap();
    assert_eq!(plan.upstreams[name], "https://gateway.corp/v1");
    assert_eq!(
        options(&world, &[]),
        [
            format!(r#"model_providers.corp.base_url="http://127.0.0.1:8787/@{name}""#),
            "model_providers.corp.supports_websockets=false".to_owned()
        ]
    );
}

#[test]
fn the_provider_is_chosen_as_codex_chooses_it() {
    let config = "model_provider = 'a'\nprofile = 'p'\n[profiles.p]\nmodel_provider = 'b'\n[profiles.q]\nmodel_provider = 'c'\n\
                  [model_providers.a]\nbase_url = 'https://a.corp'\n[model_providers.b]\nbase_url = 'https://b.corp'\n\
                  [model_providers.c]\nbase_url = 'https://c.corp'";
    let world = World::new(&[], &[(CONFIG, config)]);
    for (args, url) in [
        (vec![], "https://b.corp"),
        (vec!["--profile", "q"], "https://c.corp"),
        (vec!["-c", "model_provider=a"], "https://a.corp"),
        (vec!["--config=model_provider=\"a\""], "https://a.corp"),
    ] {
        assert_eq!(world.plan("codex", &args).upstreams.values().next().unwrap(), url, "{args:?}");
    }
}

#[test]
fn a_gateway_for_the_built_in_provider_is_kept() {
    let auth = (AUTH, r#"{"auth_mode":"apikey"}"#);
    for world in [
        World::new(&[("OPENAI_BASE_URL", "https://gateway.corp/v1")], &[auth]),
        World::new(&[], &[auth, (CONFIG, "openai_base_url = 'https://gateway.corp/v1'")]),
    ] {
        assert_eq!(world.plan("codex", &[]).upstreams.values().next().unwrap(), "https://gateway.corp/v1");
    }
}

#[test]
fn what_bypasses_leeward_is_told() {
    for (config, args, word) in [
        ("", vec!["--oss"], "--oss"),
        ("model_provider = 'ollama'", vec![], "`ollama`"),
        ("model_provider = ", vec![], "not valid TOML"),
    ] {
        let plan = World::new(&[], &[(CONFIG, config)]).plan("codex", &args);
        assert!(plan.warnings.iter().any(|w| w.contains(word)), "{config}: {:?}", plan.warnings);
    }
}
