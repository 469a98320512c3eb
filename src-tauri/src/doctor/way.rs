//! Checks of the way to each upstream: names, connections by address family, certificates, clock, key shares.

use super::{
    context::Context,
    finding::{Finding, Verdict},
    known::inspector,
};
use crate::{
    message::{Failure, Known},
    status::faults::Cause,
    upstream::{Probed, Prober},
};
use futures_util::future::{BoxFuture, join, join_all, join3};
use serde_json::{Value, json};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use url::Url;

/// Longer and each new connection is felt.
const SLOW_NAME: Duration = Duration::from_secs(1);
/// A certificate is for minutes, a signed request too.
const SKEW: Duration = Duration::from_secs(60);
/// Tokens and certificates count in hours.
const GREAT_SKEW: Duration = Duration::from_secs(60 * 60);

/// One upstream and how it is reached.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) url: Url,
    pub(super) prober: Arc<Prober>,
}

/// A check of each upstream, all at the same time.
pub(super) async fn each(context: &Context, look: fn(Way) -> BoxFuture<'static, Finding>) -> Vec<Finding> {
    let Some(prober) = &context.prober else {
        return vec![Finding::not_run("the config is invalid, so it is not known what the upstreams are")];
    };
    let one = async |(name, url): (&String, &Url)| look(Way { url: url.clone(), prober: prober.clone() }).await.of(name);
    join_all(context.upstreams.iter().map(one)).await
}

impl Way {
    pub(super) fn host(&self) -> String {
        self.url.host_str().unwrap_or_default().to_owned()
    }

    /// One address, as the engine goes on: where the large hello breaks, the small one counts. Both at once, for the limit.
    async fn try_address(&self, address: SocketAddr) -> Result<Probed, Failure> {
        let connect = |post_quantum| self.prober.connect(&self.url, address, post_quantum);
        if self.url.scheme() != "https" || !self.prober.may_offer_post_quantum() {
            return connect(false).await;
        }
        match join(connect(true), connect(false)).await {
            (Err(large), Ok(small)) if matches!(large.cause, Cause::Tls | Cause::NotTls) => Ok(small),
            (large, _) => large,
        }
    }

    /// The addresses that there is a route to, one of each family; all are tried, and the first that connects is taken.
    pub(super) async fn connect(&self) -> Result<Probed, Failure> {
        let addresses = self.prober.addresses(&self.url).await?;
        let routed = firsts(&addresses).into_iter().filter(|address| has_route(*address));
        let mut tried = join_all(routed.map(|address| self.try_address(address))).await;
        match tried.iter().position(Result::is_ok) {
            Some(at) => tried.swap_remove(at),
            None => tried
                .into_iter()
                .next()
                .unwrap_or_else(|| Err(Failure::new(Cause::Connect, format!("there is no route to {}", self.host())))),
        }
    }
}

/// No connection, so nothing is known of what comes after it.
pub(super) fn unreached(failure: &Failure) -> Finding {
    Finding::not_run(format!("there is no connection to look at: {}", failure.detail))
}

/// One address of each family that there is.
fn firsts(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = |of: fn(&SocketAddr) -> bool| addresses.iter().copied().find(of);
    [first(SocketAddr::is_ipv4), first(SocketAddr::is_ipv6)].into_iter().flatten().collect()
}

fn family(address: SocketAddr) -> &'static str {
    if address.is_ipv4() { "ipv4" } else { "ipv6" }
}

fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn error(failure: &Failure) -> Value {
    json!({ "cause": failure.cause.as_str(), "whose": failure.cause.whose().as_str(), "detail": failure.detail })
}

pub(super) fn dns(way: Way) -> BoxFuture<'static, Finding> {
    Box::pin(async move {
        let proxy = way.prober.proxy(&way.url);
        let host = proxy.as_ref().map_or_else(|| way.host(), |proxy| proxy.host.clone());
        let whose = if proxy.is_some() { "the company proxy" } else { "the upstream" };
        let began = Instant::now();
        let found = way.prober.addresses(&way.url).await;
        let took = began.elapsed();
        let mut facts = json!({ "host": host, "of_company_proxy": proxy.is_some(), "took_ms": ms(took) });
        let addresses = match found {
            Ok(addresses) => addresses,
            Err(failure) => {
                facts["error"] = error(&failure);
                return Finding::new(Verdict::Broken, format!("{} has no address: {}.", host, failure.detail), facts)
                    .advise("look at this machine's network and name servers; after a change of VPN, connect it again");
            }
        };
        let count = |of: fn(&SocketAddr) -> bool| addresses.iter().filter(|a| of(a)).count();
        let (v4, v6) = (count(SocketAddr::is_ipv4), count(SocketAddr::is_ipv6));
        facts["ipv4"] = v4.into();
        facts["ipv6"] = v6.into();
        let said = format!("{host} ({whose}) has {v4} IPv4 and {v6} IPv6 addresses; it took {} ms.", ms(took));
        if took >= SLOW_NAME {
            return Finding::new(Verdict::Warning, said, facts)
                .advise("a name server that answers late or not at all stands before the one that does; look at their order");
        }
        Finding::new(Verdict::Ok, said, facts)
    })
}

pub(super) fn reach(way: Way) -> BoxFuture<'static, Finding> {
    Box::pin(async move {
        let addresses = match way.prober.addresses(&way.url).await {
            Ok(addresses) => addresses,
            Err(failure) => return Finding::not_run(format!("there is no address to connect to: {}", failure.detail)),
        };
        let tries = firsts(&addresses).into_iter().map(|address| {
            let way = &way;
            async move {
                if !has_route(address) {
                    return (address, None);
                }
                (address, Some(way.try_address(address).await))
            }
        });
        judge_reach(&way, join_all(tries).await)
    })
}

/// A machine without IPv6 has no route, and its absence breaks nothing. No packet is sent.
fn has_route(address: SocketAddr) -> bool {
    let own: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    UdpSocket::bind(own).is_ok_and(|socket| socket.connect(address).is_ok())
}

fn judge_reach(way: &Way, tries: Vec<(SocketAddr, Option<Result<Probed, Failure>>)>) -> Finding {
    let proxy = way.prober.proxy(&way.url);
    let rows: Vec<Value> = tries.iter().map(|(address, tried)| try_row(*address, tried.as_ref())).collect();
    let facts = json!({ "host": way.host(), "tls": way.url.scheme() == "https", "company_proxy": proxy.map(|p| p.shown()), "families": rows });
    let (mut good, mut bad, mut unrouted) = (Vec::new(), Vec::new(), Vec::new());
    for (address, tried) in &tries {
        match tried {
            None => unrouted.push(family(*address)),
            Some(Ok(probed)) => good.push(format!("{} in {} ms", family(*address), ms(probed.took))),
            Some(Err(failure)) => bad.push((family(*address), failure)),
        }
    }
    let unrouted =
        if unrouted.is_empty() { String::new() } else { format!(" There is no route for {}.", unrouted.join(" and ")) };
    let failures = || bad.iter().map(|(family, f)| format!("{family}: {}", f.detail)).collect::<Vec<_>>().join("; ");
    match (good.is_empty(), bad.first()) {
        (false, None) => Finding::new(Verdict::Ok, format!("Connected over {}.{unrouted}", good.join(" and ")), facts),
        (false, Some((family, _))) => {
            let measured = format!("Connected over {}, and not over {}.{unrouted}", good.join(" and "), failures());
            Finding::new(Verdict::Warning, measured, facts).advise(format!(
                "Leeward goes round it; agents without it may not. Have {family} mended, or switch it off on this network"
            ))
        }
        (true, Some((_, failure))) => {
            let measured = format!("Not connected: {}.{unrouted}", failures());
            let finding = Finding::new(Verdict::Broken, measured, facts);
            match advice(failure) {
                Some(advice) => finding.advise(advice),
                None => finding,
            }
        }
        (true, None) => {
            Finding::new(Verdict::Broken, format!("Not connected.{unrouted}"), facts).advise("connect this machine to a network")
        }
    }
}

fn try_row(address: SocketAddr, tried: Option<&Result<Probed, Failure>>) -> Value {
    let mut row = json!({ "family": family(address), "address": address.to_string(), "routed": tried.is_some() });
    match tried {
        None => {}
        Some(Err(failure)) => row["error"] = error(failure),
        Some(Ok(probed)) => {
            row["took_ms"] = ms(probed.took).into();
            if let Some(handshake) = &probed.handshake {
                row["tls_version"] = json!(handshake.version);
                row["key_exchange"] = json!(handshake.key_exchange);
                row["alpn"] = json!(handshake.alpn);
            }
        }
    }
    row
}

/// What helps, where the failure or its cause says it.
fn advice(failure: &Failure) -> Option<String> {
    if let Some(Known::Fact { next, .. }) = &failure.known {
        return Some(clause(next));
    }
    let by_cause = match failure.cause {
        Cause::Loop => "the upstream is Leeward itself: set `upstream` to the API",
        Cause::Connect | Cause::Tls => "a firewall, a VPN or the network is in the way; try another network",
        _ => return None,
    };
    Some(by_cause.to_owned())
}

/// A sentence's beginning as a clause.
fn clause(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_lowercase(), letters.as_str()))
}

pub(super) fn certificate(way: Way) -> BoxFuture<'static, Finding> {
    Box::pin(async move {
        if way.url.scheme() != "https" {
            return Finding::not_run("the upstream speaks no TLS");
        }
        match way.connect().await {
            Ok(probed) => trusted(&way, &probed),
            Err(failure) if failure.cause == Cause::Certificate => untrusted(&way, &failure),
            Err(failure) => unreached(&failure),
        }
    })
}

fn trusted(way: &Way, probed: &Probed) -> Finding {
    let handshake = probed.handshake.clone().unwrap_or_default();
    let Some(issuer) = handshake.issuer else { return Finding::not_known("the certificate could not be read") };
    let found = inspector(&issuer);
    let facts = json!({
        "host": way.host(), "trusted": true, "issuer": issuer, "not_after_unix_ms": handshake.not_after_unix_s.map(|s| s.saturating_mul(1000)),
        "inspector": found.as_ref().map(|i| &i.name),
    });
    match found {
        Some(inspector) => {
            let name = inspector.name;
            Finding::new(
                Verdict::Warning,
                format!("{name} inspects TLS: the certificate was issued by {issuer}. Leeward trusts it."),
                facts,
            )
            .advise("make each agent trust the company's certificate as well (NODE_EXTRA_CA_CERTS for Claude Code)")
        }
        None => Finding::new(Verdict::Ok, format!("The certificate is trusted and was issued by {issuer}."), facts),
    }
}

fn untrusted(way: &Way, failure: &Failure) -> Finding {
    let found = inspector(&failure.detail);
    let facts =
        json!({ "host": way.host(), "trusted": false, "inspector": found.as_ref().map(|i| &i.name), "error": error(failure) });
    let mut measured = format!("Not trusted: {}.", failure.detail);
    if let Some(inspector) = &found {
        measured = format!("{} inspects TLS, and Leeward does not trust it. {measured}", inspector.name);
    }
    Finding::new(Verdict::Broken, measured, facts).advise(
        "if your company inspects TLS, put its root certificate into the system's store, or name its PEM file as `extra_ca`",
    )
}

pub(super) fn clock(way: Way) -> BoxFuture<'static, Finding> {
    Box::pin(async move {
        let mut probed = match way.connect().await {
            Ok(probed) => probed,
            Err(failure) if failure.cause == Cause::Clock => {
                let facts = json!({ "host": way.host(), "error": error(&failure) });
                return Finding::new(Verdict::Broken, format!("{}.", failure.detail), facts)
                    .advise(advice(&failure).unwrap_or_else(|| "set this machine's clock".into()));
            }
            Err(failure) => return unreached(&failure),
        };
        match probed.head(way.url.path()).await {
            Err(why) => Finding::not_known(format!("{} did not say its time: {why}", way.host())),
            Ok(answered) => match answered.date {
                None => Finding::not_known(format!("{} sends no Date", way.host())),
                Some(theirs) => {
                    let mut finding = judge_clock(&way.host(), theirs, SystemTime::now());
                    finding.facts["status"] = answered.status.into();
                    finding
                }
            },
        }
    })
}

fn judge_clock(host: &str, theirs: SystemTime, own: SystemTime) -> Finding {
    let (ahead, by) = match own.duration_since(theirs) {
        Ok(by) => (true, by),
        Err(e) => (false, e.duration()),
    };
    let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
    let facts = json!({ "host": host, "ahead_s": if ahead { seconds } else { -seconds } });
    let side = if ahead { "ahead of" } else { "behind" };
    let said = format!("This machine's clock is {seconds} s {side} that of {host}.");
    if by >= GREAT_SKEW {
        Finding::new(Verdict::Broken, said, facts).advise("set this machine's clock")
    } else if by >= SKEW {
        Finding::new(Verdict::Warning, said, facts).advise("set this machine's clock")
    } else {
        Finding::new(Verdict::Ok, said, facts)
    }
}

pub(super) fn key_share(way: Way) -> BoxFuture<'static, Finding> {
    Box::pin(async move {
        if way.url.scheme() != "https" {
            return Finding::not_run("the upstream speaks no TLS");
        }
        if !way.prober.may_offer_post_quantum() {
            return Finding::not_run("the config switches post-quantum shares off (tls.key_share)");
        }
        let addresses = match way.prober.addresses(&way.url).await {
            Ok(addresses) => addresses,
            Err(failure) => return unreached(&failure),
        };
        let Some(address) = firsts(&addresses).into_iter().find(|a| has_route(*a)) else {
            return Finding::not_run("there is no route to the upstream");
        };
        let connect = |post_quantum| way.prober.connect(&way.url, address, post_quantum);
        let (large, small, padded) = join3(connect(true), connect(false), way.prober.padded(&way.url, address)).await;
        judge_shares(&way.host(), large, small, padded)
    })
}

/// `padded`: a classical hello as large as the post-quantum one. It tells whether the size or the share is what breaks.
fn judge_shares(
    host: &str,
    large: Result<Probed, Failure>,
    small: Result<Probed, Failure>,
    padded: Result<(), Failure>,
) -> Finding {
    let row = |tried: &Result<Probed, Failure>| match tried {
        Ok(probed) => {
            json!({ "ok": true, "took_ms": ms(probed.took), "key_exchange": probed.handshake.as_ref().and_then(|h| h.key_exchange.clone()) })
        }
        Err(failure) => json!({ "ok": false, "error": error(failure) }),
    };
    let full_size = match &padded {
        Ok(()) => json!({ "ok": true }),
        Err(failure) => json!({ "ok": false, "error": error(failure) }),
    };
    let facts = json!({ "host": host, "post_quantum": row(&large), "classical": row(&small), "classical_full_size": full_size });
    match (large, small) {
        (Ok(_), Ok(_)) => Finding::new(Verdict::Ok, format!("{host} and the way to it take both."), facts),
        (Err(failure), Ok(_)) if padded.is_err() => Finding::new(
            Verdict::Warning,
            format!("Hellos larger than one packet break on the way to {host}, whatever is in them ({}); a small one passes.", failure.detail),
            facts,
        )
        .advise("Leeward goes on with a small one by itself; agents that connect directly may fail. Packets of full size are lost or refused: lower the MTU of the VPN, such as to 1280, or have the firewall mended"),
        (Err(failure), Ok(_)) => Finding::new(
            Verdict::Warning,
            format!("The large post-quantum hello breaks on the way to {host} ({}); the small classical one passes.", failure.detail),
            facts,
        )
        .advise("Leeward goes on with the small one by itself; agents that connect directly may fail. A firewall on the way needs an update"),
        (Ok(_), Err(failure)) => {
            Finding::new(Verdict::Warning, format!("Only the post-quantum hello passed ({}).", failure.detail), facts)
        }
        (Err(failure), Err(_)) => unreached(&failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_the_servers() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for (seconds, verdict) in [(0, Verdict::Ok), (59, Verdict::Ok), (60, Verdict::Warning), (3600, Verdict::Broken)] {
            let by = Duration::from_secs(seconds);
            assert_eq!(judge_clock("x", now - by, now).verdict, verdict, "{seconds} s ahead");
            assert_eq!(judge_clock("x", now + by, now).verdict, verdict, "{seconds} s behind");
        }
        assert_eq!(judge_clock("x", now + Duration::from_secs(90), now).facts["ahead_s"], -90);
    }
}
