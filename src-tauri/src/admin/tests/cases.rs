//! The table of the own paths: how each is asked for, and what it answers. Asks nobody.

use super::super::OPEN;

/// A path as it is asked for, and what comes back.
pub(super) struct Case {
    /// As in the list of paths.
    pub(super) path: &'static str,
    pub(super) asked: &'static str,
    /// Method, body and status of what the path is for.
    pub(super) takes: &'static [(&'static str, &'static str, u16)],
    pub(super) cached: &'static str,
    /// A response that goes on.
    pub(super) stream: bool,
}

const fn case(path: &'static str, takes: &'static [(&'static str, &'static str, u16)]) -> Case {
    Case { path, asked: path, takes, cached: "no-store", stream: false }
}

pub(super) const CHALLENGE: &str =
    "/_leeward/v1/proof?challenge=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const SHOWS: &[(&str, &str, u16)] = &[("GET", "", 200), ("HEAD", "", 200)];

pub(super) const CASES: &[Case] = &[
    case("/livez", SHOWS),
    case("/readyz", SHOWS),
    case("/health", SHOWS),
    case("/stats", SHOWS),
    case("/metrics", SHOWS),
    Case { asked: CHALLENGE, ..case(crate::proof::PATH, &[("GET", "", 200)]) },
    case("/_leeward/ui", &[("GET", "", 308), ("HEAD", "", 308)]),
    Case { cached: "no-cache", ..case("/_leeward/ui/", SHOWS) },
    Case { asked: "/_leeward/ui/open?code=0", ..case(OPEN, &[("GET", "", 303)]) },
    Case {
        asked: "/_leeward/ui/assets/index-B4x.js",
        cached: "public, max-age=31536000, immutable",
        ..case("/_leeward/ui/{*name}", SHOWS)
    },
    case("/_leeward/v1/status", &[("GET", "", 200)]),
    case("/_leeward/v1/stats", &[("GET", "", 200)]),
    case("/_leeward/v1/activity", &[("GET", "", 200)]),
    case("/_leeward/v1/agents", &[("GET", "", 200)]),
    Case { stream: true, ..case("/_leeward/v1/events", &[("GET", "", 200)]) },
    Case { asked: "/_leeward/v1/history?since=2h&limit=3", ..case("/_leeward/v1/history", &[("GET", "", 500)]) },
    Case { asked: "/_leeward/v1/logs?lines=7&level=warn", ..case("/_leeward/v1/logs", &[("GET", "", 200)]) },
    case("/_leeward/v1/config", &[("GET", "", 200), ("POST", r#"{"set":{"drain":"7m"}}"#, 200)]),
    case("/_leeward/v1/config/check", &[("POST", r#"{"set":{"drain":"soon"}}"#, 200)]),
    Case { stream: true, ..case("/_leeward/v1/doctor", &[("POST", "{}", 200)]) },
    case("/_leeward/v1/doctor/bundle", &[("GET", "", 200)]),
    case("/_leeward/v1/doctor/bundle.zip", &[("GET", "", 200)]),
    case("/_leeward/v1/restart", &[("POST", "", 200)]),
    case("/_leeward/v1/stop", &[("POST", r#"{"drain_ms":5}"#, 202)]),
    case("/_leeward/v1/handover", &[("POST", r#"{"to":"/x"}"#, 200)]),
    case("/_leeward/v1/show", &[("POST", "", 202)]),
    case("/_leeward/v1/panel", &[("POST", "", 200)]),
    case("/_leeward/v1/authority", &[("POST", "", 200)]),
    case("/_leeward/v1/warm", &[("POST", r#"{"upstream":"known"}"#, 200)]),
    case("/_leeward/v1/test", &[("POST", r#"{"upstream":"known"}"#, 200)]),
    case("/_leeward/v1/egress", &[("POST", r#"{"proxies":{},"roots":[]}"#, 200)]),
    Case { stream: true, cached: "", ..case("/_leeward/v1/sessions", &[("POST", r#"{"agent":"claude","pid":1}"#, 200)]) },
    Case { asked: "/_leeward/v1/session?number=0", ..case("/_leeward/v1/session", &[("GET", "", 200)]) },
];
