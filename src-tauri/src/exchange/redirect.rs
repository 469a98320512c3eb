//! Where a response leads its client: a `Location` into the upstream that was asked stays under the same `/@NAME`, so that the
//! client's key does not go to the default upstream. Pure; follows nothing.

use super::route::{Route, route};
use http::{HeaderValue, Uri};
use url::{Position, Url};

/// The upstream that was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// Its name; `None` for the default one.
    pub(super) name: Option<&'a str>,
    pub(super) url: &'a Url,
    /// The path of `url`, without a `/` at its end.
    pub(super) prefix: &'a str,
    /// What it was asked for.
    pub(super) target: &'a Uri,
}

/// Where a `Location` leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leads {
    /// Nobody knows.
    Nowhere,
    /// Into the upstream: how its client is to read it.
    Within(HeaderValue),
    /// To another server, or beside the upstream's own path: the same place as a whole URL, and its host.
    Elsewhere(HeaderValue, String),
}

/// Reads a `Location` as a client would that had asked the upstream itself.
pub(super) fn leads(asked: Asked<'_>, location: &HeaderValue) -> Leads {
    let mut base = asked.url.clone();
    base.set_path(asked.target.path());
    base.set_query(asked.target.query());
    let Some(text) = std::str::from_utf8(location.as_bytes()).ok() else { return Leads::Nowhere };
    let Ok(place) = base.join(text) else { return Leads::Nowhere };
    let same_server = place.origin() == asked.url.origin();
    let within = place[Position::BeforePath..].strip_prefix(asked.prefix).filter(|rest| same_server && ends_a_segment(rest));
    let own = within.and_then(|rest| {
        let rest = if rest.starts_with('/') || asked.name.is_some() { rest.to_owned() } else { format!("/{rest}") };
        match asked.name {
            Some(name) => Some(format!("/@{name}{rest}")),
            // What would be read as another name, or as another server, cannot be expressed under the default upstream.
            None if route(&rest) == Route::Default && !rest.starts_with("//") => Some(rest),
            None => None,
        }
    });
    match own.map(HeaderValue::try_from) {
        Some(Ok(own)) => Leads::Within(own),
        Some(Err(_)) => Leads::Nowhere,
        None => {
            // A whole URL passes as it came.
            let whole = if Url::parse(text).is_ok() { Ok(location.clone()) } else { HeaderValue::try_from(place.as_str()) };
            whole.map_or(Leads::Nowhere, |whole| Leads::Elsewhere(whole, place.host_str().unwrap_or_default().to_owned()))
        }
    }
}

fn ends_a_segment(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['/', '?', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_stays_behind_its_name_or_names_its_server() {
        let within = |to: &str| Leads::Within(HeaderValue::from_str(to).unwrap());
        let elsewhere = |to: &str, host: &str| Leads::Elsewhere(HeaderValue::from_str(to).unwrap(), host.into());
        let corp = (Some("corp"), "https://gw.corp/team", "/team/v1/chat?x=1");
        let plain = (None, "https://api.example.com", "/v1/files");
        let below = (None, "http://127.0.0.1:9/base/", "/base/v1/files");
        for ((name, url, target), location, want) in [
            (corp, "/team/v1/chat/", within("/@corp/v1/chat/")),
            (corp, "chat/?y#z", within("/@corp/v1/chat/?y#z")),
            (corp, "?again", within("/@corp/v1/chat?again")),
            (corp, "https://gw.corp/team/v1/x", within("/@corp/v1/x")),
            (corp, "https://gw.corp:443/team", within("/@corp")),
            (corp, "//gw.corp/team/a", within("/@corp/a")),
            (corp, "/login", elsewhere("https://gw.corp/login", "gw.corp")),
            (corp, "../../../../x", elsewhere("https://gw.corp/x", "gw.corp")),
            (corp, "/teams/x", elsewhere("https://gw.corp/teams/x", "gw.corp")),
            (corp, "http://gw.corp/team/x", elsewhere("http://gw.corp/team/x", "gw.corp")),
            (corp, "//other.corp/x", elsewhere("https://other.corp/x", "other.corp")),
            (corp, "https://other.corp/a b", elsewhere("https://other.corp/a b", "other.corp")),
            (corp, "/@openai/v1/x", elsewhere("https://gw.corp/@openai/v1/x", "gw.corp")),
            (plain, "/v1/files/", within("/v1/files/")),
            (plain, "https://api.example.com/v1/a?b", within("/v1/a?b")),
            (plain, "/@openai/v1/x", elsewhere("https://api.example.com/@openai/v1/x", "api.example.com")),
            (plain, "/%40openai/v1/x", elsewhere("https://api.example.com/%40openai/v1/x", "api.example.com")),
            (
                plain,
                "https://api.example.com//evil.example/x",
                elsewhere("https://api.example.com//evil.example/x", "api.example.com"),
            ),
            (below, "/base/v1/x", within("/v1/x")),
            (below, "/base", within("/")),
            (below, "/v1/x", elsewhere("http://127.0.0.1:9/v1/x", "127.0.0.1")),
            (below, "http://[", Leads::Nowhere),
        ] {
            let (url, target) = (Url::parse(url).unwrap(), target.parse().unwrap());
            let asked = Asked { name, url: &url, prefix: url.path().trim_end_matches('/'), target: &target };
            assert_eq!(leads(asked, &HeaderValue::from_str(location).unwrap()), want, "{location} of {url}");
        }
    }
}
