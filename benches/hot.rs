//! Micro-benchmarks of the pure parts that every request passes: the scanner of events, the copy of a header list, the
//! decision about another attempt. `cargo bench -p leeward-bench`. Everything with a socket is measured by `cargo xtask bench`.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue};
use leeward::{
    config::Config,
    exchange::retry::{self, Attempt, Body, Kind},
    message::{headers, sse::Scanner},
    status::faults::Cause,
};
use std::{hint::black_box, time::Duration};

fn sse(c: &mut Criterion) {
    let event = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\
                 \"text\":\"calm water\"}}\n\n";
    let text = event.repeat(100);
    let mut group = c.benchmark_group("sse");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("100 events in chunks of 1 KiB, behind the commit", |b| {
        b.iter(|| {
            let mut scanner = Scanner::new(1 << 16);
            scanner.glance(false);
            text.as_bytes().chunks(1024).for_each(|chunk| scanner.feed(chunk, |kind| _ = black_box(kind)));
        });
    });
    group.finish();
}

fn header_copy(c: &mut Criterion) {
    let fields = [
        ("host", "127.0.0.1:8787"),
        ("connection", "keep-alive"),
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("user-agent", "claude-cli/2.1.0 (external, cli)"),
        ("x-api-key", "sk-none"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "interleaved-thinking-2025-05-14"),
        ("x-app", "cli"),
        ("x-stainless-lang", "js"),
        ("x-stainless-package-version", "0.60.0"),
        ("x-stainless-os", "Linux"),
        ("x-stainless-arch", "x64"),
        ("x-stainless-runtime", "node"),
        ("x-stainless-retry-count", "0"),
        ("x-stainless-timeout", "600"),
        ("accept-encoding", "gzip, deflate"),
        ("content-length", "1024"),
    ];
    let map: HeaderMap =
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    c.bench_function("headers of Claude Code, hop-by-hop removed", |b| b.iter(|| headers::strip(black_box(&map), &[])));
}

fn decision(c: &mut Criterion) {
    let home = tempfile::tempdir().unwrap();
    let policy = Config::under(home.path()).unwrap().retry;
    let attempt = Attempt {
        number: 1,
        replays: 0,
        cause: Cause::ReusedReset,
        body: Body::Held,
        kind: Kind::Inference,
        client_retries: false,
        elapsed: Duration::from_millis(40),
        retrying: Duration::from_millis(1),
        deadline: Duration::from_secs(600),
        last_pause: Duration::ZERO,
        retry_after: None,
    };
    c.bench_function("retry decision", |b| b.iter(|| retry::decide(black_box(&attempt), &policy, || true, 0.5)));
}

criterion_group!(hot, sse, header_copy, decision);
criterion_main!(hot);
