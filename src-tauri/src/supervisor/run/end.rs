//! The status that others see, and the orderly end: both only report what the loop has decided.

use super::state::{Run, Tick};
use crate::{
    control::Command,
    instance,
    status::{Phase, Status},
};
use std::{path::PathBuf, time::Duration};
use tokio::{sync::oneshot, time::Instant};

type Reply<T> = oneshot::Sender<Result<T, String>>;

/// Idle connections get this long to be closed when the engine ends.
const CLOSE_LIMIT: Duration = Duration::from_millis(750);

impl Run {
    pub(super) fn phase(&self) -> Phase {
        match (self.generations.current(), self.generations.is_coming()) {
            (0, _) => Phase::Starting,
            (_, true) => Phase::Restarting,
            (_, false) => Phase::Serving,
        }
    }

    pub(super) fn show(&self) {
        self.show_as(self.phase());
    }

    pub(super) fn show_as(&self, phase: Phase) {
        let mut status = Status {
            phase,
            generation: self.generations.current(),
            listener: {
                let also = self.listener.former.iter().map(|former| former.socket.address().to_string()).collect();
                let mut listener =
                    crate::status::Listener { address: self.listener.socket.address().to_string(), also, ..Default::default() };
                self.shared.counters.fill(&mut listener);
                listener
            },
            conditions: self.shared.health.visible(),
            probe: self.probing.last.clone(),
            upstream: self.generations.upstream().to_owned(),
            sessions: self.shared.sessions.list(),
            network: self.network.changes(),
            ..self.publish.borrow().clone()
        };
        // Its first line has ages in it, and is made by whoever shows it.
        self.shared.traffic.fill(&mut status);
        self.publish.send_if_modified(|old| {
            (*old != status) && {
                *old = status;
                true
            }
        });
    }

    // === another process takes over ===

    /// Sends socket and lock to the process that waits at `to`; this one accepts on, beside it, until it confirms.
    pub(super) fn hand_over(&mut self, to: PathBuf, reply: Reply<()>) {
        let parts = match (&self.listener.lock, self.listener.socket.dup()) {
            _ if self.listener.leaving => Err("another process is taking over already".to_owned()),
            (None, _) => Err("this engine is part of another program and keeps its socket".to_owned()),
            (Some(_), Err(e)) => Err(format!("no handle of the listening socket could be made: {e}")),
            (Some(lock), Ok(socket)) => lock.share().map(|lock| (socket, lock)).map_err(|e| format!("the lock: {e}")),
        };
        match parts {
            Ok((socket, lock)) => {
                self.listener.leaving = true;
                self.listener.socket.release_other();
                self.work.spawn_blocking(move || Tick::HandedOver(reply, instance::hand_over(&to, &socket, &lock)));
            }
            Err(why) => self.stay(reply, &why),
        }
    }

    pub(super) fn stay(&mut self, reply: Reply<()>, why: &impl std::fmt::Display) {
        self.listener.leaving = false;
        self.hold_other();
        tracing::warn!("the listener was not handed over, and this engine goes on: {why}");
        reply.send(Err(format!("Nothing was handed over: {why}."))).ok(); // whoever asked may be gone
    }

    /// The other accepts. What is in flight here may finish.
    pub(super) async fn leave(self, reply: Reply<()>) {
        let drain = self.config.drain;
        tracing::info!(
            "another Leeward has taken over {}; requests in flight may finish within {drain:?}",
            self.listener.socket.address()
        );
        reply.send(Ok(())).ok();
        self.stop(drain).await;
    }

    pub(super) async fn stop(mut self, drain: Duration) {
        self.listener.socket.close();
        self.listener.former.drain(..).for_each(|former| former.given_up.cancel());
        // From here on somebody else may serve.
        self.listener.lock = None;
        self.shared.counters.set_accepting(false);
        self.generations.retire_below(u64::MAX);
        self.show_as(Phase::Draining);
        let mut until = Instant::now() + drain;
        // In this order: a request is in flight before its connection counts as having spoken.
        let traffic = &self.shared.traffic;
        let carries = || traffic.tunnels().current() > 0 || traffic.websockets().open() > 0;
        let busy = || self.shared.counters.awaiting() > 0 || traffic.in_flight() > 0 || carries();
        while busy() && Instant::now() < until {
            // Somebody does not want to wait that long after all.
            while let Ok(Command::Stop { drain }) = self.commanded.try_recv() {
                until = until.min(Instant::now() + drain);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.generations.close();
        let until = Instant::now() + CLOSE_LIMIT;
        while !self.generations.are_finished() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // A thread that is stuck cannot be ended; the process's end takes it.
        self.generations.reap();
        self.show_as(Phase::Stopped);
        self.ledger.end().await;
    }
}
