//! One request's attempts, in the only retry loop: failures put to `retry`, what was repaired counted. `sending` sends, and
//! `arriving` buffers responses as far as they must be.
//!
//! The loop serves before the response's head has gone out (`request`) and after (`deferred`). Passes nothing on itself.

mod arriving;

use super::{
    arrived::{Arrived, Buffering},
    context::RequestContext,
    hints,
    look::{self, Look},
    retry::{self, Attempt, Kind, Verdict},
};
use crate::{
    health::Code,
    message::{Failure, Payload, RequestHead},
    status::faults::{Cause, Outcome},
    upstream::Replaying,
};
use http::{HeaderValue, Uri, header::ACCEPT_ENCODING};
use std::{cell::Cell, time::Duration};
use tokio::time::Instant;

/// A request and its attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) context: RequestContext,
    /// Attempts made so far.
    pub(super) number: u32,
    /// Time spent waiting for the client or the upstream: not Leeward's own.
    pub(super) waited: Duration,
    /// When the client itself gives up.
    pub(super) deadline: Instant,
    pub(super) head: RequestHead,
    pub(super) payload: Payload,
    pub(super) body: retry::Body,
    client_retries: bool,
    replays: u32,
    /// The next attempt needs a connection that has served nobody.
    pub(super) fresh: bool,
    pause: Duration,
    pub(super) began: Instant,
    /// When the last attempt failed, until the next one has a connection.
    pub(super) failed: Option<Instant>,
    /// Time between failures and the next attempt's connection. What an attempt itself took is no retrying: a response
    /// that breaks off after minutes is asked for as often as one that breaks off at once.
    pub(super) retried: Duration,
    pub(super) patience: Duration,
    /// When the client must hear something of a stream that is still held back.
    speak_by: Option<Instant>,
    /// The client has the response's head: it is kept waiting with pings for as long as it takes.
    head_sent: bool,
    /// What the whole body says, once somebody had to know.
    look: Option<Look>,
    /// The present attempt is a replay.
    replaying: Option<Replaying>,
    /// What tells the request from others, once somebody had to know.
    mark: Option<u64>,
}

/// An attempt that failed.
struct Failed {
    failure: Failure,
    /// The response that says "not now", and how long it asks to wait.
    declined: Option<(Box<Arrived>, Duration)>,
}

/// What follows a failure.
enum Next {
    Attempt,
    Nothing,
    /// Nothing, because others were tried so often.
    Spent,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, declined: None }
    }
}

impl Attempts {
    /// `patience`: how long the client waits for this request in all; `waited`: how long Leeward has waited for its body.
    pub(super) fn new(
        context: RequestContext,
        (head, payload): (RequestHead, Payload),
        patience: Duration,
        waited: Duration,
    ) -> Self {
        let body = match payload {
            Payload::Held(_) => retry::Body::Held,
            Payload::Stream(_) | Payload::Spent => retry::Body::Untouched,
        };
        let now = Instant::now();
        let client_retries = hints::says_it_retries(&head.headers);
        Self {
            context,
            number: 0,
            waited,
            deadline: now + patience,
            head,
            payload,
            body,
            client_retries,
            replays: 0,
            fresh: false,
            pause: Duration::ZERO,
            began: now,
            failed: None,
            retried: Duration::ZERO,
            patience,
            speak_by: None,
            head_sent: false,
            look: None,
            replaying: None,
            mark: None,
        }
    }

    /// Tries until there is a response that its client may see, as far as that takes; goes on with `begun` where that is given.
    ///
    /// # Errors
    /// The failure that is not tried again.
    pub(super) async fn next(&mut self, mut begun: Option<Buffering>) -> Result<Arrived, Failure> {
        loop {
            let attempt = match begun.take() {
                Some(buffering) => self.buffer(buffering).await.map_err(Failed::from),
                None => self.attempt().await,
            };
            let Failed { failure, declined } = match attempt {
                Ok(arrived) => {
                    self.replaying.take().into_iter().for_each(Replaying::succeeded);
                    return Ok(arrived);
                }
                Err(failed) => failed,
            };
            match self.wait_before_retry(&failure, declined.as_ref().map(|(_, wait)| *wait)).await {
                Next::Attempt => {}
                Next::Nothing => return declined.map_or(Err(failure), |(arrived, _)| Ok(*arrived)),
                Next::Spent => return declined.map_or_else(|| Err(self.spent(failure)), |(arrived, _)| Ok(*arrived)),
            }
        }
    }

    /// Whether sending it twice would do more than cost its tokens twice. Only whoever is about to asks, as the whole body is read.
    fn has_effect(&mut self) -> bool {
        let payload = &self.payload;
        self.context.operation.kind == Kind::Inference && self.look.get_or_insert_with(|| look::whole(payload)).has_effect
    }

    /// What the upstream is asked for.
    pub(super) fn target(&self) -> &Uri {
        &self.head.target
    }

    /// The client has the head of a response: from here on it is kept waiting with pings.
    pub(super) fn head_is_sent(&mut self) {
        self.head_sent = true;
        self.ask_for_plain_text(); // the client was told that nothing is compressed
    }

    /// What the client learns of them: how many, and whether the request was too large to be sent again.
    pub(super) fn header(&self) -> HeaderValue {
        if self.body == retry::Body::Held || self.context.operation.kind == Kind::NotReplayable {
            return HeaderValue::from(self.number);
        }
        HeaderValue::try_from(format!("{}; not-replayable", self.number)).unwrap_or_else(|_| HeaderValue::from(self.number))
    }

    /// A response that is to be buffered must be readable: pings cannot stand in a compressed stream.
    pub(super) fn ask_for_plain_text(&mut self) {
        if self.head.headers.contains_key(ACCEPT_ENCODING) {
            self.head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
    }

    /// The failure of a request that would be tried again if others had not been so often.
    fn spent(&self, failure: Failure) -> Failure {
        let origin = &self.context.upstream.origin;
        let host = &origin.endpoint.host;
        origin.budget.tell();
        let sentence = format!(
            "so many requests to {host} were sent again that the budget for it is spent, and further ones fail (retry.budget, retry.budget_floor)"
        );
        self.context.exchange.health.set(Code::RetryBudgetSpent, Some(host), sentence);
        let detail = format!("{}; it was not sent again, because the budget for that is spent (retry.budget)", failure.detail);
        let says = format!("the budget for sending again is spent; {}", failure.told(&origin.endpoint.name()).says);
        Failure { detail, ..failure }.fact(says, "Raise retry.budget")
    }

    /// Asks whether the request is tried again after this failure; when it is, counts it and waits out the pause.
    async fn wait_before_retry(&mut self, failure: &Failure, retry_after: Option<Duration>) -> Next {
        self.replaying.take().into_iter().for_each(Replaying::failed);
        let failed = *self.failed.get_or_insert_with(Instant::now);
        if retry::may_have_run(failure.cause) && self.body == retry::Body::Held && self.has_effect() {
            self.context.operation.kind = Kind::NotReplayable;
        }
        if let Some(mark) = self.mark_after(failure.cause) {
            self.client_retries |= self.context.exchange.shared.repeats.is_one(mark);
        }
        let attempt = Attempt {
            number: self.number,
            replays: self.replays,
            cause: failure.cause,
            body: self.body,
            kind: self.context.operation.kind,
            client_retries: self.client_retries,
            elapsed: self.began.elapsed(),
            retrying: self.retried + failed.elapsed(),
            deadline: self.context.repair.limit().map_or(self.patience, |limit| limit * 2),
            last_pause: self.pause,
            retry_after,
        };
        let exchange = &self.context.exchange;
        let policy = self.context.repair.policy(&exchange.config.retry);
        let (budget, first) = (&self.context.upstream.origin.budget, self.replays == 0);
        let (after, fresh, replay) = loop {
            let refused = Cell::new(false);
            let withdraw = || {
                let taken = budget.withdraw(first);
                refused.set(!taken);
                taken
            };
            match retry::decide(&attempt, &policy, withdraw, fastrand::f64()) {
                Verdict::Retry { after, fresh, replay } => break (after, fresh, replay),
                Verdict::Pass if !refused.get() => return Next::Nothing,
                Verdict::Pass if budget.may_have_more(first, policy.total.min(self.patience / 2)).await => {}
                Verdict::Pass => return Next::Spent,
            }
        };
        self.context.ticket.retries(failure.cause, self.number, replay);
        let after = if replay { after.max(self.context.repair.pause(&policy, self.replays, self.pause)) } else { after };
        if replay {
            self.replays += 1;
            self.replaying = Some(Replaying::new(budget));
            exchange.traffic.replay(
                self.context.operation.kind == Kind::Inference && matches!(failure.cause, Cause::FreshReset | Cause::LateReset),
            );
        }
        tracing::debug!(origin = %self.context.upstream.origin.endpoint, cause = failure.cause.as_str(), attempt = self.number, "trying again: {}", failure.detail);
        // Once a fresh connection is due it stays due, also when dialling it fails.
        (self.fresh, self.pause) = (self.fresh || fresh, after);
        if !after.is_zero() {
            let waiting = Instant::now();
            tokio::time::sleep(after).await;
            self.waited += waiting.elapsed();
        }
        Next::Attempt
    }

    /// No more attempts: the request, for whoever passes the response on, and how many attempts it took.
    pub(super) fn into_context(self) -> (RequestContext, u32) {
        (self.context, self.number)
    }

    /// The mark of a request that may have run: an inference whose agent will send it again.
    fn mark_after(&mut self, cause: Cause) -> Option<u64> {
        if !retry::may_have_run(cause) || self.context.operation.kind != Kind::Inference || self.body != retry::Body::Held {
            return None;
        }
        let (repeats, head, payload) = (&self.context.exchange.shared.repeats, &self.head, &self.payload);
        Some(*self.mark.get_or_insert_with(|| repeats.mark(head, payload)))
    }

    /// The request has failed for good: counted and logged; the caller reports it to the client.
    pub(super) fn fail(mut self, failure: &Failure) {
        if let Some(mark) = self.mark_after(failure.cause) {
            self.context.exchange.shared.repeats.note(mark);
        }
        self.context.ticket.ends_as(Outcome::Failed);
        self.context.ticket.failed_with(failure.cause, self.number);
        tracing::warn!(origin = %self.context.upstream.origin.endpoint, cause = failure.cause.as_str(), attempts = self.number, "failed: {}", failure.detail);
    }
}
