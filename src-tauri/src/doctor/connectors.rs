//! The check of Claude Code's claude.ai connectors: each that is not linked costs a 401 and a refresh of the login at every start.
//! Reads two of its files and shows no name of them.

use super::{
    context::Context,
    finding::{Finding, Verdict},
};
use crate::config::Connectors;
use serde_json::{Value, json};
use std::{
    io,
    path::{Path, PathBuf},
};

/// How Claude Code calls a connector.
const NAMED: &str = "claude.ai ";
/// The variable that keeps it from asking.
const SWITCH: &str = "ENABLE_CLAUDEAI_MCP_SERVERS";
const ADVICE: &str = "link them at claude.ai (Settings, Connectors), or set `connectors = \"off\"` in Leeward's config so that Claude Code does not ask for them";

/// Its own files, as far as they are there.
struct Files {
    state: Value,
    needs_login: Value,
    settings: Value,
}

pub(super) fn connectors(context: &Context) -> Finding {
    let Some(folder) = context.var("CLAUDE_CONFIG_DIR").map(PathBuf::from) else {
        let Some(home) = &context.home else { return Finding::not_known("this user has no home folder") };
        return examine(context, &home.join(".claude.json"), &home.join(".claude"));
    };
    examine(context, &folder.join(".claude.json"), &folder)
}

fn examine(context: &Context, state: &Path, folder: &Path) -> Finding {
    let read = |file: &Path| match std::fs::read_to_string(file) {
        Ok(text) => jsonc_parser::parse_to_serde_value(&text, &Default::default())
            .map_err(|_| format!("{} is not understood (it is not JSON)", file.display())),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Value::Null),
        Err(e) => Err(format!("{} cannot be read ({e})", file.display())),
    };
    let files = [state.to_owned(), folder.join("mcp-needs-auth-cache.json"), folder.join("settings.json")];
    let [state, needs_login, settings] = match files.each_ref().map(|file| read(file)) {
        [Ok(state), Ok(needs_login), Ok(settings)] => [state, needs_login, settings],
        all => return Finding::not_known(all.into_iter().find_map(Result::err).unwrap_or_default()),
    };
    let off = context.config.as_ref().is_some_and(|config| config.connectors == Connectors::Off);
    judge(&Files { state, needs_login, settings }, off, context.var(SWITCH).as_deref())
}

/// It costs time and a refresh, and nothing works less for it: so it is never broken.
fn judge(files: &Files, off_here: bool, variable: Option<&str>) -> Finding {
    if files.state.is_null() {
        return Finding::not_run("Claude Code has not been started by this user");
    }
    let stated = variable.or_else(|| files.settings.pointer(&format!("/env/{SWITCH}"))?.as_str());
    let is_off = stated.is_some_and(|value| matches!(value, "false" | "0"))
        || files.settings.get("disableClaudeAiConnectors") == Some(&Value::Bool(true));
    let is_logged_in = files.state.get("oauthAccount").is_some_and(Value::is_object);
    let linked = files.state.get("claudeAiMcpEverConnected").and_then(Value::as_array).map_or(0, Vec::len);
    let waiting = files.needs_login.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with(NAMED)).count();
    let facts = json!({
        "claude_ai_login": is_logged_in, "off_in_leeward": off_here, "off_in_claude_code": is_off,
        "once_linked": linked, "not_linked": waiting,
    });
    let ok = |said: &str| Finding::new(Verdict::Ok, said, facts.clone());
    if is_off {
        return ok("Claude Code's own settings keep it from asking for connectors.");
    }
    if off_here {
        return ok("Leeward's config keeps agents that it starts from asking for connectors.");
    }
    if !is_logged_in {
        return ok("Claude Code has no claude.ai login, so it asks for no connector.");
    }
    if waiting == 0 {
        return ok("Claude Code remembers no connector that needs to be linked.");
    }
    let what = if waiting == 1 { "1 claude.ai connector is".to_owned() } else { format!("{waiting} claude.ai connectors are") };
    Finding::new(
        Verdict::Warning,
        format!("{what} not linked: at each start of Claude Code each costs a 401 and a refresh of your login."),
        facts,
    )
    .advise(ADVICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connectors_are_judged_by_what_claude_code_remembers() {
        let login = json!({ "oauthAccount": { "emailAddress": "planted@x" }, "claudeAiMcpEverConnected": ["claude.ai Planted"] });
        let waits = json!({ "claude.ai Planted": { "timestamp": 1 }, "claude.ai Other": {}, "local-server": {} });
        let (off, disabled) =
            (json!({ "env": { SWITCH: "false" } }), json!({ "disableClaudeAiConnectors": true, "env": { SWITCH: "true" } }));
        let nothing = Value::Null;
        for (state, needs_login, settings, off_here, variable, verdict, word) in [
            (&nothing, &nothing, &nothing, false, None, "not-run", "has not been started"),
            (&json!({}), &nothing, &nothing, false, None, "ok", "no claude.ai login"),
            (&login, &nothing, &nothing, false, None, "ok", "remembers no connector"),
            (&login, &json!({ "local-server": {} }), &nothing, false, None, "ok", "remembers no connector"),
            (&login, &waits, &nothing, false, None, "warning", "2 claude.ai connectors are not linked"),
            (&login, &waits, &nothing, false, Some("true"), "warning", "2 claude.ai"),
            (&login, &waits, &nothing, true, None, "ok", "Leeward's config"),
            (&login, &waits, &off, false, None, "ok", "own settings"),
            (&login, &waits, &disabled, false, None, "ok", "own settings"),
            (&login, &waits, &nothing, false, Some("0"), "ok", "own settings"),
        ] {
            let files = Files { state: state.clone(), needs_login: needs_login.clone(), settings: settings.clone() };
            let finding = judge(&files, off_here, variable);
            let said = finding.verdict.reason().unwrap_or(&finding.measured).to_owned();
            assert!(finding.verdict.as_str() == verdict && said.contains(word), "{finding:?}");
            assert!(!format!("{finding:?}").to_lowercase().contains("planted"), "names are nobody's business: {finding:?}");
        }
    }
}
