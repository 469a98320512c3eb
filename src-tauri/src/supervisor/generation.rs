//! One engine generation: a thread with a runtime of its own, an accept loop on a dup of the socket, its connections.

use super::socket::Handle;
use crate::{
    config::Config,
    control::Mode,
    inbound::{Adopt, Also, Event, Listen, Order, Pulse, Served},
    proxy::{Proxy, Shared},
    tasks::Tasks,
};
use std::{sync::Arc, thread::JoinHandle, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// What a generation is started with.
pub(super) struct Start {
    pub(super) number: u64,
    pub(super) config: Arc<Config>,
    pub(super) shared: Arc<Shared>,
    pub(super) handle: Handle,
    /// Addresses from before, and what ends accepting there.
    pub(super) also: Vec<(Handle, CancellationToken)>,
    pub(super) adopt: Adopt,
    pub(super) events: mpsc::Sender<Event>,
}

/// A generation as the supervisor holds it.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) number: u64,
    mode: watch::Sender<Mode>,
    orders: mpsc::Sender<Order>,
    pulse: Arc<Pulse>,
    /// When its pulse was last asked for.
    asked_at: Instant,
    /// Its accept loop has ended by itself; what it had accepted may go on.
    pub(super) has_ended: bool,
    thread: JoinHandle<()>,
}

/// What blocks a runtime's end is abandoned after this.
const SHUTDOWN: Duration = Duration::from_millis(500);
/// Beside the linger, a closing connection gets this long for its last bytes.
const FAREWELL: Duration = Duration::from_secs(1);

impl Generation {
    pub(super) fn start(start: Start) -> std::io::Result<Self> {
        let (mode, watched) = watch::channel(Mode::Serving);
        let closing = mode.clone();
        let (orders, taken) = mpsc::channel(4);
        let pulse = Arc::<Pulse>::default();
        let number = start.number;
        let thread = {
            let pulse = pulse.clone();
            std::thread::Builder::new()
                .name(format!("leeward-gen-{number}"))
                .spawn(move || live(start, closing, watched, taken, pulse))?
        };
        Ok(Self { number, mode, orders, pulse, asked_at: Instant::now(), has_ended: false, thread })
    }

    /// How long the accept loop has owed an answer; one that owes none is asked again.
    pub(super) fn silent_for(&mut self, now: Instant) -> Duration {
        if self.pulse.is_answered() {
            self.asked_at = now;
            self.pulse.ask();
        }
        now.duration_since(self.asked_at)
    }

    /// Orders what the accept loop does with its socket; whether there is one that may hear of it.
    pub(super) fn tell(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }

    /// Stops accepting; streams in flight go on.
    pub(super) fn retire(&self) {
        self.mode.send_if_modified(|m| {
            *m == Mode::Serving && {
                *m = Mode::Draining;
                true
            }
        });
    }

    /// Closes idle connections as well.
    pub(super) fn close(&self) {
        self.mode.send_replace(Mode::Closing);
    }

    /// True when nothing of it runs any more.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Takes the ended thread in; a panic is logged.
    pub(super) fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!(generation = self.number, "the generation's thread panicked");
        }
    }
}

/// The generation's thread.
fn live(
    start: Start,
    closing: watch::Sender<Mode>,
    mode: watch::Receiver<Mode>,
    orders: mpsc::Receiver<Order>,
    pulse: Arc<Pulse>,
) {
    let Start { number, config, shared, handle, also, adopt, events } = start;
    let Handle { socket, address, users } = handle;
    let ended = |why: String| {
        if let Err(e) = events.try_send(Event::Ended { generation: number, why }) {
            tracing::error!(generation = number, "the message to the supervisor was lost: {e}");
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.workers)
        .thread_name(format!("leeward-{number}"))
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return ended(format!("no runtime: {e}")),
    };
    runtime.block_on(async {
        let tasks = Tasks::new();
        let listener = match adopt(socket) {
            Ok(listener) => listener,
            Err(e) => return ended(format!("the socket could not be adopted: {e}")),
        };
        let (drain, farewell) = (config.drain, config.client.linger + FAREWELL);
        let proxy = Proxy::new(&config, &shared, address, tasks.clone(), mode.clone());
        tasks.spawn(proxy.clone().sweep());
        tasks.spawn(proxy.clone().follow_network());
        let inbound = proxy.inbound();
        let mut beside = JoinSet::new();
        for (Handle { socket, address, users }, given_up) in also {
            match adopt(socket) {
                Ok(listener) => {
                    let served = Served { inbound: inbound.clone(), local: address, users };
                    beside.spawn(Also { served, listener, given_up }.run());
                }
                Err(e) => tracing::error!("the address from before ({address}) could not be adopted: {e}"),
            }
        }
        let mut accepting = JoinSet::new();
        accepting.spawn(
            Listen {
                served: Served { inbound, local: address, users },
                generation: number,
                listener: Some(listener),
                orders,
                adopt,
                events: events.clone(),
                pulse,
            }
            .run(),
        );
        if let Some(Err(e)) = accepting.join_next().await {
            ended(format!("the accept loop ended: {e}"));
        }
        let mut mode = mode;
        // Whoever ends it, its streams may finish.
        if mode.wait_for(|m| *m != Mode::Serving).await.is_ok() {
            tokio::select! {
                () = proxy.drained() => {}
                _ = timeout(drain, mode.wait_for(|m| *m == Mode::Closing)) => {}
            }
            // Asked to close, or out of time: idle connections get their farewell before anything is cut.
            closing.send_replace(Mode::Closing);
            if timeout(farewell, proxy.drained()).await.is_err() {
                tracing::warn!(generation = number, "the drain's limit is over; what is left is cut");
            }
        }
        tasks.abort_all();
    });
    runtime.shutdown_timeout(SHUTDOWN);
    tracing::debug!(generation = number, "ended");
}
