//! Silence in a stream (U14): a ping between events where the user wants one, a condition when it lasts, an end when we
//! are the ones who keep the client waiting.

use crate::health::{Code, Tracker};
use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Streams that are silent, by host; they share one condition.
#[derive(Clone, Debug, Default)]
pub(super) struct Silent(Arc<Mutex<HashMap<String, usize>>>);

impl Silent {
    fn begin(&self, health: &Tracker, host: &str, lasted: Duration) -> SilentStream {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *hosts.entry(host.to_owned()).or_default() += 1;
        let sentence = format!(
            "a response of {host} has been silent for {lasted:?}; the API may be busy, or the network may have lost the connection"
        );
        health.set(Code::StreamSilent, Some(host), sentence);
        SilentStream { all: self.clone(), health: health.clone(), host: host.to_owned() }
    }
}

/// A stream that is silent, until it speaks or ends.
#[derive(Debug)]
struct SilentStream {
    all: Silent,
    health: Tracker,
    host: String,
}

impl Drop for SilentStream {
    fn drop(&mut self) {
        let mut hosts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = hosts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                hosts.remove(&self.host);
                self.health.clear(Code::StreamSilent, Some(&self.host));
            }
        }
    }
}

/// What is due in a silent stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A ping.
    Ping,
    /// Its end: our pings have kept the client's own clocks from running for long enough.
    End,
}

/// One stream's clock. It is not set again by each frame, only looked at when it rings.
#[derive(Debug)]
pub(super) struct Silence {
    ping: Option<Duration>,
    alarm: Duration,
    heard: Instant,
    pinged: Instant,
    timer: Pin<Box<Sleep>>,
    silent: Option<SilentStream>,
}

/// While an event is on its way no ping may stand in it; this is how soon the clock looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Nothing is due any more.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

impl Silence {
    /// `ping`: after how much silence; `None`: no pings. `alarm`: how long a silence may be.
    pub(super) fn new(ping: Option<Duration>, alarm: Duration) -> Self {
        let now = Instant::now();
        let first = ping.map_or(alarm, |p| p.min(alarm));
        Self { ping, alarm, heard: now, pinged: now, timer: Box::pin(sleep_until(now + first)), silent: None }
    }

    /// Something came.
    pub(super) fn ends(&mut self) {
        self.heard = Instant::now();
        if self.silent.take().is_some() {
            self.timer.as_mut().reset(self.heard + self.alarm);
        }
    }

    /// What is due now; `between`: the stream is between two events.
    pub(super) fn poll_due(
        &mut self,
        cx: &mut Context<'_>,
        between: bool,
        all: &Silent,
        health: &Tracker,
        host: &str,
    ) -> Poll<Due> {
        loop {
            std::task::ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if now >= self.heard + self.alarm && self.silent.is_none() {
                if self.ping.is_some() {
                    return Poll::Ready(Due::End);
                }
                self.silent = Some(all.begin(health, host, self.alarm));
            }
            let mut next = if self.silent.is_some() { now + NEVER } else { self.heard + self.alarm };
            if let Some(every) = self.ping {
                let at = self.heard.max(self.pinged) + every;
                if now >= at && between {
                    self.pinged = now;
                    self.timer.as_mut().reset(next.min(now + every));
                    return Poll::Ready(Due::Ping);
                }
                next = next.min(if now >= at { now + LOOK_AGAIN } else { at });
            }
            self.timer.as_mut().reset(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const PING: Duration = Duration::from_secs(20);
    const ALARM: Duration = Duration::from_secs(290);

    #[tokio::test(start_paused = true)]
    async fn without_pings_a_long_silence_is_a_condition_until_somebody_speaks() {
        let (all, health) = (Silent::default(), Tracker::default());
        let mut silence = Silence::new(None, ALARM);
        for _ in 0..2 {
            let quiet = poll_fn(|cx| silence.poll_due(cx, true, &all, &health, "api"));
            assert!(tokio::time::timeout(ALARM - Duration::from_secs(1), quiet).await.is_err());
            assert_eq!(health.visible(), []);
            let quiet = poll_fn(|cx| silence.poll_due(cx, true, &all, &health, "api"));
            assert!(tokio::time::timeout(Duration::from_secs(2), quiet).await.is_err());
            assert_eq!(health.visible()[0].code, Code::StreamSilent);
            silence.ends();
            assert_eq!(health.visible(), []);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pings_come_between_events_only_and_end_with_the_alarm() {
        let (all, health) = (Silent::default(), Tracker::default());
        let mut silence = Silence::new(Some(PING), ALARM);
        let begun = Instant::now();
        let quiet = poll_fn(|cx| silence.poll_due(cx, false, &all, &health, "api"));
        assert!(tokio::time::timeout(PING + Duration::from_secs(5), quiet).await.is_err(), "in an event");
        let mut pings = 0;
        while poll_fn(|cx| silence.poll_due(cx, true, &all, &health, "api")).await == Due::Ping {
            pings += 1;
        }
        assert!(begun.elapsed() >= ALARM && begun.elapsed() < ALARM + Duration::from_secs(2));
        assert_eq!(pings, 1 + (ALARM - Duration::from_secs(25)).as_secs() / PING.as_secs());
    }
}
