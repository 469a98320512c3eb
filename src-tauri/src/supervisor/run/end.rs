//! The picture that others see, and the orderly end: both only tell what the loop has decided.

use super::{CLOSE_LIMIT, Run};
use crate::{
    control::Wish,
    status::{Phase, Status},
    supervisor::generation::Generation,
};
use std::time::Duration;
use tokio::time::Instant;

impl Run {
    pub(super) fn phase(&self) -> Phase {
        match (self.current, &self.coming) {
            (0, _) => Phase::Starting,
            (_, Some(_)) => Phase::Restarting,
            _ => Phase::Serving,
        }
    }

    pub(super) fn show(&self) {
        self.show_as(self.phase());
    }

    pub(super) fn show_as(&self, phase: Phase) {
        let status = Status {
            phase,
            generation: self.current,
            listener: {
                let mut listener = crate::status::Listener { address: self.socket.address().to_string(), ..Default::default() };
                self.shared.counters.fill(&mut listener);
                listener
            },
            conditions: self.shared.health.visible(),
            probe: self.probe.clone(),
            upstream: self.upstream.clone(),
            sessions: self.shared.sessions.list(),
            network: self.changes.clone(),
            ..self.publish.borrow().clone()
        };
        self.publish.send_if_modified(|old| {
            (*old != status) && {
                *old = status;
                true
            }
        });
    }

    pub(super) async fn stop(mut self, drain: Duration) {
        self.socket.close();
        self.shared.counters.set_accepting(false);
        self.generations.iter().for_each(Generation::retire);
        self.show_as(Phase::Draining);
        let mut until = Instant::now() + drain;
        while self.shared.traffic.in_flight() > 0 && Instant::now() < until {
            // Somebody does not want to wait that long after all.
            while let Ok(Wish::Stop { drain }) = self.wished.try_recv() {
                until = until.min(Instant::now() + drain);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.generations.iter().for_each(Generation::close);
        let until = Instant::now() + CLOSE_LIMIT;
        while self.generations.iter().any(|g| !g.is_finished()) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // A thread that is stuck cannot be ended; the process's end takes it.
        for generation in self.generations.drain(..).filter(Generation::is_finished) {
            generation.join();
        }
        self.show_as(Phase::Stopped);
        self.ledger.end().await;
    }
}
