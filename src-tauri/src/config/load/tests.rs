//! Every kind of bad input names its place and says what to write.

use super::*;
use crate::config::WebSocket;
use std::time::Duration;

fn load_with(text: &str, env: &[(&str, &str)], flags: Flags) -> Result<Config, String> {
    let home = tempfile::tempdir().unwrap();
    let text = text.replace("HOME", &home.path().display().to_string());
    std::fs::write(home.path().join("config.toml"), text).unwrap();
    let lookup = |name: &str| {
        if name == "LEEWARD_HOME" {
            return Some(home.path().display().to_string());
        }
        env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    };
    load(&Sources { env: &lookup, flags }).map_err(|e| e.to_string().replace(&home.path().display().to_string(), "HOME"))
}

#[test]
fn defaults_need_no_file() {
    let config = load_with("", &[], Flags::default()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(config.upstream.as_str(), "https://api.anthropic.com/");
    assert_eq!(config.client.idle, Duration::from_secs(330));
    assert_eq!(config.upstreams["openai"].as_str(), "https://api.openai.com/");
}

#[test]
fn flags_beat_environment_beats_file() {
    let text = "listen = '127.0.0.1:1111'\nupstream = 'https://file.example'\n[retry]\ntotal = '7s'\nreplays = 1";
    let config = load_with(
        text,
        &[("LEEWARD_LISTEN", "127.0.0.1:2222"), ("LEEWARD_RETRY_TOTAL", "9s"), ("LEEWARD_LIMITS_CONNECTIONS", "12")],
        Flags::default(),
    )
    .unwrap();
    assert_eq!(config.listen.port(), 2222);
    assert_eq!((config.retry.total, config.retry.replays, config.limits.connections), (Duration::from_secs(9), 1, 12));
    let flags = Flags { listen: Some("127.0.0.1:3333".into()), ..Flags::default() };
    let config = load_with(text, &[("LEEWARD_LISTEN", "127.0.0.1:2222")], flags).unwrap();
    assert_eq!((config.listen.port(), config.listen_pinned), (3333, true));
}

/// A value or a key may have lines in it, and what commands a terminal.
#[test]
fn a_refusal_is_one_line_whatever_the_file_says() {
    for text in [
        "listen = \"VALUE\"",
        "upstream = \"VALUE\"",
        "upstream = \"ftp://VALUE\"",
        "extra_ca = \"VALUE\"",
        "allowed_hosts = [\"VALUE\"]",
        "allowed_origins = [\"VALUE\"]",
        "client_token = \"VALUE\"",
        "[upstreams]\nx = \"VALUE\"",
        "[upstreams]\n\"VALUE\" = 'https://x'",
        "\"VALUE\" = 1",
        "[retry]\ntotal = \"VALUE\"",
        "[stream]\nmode = \"VALUE\"",
        "[proxy]\nurl = \"VALUE\"",
    ] {
        let text = text.replace("VALUE", "a\\nb\\u009b2J");
        let Err(sentence) = load_with(&text, &[], Flags::default()) else { panic!("{text} is taken") };
        assert!(!sentence.contains(char::is_control), "{text}: {sentence:?}");
    }
}

#[test]
fn bad_input_is_named_with_its_place() {
    let cases = [
        ("listn = '127.0.0.1:1'", "HOME/config.toml:1:1: there is no key `listn`; did you mean `listen`?"),
        ("\n[retry]\nreplay = 3", "HOME/config.toml:3:1: there is no key `replay`; did you mean `replays`?"),
        ("[retry]\ntotal = 'soon'", "HOME/config.toml:2:9: `soon` is not a duration"),
        (
            "[limits]\nconnections = 'many'",
            "HOME/config.toml:2:15: limits.connections: invalid type: string \"many\", expected a whole number",
        ),
        ("listen = '127.0.0.1'", "HOME/config.toml:1: listen: `127.0.0.1` is not an address"),
        ("listen = '127.0.0.1:0'", "HOME/config.toml:1: listen: port 0 means any free port"),
        ("listen = '0.0.0.0:8787'", "0.0.0.0 can be reached by other machines"),
        ("upstream = 'api.anthropic.com'", "HOME/config.toml:1: upstream: `api.anthropic.com` is not a URL"),
        ("upstream = 'ftp://x'", "`ftp` is not supported"),
        ("upstream = 'http://localhost:8787'", "is Leeward's own address"),
        ("upstream = 'https://user:pw@x'", "must not carry a user or password"),
        ("# c\n[upstreams]\n'a/b' = 'https://x'", "HOME/config.toml:3: upstreams.a/b: `a/b` cannot stand in a path"),
        ("[retry]\nbudget = 1.5", "HOME/config.toml:2: retry.budget: must be at most 1: it is a share of all requests"),
        ("[retry]\nbase = '3s'", "HOME/config.toml:2: retry.base: the first pause is longer"),
        ("extra_ca = 'HOME/none.pem'", "HOME/config.toml:1: extra_ca: cannot read HOME/none.pem"),
        ("[pool]\nsize = 0", "HOME/config.toml:2: pool.size: must be at least 1"),
        ("[pool]\nkeepalive = '500ms'", "HOME/config.toml:2: pool.keepalive: must be at least 1s: systems count whole seconds"),
        ("[pool]\nkeepalive = '1day'", "HOME/config.toml:2: pool.keepalive: must be at most 9h: Linux takes no more"),
        ("[watch]\nstall = '100ms'", "HOME/config.toml:2: watch.stall: must be at least 1s"),
        ("[connect]\ntimeout = '0s'", "HOME/config.toml:2: connect.timeout: must be at least 10ms"),
        ("[circuit]\nfailures = 0", "HOME/config.toml:2: circuit.failures: must be at least 1"),
        ("[circuit]\nprobe = '0s'", "HOME/config.toml:2: circuit.probe: must be at least 10ms"),
        ("[circuit]\nmax_wait = '11m'", "HOME/config.toml:2: circuit.max_wait: must be at most 10m"),
        ("[connect]\nstagger = '5s'", "HOME/config.toml:2: connect.stagger: is longer than an address is tried"),
        ("[connect]\nwrite_stall = '10ms'", "HOME/config.toml:2: connect.write_stall: must be at least 1s"),
        (
            "[connect]\nquarantine = '800days'",
            "HOME/config.toml:2: connect.quarantine: must be at most 1d, or 0s to switch it off",
        ),
        ("[retry]\nbase = '0s'", "HOME/config.toml:2: retry.base: must be at least 1ms"),
        ("[ledger]\nsize = '100KiB'", "HOME/config.toml:2: ledger.size: must be at least 1MiB"),
        ("[ledger]\nkeep = '1m'", "HOME/config.toml:2: ledger.keep: must be at least 1h"),
        ("[ledger]\nkeep = '2years'", "HOME/config.toml:2: ledger.keep: must be at most 365d"),
        ("[retry]\nbudget_floor = 4000000000", "HOME/config.toml:2: retry.budget_floor: must be at most 1000000"),
        ("[retry]\ncap = '18446744073709551615s'", "HOME/config.toml:2: retry.cap: must be at most 10m"),
        ("response_timeout = '0s'", "HOME/config.toml:1: response_timeout: must be at least 1ms"),
        ("workers = 100000", "HOME/config.toml:1: workers: must be at most 256"),
        ("[limits]\nheader_count = 100000", "HOME/config.toml:2: limits.header_count: must be at most 10000"),
        ("[retry]\ntotal = '3s'", "HOME/config.toml:2: retry.total: all retrying together (3s) is shorter than one connection"),
        (
            "[client]\nfirst_request_timeout = '999999999y'",
            "HOME/config.toml:2: client.first_request_timeout: must be at most 1m",
        ),
        ("[limits]\nbody_bytes = '99999999GiB'", "HOME/config.toml:2: limits.body_bytes: must be at most 1024GiB"),
        ("[retry]\nunknown_fate = 'perhaps'", "HOME/config.toml:2:16: unknown variant `perhaps`"),
        ("[stream]\nping_after = '5m'", "HOME/config.toml:2: stream.ping_after: the ping (300s) comes only after the idle alarm"),
        ("[stream]\nstall_alarm = '8s'", "stream.ping_after: the ping (20s) comes only after the idle alarm"),
        ("[stream]\nhold_ping = '0s'", "HOME/config.toml:2: stream.hold_ping: must be at least 10ms"),
        ("[stream]\ncommit_wait = '10m'", "HOME/config.toml:2: stream.commit_wait: the first ping"),
        ("[stream]\ncommit_bytes = '1GiB'", "HOME/config.toml:2: stream.commit_bytes: must be at most 16MiB"),
        (
            "[stream]\nadaptive_cuts = 0",
            "HOME/config.toml:2: stream.adaptive_cuts: must be at least 1: `hold` buffers every response",
        ),
        ("[tls]\nclient_cert = '/c.pem'", "HOME/config.toml:2: tls.client_cert: is set without tls.client_key"),
        ("upstream = 'https://x/?key=hidden'", "upstream: `https://x/` has a query or fragment"),
        ("\nallowed_hosts = ['*.example.com']", "HOME/config.toml:2: allowed_hosts: `*.example.com` is a wildcard"),
        ("allowed_hosts = ['ok', 'http://x']", "HOME/config.toml:1: allowed_hosts: `http://x` is a URL"),
        ("allowed_origins = ['https://x/']", "HOME/config.toml:1: allowed_origins: `https://x/` is more than an origin"),
        ("a = [", "HOME/config.toml:1:"),
    ];
    for (text, want) in cases {
        let got = load_with(text, &[], Flags::default()).unwrap_err().replace('\\', "/");
        assert!(got.contains(want), "{text:?}\n  gave {got}\n  want {want}");
    }
}

#[test]
fn certificates_and_proxies_that_cannot_be_used_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let pair = || {
        let key = rcgen::KeyPair::generate().unwrap();
        (rcgen::CertificateParams::new(vec!["me".into()]).unwrap().self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let ((cert, key), (_, stranger)) = (pair(), pair());
    let (cert, key, stranger) = (file("cert", &cert), file("key", &key), file("stranger", &stranger));
    let empty = file("empty", "");
    let both = |cert: &str, key: &str| format!("[tls]\nclient_cert = '{cert}'\nclient_key = '{key}'");
    assert!(load_with(&both(&cert, &key), &[], Flags::default()).is_ok());
    for (text, env, want) in [
        (both(&cert, &stranger), None, "HOME/config.toml:3: tls.client_key: "),
        (both(&cert, &stranger), None, "does not belong to the certificate in"),
        (both(&empty, &key), None, "HOME/config.toml:2: tls.client_cert: "),
        (both(&cert, "HOME/none"), None, "HOME/config.toml:3: tls.client_key: cannot read HOME/none"),
        (both(&cert, &cert), None, "holds no private key"),
        (format!("[tls]\nclient_cert = '{cert}'"), None, "HOME/config.toml:2: tls.client_cert: is set without tls.client_key"),
        (format!("\nextra_ca = '{empty}'"), None, "HOME/config.toml:2: extra_ca: "),
        ("[proxy]\nurl = 'ftp://u:hush@x'".into(), None, "HOME/config.toml:2: proxy.url: names a proxy of the kind `ftp`"),
        ("[proxy]\nurl = 'http://localhost:8787'".into(), None, "HOME/config.toml:2: proxy.url: is Leeward's own address"),
        (String::new(), Some(("LEEWARD_PROXY_URL", "http://")), "LEEWARD_PROXY_URL: is not the URL of a proxy"),
        (String::new(), Some(("https_proxy", "gopher://u:hush@x")), "https_proxy: names a proxy of the kind `gopher`"),
    ] {
        let env: Vec<_> = env.into_iter().collect();
        let got = load_with(&text, &env, Flags::default()).unwrap_err().replace('\\', "/");
        assert!(got.contains(want) && !got.contains("hush"), "{text:?}\n  gave {got}\n  want {want}");
    }
}

#[test]
fn a_bad_variable_or_flag_is_named() {
    let got = load_with("", &[("LEEWARD_RETRY_TOTAL", "soon")], Flags::default()).unwrap_err();
    assert!(got.starts_with("LEEWARD_RETRY_TOTAL: `soon` is not a duration"), "{got}");
    let got = load_with("", &[], Flags { upstream: Some("nope".into()), ..Flags::default() }).unwrap_err();
    assert!(got.starts_with("--upstream: `nope` is not a URL"), "{got}");
}

#[test]
fn a_named_file_must_exist_and_be_readable() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none").join("c.toml");
    let flags = Flags { config_file: Some(none.clone()), ..Flags::default() };
    assert!(load_with("", &[], flags).unwrap_err().contains(&format!("{} does not exist", none.display())));
    let flags = Flags { config_file: Some(folder.path().to_path_buf()), ..Flags::default() };
    assert!(load_with("", &[], flags).unwrap_err().contains("cannot read the config file"));
}

#[test]
fn the_client_token_never_shows() {
    let config = load_with("client_token = 'hush-hush-hush-hush'\nlisten = '0.0.0.0:9'", &[], Flags::default()).unwrap();
    assert!(!format!("{config:?}").contains("hush"));
    let token = config.client_token.as_ref().unwrap();
    let others = ["hush-hush-hush-hus", "hush-hush-hush-husH", ""];
    assert!(token.matches("hush-hush-hush-hush") && !others.iter().any(|other| token.matches(other)));
}

#[test]
fn a_client_token_that_can_be_guessed_is_refused() {
    for (token, want) in [
        ("", "has 0 characters and can be guessed; it needs 16 at least"),
        ("a", "has 1 characters"),
        ("hush-hush-hush-", "has 15 characters"),
        // Characters are counted, not bytes.
        ("höhöhöhöhöhö", "has 12 characters"),
        ("hush hush hush hush", "cannot be sent in a header"),
        ("huschhuschhuschhüsch", "cannot be sent in a header"),
    ] {
        for listen in ["127.0.0.1:9", "0.0.0.0:9"] {
            let text = format!("listen = '{listen}'\nclient_token = '{token}'");
            let got = load_with(&text, &[], Flags::default()).unwrap_err().replace('\\', "/");
            assert!(got.starts_with("HOME/config.toml:2: client_token: ") && got.contains(want), "{token}: {got}");
            assert!(token.len() < 2 || !got.contains(token), "a secret is never shown: {got}");
        }
    }
    let good = "listen = '0.0.0.0:9'\nclient_token = 'hush-hush-hush-h'";
    assert!(load_with(good, &[], Flags::default()).is_ok(), "16 are enough");
    let got = load_with("", &[("LEEWARD_CLIENT_TOKEN", "short")], Flags::default()).unwrap_err();
    assert!(got.starts_with("LEEWARD_CLIENT_TOKEN: has 5 characters"), "{got}");
}

#[test]
fn an_upstream_is_a_url_or_a_table_that_says_more_of_it() {
    let text = "upstream = { url = 'https://api.corp', replay = ['/ask'] }\n[upstreams]\na = 'https://a.corp'\n\
        lab = { url = 'https://lab.corp', replay = ['/v2/complete', '/models/*/ask'] }\nopenai = { replay = ['/v1/x'], websocket = 'carry' }\n\
        [upstreams.long]\nurl = 'https://long.corp'\nwebsocket = 'refuse'\n";
    let config = load_with(text, &[], Flags::default()).unwrap();
    assert_eq!(config.upstream.as_str(), "https://api.corp/");
    for (name, url) in [
        ("a", "https://a.corp/"),
        ("lab", "https://lab.corp/"),
        ("openai", "https://api.openai.com/"),
        ("long", "https://long.corp/"),
    ] {
        assert_eq!(config.upstreams[name].as_str(), url);
    }
    let paths = |name: Option<&str>, path: &str| {
        config.replay.get(&name.map(str::to_owned)).is_some_and(|all| all.iter().any(|p| p.is(path)))
    };
    assert!(paths(None, "/ask") && paths(Some("lab"), "/models/m/ask") && paths(Some("openai"), "/v1/x"));
    assert!(!paths(Some("a"), "/ask") && !paths(Some("long"), "/ask"));
    let said = [("long", WebSocket::Refuse), ("openai", WebSocket::Carry)].map(|(name, choice)| (Some(name.to_owned()), choice));
    assert_eq!(config.websocket, said.into());
    let again = toml::to_string(&crate::config::written(&config)).unwrap();
    let again = load_with(&again, &[], Flags::default()).unwrap();
    assert_eq!(
        (again.upstream, again.upstreams, again.replay, again.websocket),
        (config.upstream, config.upstreams, config.replay, config.websocket)
    );
    // Who names another API does not mean the file's paths.
    let other = load_with(text, &[("LEEWARD_UPSTREAM", "https://other.corp")], Flags::default()).unwrap();
    assert_eq!((other.upstream.as_str(), other.replay.get(&None)), ("https://other.corp/", None));
    for (text, want) in [
        ("[upstreams]\na = { replay = ['/x'] }", "has no `url`"),
        ("upstream = { replay = ['/x'] }", "has no `url`"),
        ("[upstreams]\na = { url = 'https://a.corp', replay = ['x'] }", "begin with a slash"),
        ("[upstreams]\na = { url = 'https://a.corp', replay = ['/*'] }", "is every path"),
        ("[upstreams]\na = { url = 'https://a.corp', replays = ['/x'] }", "replays"),
        ("[upstreams]\na = { url = 'https://a.corp', websocket = 'yes' }", "unknown variant `yes`"),
        ("[upstreams]\na = 3", "expected a string"),
    ] {
        let refused = load_with(text, &[], Flags::default()).unwrap_err();
        assert!(refused.contains(want) && refused.contains("config.toml"), "{text}: {refused}");
    }
}
