//! One agent: asks what its steps say, one after another, and notes what it saw. Judges nothing.

use crate::{
    ask::{Answers, What},
    script::{Stage, Step, Weather},
};
use aws_lc_rs::digest;
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, time::timeout};

/// Longer than anything takes that Leeward has promised; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(100);
/// Bodies from this size on are sent by few agents at once, so that all of them fit into what Leeward holds for replay.
const LARGE: usize = 1 << 20;
/// What a chunk of a body holds.
const PIECE: usize = 50_000;
/// An agent that leaves after a response's head has come leaves after this at the latest.
const LEAVE: Duration = Duration::from_millis(300);

/// What an agent saw of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saw {
    /// The whole response, and it was the right one.
    Right,
    /// A whole response of the upstream with this status.
    Status(u16),
    /// Leeward's own word.
    Told(u16, String),
    /// The response broke off, and what had come of it was right.
    Cut(String),
    /// A whole response that is not right, or the beginning of one.
    Wrong(String),
    /// Nothing within the limit.
    Hung,
    /// It did not wait for it.
    Left,
}

/// A request and what came of it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub step: Step,
    pub saw: Saw,
    /// SHA-256 of the body that was sent.
    pub sha256: String,
    pub took: Duration,
    /// `x-leeward-attempts` of the response.
    pub attempts: Option<u32>,
}

/// What all agents of a round share.
#[derive(Clone, Debug)]
pub struct Round {
    pub base: String,
    /// Names of the upstreams.
    pub upstreams: Vec<String>,
    pub weather: Weather,
    pub answers: Answers,
    pub stage: Arc<Stage>,
    /// Few large bodies at once.
    pub large: Arc<Semaphore>,
    pub until: Instant,
}

impl Round {
    /// Lives until the round is over.
    pub async fn agent(self, client: u64) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut dice = fastrand::Rng::with_seed(self.weather.seed.wrapping_add(client));
        let keeps = dice.u8(0..4) > 0;
        let http = reqwest::Client::builder().no_proxy().retry(reqwest::retry::never());
        let http = if keeps { http } else { http.pool_max_idle_per_host(0) };
        let http = http.build().unwrap();
        for nth in 0.. {
            if Instant::now() >= self.until {
                break;
            }
            let step = Step::draw(self.weather, client, nth, self.upstreams.len(), &self.answers);
            let permit = if step.padding >= LARGE { self.large.acquire().await.ok() } else { None };
            self.stage.announce(&step);
            let one = self.ask(&http, step).await;
            self.stage.leave(&one.step);
            seen.push(one);
            drop(permit);
        }
        seen
    }

    async fn ask(&self, http: &reqwest::Client, step: Step) -> Seen {
        let body = step.what.body(step.padding).unwrap_or_default();
        let sha256: String = digest::digest(&digest::SHA256, &body).as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let began = Instant::now();
        let mut attempts = None;
        let exchange = self.exchange(http, &step, body, &sha256, &mut attempts);
        let limit = match step.leaves {
            Some((after, false)) => after,
            Some((_, true)) => LEAVE,
            None => PATIENCE,
        };
        let saw = match timeout(limit, exchange).await {
            Ok(saw) => saw,
            Err(_) if step.leaves.is_some() => Saw::Left,
            Err(_) => Saw::Hung,
        };
        Seen { step, saw, sha256, took: began.elapsed(), attempts }
    }

    async fn exchange(&self, http: &reqwest::Client, step: &Step, body: Bytes, sha256: &str, attempts: &mut Option<u32>) -> Saw {
        let mut url = format!("{}/@{}{}", self.base, self.upstreams[step.upstream], step.what.path());
        if let Some(coding) = step.coding {
            url.push_str(&format!("{}coding={coding}", if url.contains('?') { '&' } else { '?' }));
        }
        let sent = body.len();
        let mut request = http.request(step.what.method(), url).header("x-soak-id", &step.id);
        // Each is a question of its own: the same one again would be an agent's own retry.
        request = request.header("x-claude-code-session-id", &step.id);
        if step.what.method() == reqwest::Method::POST {
            request = request.header("content-type", "application/json");
            request = if step.chunked { request.body(in_pieces(body)) } else { request.body(body) };
        }
        if step.retries {
            request = request.header("x-stainless-retry-count", "1");
        }
        if let Some(patience) = step.patience() {
            request = request.header("x-stainless-timeout", patience);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(e) => return Saw::Cut(format!("before the head: {}", why(&e))),
        };
        if let Some((after, true)) = step.leaves {
            tokio::time::sleep(after).await;
            return Saw::Left;
        }
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        *attempts = header("x-leeward-attempts").and_then(|v| v.parse().ok());
        let own = header("x-leeward-error");
        let coded = step.coding.filter(|_| response.headers().contains_key("content-encoding"));
        let mut got = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => got.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(e) => {
                    let right = step.what == What::Echo
                        || coded.is_some()
                        || self.answers.get(&step.what).is_none_or(|r| r.body.starts_with(&got));
                    let why = format!("after {} bytes: {}", got.len(), why(&e));
                    return if right || status != 200 { Saw::Cut(why) } else { Saw::Wrong(format!("cut {why}")) };
                }
            }
        }
        if let Some(coding) = coded {
            got = match scripted::coding::decode(coding, &got) {
                Ok(text) => text,
                Err(e) => return Saw::Wrong(format!("{} bytes that are no {coding}: {e}", got.len())),
            };
        }
        match own {
            Some(code) if step.what == What::Hello || serde_json::from_slice::<serde_json::Value>(&got).is_ok() => {
                Saw::Told(status, code)
            }
            Some(code) => Saw::Wrong(format!("Leeward's {code} is no JSON")),
            None if status != 200 => Saw::Status(status),
            None if step.what.is_right(&self.answers, &got, sent, sha256) => Saw::Right,
            None => {
                let text = String::from_utf8_lossy(&got);
                Saw::Wrong(format!("{} bytes, ending in {:?}", got.len(), text.chars().rev().take(80).collect::<String>()))
            }
        }
    }
}

/// A body of unknown length.
fn in_pieces(mut body: Bytes) -> reqwest::Body {
    let pieces = std::iter::from_fn(move || {
        let piece = body.split_to(body.len().min(PIECE));
        (!piece.is_empty()).then_some(Ok::<_, std::convert::Infallible>(piece))
    });
    reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
}

/// An error with its causes.
fn why(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// What agents saw, by id.
pub type Notes = HashMap<String, Seen>;
