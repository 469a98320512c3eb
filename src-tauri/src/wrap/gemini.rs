//! Gemini CLI: takes a base URL for API keys only beside a login method that its settings name; without one the
//! variable itself is read as another login method, which it then refuses. Reads its settings, writes none.

use super::{context::AgentContext, draft::Draft};
use serde_json::Value;
use std::path::PathBuf;

/// The variable for API keys.
pub(super) const KEYED: &str = "GOOGLE_GEMINI_BASE_URL";

/// True when the variable may be set; otherwise the draft says why not.
pub(super) fn may_set_base_url(draft: &mut Draft<'_>, inherited: bool) -> bool {
    let context = draft.context;
    let method = if is_on(context, "GOOGLE_GENAI_USE_GCA") {
        Some("oauth-personal".to_owned())
    } else if is_on(context, "GOOGLE_GENAI_USE_VERTEXAI") {
        Some("vertex-ai".to_owned())
    } else {
        None
    };
    let method = method_in_settings(draft).or(method);
    if method.as_deref() == Some("vertex-ai") && context.var("GOOGLE_VERTEX_BASE_URL").is_none() {
        let cure = "; set GOOGLE_VERTEX_BASE_URL to that endpoint to use Leeward";
        draft.past_base_url("Gemini CLI is set to Vertex AI, whose endpoint depends on the region", "requests", cure);
    }
    if method.is_none() && !inherited {
        let why = "Gemini CLI takes a base URL only when its settings name a login method, and they name none";
        let cure = "; choose a method once with /auth in Gemini CLI, then start it again";
        draft.past_base_url(why, "requests with an API key", cure);
    }
    method.is_some() || inherited
}

fn is_on(context: &AgentContext<'_>, name: &str) -> bool {
    context.var(name).is_some_and(|v| v == "true")
}

/// The login method of the strongest settings file that names one.
fn method_in_settings(draft: &mut Draft<'_>) -> Option<String> {
    let context = draft.context;
    let system = context.var("GEMINI_CLI_SYSTEM_SETTINGS_PATH").map_or_else(system_settings, PathBuf::from);
    let defaults = context
        .var("GEMINI_CLI_SYSTEM_DEFAULTS_PATH")
        .map_or_else(|| system.with_file_name("system-defaults.json"), PathBuf::from);
    // A project's settings count only once its user trusts the folder; until then the variable alone would be refused.
    let of_folder = Some("./.gemini/settings.json").filter(|file| !context.is_of_project(file));
    let own = [of_folder, Some("~/.gemini/settings.json")].map(|file| context.path(file?));
    let files = std::iter::once(Some(system)).chain(own).chain([Some(defaults)]);
    files.flatten().find_map(|path| {
        let text = context.text(&path, &mut draft.warnings)?;
        let settings = jsonc_parser::parse_to_serde_value::<Value>(&text, &Default::default()).ok()?;
        // The second is where older versions kept it; newer ones still read it.
        let method = settings.pointer("/security/auth/selectedType").or_else(|| settings.get("selectedAuthType"))?;
        method.as_str().map(str::to_owned)
    })
}

/// Where an organisation puts its settings, by platform.
fn system_settings() -> PathBuf {
    if cfg!(target_os = "macos") {
        "/Library/Application Support/GeminiCli/settings.json".into()
    } else if cfg!(windows) {
        r"C:\ProgramData\gemini-cli\settings.json".into()
    } else {
        "/etc/gemini-cli/settings.json".into()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::plan::tests::World, *};

    const USER: &str = "/home/me/.gemini/settings.json";

    #[test]
    fn a_base_url_for_keys_needs_a_login_method() {
        for (vars, settings, set) in [
            (vec![], "", false),
            (vec![("GEMINI_API_KEY", "k")], "{}", false),
            (vec![], r#"{"security":{"auth":{"selectedType":"gemini-api-key"}}, /* x */ }"#, true),
            (vec![], r#"{"selectedAuthType":"oauth-personal"}"#, true),
            (vec![("GOOGLE_GENAI_USE_GCA", "true")], "", true),
            (vec![(KEYED, "https://gateway.corp")], "", true),
        ] {
            let plan = World::new(&vars, &[(USER, settings)]).plan("gemini", &[]);
            assert_eq!(plan.set.contains_key(KEYED), set, "{vars:?} {settings}");
            assert_eq!(plan.warnings.iter().any(|w| w.contains("/auth")), !set, "{vars:?} {settings}: {:?}", plan.warnings);
            assert!(plan.set["CODE_ASSIST_ENDPOINT"].ends_with("/@code-assist"));
        }
        let plan = World::new(&[], &[(USER, r#"{"security":{"auth":{"selectedType":"vertex-ai"}}}"#)]).plan("gemini", &[]);
        assert!(plan.warnings[0].contains("Vertex AI"), "{:?}", plan.warnings);
    }
}
