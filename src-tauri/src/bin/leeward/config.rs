//! `leeward config`, and how every command gets its config.

use crate::{
    args,
    exit::{Exit, Outcome},
    out::Out,
};
use leeward::config::{self, Config, Flags, ProxyChoice, Sources, Trust, format_size};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{Table, Value};

/// The config in force: file, environment and, where given, `--config`.
pub(crate) fn load(file: Option<PathBuf>) -> Outcome<Config> {
    Ok(config::load(&Sources { env: &config::environment, flags: Flags { config_file: file, ..Flags::default() } })?)
}

/// Runs `leeward config`.
pub(crate) fn run(args: args::Config, out: &mut Out) -> Outcome {
    match args {
        args::Config::Path => out.line(file_in_force()?.display().to_string())?,
        args::Config::Show { template: true } => out.text(config::default_file())?,
        args::Config::Show { template: false } => out.text(as_file(&load(None)?))?,
        args::Config::Check { file } => check(file, out)?,
        args::Config::Schema => out.line(format!("{:#}", config::schema()))?,
    }
    Ok(Exit::Ok as i32)
}

/// The path alone must be told even when the file is broken.
fn file_in_force() -> Outcome<PathBuf> {
    if let Some(file) = config::environment("LEEWARD_CONFIG") {
        return Ok(file.into());
    }
    let paths = match config::environment("LEEWARD_HOME").filter(|v| !v.is_empty()) {
        Some(home) => Some(config::Paths::under(Path::new(&home))),
        None => config::Paths::of_platform(),
    };
    Ok(paths.ok_or(config::Error::NoHome)?.config_file)
}

fn check(file: Option<PathBuf>, out: &mut Out) -> Outcome<()> {
    let config = load(file)?;
    let path = config.paths.config_file;
    if path.exists() {
        out.line(format!("{} is valid", path.display()))?;
    } else {
        out.line(format!("there is no {}; the defaults are in force", path.display()))?;
    }
    Ok(())
}

/// A config file that loads to the very same config; secrets are left out.
fn as_file(config: &Config) -> String {
    // Sections are named one by one, so that a new one does not compile without a line here; a test looks after the keys.
    let Config {
        listen,
        listen_pinned: _,
        upstream,
        upstreams,
        allowed_hosts,
        client_token,
        limits,
        client,
        connect,
        pool,
        retry,
        stream,
        circuit,
        tls,
        proxy,
        ledger,
        response_timeout,
        drain,
        watch,
        trust,
        log,
        workers,
        paths: _,
    } = config;
    let mut file = Table::new();
    let mut set = |key: &str, value: Value| match key.split_once('.') {
        Some((section, key)) => {
            let section = file.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Some(section) = section.as_table_mut() {
                section.insert(key.to_owned(), value);
            }
        }
        None => {
            file.insert(key.to_owned(), value);
        }
    };
    set("listen", text(listen));
    set("upstream", text(upstream));
    set("allowed_hosts", allowed_hosts.clone().into());
    set("log", text(log));
    set("workers", count(*workers));
    if let Trust::Platform { extra: Some(file) } = trust {
        set("extra_ca", text(file.display()));
    }
    set("response_timeout", span(*response_timeout));
    set("drain", span(*drain));
    set("limits.header_bytes", size(u64::try_from(limits.header_bytes).unwrap_or(u64::MAX)));
    set("limits.header_count", count(limits.header_count));
    set("limits.body_bytes", size(limits.body_bytes));
    set("limits.connections", count(limits.connections));
    set("limits.replay_body_bytes", size(limits.replay_body_bytes));
    set("limits.replay_total_bytes", size(limits.replay_total_bytes));
    set("client.idle", span(client.idle));
    set("client.head", span(client.head));
    set("client.rest", span(client.rest));
    set("client.body_idle", span(client.body_idle));
    set("client.linger", span(client.linger));
    set("connect.timeout", span(connect.timeout));
    set("connect.tls_timeout", span(connect.tls_timeout));
    set("connect.dns_timeout", span(connect.dns_timeout));
    set("connect.stagger", span(connect.stagger));
    set("connect.parallel", count(connect.parallel));
    set("connect.quarantine", span(connect.quarantine));
    set("connect.write_stall", span(connect.write_stall));
    set("pool.size", count(pool.size));
    set("pool.idle", span(pool.idle));
    set("pool.keepalive", span(pool.keepalive));
    set("retry.replays", i64::from(retry.replays).into());
    set("retry.total", span(retry.total));
    set("retry.base", span(retry.base));
    set("retry.cap", span(retry.cap));
    // Through its text: 0.2 as f32 is not 0.2 as f64.
    set("retry.budget", retry.budget.to_string().parse::<f64>().unwrap_or_default().into());
    set("retry.budget_floor", i64::from(retry.budget_floor).into());
    set("retry.unknown_fate", name(&retry.unknown_fate));
    set("retry.absorb", retry.absorb.into());
    set("retry.absorb_within", span(retry.absorb_within));
    set("stream.mode", name(&stream.mode));
    set("stream.commit_bytes", size(stream.commit_bytes));
    set("stream.commit_wait", span(stream.commit_wait));
    set("stream.hold_ping", span(stream.hold_ping));
    set("stream.hold_memory", size(stream.hold_memory));
    set("stream.adaptive_cuts", i64::from(stream.adaptive_cuts).into());
    set("stream.adaptive_within", span(stream.adaptive_within));
    set("stream.ping", stream.ping.into());
    set("stream.ping_after", span(stream.ping_after));
    set("stream.stall_alarm", span(stream.stall_alarm));
    set("circuit.failures", i64::from(circuit.failures).into());
    set("circuit.park", span(circuit.park));
    set("circuit.probe", span(circuit.probe));
    if let Some(client) = &tls.client {
        set("tls.client_cert", text(client.cert.display()));
        set("tls.client_key", text(client.key.display()));
    }
    set("tls.key_share", name(&tls.key_share));
    let (url, login) = match &proxy.url {
        ProxyChoice::Auto => ("auto".into(), false),
        ProxyChoice::None => ("none".into(), false),
        ProxyChoice::Named(proxy) => (proxy.shown(), proxy.login.is_some()),
    };
    set("proxy.url", text(url));
    set("proxy.no_proxy", proxy.no_proxy.clone().into());
    set("ledger.enabled", ledger.enabled.into());
    set("ledger.keep", span(ledger.keep));
    set("ledger.size", size(ledger.size));
    set("watch.probe", span(watch.probe));
    set("watch.probe_timeout", span(watch.probe_timeout));
    set("watch.stall", span(watch.stall));
    for (name, url) in upstreams {
        let table = file.entry("upstreams").or_insert_with(|| Value::Table(Table::new()));
        if let Some(table) = table.as_table_mut() {
            table.insert(name.clone(), text(url));
        }
    }
    let secret = if client_token.is_some() { "# client_token is set and not shown\n" } else { "" };
    let login = if login { "# the user and password of proxy.url are set and not shown\n" } else { "" };
    format!("{secret}{login}{file}")
}

fn text(value: impl std::fmt::Display) -> Value {
    Value::String(value.to_string())
}

/// A choice by its name in the file.
fn name(choice: &impl serde::Serialize) -> Value {
    Value::try_from(choice).unwrap_or_else(|e| unreachable!("a name is a string: {e}"))
}

fn span(duration: Duration) -> Value {
    text(humantime::format_duration(duration))
}

fn size(bytes: u64) -> Value {
    text(format_size(bytes))
}

fn count(value: usize) -> Value {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_loads_to_the_same_config() {
        let home = tempfile::tempdir().unwrap();
        let text = "listen = '127.0.0.1:9'\nworkers = 3\nclient_token = 'hush'\n[retry]\nbudget = 0.1\ntotal = '90s'\n[limits]\n\
                    header_bytes = 70001\n[upstreams]\nmine = 'https://x.example/y'";
        std::fs::write(home.path().join("config.toml"), text).unwrap();
        let config = Config::under(home.path()).unwrap();
        let shown = as_file(&config);
        assert!(!shown.contains("hush") && shown.contains("client_token is set"), "{shown}");
        std::fs::write(home.path().join("config.toml"), &shown).unwrap();
        let again = Config::under(home.path()).unwrap();
        assert_eq!(Config { client_token: None, ..config }, again);
    }

    #[test]
    fn the_login_of_a_company_proxy_is_not_shown() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), "[proxy]\nurl = 'http://me:hush@gate.corp:3128'").unwrap();
        let shown = as_file(&Config::under(home.path()).unwrap());
        assert!(shown.contains("http://gate.corp:3128") && shown.contains("are set and not shown"), "{shown}");
        assert!(!shown.contains("hush") && !shown.contains("me:"), "{shown}");
    }

    #[test]
    fn every_key_of_the_schema_is_shown() {
        let home = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = rcgen::CertificateParams::new(vec!["me".into()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(home.path().join("both.pem"), cert.pem() + &key.serialize_pem()).unwrap();
        let file = home.path().join("both.pem").display().to_string();
        let set = format!("extra_ca = '{file}'\n[tls]\nclient_cert = '{file}'\nclient_key = '{file}'\n");
        std::fs::write(home.path().join("config.toml"), set).unwrap();
        let shown: Table = as_file(&Config::under(home.path()).unwrap()).parse().unwrap();
        let template = config::default_file();
        let mut section = String::new();
        for line in template.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']').to_owned();
            } else if let Some((key, _)) = line.strip_prefix("# ").and_then(|l| l.split_once(" = "))
                && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
                && section != "upstreams"
                && key != "client_token"
            {
                let found = if section.is_empty() { shown.get(key) } else { shown.get(&section).and_then(|s| s.get(key)) };
                assert!(found.is_some(), "[{section}] {key} is not shown");
            }
        }
    }
}
