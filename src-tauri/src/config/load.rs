//! Reads file, environment and flags, and turns them into a checked `Config`. Nothing is written here.

use super::*;
use raw::{RawClient, RawConnect, RawLimits, RawPool, RawRetry, RawWatch};
use std::path::Path;

/// What the command line says; it wins over everything else.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--listen`
    pub listen: Option<String>,
    /// `--upstream`
    pub upstream: Option<String>,
    /// `--config`
    pub config_file: Option<PathBuf>,
}

/// Everything a config is made from, so that tests need no real environment.
pub struct Sources<'a> {
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The command line.
    pub flags: Flags,
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("flags", &self.flags).finish_non_exhaustive()
    }
}

/// The process environment, for `Sources::env`; variables that are not UTF-8 count as unset.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Why a config was refused; the message is for the user and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file exists and cannot be read.
    #[error("cannot read the config file {}: {why}; check its permissions, or name another one with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: std::io::Error,
    },
    /// `--config` or `LEEWARD_CONFIG` names a file that is not there.
    #[error("the config file {} does not exist; create it, or drop --config to use the defaults", .0.display())]
    Missing(PathBuf),
    /// TOML syntax, an unknown key or a wrong type.
    #[error("{place}: {message}")]
    Invalid {
        /// File, line and column, or the name of the variable.
        place: String,
        /// What is wrong and what to write.
        message: String,
    },
    /// The user has no home folder and `LEEWARD_HOME` is not set.
    #[error("no home folder was found for this user; set LEEWARD_HOME to a folder for Leeward's files")]
    NoHome,
}

/// Loads the config; see the module's first lines for the order.
///
/// # Errors
/// `Error` with a sentence for the user; exit code 78 in the CLI.
pub fn load(sources: &Sources<'_>) -> Result<Config, Error> {
    let mut paths = match (sources.env)("LEEWARD_HOME").filter(|v| !v.is_empty()) {
        Some(home) => Paths::under(Path::new(&home)),
        None => Paths::of_platform().ok_or(Error::NoHome)?,
    };
    let named = sources.flags.config_file.clone().or_else(|| (sources.env)("LEEWARD_CONFIG").map(PathBuf::from));
    let must_exist = named.is_some();
    if let Some(file) = named {
        paths.config_file = file;
    }
    let file = paths.config_file.clone();
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => String::new(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Error::Missing(file)),
        Err(why) => return Err(Error::Unreadable { path: file, why }),
    };
    let mut raw = parse(&text, &file)?;
    let mut origin = Origin { file: &file, text: &text, overlay: BTreeMap::new() };
    overlay_environment(&mut raw, sources.env, &mut origin)?;
    if let Some(listen) = &sources.flags.listen {
        raw.listen = Some(listen.clone());
        origin.overlay.insert("listen".into(), "--listen".into());
    }
    if let Some(upstream) = &sources.flags.upstream {
        raw.upstream = Some(upstream.clone());
        origin.overlay.insert("upstream".into(), "--upstream".into());
    }
    check(raw, sources, paths, &origin)
}

/// Parses the text of a config file; unknown keys name their nearest relative.
pub(super) fn parse(text: &str, file: &Path) -> Result<Raw, Error> {
    toml::from_str(text).map_err(|e| {
        let (line, column) = e.span().map_or((1, 1), |s| position(text, s.start));
        Error::Invalid { place: format!("{}:{line}:{column}", file.display()), message: explain(e.message()) }
    })
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Turns serde's "unknown field `x`, expected one of …" into a sentence with the nearest key.
fn explain(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else { return message.trim().to_owned() };
    let Some((unknown, rest)) = rest.split_once('`') else { return message.to_owned() };
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    match known.iter().max_by(|a, b| strsim::jaro_winkler(a, unknown).total_cmp(&strsim::jaro_winkler(b, unknown))) {
        Some(best) if strsim::jaro_winkler(best, unknown) > 0.6 => {
            format!("there is no key `{unknown}`; did you mean `{best}`?")
        }
        _ => format!("there is no key `{unknown}` here; known keys are {}", known.join(", ")),
    }
}

/// Where each value came from, so that a complaint can name the place.
struct Origin<'a> {
    file: &'a Path,
    text: &'a str,
    overlay: BTreeMap<String, String>,
}

impl Origin<'_> {
    fn refuse(&self, key: &str, message: impl Into<String>) -> Error {
        let place = self.overlay.get(key).cloned().unwrap_or_else(|| {
            let line = line_of(self.text, key);
            format!("{}:{line}: {key}", self.file.display())
        });
        Error::Invalid { place, message: message.into() }
    }
}

/// The line on which a dotted key is set; 1 when it is not in the text.
fn line_of(text: &str, key: &str) -> usize {
    let (section, leaf) = key.rsplit_once('.').unwrap_or(("", key));
    let mut current = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
            current = name.trim().to_owned();
        }
        let name = line.split('=').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        if line.contains('=') && ((current == section && name == leaf) || (current.is_empty() && name == key)) {
            return index + 1;
        }
    }
    1
}

/// `LEEWARD_RETRY_TOTAL=30s` sets `retry.total`; keys come from the schema, so none is forgotten.
fn overlay_environment(raw: &mut Raw, env: &dyn Fn(&str) -> Option<String>, origin: &mut Origin<'_>) -> Result<(), Error> {
    let set: Vec<(String, String, String)> = schema::keys()
        .into_iter()
        .filter_map(|key| {
            let variable = format!("LEEWARD_{}", key.replace('.', "_").to_ascii_uppercase());
            env(&variable).filter(|v| !v.is_empty()).map(|value| (key, variable, value))
        })
        .collect();
    for (key, variable, value) in set {
        let invalid = |message: String| Error::Invalid { place: variable.clone(), message };
        let mut table = toml::Table::try_from(&*raw).map_err(|e| invalid(e.to_string()))?;
        // A value that is valid TOML keeps its type (200, ["a"]); anything else is a string ("30s", "info").
        let typed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
        let candidates = [typed, Some(toml::Value::String(value.clone()))];
        let mut last = String::new();
        let mut done = false;
        for candidate in candidates.into_iter().flatten() {
            insert(&mut table, &key, candidate);
            match table.clone().try_into::<Raw>() {
                Ok(parsed) => {
                    *raw = parsed;
                    done = true;
                    break;
                }
                Err(e) => last = explain(e.message()),
            }
        }
        if !done {
            return Err(invalid(last));
        }
        origin.overlay.insert(key, variable);
    }
    Ok(())
}

fn insert(table: &mut toml::Table, key: &str, value: toml::Value) {
    match key.split_once('.') {
        Some((section, rest)) => {
            let entry = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let Some(inner) = entry.as_table_mut() {
                insert(inner, rest, value);
            }
        }
        None => {
            table.insert(key.to_owned(), value);
        }
    }
}

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

fn check(raw: Raw, sources: &Sources<'_>, paths: Paths, origin: &Origin<'_>) -> Result<Config, Error> {
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
    if let Some(file) = &raw.extra_ca
        && let Err(e) = std::fs::File::open(file)
    {
        return Err(origin.refuse("extra_ca", format!("cannot read {}: {e}; name a readable PEM file", file.display())));
    }
    let RawLimits { header_bytes, header_count, body_bytes, connections, replay_body_bytes, replay_total_bytes } = raw.limits;
    let RawClient { idle, rest, head, body_idle, linger } = raw.client;
    let RawConnect { timeout, tls_timeout, dns_timeout, stagger, parallel } = raw.connect;
    let RawPool { size, idle: pool_idle, keepalive } = raw.pool;
    let RawRetry { replays, total, base, cap, budget, budget_floor } = raw.retry;
    let RawWatch { probe, probe_timeout, stall } = raw.watch;
    let size_or = |s: Option<units::Size>, default: u64| s.map_or(default, |s| s.0);
    let span_or = |s: Option<units::Span>, default: Duration| s.map_or(default, |s| s.0);
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
        },
        pool: Pool {
            size: size.unwrap_or(64),
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
        },
        response_timeout: span_or(raw.response_timeout, seconds(600)),
        drain: span_or(raw.drain, seconds(600)),
        watch: Watch {
            probe: span_or(probe, seconds(5)),
            probe_timeout: span_or(probe_timeout, seconds(2)),
            stall: span_or(stall, seconds(2)),
        },
        trust: Trust::Platform { extra: raw.extra_ca },
        log: raw.log.unwrap_or_else(|| "info".into()),
        workers: raw.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, |n| n.get().min(4))),
        paths,
    };
    ranges::check(&config).map_err(|(key, message)| origin.refuse(key, message))?;
    Ok(config)
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

#[cfg(test)]
mod tests;
