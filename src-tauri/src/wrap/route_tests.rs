//! Base URLs in, base URLs out: one row a case.

use super::*;

const OPENAI: FirstParty<'_> = FirstParty { upstream: Some("openai"), path: "/v1" };
const ANTHROPIC: FirstParty<'_> = FirstParty { upstream: None, path: "" };

fn config(text: &str) -> (tempfile::TempDir, Config) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), text).unwrap();
    let config = Config::under(home.path()).unwrap();
    (home, config)
}

#[test]
fn a_base_url_is_led_through_leeward_whatever_it_was() {
    let (_home, config) = config("");
    let address = "127.0.0.1:8787".parse().unwrap();
    // inherited, first party, given to the agent, upstream
    let table = [
        (None, ANTHROPIC, "http://127.0.0.1:8787", None),
        (Some(""), ANTHROPIC, "http://127.0.0.1:8787", None),
        (Some("https://api.anthropic.com"), ANTHROPIC, "http://127.0.0.1:8787", None),
        (Some("https://api.anthropic.com:443/"), ANTHROPIC, "http://127.0.0.1:8787", None),
        (None, OPENAI, "http://127.0.0.1:8787/@openai/v1", Some("openai")),
        (Some("https://api.openai.com/v1/"), OPENAI, "http://127.0.0.1:8787/@openai/v1", Some("openai")),
        (Some("https://api.openai.com/v2"), OPENAI, "http://127.0.0.1:8787/@openai/v2", Some("openai")),
        (Some("https://openrouter.ai/api/v1"), OPENAI, "http://127.0.0.1:8787/@openrouter/api/v1", Some("openrouter")),
        // Leeward's own address, from an earlier wrap or pasted: never a circle.
        (Some("http://127.0.0.1:8787"), ANTHROPIC, "http://127.0.0.1:8787", None),
        (Some("http://localhost:8787/"), OPENAI, "http://127.0.0.1:8787/@openai/v1", Some("openai")),
        (Some("http://[::1]:8787"), ANTHROPIC, "http://127.0.0.1:8787", None),
        (Some("http://127.0.0.1:8787/@gw-1a2b3c4d/x"), ANTHROPIC, "http://127.0.0.1:8787/@gw-1a2b3c4d/x", Some("gw-1a2b3c4d")),
        // The earlier Leeward of the marker had another port.
        (Some("http://127.0.0.1:8790/@openai/v1"), OPENAI, "http://127.0.0.1:8787/@openai/v1", Some("openai")),
    ];
    for (inherited, first, url, upstream) in table {
        let mut router = Router::new(address, &config, Some("http://127.0.0.1:8790"), None);
        let route = router.route(inherited, first).unwrap();
        assert_eq!((route.url.as_str(), route.upstream.as_deref()), (url, upstream), "{inherited:?}");
        assert!(router.gateways.is_empty(), "{inherited:?}");
    }
}

#[test]
fn a_gateway_becomes_an_upstream_of_the_session_under_a_stable_name() {
    let (_home, config) = config("");
    for gateway in ["https://gateway.corp/anthropic", "http://127.0.0.1:4000", "http://localhost:8788/v1"] {
        let mut router = Router::new("127.0.0.1:8787".parse().unwrap(), &config, None, None);
        let route = router.route(Some(&format!("{gateway}/")), ANTHROPIC).unwrap();
        let (name, url) = router.gateways.first_key_value().unwrap();
        assert_eq!(url, gateway);
        assert_eq!(route, Route { url: format!("http://127.0.0.1:8787/@{name}"), upstream: Some(name.clone()) });
    }
    assert_eq!(name_of(b"https://a.corp"), "gw-ej6hyw4tlo7kvhci24yffx47o7", "the name must not change between versions");
    let names: std::collections::BTreeSet<String> = (0..2000).map(|n| name_of(format!("https://{n}.corp").as_bytes())).collect();
    assert!(names.len() == 2000 && names.iter().all(|name| crate::config::is_upstream_name(name) && name.len() == 29));
}

#[test]
fn the_configured_default_upstream_is_the_default_route() {
    let (_home, config) = config("upstream = 'https://gateway.corp/anthropic'\n[upstreams]\nwork = 'https://work.corp/llm'");
    let mut router = Router::new("[::1]:9000".parse().unwrap(), &config, None, None);
    for (inherited, url) in [
        ("https://gateway.corp/anthropic", "http://[::1]:9000"),
        ("https://gateway.corp/anthropic/eu", "http://[::1]:9000/eu"),
        ("https://work.corp/llm/a", "http://[::1]:9000/@work/a"),
        ("https://api.anthropic.com", "http://[::1]:9000/@anthropic"),
    ] {
        assert_eq!(router.route(Some(inherited), ANTHROPIC).unwrap().url, url, "{inherited}");
    }
    assert!(router.gateways.is_empty());
    router.route(Some("https://gateway.corp/anthropic-eu"), ANTHROPIC).unwrap();
    assert_eq!(router.gateways.len(), 1, "a prefix of a word is not a prefix of a path");
}

#[test]
fn what_cannot_be_an_upstream_is_refused_with_a_reason() {
    let (_home, config) = config("");
    let mut router = Router::new("127.0.0.1:8787".parse().unwrap(), &config, None, None);
    for (bad, reason) in [
        ("not a url", "is not a URL"),
        ("ftp://x", "http:// or https://"),
        ("https://user:pw@gateway.corp", "user or password"),
        ("https://gateway.corp?key=1", "query"),
    ] {
        let refused = router.route(Some(bad), ANTHROPIC).unwrap_err();
        assert!(refused.contains(reason) && !refused.contains("pw@"), "{bad}: {refused}");
    }
}
