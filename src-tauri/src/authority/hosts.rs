//! The hosts that Leeward may decrypt, by agent. The certificate authority is constrained to them, so that no other host can
//! be decrypted with it, whoever has its key.

/// One agent's hosts. Sign-in, downloads and other companies' hosts are in no row.
const TABLE: &[(&str, &[&str])] = &[
    ("claude", &["api.anthropic.com", "platform.claude.com", "mcp-proxy.anthropic.com"]),
    ("codex", &["api.openai.com", "chatgpt.com"]),
    ("gemini", &["generativelanguage.googleapis.com", "cloudcode-pa.googleapis.com"]),
];

/// All of them.
pub fn hosts() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|(_, hosts)| hosts.iter().copied())
}

/// Whether this agent's connections to a host may be decrypted. An agent without a row asks whichever provider its
/// configuration names.
pub fn is_intercepted(agent: &str, host: &str) -> bool {
    let is = |hosts: &[&str]| hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host));
    match TABLE.iter().find(|(name, _)| *name == agent) {
        Some((_, hosts)) => is(hosts),
        None => TABLE.iter().any(|(_, hosts)| is(hosts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_with_a_row_has_its_own_hosts_and_others_have_all() {
        for (agent, host, want) in [
            ("claude", "api.anthropic.com", true),
            ("claude", "API.Anthropic.com", true),
            ("claude", "platform.claude.com", true),
            ("claude", "mcp-proxy.anthropic.com", true),
            ("claude", "claude.ai", false),
            ("claude", "downloads.claude.ai", false),
            ("claude", "api.openai.com", false),
            ("claude", "x.api.anthropic.com", false),
            ("claude", "api.anthropic.com.", false),
            ("codex", "chatgpt.com", true),
            ("codex", "ab.chatgpt.com", false),
            ("codex", "auth.openai.com", false),
            ("gemini", "cloudcode-pa.googleapis.com", true),
            ("gemini", "oauth2.googleapis.com", false),
            ("qwen", "api.openai.com", true),
            ("opencode", "api.anthropic.com", true),
            ("opencode", "models.opencode.ai", false),
            ("run", "github.com", false),
        ] {
            assert_eq!(is_intercepted(agent, host), want, "{agent} {host}");
        }
        assert_eq!(hosts().count(), 7);
    }
}
