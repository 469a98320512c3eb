//! Leeward as the proxy of a session's programs: the URL they are given, and what stood in its place. Pure.
//!
//! A Leeward inside such a session must not take that proxy for its way out: it would ask itself.

use super::secret::Secret;

/// The variables that name the proxy of a session.
pub const PROXY_VARIABLES: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
/// What they named outside the session; `NOT_SET` where that was nothing.
pub const OUTER_PROXY: &str = "LEEWARD_OUTER_PROXY";
/// No URL, so that it cannot be taken for one.
pub const NOT_SET: &str = "none";

const USER: &str = "http://leeward:";
/// As many characters has the token of a session at least.
const TOKEN: usize = 32;

/// The proxy as a session's programs know it. `base`: Leeward's address, as `http://127.0.0.1:8787`.
pub fn tunnel_proxy(base: &str, token: &Secret) -> Secret {
    let authority = base.strip_prefix("http://").unwrap_or(base);
    Secret::new(format!("{USER}{}@{authority}", token.reveal()))
}

/// True for the proxy of a session, this one's or another's.
pub fn is_tunnel_proxy(url: &str) -> bool {
    let login = url.strip_prefix(USER).and_then(|rest| rest.split_once('@'));
    login.is_some_and(|(token, _)| token.len() >= TOKEN && token.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A variable as it is outside of sessions.
pub(super) fn outside(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let value = env(name)?;
    if PROXY_VARIABLES.contains(&name) && is_tunnel_proxy(&value) {
        return env(OUTER_PROXY).filter(|outer| !outer.is_empty() && outer != NOT_SET);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sessions_proxy_is_not_taken_for_the_way_out() {
        let token = Secret::new("0123456789abcdef0123456789abcdef".into());
        let own = tunnel_proxy("http://127.0.0.1:8787", &token).reveal().to_owned();
        assert_eq!(own, "http://leeward:0123456789abcdef0123456789abcdef@127.0.0.1:8787");
        let corp = "http://leeward:secret@proxy.corp:3128";
        for (vars, name, seen) in [
            (&[("HTTPS_PROXY", own.as_str())][..], "HTTPS_PROXY", None),
            (&[("HTTPS_PROXY", &own), (OUTER_PROXY, NOT_SET)], "HTTPS_PROXY", None),
            (&[("https_proxy", &own), (OUTER_PROXY, corp)], "https_proxy", Some(corp)),
            (&[("https_proxy", corp), (OUTER_PROXY, "http://x")], "https_proxy", Some(corp)),
            (&[("HTTP_PROXY", &own)], "HTTP_PROXY", Some(own.as_str())),
            (&[], "HTTPS_PROXY", None),
        ] {
            let env = |asked: &str| vars.iter().find(|(known, _)| *known == asked).map(|(_, value)| (*value).to_owned());
            assert_eq!(outside(name, &env).as_deref(), seen, "{name}");
        }
    }
}
