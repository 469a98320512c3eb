//! The start-up burst of an agent, played: ten connections at the same moment, direct and through Leeward.

use super::{
    context::{Context, Serving},
    finding::{Finding, Verdict},
    way::Way,
};
use crate::{config::Config, upstream::Probed};
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// As many as an agent opens when it starts, and some more.
const AT_ONCE: usize = 10;
/// Each kind of hello has its turn within the check's limit.
const TURN: Duration = Duration::from_millis(2200);
/// Leeward may try again meanwhile.
const THROUGH: Duration = Duration::from_millis(3500);
/// More than the head of any response to a HEAD.
const LONGEST_HEAD: usize = 64 << 10;

/// How a burst went.
#[derive(Debug, Default)]
struct Burst {
    done: usize,
    /// By what went wrong.
    failed: BTreeMap<String, usize>,
    took_ms: u64,
}

impl Burst {
    fn of(results: Vec<Result<(), String>>, took: Duration) -> Self {
        let mut burst = Self { took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX), ..Self::default() };
        for result in results {
            match result {
                Ok(()) => burst.done += 1,
                Err(why) => *burst.failed.entry(why).or_default() += 1,
            }
        }
        burst
    }

    fn facts(&self) -> Value {
        json!({ "connections": AT_ONCE, "succeeded": self.done, "failed": self.failed, "took_ms": self.took_ms })
    }

    fn failures(&self) -> usize {
        self.failed.values().sum()
    }

    fn reasons(&self) -> String {
        self.failed.iter().map(|(why, count)| format!("{why} {count}")).collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn direct(way: Way) -> BoxFuture<'static, Finding> {
    Box::pin(async move {
        let addresses = match way.prober.addresses(&way.url).await {
            Ok(addresses) => addresses,
            Err(failure) => return Finding::not_run(format!("there is no address to connect to: {}", failure.detail)),
        };
        let Some(address) = addresses.first().copied() else { return Finding::not_known("the upstream has no address") };
        let has_shares = way.url.scheme() == "https" && way.prober.may_offer_post_quantum();
        let small = handshakes(&way, address, false).await;
        let large = if has_shares { Some(handshakes(&way, address, true).await) } else { None };
        judge_direct(&way.host(), &small, large.as_ref())
    })
}

async fn handshakes(way: &Way, address: SocketAddr, post_quantum: bool) -> Burst {
    let one = || async {
        match timeout(TURN, way.prober.connect(&way.url, address, post_quantum)).await {
            Err(_) => Err("no-response".to_owned()),
            Ok(made) => made.map(|_: Probed| ()).map_err(|failure| failure.cause.as_str().to_owned()),
        }
    };
    let began = Instant::now();
    let results = join_all((0..AT_ONCE).map(|_| one())).await;
    Burst::of(results, began.elapsed())
}

fn judge_direct(host: &str, small: &Burst, large: Option<&Burst>) -> Finding {
    let facts = json!({ "host": host, "classical": small.facts(), "post_quantum": large.map(Burst::facts) });
    let all: Vec<(&str, &Burst)> = std::iter::once(("classical", small)).chain(large.map(|l| ("post-quantum", l))).collect();
    let failures: usize = all.iter().map(|(_, burst)| burst.failures()).sum();
    let done: usize = all.iter().map(|(_, burst)| burst.done).sum();
    if failures == 0 {
        return Finding::new(Verdict::Ok, format!("All {done} handshakes with {host} succeeded, {AT_ONCE} at a time."), facts);
    }
    let list = all.iter().filter(|(_, burst)| burst.failures() > 0);
    let list = list.map(|(kind, burst)| format!("{} of {AT_ONCE} {kind} ({})", burst.failures(), burst.reasons()));
    let measured = format!("Failed at the same moment: {}.", list.collect::<Vec<_>>().join("; "));
    if done == 0 {
        return Finding::new(Verdict::Broken, measured, facts).advise("see the rows about names and connections");
    }
    Finding::new(Verdict::Warning, measured, facts)
        .advise("an agent without Leeward loses requests when it starts; start it with `leeward wrap`")
}

pub(super) async fn through(context: &Context) -> Finding {
    let Serving::Ours { client, .. } = &context.serving else {
        return Finding::not_run(context.serving.why_not());
    };
    let address = client.address();
    if context.config.as_ref().is_some_and(|config: &Config| config.client_token.is_some()) {
        return Finding::not_run("the config asks clients for a token, and no credential is sent");
    }
    let began = Instant::now();
    let results = join_all(
        (0..AT_ONCE).map(|_| async move { timeout(THROUGH, ask(address)).await.unwrap_or_else(|_| Err("no-response".into())) }),
    );
    judge_through(address, &Burst::of(results.await, began.elapsed()))
}

/// One request of a client that knows no token: whatever the upstream answers is an answer.
async fn ask(address: SocketAddr) -> Result<(), String> {
    let broke = |e: std::io::Error| e.kind().to_string();
    let mut stream = TcpStream::connect(address).await.map_err(broke)?;
    let agent = concat!("leeward-doctor/", env!("CARGO_PKG_VERSION"));
    let request = format!("HEAD / HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broke)?;
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        if stream.read_buf(&mut head).await.map_err(broke)? == 0 {
            break;
        }
    }
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(&head).map_err(|_| "no HTTP".to_owned())?;
    let status = response.code.ok_or("no status")?;
    // Leeward names its own errors; whatever else came is the upstream's.
    let own = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("x-leeward-error"));
    match own {
        Some(code) => Err(format!("{status} {}", String::from_utf8_lossy(code.value))),
        None => Ok(()),
    }
}

fn judge_through(address: SocketAddr, burst: &Burst) -> Finding {
    let mut facts = burst.facts();
    facts["address"] = address.to_string().into();
    if burst.failures() == 0 {
        return Finding::new(
            Verdict::Ok,
            format!("All {AT_ONCE} requests through {address} were answered by the upstream."),
            facts,
        );
    }
    let measured = format!("{} of {AT_ONCE} requests through {address} failed: {}.", burst.failures(), burst.reasons());
    Finding::new(Verdict::Broken, measured, facts).advise("the rows about the upstream and `leeward status` say why")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(done: usize, failed: &[(&str, usize)]) -> Burst {
        let failed = failed.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect();
        Burst { done, failed, took_ms: 1 }
    }

    #[test]
    fn a_burst_is_judged_by_how_much_of_it_failed() {
        for (small, large, verdict, word) in [
            (burst(10, &[]), Some(burst(10, &[])), Verdict::Ok, "All 20"),
            (burst(10, &[]), None, Verdict::Ok, "All 10"),
            (burst(10, &[]), Some(burst(6, &[("tls", 4)])), Verdict::Warning, "4 of 10 post-quantum (tls 4)"),
            (burst(0, &[("connect", 10)]), None, Verdict::Broken, "10 of 10 classical (connect 10)"),
        ] {
            let finding = judge_direct("x", &small, large.as_ref());
            assert!(finding.verdict == verdict && finding.measured.contains(word), "{finding:?}");
        }
        let address = "127.0.0.1:1".parse().unwrap();
        assert_eq!(judge_through(address, &burst(10, &[])).verdict, Verdict::Ok);
        assert_eq!(judge_through(address, &burst(9, &[("no-response", 1)])).verdict, Verdict::Broken);
    }
}
