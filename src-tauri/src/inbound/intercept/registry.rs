//! The list of connectors, answered here where the user wants none: each that is not linked costs its agent a refusal, a new
//! token and time at every start. Pure.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, header::CONTENT_TYPE};

const HOST: &str = "api.anthropic.com";
const PATH: &str = "/v1/mcp_servers";
/// Agents take it for an account without connectors.
const NONE: &[u8] = br#"{"data":[],"has_more":false}"#;

/// The answer to a request for the list; `None` for any other request.
pub(super) fn answer(method: &Method, host: &str, path: &str) -> Option<Response<Bytes>> {
    if *method != Method::GET || host != HOST || path != PATH {
        return None;
    }
    let mut response = Response::new(Bytes::from_static(NONE));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert("x-leeward", HeaderValue::from_static("local"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_list_itself_is_answered() {
        for (method, host, path, answered) in [
            (Method::GET, HOST, PATH, true),
            (Method::POST, HOST, PATH, false),
            (Method::HEAD, HOST, PATH, false),
            (Method::GET, "mcp-proxy.anthropic.com", PATH, false),
            (Method::GET, HOST, "/v1/mcp_servers/1", false),
            (Method::GET, HOST, "/v1/models", false),
        ] {
            assert_eq!(answer(&method, host, path).is_some(), answered, "{method} {host} {path}");
        }
        assert_eq!(answer(&Method::GET, HOST, PATH).unwrap().into_body(), NONE);
    }
}
