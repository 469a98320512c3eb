//! The guard by example: hosts, origins, targets, tokens; and one table over kinds of paths, methods and headers.

use super::*;

fn config(text: &str) -> Config {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), text).unwrap();
    Config::under(home.path()).unwrap()
}

fn verdict(config: &Config, target: &str, fields: &[(&str, &str)]) -> Result<Admitted, Refusal> {
    let mut headers = HeaderMap::new();
    for (n, v) in fields {
        headers.append(http::HeaderName::from_bytes(n.as_bytes()).unwrap(), v.parse().unwrap());
    }
    check(config, "127.0.0.1:8787".parse().unwrap(), &Method::POST, &target.parse().unwrap(), &headers)
}

#[test]
fn hosts_are_loopback_names_with_any_port_and_those_that_are_allowed() {
    let config = config("allowed_hosts = ['host.docker.internal', 'llm.example.com:8443', 'fd00::7']");
    for good in [
        "127.0.0.1:8787",
        "localhost:8787",
        "LocalHost:8787",
        "[::1]:8787",
        "127.9.9.9:8787",
        // Forwarded from another port.
        "localhost:9000",
        "127.0.0.1:80",
        "127.0.0.1",
        "[::1]",
        "localhost",
        "host.docker.internal:8787",
        "Host.Docker.Internal",
        "host.docker.internal:443",
        "llm.example.com:8443",
        "[fd00::7]:1",
    ] {
        assert_eq!(verdict(&config, "/v1/messages", &[("host", good)]), Ok(Admitted::Upstream), "{good}");
    }
    for bad in [
        "evil.example:8787",
        "127.0.0.1.evil.example:8787",
        "localhost.evil.example",
        // Loopback in RFC 6761 only.
        "app.localhost:8787",
        "localhost.:8787",
        "a@127.0.0.1:8787",
        "localhost:99999",
        "localhost:",
        "localhost:8787x",
        "0.0.0.0:8787",
        "[::]:8787",
        "[::ffff:10.0.0.1]:8787",
        "2130706433",
        "llm.example.com",
        "llm.example.com:8787",
        "x.host.docker.internal",
        "",
    ] {
        for path in ["/", "/v1/messages", "/health", "/_leeward/v1/status"] {
            assert_eq!(verdict(&config, path, &[("host", bad)]), Err(Refusal::ForeignHost), "{bad} {path}");
        }
    }
}

#[test]
fn probes_are_answered_by_any_name_and_without_a_token() {
    let config = config("listen = '0.0.0.0:8787'\nclient_token = 'a-secret-of-tests'");
    for host in ["10.77.0.2:8787", "pod-7.cluster:8787", "localhost:8787", "", "not a host"] {
        for path in ["/livez", "/readyz", "/readyz?verbose"] {
            assert_eq!(verdict(&config, path, &[("host", host)]), Ok(Admitted::Own), "{host} {path}");
        }
        for path in ["/livez/", "/@openai/livez", "/health", "/stats", "/metrics", "/v1/models"] {
            assert!(verdict(&config, path, &[("host", host)]).is_err(), "{host} {path}");
        }
    }
    // A page that has rebound its name learns nothing.
    let rebound = [("host", "evil.example:8787"), ("sec-fetch-site", "same-origin")];
    assert_eq!(verdict(&config, "/readyz", &rebound), Err(Refusal::ForeignHost));
    let foreign = [("host", "localhost:8787"), ("origin", "https://evil.example")];
    assert_eq!(verdict(&config, "/readyz", &foreign), Err(Refusal::ForeignOrigin));
    // Nothing else is waived.
    assert_eq!(verdict(&config, "http://example.com/livez", &[("host", "example.com")]), Err(Refusal::ForeignTarget));
}

#[test]
fn own_paths_are_told_apart_from_an_upstreams() {
    let config = config("");
    let of = |path: &str| verdict(&config, path, &[("host", "localhost:8787")]);
    for own in ["/livez", "/readyz", "/health", "/stats", "/metrics", "/_leeward/v1/restart", "/_leeward/ui/", "/_leeward/"] {
        assert_eq!(of(own), Ok(Admitted::Own), "{own}");
        assert_eq!(of(&format!("{own}?a=b")), Ok(Admitted::Own), "{own}");
        assert_eq!(of(&format!("http://localhost:8787{own}")), Ok(Admitted::Own), "{own}");
    }
    for other in ["/healthy", "/health/", "/v1/health", "/@openai/livez", "/_leewardx", "/", "*", "/v1/messages", "/?/livez"] {
        assert_eq!(of(other), Ok(Admitted::Upstream), "{other}");
    }
}

#[test]
fn web_pages_are_refused() {
    let config = config("");
    let host = ("host", "localhost:8787");
    for bad in ["https://evil.example", "null", "http://localhost:3000", "http://localhost"] {
        for path in ["/", "/_leeward/v1/status", "/_leeward/ui/"] {
            assert_eq!(verdict(&config, path, &[host, ("origin", bad)]), Err(Refusal::ForeignOrigin), "{bad} {path}");
        }
    }
    let own = ("origin", "http://localhost:8787");
    assert_eq!(verdict(&config, "/_leeward/v1/status", &[host, own]), Ok(Admitted::Own));
    assert_eq!(verdict(&config, "/v1/messages", &[host, own]), Err(Refusal::ForeignOrigin), "the panel asks no upstream");
    let twice = [host, own, ("origin", "https://evil.example")];
    assert_eq!(verdict(&config, "/_leeward/v1/status", &twice), Err(Refusal::ForeignOrigin));
    let rebound = [("host", "evil.example:8787"), ("origin", "http://evil.example:8787")];
    assert_eq!(verdict(&config, "/_leeward/v1/status", &rebound), Err(Refusal::ForeignHost));
    let other_name = [("host", "127.0.0.1:8787"), own];
    assert_eq!(verdict(&config, "/_leeward/v1/status", &other_name), Err(Refusal::ForeignOrigin));
}

#[test]
fn targets_are_ours_and_plain() {
    let config = config("");
    let host = [("host", "localhost:8787")];
    assert_eq!(verdict(&config, "http://localhost:8787/v1/messages", &host), Ok(Admitted::Upstream));
    // As somebody's HTTP_PROXY, whose host is as foreign, or another server on this machine.
    for (target, host) in [
        ("http://example.com/", "localhost:8787"),
        ("http://example.com/", "example.com"),
        ("http://localhost:3000/", "localhost:3000"),
        ("http://localhost/", "localhost"),
    ] {
        assert_eq!(verdict(&config, target, &[("host", host)]), Err(Refusal::ForeignTarget), "{target}");
    }
    for bad in ["/a/../b", "/..", "/a/%2e%2E/b", "/./a", "/a/.%2e"] {
        assert_eq!(verdict(&config, bad, &host), Err(Refusal::DotSegments), "{bad}");
    }
    for good in ["/a..b/c", "/v1/models/..hidden", "/a/...", "/?q=../x"] {
        assert_eq!(verdict(&config, good, &host), Ok(Admitted::Upstream), "{good}");
    }
}

#[test]
fn the_client_token_is_asked_for_when_set() {
    let config = config("listen = '0.0.0.0:8787'\nclient_token = 'a-secret-of-tests'");
    let host = ("host", "127.0.0.1:8787");
    assert_eq!(verdict(&config, "/", &[host]), Err(Refusal::Token));
    assert_eq!(verdict(&config, "/", &[host, ("x-leeward-token", "wrong!")]), Err(Refusal::Token));
    assert_eq!(verdict(&config, "/", &[host, ("x-leeward-token", "a-secret-of-tests")]), Ok(Admitted::Upstream));
    assert_eq!(verdict(&config, "/_leeward/v1/status", &[host]), Ok(Admitted::Own), "the control token is asked for there");
    assert_eq!(verdict(&config, "/@a/_leeward/", &[host]), Err(Refusal::Token));
}

#[test]
fn huge_bodies_are_refused_and_who_asks_for_a_websocket_is_asked_the_same_as_others() {
    let config = config("[limits]\nbody_bytes = '1KiB'");
    let host = ("host", "127.0.0.1:8787");
    let asks = [("connection", "upgrade"), ("upgrade", "websocket")];
    for (more, want) in [
        (&[host][..], Ok(Admitted::Upstream)),
        (&[("host", "evil.example")], Err(Refusal::ForeignHost)),
        (&[host, ("origin", "https://evil.example")], Err(Refusal::ForeignOrigin)),
        (&[host, ("origin", "http://127.0.0.1:8787")], Err(Refusal::ForeignOrigin)),
        (&[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "websocket")], Err(Refusal::FromBrowser)),
    ] {
        assert_eq!(verdict(&config, "/", &[more, &asks].concat()), want, "{more:?}");
    }
    assert_eq!(verdict(&config, "/", &[host, ("content-length", "1025")]), Err(Refusal::BodyTooLarge));
    assert_eq!(verdict(&config, "/", &[host, ("content-length", "1024")]), Ok(Admitted::Upstream));
}

/// Every kind of path, with every kind of method, with everything a browser or a program says of itself.
#[test]
fn what_a_browser_asks_of_an_upstream_never_reaches_it() {
    const OWN: &str = "http://localhost:8787";
    const FRIEND: &str = "vscode-webview://1a2b";
    let config = config("allowed_origins = ['vscode-webview://1a2b', 'http://localhost:3000']");
    let (request, own, page) = (Ok(Admitted::Upstream), Ok(Admitted::Own), Ok(Admitted::Navigation));
    let (browser, origin) = (Err(Refusal::FromBrowser), Err(Refusal::ForeignOrigin));
    const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.4 Safari/605.1.15";
    const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    // What is said; then what becomes of it at an upstream's path, read (GET, HEAD) and written (POST, OPTIONS, …), and at a
    // path of the control API.
    type Row = (&'static str, &'static [(&'static str, &'static str)], [Result<Admitted, Refusal>; 3]);
    let rows: &[Row] = &[
        ("a program", &[], [request, request, own]),
        ("curl", &[("user-agent", "curl/8.9"), ("accept", "*/*")], [request, request, own]),
        ("Node's fetch", &[("user-agent", "node"), ("accept", "*/*"), ("sec-fetch-mode", "cors")], [request, request, own]),
        ("the same after HTML", &[("user-agent", "node"), ("accept", HTML), ("sec-fetch-mode", "cors")], [request, request, own]),
        (
            "Java, which accepts HTML",
            &[("user-agent", "Java/21"), ("accept", "text/html, image/gif, */*; q=.2")],
            [request, request, own],
        ),
        ("an IDE's own process", &[("user-agent", AGENT), ("accept", "application/json")], [request, request, own]),
        (
            "an address typed",
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", HTML)],
            [page, browser, own],
        ),
        ("a link of another site", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], [page, browser, own]),
        ("a frame", &[("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "iframe")], [page, browser, own]),
        (
            "an object",
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "object")],
            [page, browser, own],
        ),
        ("HTML and no mode", &[("sec-fetch-site", "none"), ("accept", HTML)], [page, browser, own]),
        ("a browser of 2022", &[("user-agent", AGENT), ("accept", HTML)], [page, browser, own]),
        (
            "a form of another site",
            &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
            [origin, origin, origin],
        ),
        (
            "a form of a friend",
            &[("origin", FRIEND), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
            [page, browser, origin],
        ),
        (
            "an image",
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            [browser, browser, own],
        ),
        (
            "a script",
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")],
            [browser, browser, own],
        ),
        (
            "a script of the panel",
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")],
            [browser, browser, own],
        ),
        (
            "a worker of the panel",
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "worker")],
            [browser, browser, own],
        ),
        ("a site alone", &[("sec-fetch-site", "none")], [browser, browser, own]),
        ("an unknown site", &[("sec-fetch-site", "")], [browser, browser, own]),
        ("a fetch of the panel", &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")], [browser, browser, own]),
        (
            "the panel with its origin",
            &[("origin", OWN), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")],
            [origin, origin, own],
        ),
        (
            "a fetch of another site",
            &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
            [origin, origin, origin],
        ),
        ("a page without an origin", &[("origin", "null"), ("sec-fetch-site", "cross-site")], [origin, origin, origin]),
        (
            "a friend",
            &[("origin", FRIEND), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors"), ("accept", HTML)],
            [request, request, origin],
        ),
        (
            "a friend on loopback",
            &[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")],
            [request, request, origin],
        ),
        (
            "a friend's preflight",
            &[("origin", FRIEND), ("sec-fetch-mode", "cors"), ("access-control-request-method", "POST")],
            [request, request, origin],
        ),
        ("a friend and a stranger", &[("origin", FRIEND), ("origin", "https://evil.example")], [origin, origin, origin]),
        (
            "a worker's script",
            &[("service-worker", "script"), ("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "serviceworker")],
            [browser, browser, own],
        ),
        ("the same of 2022", &[("service-worker", "script"), ("accept", "*/*")], [browser, browser, own]),
        ("the same of a friend", &[("service-worker", "script"), ("origin", FRIEND)], [browser, browser, origin]),
    ];
    for (who, said, [read, written, control]) in rows {
        let mut headers = HeaderMap::from_iter([(HOST, http::HeaderValue::from_static("localhost:8787"))]);
        for (name, value) in *said {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        let of = |method: Method, path: &str| {
            check(&config, "127.0.0.1:8787".parse().unwrap(), &method, &path.parse().unwrap(), &headers)
        };
        for path in ["/", "/v1/models", "/@openai/v1/responses", "/@a/_leeward/ui/", "/_leeward", "/healthy", "/robots.txt"] {
            for method in [Method::GET, Method::HEAD] {
                assert_eq!(of(method, path), *read, "{who} reads {path}");
            }
            for method in [Method::POST, Method::OPTIONS, Method::PUT, Method::DELETE] {
                assert_eq!(of(method, path), *written, "{who} writes {path}");
            }
        }
        for path in ["/_leeward/", "/_leeward/ui/", "/_leeward/v1/status"] {
            assert_eq!(of(Method::GET, path), *control, "{who} at {path}");
        }
        // The icon is ours whoever asks, or nobody's.
        let icon = of(Method::GET, "/favicon.ico");
        assert!(icon == page || (icon == browser && said[0].0 == "service-worker") || icon == origin, "{who}: {icon:?}");
        assert_eq!(of(Method::POST, "/favicon.ico"), *written, "{who} writes an icon");
        for path in ["/health", "/stats", "/metrics", "/livez", "/readyz"] {
            let wanted = if headers.contains_key(ORIGIN) { origin } else { own };
            assert_eq!(of(Method::GET, path), wanted, "{who} at {path}");
        }
    }
}

#[test]
fn a_page_that_is_allowed_needs_the_token_as_well() {
    let config = config("client_token = 'a-secret-of-tests'\nallowed_origins = ['http://localhost:3000']");
    let page = [("host", "localhost:8787"), ("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")];
    assert_eq!(verdict(&config, "/v1/messages", &page), Err(Refusal::Token));
    let with_token = [&page[..], &[("x-leeward-token", "a-secret-of-tests")]].concat();
    assert_eq!(verdict(&config, "/v1/messages", &with_token), Ok(Admitted::Upstream));
}

/// A listener on every address is called by the one that the client reached, and by no other of this machine's or the network's.
#[test]
fn with_a_token_our_own_address_is_the_connections() {
    let answer = |listen: &str, token: &str, local: &str, host: &str| {
        let config = config(&format!("listen = '{listen}'\n{token}"));
        let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
        check(&config, local.parse().unwrap(), &Method::GET, &"/_leeward/v1/status".parse().unwrap(), &headers)
    };
    let token = "client_token = 'a-secret-of-tests'";
    for (listen, token, local, host, own) in [
        ("0.0.0.0:8787", token, "10.0.0.5:8787", "10.0.0.5:8787", true),
        ("0.0.0.0:8787", token, "10.0.0.5:8787", "10.0.0.5", true),
        ("[::]:8787", token, "[::ffff:10.0.0.5]:8787", "10.0.0.5:8787", true),
        ("[::]:8787", token, "[2001:db8::5]:8787", "[2001:db8::5]:8787", true),
        ("10.0.0.5:8787", token, "10.0.0.5:8787", "10.0.0.5:8787", true),
        ("10.0.0.5:8787", token, "10.0.0.5:8787", "10.0.0.6:8787", false),
        ("0.0.0.0:8787", token, "10.0.0.5:8787", "10.0.0.6:8787", false),
        ("0.0.0.0:8787", token, "10.0.0.5:8787", "0.0.0.0:8787", false),
        ("0.0.0.0:8787", token, "127.0.0.1:8787", "10.0.0.5:8787", false),
        ("127.0.0.1:8787", "", "10.0.0.5:8787", "10.0.0.5:8787", false),
    ] {
        let want = if own { Ok(Admitted::Own) } else { Err(Refusal::ForeignHost) };
        assert_eq!(answer(listen, token, local, host), want, "{listen} {local} {host}");
    }
}
