//! The supervisor's loop: one closed set of things that can happen, one place that reacts to them. It observes, asks
//! `recovery` what to do, and does it.

mod begin;
mod end;
mod follow;
mod holders;
mod listener;
mod network;
mod network_changed;
mod probing;
mod rebind;
mod recover;
mod restart;
mod state;
mod tick;

pub(super) use begin::Parts;

use crate::{control::Command, inbound::Event, second};
use state::{Run, Tick};
use std::time::Duration;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

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

impl Run {
    async fn live(mut self) {
        self.tell_problem();
        self.tell_exposed();
        self.tell_not_kept();
        self.tell_log();
        self.start_generation(Vec::new(), None);
        let mut source: JoinSet<()> = self.network.take_source().into_iter().collect();
        let mut seconds = second::ticks();
        loop {
            let (check_at, rebind_at) = (self.check_at, self.listener.rebind_at);
            let released_by = self.listener.released_by();
            let may_probe = !self.probing.is_under_way && self.generations.current() > 0;
            let tick = tokio::select! {
                command = self.commanded.recv() => Tick::Command(command),
                event = self.events.recv() => Tick::Event(event),
                _ = seconds.tick() => Tick::Second,
                () = at(check_at), if check_at.is_some() => Tick::CheckAgain,
                () = at(rebind_at), if rebind_at.is_some() => Tick::Rebind,
                () = at(released_by), if released_by.is_some() => Tick::Released,
                () = sleep_until(self.probing.next_at), if may_probe => Tick::Probe,
                Some(Ok(done)) = self.work.join_next() => done,
                news = self.network.news() => Tick::Network(news),
                Some(ended) = source.join_next() => Tick::SourceEnded(ended),
            };
            if let Some(each_turn) = &self.each_turn {
                each_turn();
            }
            match tick {
                Tick::Command(Some(Command::Restart { reply })) => self.restart(vec![reply]),
                Tick::Command(Some(Command::HandOver { to, reply })) => self.hand_over(to, reply),
                Tick::Command(Some(Command::Lend { to, port })) => self.lend(to, port),
                Tick::Command(Some(Command::LetGo { reply })) => self.let_go(reply),
                Tick::Command(Some(Command::Stop { drain })) => return self.stop(drain).await,
                Tick::Command(None) => return self.stop(Duration::ZERO).await,
                Tick::Event(Some(event)) => self.react(event),
                Tick::Event(None) => {} // the generations' maker holds a sender
                Tick::Second => self.tick(),
                Tick::CheckAgain => self.check(),
                Tick::Rebind => self.rebind(),
                Tick::Released => self.released(),
                Tick::Probe => self.start_probe(),
                Tick::HandedOver(reply, Ok(())) => return self.leave(reply).await,
                Tick::HandedOver(reply, Err(why)) => self.stay(reply, &why),
                Tick::Probed(answer, took) => self.probed(&answer, took),
                Tick::Free(address, free) => self.port_free(address, free),
                Tick::Fetched(socket) => self.fetched(socket),
                Tick::Asked => {}
                Tick::Network(Some(news)) => self.network_changed(news),
                Tick::Network(None) => return self.stop(Duration::ZERO).await,
                Tick::SourceEnded(ended) => network_changed::source_ended(ended),
            }
            self.show();
        }
    }

    fn react(&mut self, event: Event) {
        match event {
            Event::Accepting(number) => self.accepting(number),
            Event::SocketSuspect { generation, why } if generation == self.generations.newest() => self.suspect(&why),
            Event::SocketSuspect { .. } => {}
            Event::LetGo(number) => self.has_let_go(number),
            Event::Ended { generation, why } => self.has_ended(generation, &why),
        }
    }
}

/// Waits for that moment; only asked where there is one.
async fn at(moment: Option<Instant>) {
    sleep_until(moment.unwrap_or_else(Instant::now)).await;
}
