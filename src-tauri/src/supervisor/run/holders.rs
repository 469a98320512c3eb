//! Those who hold a duplicate of the listening socket: it is brought to them, asked for when it is lost here, and let go by
//! them before an end on purpose. Each is asked on a thread of its own.

use super::state::{Run, Tick};
use crate::instance;
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};
use tokio::{sync::oneshot, task::JoinSet};

impl Run {
    /// Brings the socket of a port to a door.
    pub(super) fn lend(&mut self, to: PathBuf, port: u16) {
        match self.listener.of_port(port).dup() {
            Ok(socket) => {
                self.work.spawn_blocking(move || {
                    if let Err(why) = instance::lend(&to, &socket) {
                        tracing::warn!("a session does not hold the port: {why}");
                    }
                    Tick::Asked
                });
            }
            Err(why) => tracing::warn!("a session does not hold the port, since no handle could be made: {why}"),
        }
    }

    /// After the socket was bound anew: what they hold is another one.
    pub(super) fn lend_to_all(&mut self) {
        let port = self.listener.socket.address().port();
        for door in self.shared.sessions.doors_of(port) {
            self.lend(door, port);
        }
    }

    /// The port is taken by the socket that was lost here: whoever holds it gives it back. False where nobody does.
    pub(super) fn ask_holders(&mut self) -> bool {
        let doors = self.shared.sessions.doors_of(self.listener.socket.address().port());
        let asks = !doors.is_empty() && !self.listener.asks_holders;
        if asks {
            self.listener.asks_holders = true;
            self.work.spawn_blocking(move || Tick::Fetched(first_held(&doors)));
        }
        self.listener.asks_holders
    }

    pub(super) fn fetched(&mut self, socket: Option<TcpListener>) {
        self.listener.asks_holders = false;
        if self.listener.rebind_at.is_none() {
            return; // bound meanwhile
        }
        let adopted = socket.map(|socket| self.listener.socket.adopt(socket));
        match adopted {
            Some(Ok(())) => return self.rebind(),
            Some(Err(why)) => tracing::warn!("the socket that a session held is of no use: {why}"),
            None => {}
        }
        self.listener.holders_have_none = true;
    }

    /// Ends once all have let go, or do not answer.
    pub(super) fn let_go(&mut self, reply: oneshot::Sender<()>) {
        let doors = self.shared.sessions.doors();
        self.work.spawn(async move {
            let mut asked = JoinSet::new();
            for door in doors {
                asked.spawn_blocking(move || instance::let_go(&door));
            }
            for done in asked.join_all().await {
                if let Err(why) = done {
                    tracing::warn!("a session does not let go of the port: {why}");
                }
            }
            reply.send(()).ok(); // whoever asked may be gone
            Tick::Asked
        });
    }
}

fn first_held(doors: &[PathBuf]) -> Option<TcpListener> {
    let fetch = |door: &Path| instance::fetch(door).inspect_err(|why| tracing::debug!("a session was asked for the port: {why}"));
    doors.iter().find_map(|door| fetch(door).ok().flatten())
}
