//! The supervisor's loop: one closed set of things that can happen, one place that reacts to them.

mod begin;
mod end;
mod look;
mod release;

pub(super) use begin::Parts;

use release::SocketRelease;

use super::{
    Refilter, Reload,
    generation::{Generation, Start},
    socket::Socket,
};
use crate::{
    config::Config,
    control::{Command, Restarted},
    health::Code,
    inbound::{Adopt, Event},
    instance::Lock,
    ledger::Ledger,
    network::{Network, NetworkNews},
    proxy::Shared,
    second,
    status::{Probe, Status},
};
use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, mpsc as std_mpsc},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};

/// The config file and a taken port are looked at every so many seconds; the socket, pulse, backlog and ended generations each
/// second.
const SLOW_TICKS: u64 = 2;
/// A new generation accepts in milliseconds; one that does not within this is given up.
const GENERATION_LIMIT: Duration = Duration::from_secs(3);
/// Pauses between attempts to bind a lost socket again.
const REBIND: Duration = Duration::from_millis(10);
/// So often in a row, without one success, may a socket that looks alive be suspected before it is bound again.
const SUSPICIONS: u32 = 3;
/// Generations that are started on our own account keep at least this distance, so that a fault cannot make a storm.
const AUTO_DISTANCE: Duration = Duration::from_millis(200);
/// Idle connections get this long to be closed when the engine ends.
const CLOSE_LIMIT: Duration = Duration::from_millis(750);

/// The thread's body.
pub(super) fn run(parts: Parts) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            parts.ready.try_send(Err(format!("no runtime for the supervisor: {e}"))).ok();
            return;
        }
    };
    runtime.block_on(Run::new(parts).live());
}

/// A generation that is coming up, and who waits for it.
struct PendingGeneration {
    number: u64,
    since: Instant,
    upstream: String,
    config_error: Option<String>,
    replies: Vec<Reply>,
    /// Commands that came when its config had been read already: they get a generation of their own.
    later: Option<Vec<Reply>>,
}

/// What tells of changes of the network.
type Source = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where somebody waits to hear how a restart went.
type Reply = oneshot::Sender<Result<Restarted, String>>;

/// What woke the loop.
enum Tick {
    Command(Option<Command>),
    Event(Option<Event>),
    Watch,
    Overdue,
    Rebind,
    Parted,
    Probe,
    Probed(bool, Duration),
    HandedOver(oneshot::Sender<Result<(), String>>, std::io::Result<()>),
    Free(SocketAddr, bool),
    Network(Option<NetworkNews>),
    SourceEnded(Result<(), JoinError>),
}

struct Run {
    config: Arc<Config>,
    reload: Reload,
    refilter: Option<Refilter>,
    shared: Arc<Shared>,
    socket: Socket,
    lock: Option<Lock>,
    /// Somebody is about to take over.
    leaving: bool,
    publish: watch::Sender<Status>,
    commanded: mpsc::Receiver<Command>,
    /// Tells the generations of changes of the network.
    network: watch::Sender<Network>,
    news: mpsc::Receiver<NetworkNews>,
    /// Tells of changes of the network, from the loop's beginning on.
    source: Option<Source>,
    /// The changes so far, as others see them.
    changes: crate::status::Network,
    /// Outlives every generation, so that it hears the last fault.
    ledger: Ledger,
    adopt: Adopt,
    ready: Option<std_mpsc::SyncSender<Result<(), String>>>,
    events: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    /// All that still run; the last one that accepted is `current`.
    generations: Vec<Generation>,
    current: u64,
    /// The default upstream of the current generation.
    upstream: String,
    next: u64,
    pending: Option<PendingGeneration>,
    rebind_at: Option<Instant>,
    releasing: Option<SocketRelease>,
    /// Partings so far.
    releases: u64,
    /// Who asked for a restart while there was no socket.
    due: Option<Vec<Reply>>,
    /// When an accept loop that owes its pulse is given up, where that is before the next tick.
    overdue_at: Option<Instant>,
    probe_at: Instant,
    probing: bool,
    /// Something was mended since the probe began that is under way.
    mended: bool,
    probe: Option<Probe>,
    work: JoinSet<Tick>,
    ticks: u64,
    /// Accepted and failed connections when connections were seen waiting.
    stuck: Option<(u64, u64, Instant)>,
    last_auto: Option<Instant>,
    /// Suspicions against the socket in a row, and the connections accepted when the first of them came.
    suspected: (u32, u64),
    file_seen: Option<SystemTime>,
}

impl Run {
    async fn live(mut self) {
        self.start_generation(Vec::new(), None);
        let mut source: JoinSet<()> = self.source.take().into_iter().collect();
        let mut watch = second::ticks();
        loop {
            let tick = tokio::select! {
                command = self.commanded.recv() => Tick::Command(command),
                event = self.events.1.recv() => Tick::Event(event),
                _ = watch.tick() => Tick::Watch,
                () = sleep_until(self.overdue_at.unwrap_or_else(Instant::now)), if self.overdue_at.is_some() => Tick::Overdue,
                () = sleep_until(self.rebind_at.unwrap_or_else(Instant::now)), if self.rebind_at.is_some() => Tick::Rebind,
                () = sleep_until(self.releasing.as_ref().map_or_else(Instant::now, |p| p.until)), if self.releasing.is_some() => Tick::Parted,
                () = sleep_until(self.probe_at), if !self.probing && self.current > 0 => Tick::Probe,
                Some(Ok(done)) = self.work.join_next() => done,
                news = self.news.recv() => Tick::Network(news),
                Some(ended) = source.join_next() => Tick::SourceEnded(ended),
            };
            match tick {
                Tick::Command(Some(Command::Restart { reply })) => self.restart(vec![reply]),
                Tick::Command(Some(Command::HandOver { to, reply })) => self.hand_over(to, reply),
                Tick::Command(Some(Command::Stop { drain })) => return self.stop(drain).await,
                Tick::Command(None) => return self.stop(Duration::ZERO).await,
                Tick::Event(Some(event)) => self.react(event),
                Tick::Event(None) => {} // we hold a sender ourselves
                Tick::Watch => self.look(),
                Tick::Overdue => self.look_for_pulse(),
                Tick::Rebind => self.rebind(),
                Tick::Parted => self.parted(),
                Tick::Probe => self.start_probe(),
                Tick::HandedOver(reply, Ok(())) => return self.leave(reply).await,
                Tick::HandedOver(reply, Err(why)) => self.stay(reply, &why),
                Tick::Probed(ok, took) => self.probed(ok, took),
                Tick::Free(address, free) => self.port_free(address, free),
                Tick::Network(Some(news)) => self.network_news(news),
                Tick::Network(None) => return self.stop(Duration::ZERO).await,
                Tick::SourceEnded(ended) => source_ended(ended),
            }
            self.show();
        }
    }

    // === generations ===

    /// Starts the next generation; the present one goes on until the new one accepts.
    fn start_generation(&mut self, replies: Vec<Reply>, config_error: Option<String>) {
        let number = self.next;
        self.next += 1;
        let started = self.socket.dup().and_then(|socket| {
            Generation::start(Start {
                number,
                config: self.config.clone(),
                shared: self.shared.clone(),
                socket,
                address: self.socket.address(),
                adopt: self.adopt.clone(),
                events: self.events.0.clone(),
            })
        });
        match started {
            Ok(generation) => {
                self.generations.push(generation);
                self.pending = Some(PendingGeneration {
                    number,
                    since: Instant::now(),
                    upstream: self.config.upstream.to_string(),
                    config_error,
                    replies,
                    later: None,
                });
            }
            Err(e) => {
                let why = format!("a new engine generation could not be started: {e}");
                tracing::error!("{why}");
                for reply in replies {
                    reply.send(Err(why.clone())).ok();
                }
                self.not_ready(&why);
                self.check_socket("no new handle of it could be made");
            }
        }
    }

    /// As above on our own account, with a distance to the last time.
    fn replace_generation(&mut self, why: &str) {
        if self.may_renew() {
            self.renew_generation(why);
        }
    }

    fn may_renew(&self) -> bool {
        self.pending.is_none() && self.last_auto.is_none_or(|at| at.elapsed() >= AUTO_DISTANCE)
    }

    fn renew_generation(&mut self, why: &str) {
        self.last_auto = Some(Instant::now());
        tracing::error!(generation = self.current, "{why}; starting a new engine generation");
        self.start_generation(Vec::new(), None);
    }

    fn restart(&mut self, replies: Vec<Reply>) {
        if let Some(pending) = &mut self.pending {
            pending.later.get_or_insert_default().extend(replies);
            return;
        }
        if self.is_without_socket() {
            self.due.get_or_insert_default().extend(replies);
            return;
        }
        let error = self.reload_config();
        self.start_generation(replies, error);
    }

    /// Takes the config from its file; on an error the present one stays in force.
    fn reload_config(&mut self) -> Option<String> {
        self.file_seen = modified(&self.config);
        let log = self.config.log.clone();
        let refused = match (self.reload)() {
            Ok(new) if ![self.config.listen, self.socket.address()].contains(&new.listen) => {
                let why = format!(
                    "listen is {} in the config and {} in this process; it takes effect when Leeward is started again",
                    new.listen, self.config.listen
                );
                self.config = Arc::new(Config { listen: self.config.listen, listen_pinned: self.config.listen_pinned, ..new });
                Some(why)
            }
            Ok(new) => {
                // It was another port's turn, and now that is the configured one.
                if new.listen == self.socket.address() {
                    self.port_settled();
                }
                self.config = Arc::new(new);
                None
            }
            Err(why) => Some(why),
        };
        self.ledger.configure(&self.config);
        if self.config.log != log {
            self.refilter_log();
        }
        match &refused {
            Some(why) => self.shared.health.set(Code::ConfigInvalid, None, format!("The config on disk is not in force: {why}.")),
            None => self.shared.health.clear(Code::ConfigInvalid, None),
        }
        refused
    }

    fn refilter_log(&self) {
        let Some(refilter) = &self.refilter else { return };
        match refilter(&self.config.log) {
            Ok(()) => tracing::info!("the log's filter is `{}` now", self.config.log),
            Err(e) => tracing::warn!("the log's filter stays as it was: {e}"),
        }
    }

    fn react(&mut self, event: Event) {
        match event {
            Event::Accepting(number) => self.accepting(number),
            Event::SocketSuspect { generation, why } if generation == self.newest() => self.check_socket(&why),
            Event::SocketSuspect { .. } => {}
            Event::LetGo(number) => self.has_let_go(number),
            Event::Ended { generation, why } => {
                if self.pending.as_ref().is_some_and(|c| c.number == generation) {
                    self.fail_coming(&why);
                } else if generation == self.current {
                    self.retire_below(generation + 1);
                    self.replace_generation(&format!("generation {generation}: {why}"));
                }
            }
        }
    }

    fn newest(&self) -> u64 {
        self.pending.as_ref().map_or(self.current, |c| c.number)
    }

    fn accepting(&mut self, number: u64) {
        let Some(pending) = self.pending.take_if(|c| c.number == number) else { return };
        self.current = number;
        self.upstream = pending.upstream.clone();
        self.stuck = None;
        self.shared.counters.set_accepting(true);
        self.retire_below(number);
        self.probe_what_was_mended();
        self.show();
        let took_ms = u64::try_from(pending.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(generation = number, address = %self.socket.address(), took_ms, "accepting");
        for reply in pending.replies {
            let done = Restarted { generation: number, took_ms, config_error: pending.config_error.clone() };
            reply.send(Ok(done)).ok(); // whoever asked may be gone
        }
        if let Some(ready) = self.ready.take() {
            ready.try_send(Ok(())).ok();
        }
        if let Some(later) = pending.later {
            self.restart(later);
        }
    }

    fn retire_below(&self, number: u64) {
        self.generations.iter().filter(|g| g.number < number).for_each(Generation::retire);
    }

    fn fail_coming(&mut self, why: &str) {
        let Some(pending) = self.pending.take() else { return };
        tracing::error!(generation = pending.number, "did not come up: {why}");
        self.generations.iter().filter(|g| g.number == pending.number).for_each(Generation::retire);
        for reply in pending.replies {
            reply.send(Err(format!("the new engine generation did not come up: {why}"))).ok();
        }
        self.not_ready(why);
        if let Some(later) = pending.later {
            self.restart(later);
        }
    }

    fn not_ready(&mut self, why: &str) {
        if let Some(ready) = self.ready.take() {
            ready.try_send(Err(why.to_owned())).ok();
        }
    }
}

fn source_ended(ended: Result<(), JoinError>) {
    match ended {
        Ok(()) => tracing::debug!("nothing tells of changes of the network any more"),
        Err(e) => tracing::error!("what tells of changes of the network failed; they go unnoticed until the next start: {e}"),
    }
}

fn modified(config: &Config) -> Option<SystemTime> {
    std::fs::metadata(&config.paths.config_file).and_then(|m| m.modified()).ok()
}
