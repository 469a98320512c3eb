//! opencode's providers: from keys, logins and config files, in opencode's own order.

use super::super::plan::tests::World;
use super::*;

const AUTH: &str = "/home/me/.local/share/opencode/auth.json";
const BASE: &str = "http://127.0.0.1:8787";

fn content(world: &World) -> Value {
    serde_json::from_str(&world.plan("opencode", &[]).set[CONTENT]).unwrap()
}

#[test]
fn only_providers_in_use_are_named() {
    let world = World::new(&[("ANTHROPIC_API_KEY", "k")], &[(AUTH, r#"{"openai":{"type":"api","key":"k"}}"#)]);
    assert_eq!(
        content(&world),
        json!({"provider": {
            "anthropic": {"options": {"baseURL": format!("{BASE}/v1")}},
            "openai": {"options": {"baseURL": format!("{BASE}/@openai/v1")}},
        }})
    );
}

#[test]
fn an_inherited_content_is_joined() {
    let inherited = r#"{"model":"m","provider":{"anthropic":{"options":{"apiKey":"k"},"models":{}}}}"#;
    let world = World::new(&[(CONTENT, inherited)], &[]);
    assert_eq!(
        content(&world),
        json!({"model": "m", "provider": {"anthropic": {"options": {"apiKey": "k", "baseURL": format!("{BASE}/v1")}, "models": {}}}})
    );
}

#[test]
fn gateways_in_config_files_become_upstreams_the_nearest_first() {
    let near = "{ // a comment\n \"provider\": {\"corp\": {\"options\": {\"baseURL\": \"https://near.corp/v1\"}},}, }";
    let far = r#"{"provider":{"corp":{"options":{"baseURL":"https://far.corp"}},"ollama":{"options":{"baseURL":"http://localhost:11434/v1"}}}}"#;
    let world = World::new(&[], &[("/home/me/opencode.jsonc", near), ("/home/me/.config/opencode/opencode.json", far)]);
    let world = World { cwd: "/home/me/src/app", ..world };
    let plan = world.plan("opencode", &[]);
    assert_eq!(plan.upstreams.values().collect::<Vec<_>>(), ["https://near.corp/v1"]);
    let name = plan.upstreams.keys().next().unwrap();
    assert_eq!(content(&world), json!({"provider": {"corp": {"options": {"baseURL": format!("{BASE}/@{name}")}}}}));
}

#[test]
fn a_computed_base_url_is_left_and_told() {
    let config = r#"{"provider":{"openai":{"options":{"baseURL":"{env:GATEWAY}"}}}}"#;
    let plan = World::new(&[], &[("/home/me/.config/opencode/opencode.json", config)]).plan("opencode", &[]);
    assert!(plan.warnings.iter().any(|w| w.contains("`openai` is computed")), "{:?}", plan.warnings);
    assert!(!plan.set.contains_key(CONTENT));
}

#[test]
fn without_a_provider_it_says_so() {
    let plan = World::new(&[], &[]).plan("opencode", &[]);
    assert!(plan.warnings[0].contains("log in"), "{:?}", plan.warnings);
    let plan = World::new(&[(CONTENT, "nonsense")], &[]).plan("opencode", &[]);
    assert!(plan.warnings[0].contains("not valid JSON") && !plan.set.contains_key(CONTENT), "{:?}", plan.warnings);
}

#[test]
fn a_second_run_inside_the_first_changes_nothing() {
    let world = World::new(
        &[("OPENAI_API_KEY", "k")],
        &[("/home/me/.config/opencode/opencode.json", r#"{"provider":{"corp":{"options":{"baseURL":"https://c.corp"}}}}"#)],
    );
    let outer = world.plan("opencode", &[]);
    let inner = World {
        vars: world.vars.clone().into_iter().chain(outer.set.clone()).collect(),
        files: world.files,
        ..World::new(&[], &[])
    };
    let inner = inner.plan("opencode", &[]);
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(parse(&inner.set[CONTENT]), parse(&outer.set[CONTENT]));
}
