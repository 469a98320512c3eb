//! Which proxy stands on which way, what is refused, and what never shows.

use super::*;

const LISTEN: &str = "127.0.0.1:8787";

fn resolve(url: Option<&str>, env: &[(&str, &str)]) -> Result<Proxying, (String, String)> {
    let lookup = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    Proxying::resolve(url, vec!["direct.example".into()], &lookup, LISTEN.parse().unwrap())
}

#[test]
fn variables_are_taken_by_scheme() {
    let env =
        [("https_proxy", "http://s:1"), ("HTTP_PROXY", "p:2"), ("ALL_PROXY", "socks5://a"), ("NO_PROXY", ".corp 10.0.0.0/8")];
    let all = resolve(None, &env).unwrap();
    let via = |tls, host| all.route(tls, host, 443).map(|p| (p.shown(), p.source));
    assert_eq!(via(true, "api.x"), Some(("http://s:1".into(), "https_proxy".into())));
    assert_eq!(via(false, "api.x"), Some(("http://p:2".into(), "HTTP_PROXY".into())));
    for host in ["a.corp", "10.1.1.1", "direct.example", "localhost", "127.0.0.9", "::1", "x.localhost"] {
        assert_eq!(via(true, host), None, "{host}");
    }
    let all = resolve(Some("auto"), &[("ALL_PROXY", "socks5://a"), ("HTTPS_PROXY", " ")]).unwrap();
    assert_eq!(all.route(true, "api.x", 443).unwrap().shown(), "socks5://a:1080", "an empty variable is none");
    assert_eq!(resolve(Some("none"), &env).unwrap().route(true, "api.x", 443), None);
}

#[test]
fn a_named_proxy_stands_on_every_way_but_the_excepted() {
    let all = resolve(Some("https://gate.corp"), &[("HTTPS_PROXY", "other:1"), ("no_proxy", "a.corp")]).unwrap();
    for host in ["api.x", "127.0.0.1", "localhost"] {
        assert_eq!(all.route(true, host, 443).unwrap().shown(), "https://gate.corp:443", "{host}");
    }
    assert_eq!((all.route(true, "a.corp", 443), all.route(true, "direct.example", 443)), (None, None));
}

#[test]
fn a_login_is_decoded_and_never_shown() {
    let all = resolve(Some("socks5h://us%40er:pass%3Aw%20rd@[fd00::1]:9"), &[]).unwrap();
    let ProxyChoice::Named(proxy) = &all.url else { panic!("{all:?}") };
    let (user, password) = proxy.login.as_ref().unwrap();
    assert_eq!((user.as_str(), password.reveal(), proxy.kind), ("us@er", "pass:w rd", ProxyKind::Socks5h));
    assert_eq!(proxy.shown(), "socks5h://[fd00::1]:9");
    assert!(!format!("{all:?} {proxy}").contains("w rd"));
}

#[test]
fn bad_values_are_named_without_their_secrets() {
    for (url, env, place, why) in [
        (Some("ftp://u:hush@x"), vec![], "proxy.url", "of the kind `ftp`"),
        (Some("http://u:hush@x:99999"), vec![], "proxy.url", "is not the URL of a proxy"),
        (Some("http://u:hush@x/pac"), vec![], "proxy.url", "behind host and port"),
        (Some(""), vec![], "proxy.url", "is not the URL of a proxy"),
        (Some("http://a%3Ab:hush@x"), vec![], "proxy.url", "user with a colon"),
        (Some("socks5://hush@x"), vec![], "proxy.url", "needs both user and password for SOCKS 5"),
        (Some(&format!("socks5h://u:hush{}@x", "h".repeat(252))), vec![], "proxy.url", "each has 1 to 255 bytes"),
        (None, vec![("HTTPS_PROXY", "socks4://u:hush@x")], "HTTPS_PROXY", "of the kind `socks4`"),
        (None, vec![("all_proxy", "http://u:hush@")], "all_proxy", "is not the URL of a proxy"),
        (Some("http://localhost:8787"), vec![], "proxy.url", "is Leeward's own address"),
        (Some("socks5://127.0.0.1:8787"), vec![], "proxy.url", "is Leeward's own address"),
    ] {
        let (at, message) = resolve(url, &env).unwrap_err();
        assert!(at == place && message.contains(why) && !message.contains("hush"), "{url:?} {env:?}: {at}: {message}");
    }
}

#[test]
fn an_inherited_proxy_that_is_leeward_itself_is_dropped() {
    let all = resolve(None, &[("HTTPS_PROXY", "http://127.0.0.1:8788"), ("HTTP_PROXY", "http://p:2")]).unwrap();
    let all = all.without("127.0.0.1:8788".parse().unwrap());
    assert_eq!(all.dropped.iter().map(|p| p.source.as_str()).collect::<Vec<_>>(), ["HTTPS_PROXY"]);
    assert_eq!((all.route(true, "api.x", 443), all.route(false, "api.x", 80).is_some()), (None, true));
}
