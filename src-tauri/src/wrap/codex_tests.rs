//! Codex's config, login and options.

use super::super::plan::tests::World;

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
fn a_chatgpt_login_and_a_key_go_to_different_upstreams() {
    for (vars, files, path, upstream) in [
        (vec![], vec![], "/@chatgpt", "chatgpt"),
        (vec![], vec![(AUTH, r#"{"tokens":{"a":"b"},"OPENAI_API_KEY":null}"#)], "/@chatgpt", "chatgpt"),
        (vec![("OPENAI_API_KEY", "sk")], vec![(AUTH, r#"{"tokens":{"a":"b"}}"#)], "/@chatgpt", "chatgpt"),
        (vec![], vec![(AUTH, r#"{"OPENAI_API_KEY":"sk"}"#)], "/@openai/v1", "openai"),
        (vec![], vec![(AUTH, r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk"}"#)], "/@openai/v1", "openai"),
        (vec![("OPENAI_API_KEY", "sk")], vec![], "/@openai/v1", "openai"),
        (vec![("CODEX_HOME", "/c")], vec![("/c/auth.json", r#"{"auth_mode":"apikey"}"#)], "/@openai/v1", "openai"),
    ] {
        let world = World::new(&vars, &files);
        let plan = world.plan("codex", &["exec", "hi"]);
        assert_eq!(plan.warm.as_deref(), Some(upstream), "{vars:?} {files:?}");
        assert_eq!(
            options(&world, &["exec", "hi"]),
            [
                r#"model_provider="leeward""#.to_owned(),
                r#"model_providers.leeward.name="OpenAI through Leeward""#.to_owned(),
                format!(r#"model_providers.leeward.base_url="http://127.0.0.1:8787{path}""#),
                r#"model_providers.leeward.wire_api="responses""#.to_owned(),
                "model_providers.leeward.requires_openai_auth=true".to_owned(),
                "model_providers.leeward.supports_websockets=false".to_owned(),
            ],
            "{vars:?} {files:?}"
        );
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
