//! The check of company proxies: which one stands on the way, whether it lets us through, and the traps of NO_PROXY.

use super::{
    context::Context,
    finding::{Finding, Verdict},
    way::{Way, each},
};
use crate::{
    config::{NoProxy, ProxyChoice},
    status::faults::Cause,
};
use futures_util::future::BoxFuture;
use serde_json::json;

/// Pairs of spellings: programs differ in which one they read.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];

pub(super) async fn proxy(context: &Context) -> Vec<Finding> {
    let mut findings = vec![environment(context)];
    findings.extend(each(context, passes).await);
    findings
}

/// Whether the proxy on the way makes the connection.
fn passes(way: Way) -> BoxFuture<'static, Finding> {
    Box::pin(async move {
        let Some(proxy) = way.prober.proxy(&way.url) else {
            let facts = json!({ "host": way.host(), "company_proxy": null });
            return Finding::new(Verdict::Ok, "There is no company proxy on the way.", facts);
        };
        let facts = |cause: Option<Cause>| {
            json!({
                "host": way.host(), "company_proxy": proxy.shown(), "from": proxy.source, "login": proxy.login.is_some(),
                "cause": cause.map(Cause::as_str),
            })
        };
        let addresses = match way.prober.addresses(&way.url).await {
            Ok(addresses) => addresses,
            Err(failure) => {
                return Finding::new(
                    Verdict::Broken,
                    format!("{proxy} has no address: {}.", failure.detail),
                    facts(Some(failure.cause)),
                )
                .advise(format!("mend {} or take it out", proxy.source));
            }
        };
        let Some(address) = addresses.first() else { return Finding::not_known("the proxy has no address") };
        match way.prober.connect(&way.url, *address, way.prober.may_offer_post_quantum()).await {
            Ok(_) => Finding::new(Verdict::Ok, format!("{proxy} makes connections to {}.", way.host()), facts(None)),
            Err(failure) if failure.cause == Cause::ProxyLogin => {
                Finding::new(Verdict::Broken, format!("{}.", failure.detail), facts(Some(failure.cause)))
                    .advise(format!("write user and password into {} (http://USER:PASSWORD@HOST:PORT)", proxy.source))
            }
            Err(failure) if failure.cause == Cause::CompanyProxy => Finding::new(
                Verdict::Broken,
                format!("{}.", failure.detail),
                facts(Some(failure.cause)),
            )
            .advise(format!("mend {}, or ask who runs the proxy to allow {}", proxy.source, way.host())),
            Err(failure) => Finding::not_known(format!("the way on from {proxy} failed: {}", failure.detail)),
        }
    })
}

/// What agents read of proxies, and where it keeps them from Leeward.
fn environment(context: &Context) -> Finding {
    let whose = context.place.whose();
    let both = |name: &str| [context.var(name), context.var(&name.to_ascii_lowercase())];
    let is_set = |name: &str| both(name).iter().any(Option::is_some);
    let set: Vec<&str> = VARIABLES.into_iter().filter(|name| is_set(name)).collect();
    let differ: Vec<&str> =
        VARIABLES.into_iter().filter(|name| matches!(both(name), [Some(upper), Some(lower)] if upper != lower)).collect();
    let proxied = VARIABLES[..3].iter().any(|name| is_set(name));
    let lists: Vec<String> = both("NO_PROXY").into_iter().flatten().collect();
    let address = context.address();
    let spared = |list: &String| {
        address.is_some_and(|a| NoProxy::parse(std::slice::from_ref(list)).contains(&a.ip().to_string(), a.port()))
    };
    // Of two lists an agent reads one, and nobody knows which.
    let hides = proxied && (lists.is_empty() || !lists.iter().all(spared));
    // Ranges and patterns are read by some programs only.
    let is_plain = |entry: &str| {
        let spelled = address.map(|a| a.ip().to_string()).unwrap_or_default();
        entry == "*" || entry.eq_ignore_ascii_case("localhost") || entry.trim_matches(['[', ']']) == spelled
    };
    let in_pattern = |list: &String| !list.split([',', ' ']).map(str::trim).any(is_plain);
    let half = proxied && !hides && lists.iter().any(in_pattern);
    let odd: Vec<&str> =
        lists.iter().flat_map(|list| list.split([',', ' ', ';'])).filter(|entry| entry.contains("://")).collect();
    let config = context.config.as_ref().map(|config| &config.proxy);
    let own: Vec<String> = match (config, address) {
        (Some(proxying), Some(address)) => proxying.clone().without(address).dropped.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let from_config = config.map(|proxying| match &proxying.url {
        ProxyChoice::Auto => "auto".to_owned(),
        ProxyChoice::None => "none".to_owned(),
        ProxyChoice::Named(proxy) => proxy.shown(),
    });
    let facts = json!({
        "variables": set, "spellings_differ": differ, "loopback_is_spared": !hides, "by_a_pattern": half, "urls_in_no_proxy": odd.len(),
        "leeward_itself": own, "proxy_url": from_config,
    });
    let mut traps = Vec::new();
    if hides {
        traps.push(format!(
            "a proxy variable is set and NO_PROXY does not spare {}, so agents ask the proxy for Leeward",
            address.map_or_else(|| "127.0.0.1".into(), |a| a.ip().to_string())
        ));
    }
    if half {
        traps.push("NO_PROXY spares this machine by a range or a pattern, which not every program understands".into());
    }
    if !differ.is_empty() {
        traps.push(format!("{} and its lower-case spelling differ, and programs read either", differ.join(", ")));
    }
    if !odd.is_empty() {
        traps.push("NO_PROXY has URLs in it, where it wants hosts".into());
    }
    if !own.is_empty() {
        traps.push(format!("{} is Leeward itself, which it ignores", own.join(", ")));
    }
    if traps.is_empty() {
        let said = if set.is_empty() {
            format!("No proxy variable is set {whose}.")
        } else {
            "The proxy variables agree and spare Leeward.".to_owned()
        };
        return Finding::new(Verdict::Ok, said, facts);
    }
    let finding = Finding::new(Verdict::Warning, format!("What is set {whose}: {}.", traps.join("; ")), facts);
    if hides || half {
        finding.advise("set NO_PROXY=localhost,127.0.0.1,::1 in both spellings; `leeward wrap` does that for its agent")
    } else {
        finding
    }
}
