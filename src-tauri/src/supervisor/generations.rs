//! The engine generations of this process: those that run, the one that accepts, the one that is coming up. Decides
//! nothing about them.

use super::{
    former::Former,
    generation::{Generation, Start},
    recovery::{Ended, Pulse},
    socket::Socket,
};
use crate::{
    config::Config,
    control::Restarted,
    inbound::{Adopt, Event, Order},
    proxy::Shared,
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// Where somebody waits to hear how a restart went.
pub(super) type Reply = oneshot::Sender<Result<Restarted, String>>;

/// A generation that is coming up, and who waits for it.
pub(super) struct PendingGeneration {
    pub(super) number: u64,
    pub(super) since: Instant,
    pub(super) upstream: String,
    pub(super) config_error: Option<String>,
    pub(super) replies: Vec<Reply>,
    /// Commands that came when its config had been read already: they get a generation of their own.
    pub(super) later: Option<Vec<Reply>>,
}

/// See the file's first lines.
pub(super) struct Generations {
    /// All that still run; the last one that accepted is `current`.
    running: Vec<Generation>,
    /// 0 before the first.
    current: u64,
    /// The default upstream of the current one.
    upstream: String,
    next: u64,
    coming: Option<PendingGeneration>,
    adopt: Adopt,
    events: mpsc::Sender<Event>,
}

/// Without an owner nobody accepts, so that the next process can; what is in flight may finish.
impl Drop for Generations {
    fn drop(&mut self) {
        self.retire_below(u64::MAX);
    }
}

impl Generations {
    pub(super) fn new(adopt: Adopt, events: mpsc::Sender<Event>) -> Self {
        Self { running: Vec::new(), current: 0, upstream: String::new(), next: 1, coming: None, adopt, events }
    }

    /// Starts the next one, on handles of its own of the socket, and of those from before.
    pub(super) fn start(
        &mut self,
        config: &Arc<Config>,
        shared: &Arc<Shared>,
        socket: &Socket,
        former: &[Former],
    ) -> io::Result<()> {
        let also = former.iter().map(|former| Ok((former.socket.handle()?, former.given_up.clone())));
        let also = also.collect::<io::Result<_>>()?;
        let number = self.next;
        self.next += 1;
        self.running.push(Generation::start(Start {
            number,
            config: config.clone(),
            shared: shared.clone(),
            handle: socket.handle()?,
            also,
            adopt: self.adopt.clone(),
            events: self.events.clone(),
        })?);
        let upstream = config.upstream.to_string();
        let (since, replies) = (Instant::now(), Vec::new());
        self.coming = Some(PendingGeneration { number, since, upstream, config_error: None, replies, later: None });
        Ok(())
    }

    /// The one that is coming up, if it has this number, accepts: it is the current one now, and the others are retired.
    pub(super) fn accepts(&mut self, number: u64) -> Option<PendingGeneration> {
        let accepted = self.coming.take_if(|coming| coming.number == number)?;
        self.current = number;
        self.upstream.clone_from(&accepted.upstream);
        self.retire_below(number);
        Some(accepted)
    }

    /// Gives up the one that is coming up.
    pub(super) fn give_up_coming(&mut self) -> Option<PendingGeneration> {
        let given_up = self.coming.take()?;
        self.running.iter().filter(|g| g.number == given_up.number).for_each(Generation::retire);
        Some(given_up)
    }

    /// One has ended by itself; which, where that matters.
    pub(super) fn has_ended(&mut self, number: u64) -> Option<Ended> {
        self.running.iter_mut().filter(|g| g.number == number).for_each(|g| g.has_ended = true);
        match number {
            _ if self.coming.as_ref().is_some_and(|coming| coming.number == number) => Some(Ended::Pending),
            _ if number == self.current => Some(Ended::Present),
            _ => None,
        }
    }

    pub(super) fn current(&self) -> u64 {
        self.current
    }

    pub(super) fn upstream(&self) -> &str {
        &self.upstream
    }

    pub(super) fn coming(&mut self) -> Option<&mut PendingGeneration> {
        self.coming.as_mut()
    }

    pub(super) fn is_coming(&self) -> bool {
        self.coming.is_some()
    }

    /// How long one has been coming up.
    pub(super) fn coming_for(&self, now: Instant) -> Option<Duration> {
        self.coming.as_ref().map(|coming| now.duration_since(coming.since))
    }

    /// The one that is coming up, else the current one.
    pub(super) fn newest(&self) -> u64 {
        self.coming.as_ref().map_or(self.current, |coming| coming.number)
    }

    /// Takes the current one's pulse, and asks for the next where it has answered.
    pub(super) fn pulse(&mut self, now: Instant) -> Pulse {
        if self.current == 0 {
            return Pulse::NotAsked;
        }
        match self.running.iter_mut().find(|g| g.number == self.current) {
            Some(generation) if !generation.has_ended => match generation.silent_for(now) {
                Duration::ZERO => Pulse::Answered,
                owed => Pulse::Owed(owed),
            },
            _ => Pulse::Gone,
        }
    }

    /// Whether the newest accept loop takes the order.
    pub(super) fn tell_newest(&self, order: Order) -> bool {
        let newest = self.newest();
        self.running.iter().find(|g| g.number == newest).is_some_and(|g| g.tell(order))
    }

    /// Every accept loop is to let go of the socket; how many may hear of it.
    pub(super) fn tell_all_to_let_go(&self, number: u64) -> usize {
        self.running.iter().filter(|g| g.tell(Order::LetGo(number))).count()
    }

    /// Those older than `number` stop accepting; their streams in flight go on.
    pub(super) fn retire_below(&self, number: u64) {
        self.running.iter().filter(|g| g.number < number).for_each(Generation::retire);
    }

    /// Idle connections are closed as well.
    pub(super) fn close(&self) {
        self.running.iter().for_each(Generation::close);
    }

    /// True when nothing runs any more.
    pub(super) fn are_finished(&self) -> bool {
        self.running.iter().all(Generation::is_finished)
    }

    /// Takes in the threads that have ended.
    pub(super) fn reap(&mut self) {
        let (finished, running): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(Generation::is_finished);
        self.running = running;
        finished.into_iter().for_each(Generation::join);
    }
}
