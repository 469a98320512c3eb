//! An origin's dials: when one begins, what becomes of it, and what its failure means for those who wait.

use super::{
    origin::{CONDITIONS, Inner, Origin},
    permit::{ConnectionPermit, Dialing},
};
use crate::{
    health::Code,
    message::{Failure, Told},
    status::faults::Cause,
    upstream::{
        circuit::{Tell, Turn},
        connection::Connection,
        dial::Dial,
    },
};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

/// A plain connection counts as being made until it has answered or this has passed: the system accepts it before the
/// upstream does, and one that has too many resets it only then. TLS needs no such time, as its handshake is a response.
pub(super) const SETTLE: Duration = Duration::from_millis(250);
impl Origin {
    pub(super) fn dial_more(self: &Arc<Self>, inner: &mut Inner) {
        let (now, waiting) = (Instant::now(), inner.waiters.count());
        let wanted = inner.circuit.wanted(now, waiting);
        while inner.dialing < wanted && inner.open + inner.dialing < self.config.pool.size {
            match inner.circuit.turn(now, inner.dialing + inner.settling) {
                Turn::Now if inner.dialing < waiting => self.dial(inner, false),
                Turn::Now if self.budget.spare() => self.dial(inner, true),
                // No spare ones now.
                _ if inner.dialing >= waiting => return,
                Turn::Now => return,
                Turn::At(when) => return self.look_again(inner, when),
                Turn::AfterOthers => return,
            }
        }
    }

    /// Nobody waits: no alarm. So an origin without traffic is not probed.
    pub(super) fn look_again(self: &Arc<Self>, inner: &mut Inner, when: Instant) {
        if inner.alarm.is_some_and(|at| at <= when) {
            return;
        }
        inner.alarm = Some(when);
        let origin = self.clone();
        self.tasks.spawn(async move {
            sleep_until(when).await;
            let mut inner = origin.lock();
            if inner.alarm == Some(when) {
                inner.alarm = None;
            }
            origin.dial_more(&mut inner);
        });
    }

    /// `spare`: nobody waits for it, and the budget has paid for it.
    pub(super) fn dial(self: &Arc<Self>, inner: &mut Inner, spare: bool) {
        inner.dialing += 1;
        let (origin, network) = (self.clone(), self.network.subscribe());
        self.tasks.spawn(async move {
            // Not before it runs: a runtime that ends drops the task at once, under the lock that is held here.
            let dialing = Dialing::new(&origin);
            origin.dial_one(dialing, network, spare).await;
        });
    }

    async fn dial_one(self: Arc<Self>, dialing: Dialing, mut network: watch::Receiver<u64>, spare: bool) {
        let began = Instant::now();
        let in_network = *network.borrow_and_update();
        let tunnelled = self.tunnelled;
        let dial = Dial { tunnelled, ..Dial::new(&self.endpoint, &self.config, &self.context, &self.budget) };
        let dialled = tokio::select! {
            biased;
            // Whatever came of it would be about a network that is gone.
            _ = network.changed() => {
                if spare {
                    self.budget.refund();
                }
                let mut inner = self.lock();
                dialing.done(&mut inner);
                return self.dial_more(&mut inner);
            }
            dialled = dial.run() => dialled,
        };
        let mut settled = None;
        let made = match dialled {
            Err(failure) => Err(failure),
            Ok(mut dialled) => {
                let (permit, proof) = ConnectionPermit::new(&self, in_network, self.endpoint.tls, spare);
                settled = proof;
                {
                    let mut inner = self.lock();
                    inner.open += 1;
                    dialled.dial_faults.iter().for_each(|_| inner.circuit.slow_down(began));
                    dialled.dial_faults.append(&mut inner.dial_faults);
                }
                Connection::new(dialled, Box::new(permit), self.config.limits.header_count)
                    .await
                    .map_err(|e| format!("the connection to {} broke at once ({e})", self.endpoint))
                    .and_then(|mut connection| {
                        let gone = || format!("{} broke the connection as soon as it was made", self.endpoint);
                        if connection.is_usable() { Ok(connection) } else { Err(gone()) }
                    })
                    .map_err(|why| {
                        self.budget.charge(1);
                        Failure::new(Cause::Connect, why)
                    })
            }
        };
        self.traffic.dial(made.is_ok());
        self.report(made.as_ref().err());
        match made {
            Ok(connection) => {
                let (now, pause) = (Instant::now(), self.budget.pause());
                {
                    let mut inner = self.lock();
                    dialing.done(&mut inner);
                    let open = inner.open;
                    inner.sockets.add(connection.handle(), open);
                    inner.circuit.succeeded(now, pause);
                    inner.circuit.rate.took(now - began);
                    inner.settling += usize::from(settled.is_some());
                }
                self.release(connection, true);
            }
            Err(failure) => {
                tracing::debug!(origin = %self.endpoint, cause = failure.cause.as_str(), "{}", failure.detail);
                settled = None;
                if spare {
                    // It was charged as one that was tried in vain.
                    self.budget.refund();
                }
                let pause = self.budget.pause();
                let mut inner = self.lock();
                dialing.done(&mut inner);
                match inner.circuit.failed(Instant::now(), &failure, pause) {
                    Tell::One => inner.waiters.tell(&failure, 1),
                    Tell::Everybody => inner.waiters.tell(&failure, usize::MAX),
                    // Whoever waits learns of no fault, but one was repaired for him.
                    Tell::Nobody if inner.circuit.opened().is_none() => inner.remember(failure.cause),
                    Tell::Nobody => {}
                }
            }
        }
        self.dial_more(&mut self.lock());
        if let Some(settled) = settled {
            // A response or the end of the connection ends it as well as the time does.
            timeout(SETTLE, settled).await.ok();
            let mut inner = self.lock();
            inner.settling -= 1;
            self.dial_more(&mut inner);
        }
    }

    pub(super) fn report(&self, failure: Option<&Failure>) {
        let told = failure.map(|f| (f.cause, f.told(&self.endpoint.name())));
        match told.clone() {
            None => self.reaching.succeeded(),
            Some((cause, Told { says, unreached, next })) => self.reaching.failed(cause, unreached, says, next),
        }
        let subject = Some(self.endpoint.host.as_str());
        if failure.is_none() && !self.unwell.swap(false, Relaxed) {
            return;
        }
        // What stands is what the last dial met.
        let code = failure.map(|f| {
            self.unwell.store(true, Relaxed);
            match f.cause {
                Cause::Certificate | Cause::Clock => Code::CertificateUntrusted,
                Cause::CompanyProxy | Cause::ProxyLogin => Code::CompanyProxy,
                _ => Code::UpstreamUnreachable,
            }
        });
        for other in CONDITIONS {
            if Some(other) != code {
                self.health.clear(other, subject);
            }
        }
        if let (Some(code), Some((_, told))) = (code, told) {
            let by_itself = if told.unreached.is_some() { "; Leeward retries by itself" } else { "" };
            self.health.set(code, subject, format!("{}. {}{by_itself}.", told.sentence(), told.next));
        }
    }
}
