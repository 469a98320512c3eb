//! What may be repaired of a decrypted request, by one table over method, host and path. Pure; the first row that fits counts.
//!
//! A base URL gets only what an agent sends to its API. A decrypted connection carries all else too: sign-in, tools, telemetry.
//! Most of it has effects that nobody here can judge, and waits for seconds only.

use super::{
    error::Meaning,
    retry::{self, Kind},
};
use crate::config::Retry;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use std::{borrow::Cow, time::Duration};

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Its client talks to Leeward as if it were the API.
    Open,
    /// Out of a tunnel, and its client talks to the API as far as it knows.
    Decrypted,
}

/// For how long a request is repaired, and how its client learns that it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// As the config says.
    Full,
    /// For as long as start-up fetches wait; the response passes unchanged.
    Brief,
    /// The same, for a client that keeps its tokens when it gets that word.
    Token,
}

/// Time for all of a brief repair; start-up fetches wait for 3 to 10 s.
const BRIEF: Duration = Duration::from_millis(2500);
/// What a first connection may take: less than the shortest of those.
const FIRST_CONNECTION: Duration = Duration::from_secs(4);
/// Attempts of a brief repair after the first.
const MORE: u32 = 5;
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(400));

struct Row {
    methods: &'static [Method],
    /// `*`: any of the table's hosts.
    host: &'static str,
    /// A whole path; `/**` at the end: whatever stands below.
    path: &'static str,
    kind: Kind,
    repair: Repair,
}

const fn row(methods: &'static [Method], host: &'static str, path: &'static str, kind: Kind, repair: Repair) -> Row {
    Row { methods, host, path, kind, repair }
}

const READ: &[Method] = &[Method::GET, Method::HEAD];
const POST: &[Method] = &[Method::POST];
const MCP: &str = "mcp-proxy.anthropic.com";

static TABLE: &[Row] = &[
    // Rows that change what others read: streams of tools, sessions of code.
    row(READ, MCP, "/**", Kind::NotReplayable, Repair::Brief),
    row(READ, "*", "/backend-api/ps/mcp", Kind::NotReplayable, Repair::Brief),
    row(READ, "*", "/api/artifacts/mcp", Kind::NotReplayable, Repair::Brief),
    row(READ, "*", "/api/**", Kind::Safe, Repair::Brief),
    row(READ, "*", "/v1/mcp_servers", Kind::Safe, Repair::Brief),
    row(READ, "*", "/mcp-registry/**", Kind::Safe, Repair::Brief),
    row(READ, "*", "/backend-api/**", Kind::Safe, Repair::Brief),
    row(READ, "*", "/v1/models", Kind::Safe, Repair::Brief),
    row(READ, "*", "/v1/models/**", Kind::Safe, Repair::Brief),
    // Flags: a read that is written as a POST.
    row(POST, "*", "/api/eval/**", Kind::Safe, Repair::Brief),
    // A refresh token is good for one use.
    row(POST, "*", "/v1/oauth/token", Kind::NotReplayable, Repair::Token),
];

/// Of a decrypted request. `known`: it is an inference of a known API.
pub(super) fn of(method: &Method, host: &str, path: &str, known: bool) -> (Kind, Repair) {
    if known && *method == Method::POST && host != MCP {
        return (Kind::Inference, Repair::Full);
    }
    let fits = |row: &&Row| {
        let below = row.path.strip_suffix("/**");
        row.methods.contains(method)
            && (row.host == "*" || row.host == host)
            && below.map_or(row.path == path, |folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    };
    TABLE.iter().find(fits).map_or((Kind::NotReplayable, Repair::Brief), |row| (row.kind, row.repair))
}

impl Repair {
    /// The rules for trying again.
    pub(super) fn policy(self, config: &Retry) -> Cow<'_, Retry> {
        match self {
            Self::Full => Cow::Borrowed(config),
            Self::Brief | Self::Token => Cow::Owned(Retry {
                total: BRIEF.min(config.total),
                replays: MORE.min(config.replays.saturating_mul(MORE)),
                base: PAUSE.0.min(config.base),
                cap: PAUSE.1.min(config.cap),
                server_errors: false,
                ..config.clone()
            }),
        }
    }

    /// How long a request may be tried again in all, counted from its first attempt; `None`: for a part of its client's patience.
    pub(super) fn limit(self) -> Option<Duration> {
        (self != Self::Full).then_some(BRIEF)
    }

    /// What a first connection may take.
    pub(super) fn first_connection(self) -> Option<Duration> {
        (self != Self::Full).then_some(FIRST_CONNECTION)
    }

    /// The pause before a request is sent once more that may have run, where it was before. Nobody else's burst of requests is
    /// so short that all attempts of it meet the same moment.
    pub(super) fn pause(self, policy: &Retry, replays: u32, last: Duration) -> Duration {
        if self == Self::Full || replays == 0 { Duration::ZERO } else { retry::jitter(policy, last, fastrand::f64()) }
    }

    /// Whether the response passes without anything of Leeward's.
    pub(super) fn is_unchanged(self) -> bool {
        self != Self::Full
    }

    /// The response to a request that could not be repaired.
    pub(super) fn spent(self, meaning: &mut Meaning) -> Option<Response<Bytes>> {
        match self {
            Self::Full => None,
            Self::Brief => {
                // Agents take 503 and 504 for the API's own word.
                meaning.status = StatusCode::BAD_GATEWAY;
                None
            }
            Self::Token => {
                let mut response = Response::new(Bytes::from_static(br#"{"error":"temporarily_unavailable"}"#));
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response.headers_mut().insert("x-leeward-error", HeaderValue::from_static(meaning.code));
                Some(response)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::inference;

    #[test]
    fn every_row_of_the_contract() {
        use Kind::{Inference, NotReplayable, Safe};
        use Repair::{Brief, Full, Token};
        let (api, login, openai, chatgpt, gemini) =
            ("api.anthropic.com", "platform.claude.com", "api.openai.com", "chatgpt.com", "generativelanguage.googleapis.com");
        for (method, host, path, want) in [
            (Method::POST, api, "/v1/messages", (Inference, Full)),
            (Method::POST, api, "/v1/messages/count_tokens", (Inference, Full)),
            (Method::POST, openai, "/v1/responses", (Inference, Full)),
            (Method::POST, chatgpt, "/backend-api/codex/responses", (Inference, Full)),
            (Method::POST, openai, "/v1/chat/completions", (Inference, Full)),
            (Method::POST, gemini, "/v1beta/models/g:generateContent", (Inference, Full)),
            (Method::POST, "cloudcode-pa.googleapis.com", "/v1internal:streamGenerateContent", (Inference, Full)),
            (Method::GET, api, "/api/oauth/profile", (Safe, Brief)),
            (Method::HEAD, api, "/api/hello", (Safe, Brief)),
            (Method::GET, api, "/api/claude_cli/bootstrap", (Safe, Brief)),
            (Method::GET, api, "/api/claude_code/settings", (Safe, Brief)),
            (Method::GET, api, "/v1/mcp_servers", (Safe, Brief)),
            (Method::GET, api, "/mcp-registry/v0/servers", (Safe, Brief)),
            (Method::GET, chatgpt, "/backend-api/wham/accounts/check", (Safe, Brief)),
            (Method::GET, openai, "/v1/models", (Safe, Brief)),
            (Method::POST, api, "/api/eval/sdk-abc", (Safe, Brief)),
            (Method::POST, login, "/v1/oauth/token", (NotReplayable, Token)),
            (Method::POST, api, "/v1/oauth/token", (NotReplayable, Token)),
            (Method::POST, MCP, "/v1/mcp/id", (NotReplayable, Brief)),
            (Method::GET, MCP, "/v1/mcp/id", (NotReplayable, Brief)),
            (Method::POST, MCP, "/v1/messages", (NotReplayable, Brief)),
            (Method::POST, api, "/api/artifacts/mcp", (NotReplayable, Brief)),
            (Method::GET, api, "/api/artifacts/mcp", (NotReplayable, Brief)),
            (Method::POST, chatgpt, "/backend-api/ps/mcp", (NotReplayable, Brief)),
            (Method::POST, api, "/v1/code/sessions", (NotReplayable, Brief)),
            (Method::GET, api, "/v1/code/sessions", (NotReplayable, Brief)),
            (Method::POST, api, "/api/event_logging/v2/batch", (NotReplayable, Brief)),
            (Method::POST, api, "/api/evaluate", (NotReplayable, Brief)),
            (Method::DELETE, api, "/api/oauth/profile", (NotReplayable, Brief)),
            (Method::PUT, api, "/v1/messages", (NotReplayable, Brief)),
            (Method::GET, api, "/v1/files/f", (NotReplayable, Brief)),
            (Method::GET, api, "/apis", (NotReplayable, Brief)),
        ] {
            assert_eq!(of(&method, host, path, inference::find(path).is_some()), want, "{method} {host}{path}");
        }
    }

    /// A row that an earlier one hides would never be found.
    #[test]
    fn each_row_is_the_first_that_fits_its_own_path() {
        for row in TABLE {
            let path = row.path.replace("/**", "/x");
            let host = if row.host == "*" { "h" } else { row.host };
            assert_eq!(of(&row.methods[0], host, &path, false), (row.kind, row.repair), "{}", row.path);
        }
    }

    #[test]
    fn a_brief_repair_never_outlasts_the_configs_and_is_off_where_that_is() {
        let home = tempfile::tempdir().unwrap();
        let retry = crate::config::Config::under(home.path()).unwrap().retry;
        let brief = Repair::Brief.policy(&retry);
        assert_eq!((brief.total, brief.replays), (BRIEF, MORE));
        let off = Retry { total: Duration::ZERO, replays: 0, ..retry.clone() };
        let brief = Repair::Token.policy(&off);
        assert_eq!((brief.total, brief.replays), (Duration::ZERO, 0));
        assert_eq!(*Repair::Full.policy(&retry), retry);
    }
}
