//! Turns what was written into what is meant: addresses, URLs, certificates and the company proxy are read here.

use super::{
    certificates,
    company_proxy::Proxying,
    definition::{File, Raw, TlsKeys},
    egress::Egress,
    error::{Error, Origin},
    names::{AllowedHost, AllowedOrigin},
    paths::Paths,
    ports::DEFAULT_PORT,
    relations,
    secret::Secret,
    section::Section,
    sources::Sources,
    tunnel_allow::TunnelAllow,
    types::{ClientIdentity, Config, Tls, Trust},
    upstream_entry::{ReplayPath, UpstreamTable},
};
use std::{collections::BTreeMap, net::SocketAddr};
use url::Url;

/// Upstreams that agents' profiles point at.
const BUILT_IN: [(&str, &str); 11] = [
    ("anthropic", "https://api.anthropic.com"),
    ("chatgpt", "https://chatgpt.com/backend-api/codex"),
    ("code-assist", "https://cloudcode-pa.googleapis.com"),
    ("dashscope", "https://dashscope.aliyuncs.com"),
    ("deepseek", "https://api.deepseek.com"),
    ("gemini", "https://generativelanguage.googleapis.com"),
    ("groq", "https://api.groq.com"),
    ("kimi", "https://api.kimi.com"),
    ("moonshot", "https://api.moonshot.ai"),
    ("openai", "https://api.openai.com"),
    ("openrouter", "https://openrouter.ai"),
];

/// Fewer characters than this can be guessed.
const LEAST_TOKEN: usize = 16;

/// Defaults where nothing was said, and every value checked.
pub(super) fn check(raw: Raw, sources: &Sources<'_>, paths: Paths, origin: &Origin<'_>) -> Result<Config, Error> {
    let file = File::complete(raw).map_err(|refused| origin.refuse(&refused.key, refused.message))?;
    let listen_text = file.listen;
    let listen: SocketAddr = listen_text.replace("localhost", "127.0.0.1").parse().map_err(|_| {
        origin.refuse(
            "listen",
            format!("`{listen_text}` is not an address; write one with a port, such as \"127.0.0.1:{DEFAULT_PORT}\""),
        )
    })?;
    let listen_pinned = sources.flags.listen.is_some();
    if listen.port() == 0 && !listen_pinned {
        return Err(origin.refuse(
            "listen",
            "port 0 means any free port, and agents could not find it; name a port, or use `--listen 127.0.0.1:0`",
        ));
    }
    if !listen.ip().is_loopback() && file.client_token.is_none() {
        return Err(origin.refuse(
            "listen",
            format!("{} can be reached by other machines; set client_token as well, or listen on 127.0.0.1", listen.ip()),
        ));
    }
    if let Some(token) = &file.client_token {
        check_client_token(token).map_err(|m| origin.refuse("client_token", m))?;
    }
    let hosts = file.allowed_hosts.iter().map(|text| AllowedHost::parse(text));
    let allowed_hosts = hosts.collect::<Result<_, _>>().map_err(|m| origin.refuse("allowed_hosts", m))?;
    let origins = file.allowed_origins.iter().map(|text| AllowedOrigin::parse(text));
    let allowed_origins = origins.collect::<Result<_, _>>().map_err(|m| origin.refuse("allowed_origins", m))?;
    let (mut replay, mut websocket) = (BTreeMap::new(), BTreeMap::new());
    let UpstreamTable { url, replay: paths_of_default, websocket: of_default } = file.upstream.into_table();
    websocket.extend(of_default.map(|choice| (None, choice)));
    let url = url.ok_or_else(|| origin.refuse("upstream", "has no `url`"))?;
    let upstream = check_upstream(&url, listen).map_err(|m| origin.refuse("upstream", m))?;
    insert_paths(&mut replay, None, &paths_of_default).map_err(|m| origin.refuse("upstream", m))?;
    let mut upstreams = BTreeMap::new();
    for (name, url) in BUILT_IN {
        upstreams.insert(name.to_owned(), check_upstream(url, listen).map_err(|m| origin.refuse("upstreams", m))?);
    }
    for (name, entry) in file.upstreams {
        let key = format!("upstreams.{name}");
        if !is_upstream_name(&name) {
            return Err(origin.refuse(&key, format!("`{name}` cannot stand in a path; use letters, digits, `-`, `_` and `.`")));
        }
        let UpstreamTable { url, replay: paths, websocket: choice } = entry.into_table();
        websocket.extend(choice.map(|choice| (Some(name.clone()), choice)));
        insert_paths(&mut replay, Some(&name), &paths).map_err(|m| origin.refuse(&key, m))?;
        match url {
            Some(url) => drop(upstreams.insert(name, check_upstream(&url, listen).map_err(|m| origin.refuse(&key, m))?)),
            None if upstreams.contains_key(&name) => {}
            None => return Err(origin.refuse(&key, "has no `url`, and Leeward has no upstream of this name by itself")),
        }
    }
    if let Some(file) = &file.extra_ca {
        certificates::check_roots(file).map_err(|why| origin.refuse("extra_ca", why))?;
    }
    let tls = tls(file.tls, origin)?;
    let tunnel_allow = TunnelAllow::parse(file.tunnel.allow).map_err(|m| origin.refuse("tunnel.allow", m))?;
    let proxy = Proxying::resolve(Some(&file.proxy.url), file.proxy.no_proxy, sources.env, listen).map_err(|(place, why)| {
        if place == "proxy.url" { origin.refuse(&place, why) } else { Error::Invalid { place, message: why, key: None } }
    })?;
    let config = Config {
        listen,
        listen_pinned,
        upstream,
        upstreams,
        replay,
        websocket,
        allowed_hosts,
        allowed_origins,
        client_token: file.client_token.map(Secret::new),
        limits: file.limits,
        client: file.client,
        connect: file.connect,
        pool: file.pool,
        retry: file.retry,
        stream: file.stream,
        circuit: file.circuit,
        tls,
        proxy,
        egress: Egress::of_engine(sources.env),
        tunnel_allow,
        ledger: file.ledger,
        wrap: file.wrap,
        mode: file.mode,
        modes: file.modes,
        connectors: file.connectors,
        response_timeout: file.response_timeout,
        drain: file.drain,
        watch: file.watch,
        trust: Trust::Platform { extra: file.extra_ca },
        log: file.log,
        workers: file.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, |n| n.get().min(4))),
        notifications: file.notifications,
        paths,
        problem: None,
    };
    relations::check(&config).map_err(|(key, message)| origin.refuse(key, message))?;
    Ok(config)
}

/// Notes the paths of an upstream that may be sent again.
fn insert_paths(all: &mut BTreeMap<Option<String>, Vec<ReplayPath>>, name: Option<&str>, paths: &[String]) -> Result<(), String> {
    let paths: Vec<_> = paths.iter().map(|path| ReplayPath::parse(path)).collect::<Result<_, _>>()?;
    if !paths.is_empty() {
        all.insert(name.map(str::to_owned), paths);
    }
    Ok(())
}

/// A token that nobody guesses and that a header can carry. The sentence says nothing of what it is.
fn check_client_token(token: &str) -> Result<(), String> {
    let make = "`openssl rand -hex 16` makes a good one";
    let length = token.chars().count();
    if length < LEAST_TOKEN {
        return Err(format!("has {length} characters and can be guessed; it needs {LEAST_TOKEN} at least ({make})"));
    }
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("cannot be sent in a header; use letters, digits and signs of ASCII, without spaces ({make})"));
    }
    Ok(())
}

fn tls(keys: TlsKeys, origin: &Origin<'_>) -> Result<Tls, Error> {
    let client = match (keys.client_cert, keys.client_key) {
        (Some(cert), Some(key)) => Some(ClientIdentity { cert, key }),
        (None, None) => None,
        (Some(_), None) => return Err(origin.refuse("tls.client_cert", "is set without tls.client_key; name both, or none")),
        (None, Some(_)) => return Err(origin.refuse("tls.client_key", "is set without tls.client_cert; name both, or none")),
    };
    if let Some(client) = &client {
        client.read().map_err(|(key, why)| origin.refuse(key, why))?;
    }
    Ok(Tls { client, key_share: keys.key_share })
}

/// True when the name can stand in `/@NAME/`.
pub(crate) fn is_upstream_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !name.starts_with('.')
}

/// Checks the URL of an upstream: http or https, a host, no user, no query, and not Leeward itself.
///
/// # Errors
/// A sentence that says what to write instead.
pub(crate) fn check_upstream(text: &str, listen: SocketAddr) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|e| format!("`{text}` is not a URL ({e}); write one such as \"https://api.anthropic.com\""))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}` is not supported; an upstream URL begins with http:// or https://", url.scheme()));
    }
    let Some(host) = url.host_str().filter(|h| !h.is_empty()) else { return Err(format!("`{text}` names no host")) };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an upstream URL must not carry a user or password; the agent sends its own credentials".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        // A key may stand in a query, and this sentence may end in a log.
        let mut plain = url.clone();
        plain.set_query(None);
        plain.set_fragment(None);
        let what = "has a query or fragment; an upstream is a host and, if need be, a path";
        return Err(format!("`{plain}` {what}"));
    }
    let host = host.trim_matches(['[', ']']);
    let local = host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback() || ip == listen.ip());
    if local && listen.port() != 0 && url.port_or_known_default() == Some(listen.port()) {
        return Err(format!("`{text}` is Leeward's own address ({listen}); requests would go round in a circle"));
    }
    Ok(url)
}
