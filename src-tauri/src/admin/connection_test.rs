//! `POST /_leeward/v1/test`: the way to an upstream, step by step, by the engine's own dial. Sends no credential of an API, and
//! says of no step more than was seen.

use super::{error::Error, extract::Json, state::Admin};
use crate::upstream::{Prober, Unreached, Walk};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

/// Nobody who looks at the page waits longer.
const WITHIN: Duration = Duration::from_secs(9);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestRequest {
    /// By its name in the config; without one the default upstream.
    upstream: Option<String>,
}

/// The way to an upstream.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(super) struct ConnectionTest {
    /// Scheme, host and port.
    upstream: String,
    /// The company proxy on the way.
    company_proxy: Option<String>,
    /// Name, connection, TLS, API.
    steps: Vec<TestStep>,
}

/// One step of it.
#[derive(Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(super) struct TestStep {
    /// Which one.
    #[cfg_attr(test, ts(type = "\"dns\" | \"tcp\" | \"tls\" | \"api\""))]
    step: &'static str,
    /// What came of it. `not-known`: it could not be asked.
    #[cfg_attr(test, ts(type = "\"ok\" | \"warning\" | \"failed\" | \"not-known\" | \"not-needed\""))]
    verdict: &'static str,
    /// How long it took, where it was done.
    took_ms: Option<f64>,
    /// What was seen.
    sentence: String,
    /// What to do.
    next: Option<&'static str>,
}

pub(super) async fn run(
    State(admin): State<Arc<Admin>>,
    Json(TestRequest { upstream }): Json<TestRequest>,
) -> Result<Json<ConnectionTest>, Error> {
    let found = admin.upstreams.prober(upstream.as_deref());
    let (url, prober) = found.ok_or_else(|| Error::UnknownUpstream(upstream.unwrap_or_default()))?;
    let Ok(_one) = admin.testing.try_acquire() else {
        return Err(Error::AlreadyRuns("A test of a connection is under way; wait for its result.".into()));
    };
    Ok(Json(test(&url, &prober).await))
}

async fn test(url: &Url, prober: &Prober) -> ConnectionTest {
    let proxy = prober.proxy(url);
    let end = Instant::now() + WITHIN;
    let walk = Walk::begin();
    let dialled = timeout_at(end, prober.dial_by_steps(url, &walk)).await;
    let secured = walk.since_connected();
    let (stop, tls, api) = match dialled {
        Err(_) => (Some(Stop::Late), None, None),
        Ok(Err(why)) => (Some(Stop::Failed(why)), None, None),
        Ok(Ok(mut probed)) => {
            let tls = probed.handshake.as_ref().map(|agreed| {
                let version = agreed.version.as_deref().unwrap_or("TLS").replace("TLSv", "TLS ").replace('_', ".");
                let issuer = agreed.issuer.as_ref().map_or_else(String::new, |issuer| format!(", certificate by {issuer}"));
                format!("{version}{issuer}.")
            });
            let asked = Instant::now();
            let answered = timeout_at(end, probed.head(url.path())).await;
            let api = match answered {
                Err(_) => Api::Silent,
                Ok(Ok(answered)) => Api::Answered(answered.status),
                Ok(Err(why)) => Api::Broke(why),
            };
            (None, tls, Some((asked.elapsed(), api)))
        }
    };
    let next = proxy.as_ref().map_or_else(|| url.host_str().unwrap_or_default().to_owned(), |proxy| proxy.host.clone());
    let company_proxy = proxy.map(|proxy| proxy.shown());
    let seen = Seen {
        name: url[Position::BeforeHost..Position::AfterPort].to_owned(),
        tls_wanted: url.scheme() == "https",
        is_address: next.trim_matches(['[', ']']).parse::<IpAddr>().is_ok(),
        next: company_proxy.as_ref().map_or(next, |shown| format!("the company proxy {shown}")),
        named: walk.named(),
        connected: walk.connected(),
        secured,
        tls,
        api,
        stop,
    };
    ConnectionTest { upstream: url.origin().ascii_serialization(), company_proxy, steps: seen.steps() }
}

/// Why there is no connection.
enum Stop {
    Failed(Unreached),
    Late,
}

/// What became of the request.
enum Api {
    Answered(u16),
    Broke(String),
    Silent,
}

/// What was seen on the way.
struct Seen {
    /// The upstream, as people call it.
    name: String,
    tls_wanted: bool,
    /// Whom it was connected to: the upstream, or the company proxy before it.
    next: String,
    /// That one has no name to look up.
    is_address: bool,
    named: Option<Duration>,
    connected: Option<Duration>,
    /// From the connection until TLS was through.
    secured: Option<Duration>,
    /// What was agreed on, as a sentence.
    tls: Option<String>,
    api: Option<(Duration, Api)>,
    stop: Option<Stop>,
}

impl Seen {
    fn steps(self) -> Vec<TestStep> {
        // The first step that is not done is the one that has stopped it.
        let at = match (&self.stop, self.named, self.connected) {
            (None, ..) => None,
            (Some(_), None, None) if !self.is_address => Some("dns"),
            (Some(_), _, None) => Some("tcp"),
            (Some(_), ..) if self.tls_wanted => Some("tls"),
            (Some(_), ..) => Some("api"),
        };
        ["dns", "tcp", "tls", "api"]
            .map(|step| match &self.stop {
                Some(stop) if at == Some(step) => self.stopped(step, stop),
                _ => self.step(step),
            })
            .into()
    }

    fn stopped(&self, step: &'static str, stop: &Stop) -> TestStep {
        match stop {
            Stop::Late => done(step, "failed", None, format!("No answer within {} s.", WITHIN.as_secs())),
            Stop::Failed(Unreached { sentence, next, is_asked }) => {
                let verdict = if *is_asked { "failed" } else { "not-known" };
                TestStep { next: Some(next), ..done(step, verdict, None, format!("{sentence}.")) }
            }
        }
    }

    fn step(&self, step: &'static str) -> TestStep {
        let Self { next, name, .. } = self;
        let not_known = |why: &str| done(step, "not-known", None, why.into());
        match step {
            "dns" if self.is_address => done(step, "not-needed", None, format!("{next} is an address and needs no name.")),
            "dns" => match (self.named, self.connected) {
                (None, Some(_)) => {
                    done(step, "warning", None, format!("The name of {next} was not found; Leeward went where it was before."))
                }
                (took, _) => done(step, "ok", took, format!("The name of {next} was found.")),
            },
            "tcp" => match self.connected {
                None => not_known("There is no address to connect to."),
                took => done(step, "ok", took, format!("Connected to {next}.")),
            },
            "tls" if !self.tls_wanted => done(step, "not-needed", None, format!("{name} is asked without TLS (http://).")),
            "tls" => match &self.tls {
                None => not_known("There is no connection to secure."),
                Some(agreed) => done(step, "ok", self.secured, agreed.clone()),
            },
            _ => match &self.api {
                None => not_known("There is no connection to ask over."),
                Some((took, Api::Answered(status))) => answered(*took, *status, name),
                Some((_, Api::Broke(why))) => {
                    // What the system says of it is for the log.
                    let why = why.split(" (").next().unwrap_or_default();
                    done(step, "failed", None, format!("{name} gave no answer: {why}."))
                }
                Some((_, Api::Silent)) => {
                    done(step, "failed", None, format!("{name} gave no answer within {} s.", WITHIN.as_secs()))
                }
            },
        }
    }
}

fn answered(took: Duration, status: u16, name: &str) -> TestStep {
    let (verdict, sentence, next) = match status {
        407 => (
            "failed",
            format!("The company proxy wants a login before it forwards to {name} (407)."),
            Some("Put them into proxy.url"),
        ),
        500.. => {
            ("warning", format!("{name} is there and answers with an error of its own ({status})."), Some("Try again later"))
        }
        401 => ("ok", format!("{name} answers; it wants a key ({status}), and this test sends none."), None),
        _ => ("ok", format!("{name} answers ({status}); this test sends no key."), None),
    };
    TestStep { next, ..done("api", verdict, Some(took), sentence) }
}

fn done(step: &'static str, verdict: &'static str, took: Option<Duration>, sentence: String) -> TestStep {
    TestStep { step, verdict, took_ms: took.map(|took| (took.as_secs_f64() * 1e4).round() / 10.0), sentence, next: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn seen() -> Seen {
        Seen {
            name: "api.x".into(),
            tls_wanted: true,
            next: "api.x".into(),
            is_address: false,
            named: Some(MS),
            connected: Some(2 * MS),
            secured: Some(3 * MS),
            tls: Some("TLS 1.3.".into()),
            api: Some((4 * MS, Api::Answered(401))),
            stop: None,
        }
    }

    /// Of a way that stopped, what comes after is not there.
    fn stopped(stop: Stop, named: bool, connected: bool) -> Seen {
        let (named, connected) = (named.then_some(MS), connected.then_some(MS));
        Seen { named, connected, secured: connected, tls: None, api: None, stop: Some(stop), ..seen() }
    }

    fn failed() -> Stop {
        Stop::Failed(Unreached { sentence: "Can't reach api.x (refused)".into(), next: "Check network", is_asked: true })
    }

    #[test]
    fn each_step_says_what_was_seen_of_it_and_no_more() {
        let none = || Stop::Failed(Unreached { sentence: "Can't reach api.x".into(), next: "End programs", is_asked: false });
        let plain = |seen| Seen { tls_wanted: false, tls: None, is_address: true, named: None, ..seen };
        let api = |api| Seen { api: Some((MS, api)), ..seen() };
        for (what, seen, verdicts) in [
            ("all is well", seen(), ["ok", "ok", "ok", "ok"]),
            ("a local server", plain(seen()), ["not-needed", "ok", "not-needed", "ok"]),
            ("where it was before", Seen { named: None, ..seen() }, ["warning", "ok", "ok", "ok"]),
            ("no name", stopped(failed(), false, false), ["failed", "not-known", "not-known", "not-known"]),
            ("refused", stopped(failed(), true, false), ["ok", "failed", "not-known", "not-known"]),
            ("no descriptor", stopped(none(), true, false), ["ok", "not-known", "not-known", "not-known"]),
            ("not trusted", stopped(failed(), true, true), ["ok", "ok", "failed", "not-known"]),
            ("no name in time", stopped(Stop::Late, false, false), ["failed", "not-known", "not-known", "not-known"]),
            ("no TLS in time", stopped(Stop::Late, true, true), ["ok", "ok", "failed", "not-known"]),
            (
                "a local server is down",
                plain(stopped(failed(), false, false)),
                ["not-needed", "failed", "not-needed", "not-known"],
            ),
            ("a proxy refuses http", plain(stopped(failed(), false, true)), ["not-needed", "ok", "not-needed", "failed"]),
            ("no key", api(Api::Answered(403)), ["ok", "ok", "ok", "ok"]),
            ("no such page", api(Api::Answered(404)), ["ok", "ok", "ok", "ok"]),
            ("in trouble", api(Api::Answered(503)), ["ok", "ok", "ok", "warning"]),
            ("a login", api(Api::Answered(407)), ["ok", "ok", "ok", "failed"]),
            ("not HTTP", api(Api::Broke("the response was not HTTP".into())), ["ok", "ok", "ok", "failed"]),
            ("silent", api(Api::Silent), ["ok", "ok", "ok", "failed"]),
        ] {
            let steps = seen.steps();
            assert_eq!(steps.iter().map(|step| step.step).collect::<Vec<_>>(), ["dns", "tcp", "tls", "api"]);
            assert_eq!(steps.iter().map(|step| step.verdict).collect::<Vec<_>>(), verdicts, "{what}: {steps:?}");
            for step in steps {
                let known = step.verdict == "ok" || (step.step == "api" && step.verdict == "warning");
                assert!(step.took_ms.is_none() || known || step.verdict == "failed", "{what}: {step:?}");
                assert!(step.sentence.ends_with('.') && !step.sentence.contains("os error"), "{what}: {step:?}");
            }
        }
    }

    #[test]
    fn a_broken_answer_is_told_without_the_systems_words() {
        let seen = Seen {
            api: Some((MS, Api::Broke("the connection broke (Connection reset by peer (os error 104))".into()))),
            ..seen()
        };
        assert_eq!(seen.steps()[3].sentence, "api.x gave no answer: the connection broke.");
    }
}
