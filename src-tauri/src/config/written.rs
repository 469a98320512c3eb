//! A config as it would be written in a file: what `leeward config show` prints and the panel compares with.

use super::{Config, ProxyChoice, Trust, format_size};
use std::time::Duration;
use toml::{Table, Value};

/// The table of a file that loads to the very same config. Secrets are left out: `client_token`, and user and password of
/// `proxy.url`.
pub fn written(config: &Config) -> Table {
    // Sections are named one by one, so that a new one does not compile without a line here; a test looks after the keys.
    let Config {
        listen,
        listen_pinned: _,
        upstream,
        upstreams,
        allowed_hosts,
        client_token: _,
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
        notifications,
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
    set("notifications", (*notifications).into());
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
    set("client.greeting", span(client.greeting));
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
    let url = match &proxy.url {
        ProxyChoice::Auto => "auto".into(),
        ProxyChoice::None => "none".into(),
        ProxyChoice::Named(proxy) => proxy.shown(),
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
    file
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
