//! Other tools that keep an agent's endpoint in the same files, known by what they leave there. Facts; decides nothing.

use url::Url;

/// A tool, its usual port on this machine, and words that it leaves in files.
const TOOLS: [(&str, u16, &[&str]); 4] = [
    ("headroom", 8787, &["headroom"]),
    ("cc-switch", 15721, &["cc-switch", "ccswitch", "PROXY_MANAGED"]),
    ("claude-code-router", 3456, &["claude-code-router"]),
    ("CLIProxyAPI", 8317, &["cliproxyapi"]),
];

/// The tools that have left something in a text.
pub(super) fn in_text(text: &str) -> Vec<&'static str> {
    let text = text.to_ascii_lowercase();
    let is_named = |words: &&[&str]| words.iter().any(|word| text.contains(&word.to_ascii_lowercase()));
    TOOLS.iter().filter(|(.., words)| is_named(words)).map(|(name, ..)| *name).collect()
}

/// Whose an endpoint of this machine usually is.
pub(super) fn of_url(url: &str) -> Option<&'static str> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?;
    let is_local =
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let port = url.port()?;
    TOOLS.iter().find(|(_, usual, _)| is_local && *usual == port).map(|(name, ..)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_known_by_their_words_and_ports() {
        assert_eq!(in_text("# --- Headroom init ---\nmodel_provider = 'headroom'"), ["headroom"]);
        assert_eq!(in_text("{\"env\": {\"ANTHROPIC_AUTH_TOKEN\": \"PROXY_MANAGED\"}}"), ["cc-switch"]);
        assert!(in_text("{\"model\": \"opus\"}").is_empty());
        for (url, tool) in [
            ("http://127.0.0.1:3456", Some("claude-code-router")),
            ("http://localhost:15721/claude", Some("cc-switch")),
            ("https://gate.corp:3456", None),
            ("http://127.0.0.1:9", None),
        ] {
            assert_eq!(of_url(url), tool, "{url}");
        }
    }
}
