//! Turns what was written into what is meant: defaults, units, and every value that is refused by itself.

use super::{
    load::{Error, Origin, Sources},
    raw::{RawCircuit, RawClient, RawConnect, RawLedger, RawLimits, RawPool, RawProxy, RawRetry, RawStream, RawTls, RawWatch},
    *,
};

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

/// Defaults where nothing was said, and every value checked.
pub(super) fn check(raw: Raw, sources: &Sources<'_>, paths: Paths, origin: &Origin<'_>) -> Result<Config, Error> {
    let listen_text = raw.listen.unwrap_or_else(|| format!("127.0.0.1:{DEFAULT_PORT}"));
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
    if !listen.ip().is_loopback() && raw.client_token.is_none() {
        return Err(origin.refuse(
            "listen",
            format!("{} can be reached by other machines; set client_token as well, or listen on 127.0.0.1", listen.ip()),
        ));
    }
    let upstream_text = raw.upstream.unwrap_or_else(|| BUILT_IN[0].1.into());
    let upstream = check_upstream(&upstream_text, listen).map_err(|m| origin.refuse("upstream", m))?;
    let mut upstreams = BTreeMap::new();
    for (name, url) in BUILT_IN {
        upstreams.insert(name.to_owned(), check_upstream(url, listen).map_err(|m| origin.refuse("upstreams", m))?);
    }
    for (name, url) in raw.upstreams {
        let key = format!("upstreams.{name}");
        if !is_upstream_name(&name) {
            return Err(origin.refuse(&key, format!("`{name}` cannot stand in a path; use letters, digits, `-`, `_` and `.`")));
        }
        let url = check_upstream(&url, listen).map_err(|m| origin.refuse(&key, m))?;
        upstreams.insert(name, url);
    }
    if let Some(file) = &raw.extra_ca {
        certificates::check_roots(file).map_err(|why| origin.refuse("extra_ca", why))?;
    }
    let RawLimits { header_bytes, header_count, body_bytes, connections, replay_body_bytes, replay_total_bytes } = raw.limits;
    let RawClient { idle, rest, greeting, head, body_idle, linger } = raw.client;
    let RawConnect { timeout, tls_timeout, dns_timeout, stagger, parallel, quarantine, write_stall } = raw.connect;
    let RawPool { size, idle: pool_idle, keepalive } = raw.pool;
    let RawRetry { replays, total, base, cap, budget, budget_floor, unknown_fate, absorb, absorb_within } = raw.retry;
    let tls = tls(raw.tls, origin)?;
    let stream = stream(raw.stream);
    let RawCircuit { failures, park, probe: circuit_probe } = raw.circuit;
    let RawProxy { url: proxy_url, no_proxy } = raw.proxy;
    let proxy =
        Proxying::resolve(proxy_url.as_deref(), no_proxy.unwrap_or_default(), sources.env, listen).map_err(|(place, why)| {
            if place == "proxy.url" { origin.refuse(&place, why) } else { Error::Invalid { place, message: why, key: None } }
        })?;
    let RawLedger { enabled, keep, size: ledger_size } = raw.ledger;
    let RawWatch { probe, probe_timeout, stall } = raw.watch;
    let (seconds, millis) = (Duration::from_secs, Duration::from_millis);
    let config = Config {
        listen,
        listen_pinned,
        upstream,
        upstreams,
        allowed_hosts: raw.allowed_hosts.unwrap_or_default(),
        client_token: raw.client_token.map(Secret::new),
        limits: Limits {
            header_bytes: usize::try_from(size_or(header_bytes, 64 << 10)).unwrap_or(usize::MAX),
            header_count: header_count.unwrap_or(200),
            body_bytes: size_or(body_bytes, 512 << 20),
            connections: connections.unwrap_or(10_000),
            replay_body_bytes: size_or(replay_body_bytes, 32 << 20),
            replay_total_bytes: size_or(replay_total_bytes, 256 << 20),
        },
        client: ClientTimes {
            idle: span_or(idle, seconds(330)),
            rest: span_or(rest, seconds(5)),
            greeting: span_or(greeting, seconds(1)),
            head: span_or(head, seconds(30)),
            body_idle: span_or(body_idle, seconds(120)),
            linger: span_or(linger, seconds(2)),
        },
        connect: Connect {
            timeout: span_or(timeout, seconds(4)),
            tls_timeout: span_or(tls_timeout, seconds(5)),
            dns_timeout: span_or(dns_timeout, seconds(5)),
            stagger: span_or(stagger, millis(250)),
            parallel: parallel.unwrap_or(4),
            quarantine: span_or(quarantine, seconds(60)),
            write_stall: span_or(write_stall, seconds(20)),
        },
        pool: Pool {
            size: size.unwrap_or(256),
            idle: span_or(pool_idle, seconds(60)),
            keepalive: span_or(keepalive, seconds(15)),
        },
        retry: Retry {
            replays: replays.unwrap_or(2),
            total: span_or(total, seconds(45)),
            base: span_or(base, millis(50)),
            cap: span_or(cap, seconds(2)),
            budget: budget.unwrap_or(0.2),
            budget_floor: budget_floor.unwrap_or(10),
            unknown_fate: unknown_fate.unwrap_or_default(),
            absorb: absorb.unwrap_or(false),
            absorb_within: span_or(absorb_within, seconds(5)),
        },
        stream,
        circuit: Circuit {
            failures: failures.unwrap_or(5),
            park: span_or(park, seconds(20)),
            probe: span_or(circuit_probe, seconds(1)),
        },
        tls,
        proxy,
        ledger: Ledger {
            enabled: enabled.unwrap_or(true),
            keep: span_or(keep, seconds(90 * 24 * 60 * 60)),
            size: size_or(ledger_size, 64 << 20),
        },
        response_timeout: span_or(raw.response_timeout, seconds(600)),
        drain: span_or(raw.drain, seconds(600)),
        watch: Watch {
            probe: span_or(probe, seconds(5)),
            probe_timeout: span_or(probe_timeout, seconds(2)),
            stall: span_or(stall, millis(1800)),
        },
        trust: Trust::Platform { extra: raw.extra_ca },
        log: raw.log.unwrap_or_else(|| "info".into()),
        workers: raw.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, |n| n.get().min(4))),
        notifications: raw.notifications.unwrap_or(true),
        paths,
    };
    ranges::check(&config).map_err(|(key, message)| origin.refuse(key, message))?;
    Ok(config)
}

fn size_or(size: Option<units::Size>, default: u64) -> u64 {
    size.map_or(default, |s| s.0)
}

fn span_or(span: Option<units::Span>, default: Duration) -> Duration {
    span.map_or(default, |s| s.0)
}

fn stream(raw: RawStream) -> Stream {
    let RawStream {
        mode,
        commit_bytes,
        commit_wait,
        hold_ping,
        hold_memory,
        adaptive_cuts,
        adaptive_within,
        ping,
        ping_after,
        stall_alarm,
    } = raw;
    let seconds = Duration::from_secs;
    Stream {
        mode: mode.unwrap_or_default(),
        commit_bytes: size_or(commit_bytes, 64 << 10),
        commit_wait: span_or(commit_wait, seconds(10)),
        hold_ping: span_or(hold_ping, seconds(10)),
        hold_memory: size_or(hold_memory, 64 << 20),
        adaptive_cuts: adaptive_cuts.unwrap_or(2),
        adaptive_within: span_or(adaptive_within, seconds(600)),
        ping: ping.unwrap_or(false),
        ping_after: span_or(ping_after, seconds(20)),
        stall_alarm: span_or(stall_alarm, seconds(290)),
    }
}

fn tls(raw: RawTls, origin: &Origin<'_>) -> Result<Tls, Error> {
    let client = match (raw.client_cert, raw.client_key) {
        (Some(cert), Some(key)) => Some(ClientIdentity { cert, key }),
        (None, None) => None,
        (Some(_), None) => return Err(origin.refuse("tls.client_cert", "is set without tls.client_key; name both, or none")),
        (None, Some(_)) => return Err(origin.refuse("tls.client_key", "is set without tls.client_cert; name both, or none")),
    };
    if let Some(client) = &client {
        client.read().map_err(|(key, why)| origin.refuse(key, why))?;
    }
    Ok(Tls { client, key_share: raw.key_share.unwrap_or_default() })
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
