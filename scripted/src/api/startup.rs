//! What agents ask beside inference when they start: flags, profile, connectors, registries, sign-in. The answers are the
//! smallest that the agents take for right; they know nobody and allow nothing.

use super::{Answer, Head};
use serde_json::json;

pub(super) fn answer(head: &Head) -> Option<Answer> {
    let said = match (head.method.as_str(), head.path()) {
        ("GET", "/v1/mcp_servers") => json!({"data": [], "has_more": false}),
        ("GET", "/mcp-registry/v0/servers") => json!({"servers": [], "metadata": {"count": 0}}),
        ("GET", "/api/directory/server-urls") => json!({"urls": []}),
        ("POST", "/v1/oauth/token") => json!({
            "token_type": "Bearer", "access_token": "renewed", "refresh_token": "renewed", "expires_in": 28_800,
            "scope": "user:inference user:profile user:mcp_servers",
        }),
        (_, path) if path.starts_with("/api/") && path != "/api/hello" => json!({}),
        (_, path) if path.starts_with("/backend-api/") && !path.ends_with("/responses") => json!({}),
        _ => return None,
    };
    Some(Answer::json(200, &said))
}
