//! Qwen Code: its settings name an endpoint below the environment (`security.auth.baseUrl`, `env`) and others above it
//! (`modelProviders`). Reads them, writes none.

use super::{
    bases::Stated,
    draft::{Draft, Heeded},
};
use serde_json::Value;

/// The base URLs that its settings name and the environment would overrule.
pub(super) fn stated(draft: &mut Draft<'_>) -> Stated {
    let context = draft.context;
    let mut stated = Stated::new();
    for file in ["./.qwen/settings.json", "~/.qwen/settings.json"] {
        let Some(path) = context.path(file) else { continue };
        let of_project = context.is_of_project(file);
        let Some(text) = context.text(&path, &mut draft.warnings) else { continue };
        let Ok(settings) = jsonc_parser::parse_to_serde_value::<Value>(&text, &Default::default()) else {
            draft.warnings.push(format!("{} is not valid JSON, so it is not known which endpoint it names", path.display()));
            continue;
        };
        let place = |key: &str| format!("{}: {key}", path.display());
        let mut note = |variable: &'static str, key: &str, value: Option<&Value>| {
            let Some(url) = value.and_then(Value::as_str).filter(|url| !url.is_empty()) else { return };
            if of_project {
                draft.leave_to_agent(&place(key), url, Heeded::BelowOurs);
            } else {
                stated.entry(variable).or_insert_with(|| (place(key), url.to_owned()));
            }
        };
        for variable in ["OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"] {
            note(variable, &format!("env.{variable}"), settings.pointer(&format!("/env/{variable}")));
        }
        let anthropic = settings.pointer("/security/auth/selectedType").and_then(Value::as_str) == Some("anthropic");
        let variable = if anthropic { "ANTHROPIC_BASE_URL" } else { "OPENAI_BASE_URL" };
        note(variable, "security.auth.baseUrl", settings.pointer("/security/auth/baseUrl"));
        if names_endpoints(settings.get("modelProviders")) {
            let file = path.display();
            let why = format!("models of `modelProviders` in {file} that name a baseUrl take it from there alone");
            draft.past_base_url(&why, "their requests", "");
        }
    }
    stated
}

fn names_endpoints(providers: Option<&Value>) -> bool {
    match providers {
        Some(Value::Object(object)) => {
            object.iter().any(|(key, inner)| (key == "baseUrl" && inner.is_string()) || names_endpoints(Some(inner)))
        }
        Some(Value::Array(list)) => list.iter().any(|inner| names_endpoints(Some(inner))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::World;

    const USER: &str = "/home/me/.qwen/settings.json";

    #[test]
    fn an_endpoint_in_the_settings_is_kept_as_upstream() {
        for (settings, variable) in [
            (r#"{"security":{"auth":{"selectedType":"openai","baseUrl":"https://gateway.corp/v1"}}}"#, "OPENAI_BASE_URL"),
            (r#"{"security":{"auth":{"selectedType":"anthropic","baseUrl":"https://gateway.corp/v1"}}}"#, "ANTHROPIC_BASE_URL"),
            (r#"{"env":{"OPENAI_BASE_URL":"https://gateway.corp/v1"}} // mine"#, "OPENAI_BASE_URL"),
        ] {
            let plan = World::new(&[], &[(USER, settings)]).plan("qwen", &[]);
            let (name, url) = plan.upstreams.first_key_value().unwrap_or_else(|| panic!("{settings}"));
            assert_eq!(url, "https://gateway.corp/v1");
            assert!(plan.set[variable].ends_with(name.as_str()), "{settings}: {:?}", plan.set);
            let own = World::new(&[(variable, "https://mine.corp")], &[(USER, settings)]).plan("qwen", &[]);
            assert_eq!(own.upstreams.values().next().unwrap(), "https://mine.corp", "the environment outranks the settings");
        }
    }

    #[test]
    fn what_the_settings_keep_to_themselves_is_told() {
        let settings = r#"{"modelProviders":{"openai":[{"id":"m","baseUrl":"https://x.corp"}]}}"#;
        let plan = World::new(&[], &[(USER, settings)]).plan("qwen", &[]);
        assert!(plan.warnings[0].contains("modelProviders"), "{:?}", plan.warnings);
        let plan = World::new(&[], &[(USER, "{,")]).plan("qwen", &[]);
        assert!(plan.warnings[0].contains("not valid JSON"), "{:?}", plan.warnings);
    }
}
