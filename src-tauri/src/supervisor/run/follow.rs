//! Follows the configured address (L7): it is bound as soon as it is free, or when the config names another one; the address
//! before is served for as long as somebody uses it. Nobody is refused in between.

use super::state::{Run, Tick};
use crate::{
    config::Config,
    health::Code,
    instance::reachable,
    supervisor::{former::Former, recovery::Listening, socket::Socket},
};
use std::{io, mem, net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::Instant};

/// Windows tries a port that refuses for two seconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

impl Run {
    /// Asks whether the configured address is free, where it is not ours. That nobody has bound it is not enough: on some
    /// systems it can be bound beside a listener on every address.
    pub(super) fn try_wanted_port(&mut self) {
        let Some(address) = self.listener.socket.wanted().filter(|_| !self.listener.asks_wanted) else { return };
        self.listener.asks_wanted = true;
        self.work.spawn(async move {
            let connected = tokio::time::timeout(ANSWERS_WITHIN, TcpStream::connect(reachable(address))).await;
            Tick::Free(address, connected.is_ok_and(is_free))
        });
    }

    pub(super) fn port_free(&mut self, address: SocketAddr, free: bool) {
        self.listener.asks_wanted = false;
        let busy = self.listener.leaving || self.listener.is_mending() || self.generations.is_coming();
        if !free || busy || self.listener.socket.wanted() != Some(address) {
            return;
        }
        match self.go_to(address) {
            Ok(()) => self.start_generation(Vec::new(), None),
            Err(why) => tracing::debug!("{address} is asked for again soon: {why}"),
        }
    }

    /// Serves as this config says from now on. Where its address cannot be bound, the present one is served until it can.
    pub(super) fn listen_as(&mut self, new: &Config) -> Result<(), String> {
        let present = self.listener.socket.address();
        if new.listen == present {
            self.port_settled();
        } else if new.listen != self.config.listen {
            if let Some(taken) = self.overlapping(new.listen) {
                return Err(format!(
                    "listen = {} cannot be bound while agents use {taken}; `leeward stop` and a new start bind it",
                    new.listen
                ));
            }
            if let Err(why) = self.go_to(new.listen) {
                self.listener.socket.want(new, &why, &self.shared.health);
            }
        }
        Ok(())
    }

    fn overlapping(&self, address: SocketAddr) -> Option<SocketAddr> {
        let sockets = self.listener.former.iter().map(|former| &former.socket).chain([&self.listener.socket]);
        sockets.into_iter().find(|socket| socket.overlaps(address)).map(Socket::address)
    }

    /// Binds the address, and keeps the present one for whoever uses it. The next generation accepts on both.
    fn go_to(&mut self, address: SocketAddr) -> io::Result<()> {
        let known = self.listener.former.iter().position(|former| former.socket.address() == address);
        let next = match known {
            Some(at) => self.listener.former.remove(at).socket,
            None => {
                self.listener.socket.makes_way(address);
                self.listener.former.iter_mut().for_each(|former| former.socket.makes_way(address));
                Socket::at(address)?
            }
        };
        let mut before = mem::replace(&mut self.listener.socket, next);
        before.settle();
        let (now, was) = (self.listener.socket.address(), before.address());
        tracing::info!("Leeward accepts on {now}; {was} is served for as long as somebody uses it");
        self.listener.former.push(Former::new(before));
        self.shared.health.clear(Code::PortTaken, None);
        self.shared.health.clear(Code::OtherLoopbackTaken, None);
        self.hold_other();
        Ok(())
    }

    /// No other address is wanted any more.
    pub(super) fn port_settled(&mut self) {
        self.listener.socket.settle();
        self.shared.health.clear(Code::PortTaken, None);
    }

    /// Holds the present port on the other loopback address, unless it is served there.
    pub(super) fn hold_other(&mut self) {
        let is_ours = self.listener.former.iter().any(|former| self.listener.socket.other_is(former.socket.address()));
        if !is_ours {
            self.listener.socket.hold_other(&self.shared.health);
        }
    }

    /// Gives up the addresses from before that nobody uses any more, and mends those whose socket is gone.
    pub(super) fn tend_former(&mut self) {
        let (now, unused) = (Instant::now(), self.config.client.idle);
        let mut is_lost = false;
        for former in &mut self.listener.former {
            if former.socket.is_used() || self.shared.sessions.use_port(former.socket.address().port()) {
                former.used = now;
            }
            if former.socket.listening() == Listening::No {
                is_lost |= former.socket.rebind().is_ok();
            }
        }
        self.listener.former.retain(|former| {
            let keeps = now.duration_since(former.used) <= unused;
            if !keeps {
                tracing::info!("nobody uses {} any more; it is given up", former.socket.address());
                former.given_up.cancel();
            }
            keeps
        });
        if is_lost && !self.generations.is_coming() {
            self.start_generation(Vec::new(), None);
        }
    }
}

/// Only a refusal says that nobody listens; whoever could not ask knows nothing.
fn is_free<T>(connected: io::Result<T>) -> bool {
    connected.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::is_free;
    use std::io;

    #[test]
    fn a_port_is_free_only_where_it_refuses() {
        #[cfg(unix)]
        let (refused, others) = {
            use rustix::io::Errno;
            let others = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL, Errno::TIMEDOUT];
            (Errno::CONNREFUSED.raw_os_error(), others.map(Errno::raw_os_error))
        };
        #[cfg(windows)]
        let (refused, others) = (10_061, [10_024, 4, 8, 10_055, 10_048, 10_060]);
        assert!(is_free(Err::<(), _>(io::Error::from_raw_os_error(refused))));
        for code in others {
            assert!(!is_free(Err::<(), _>(io::Error::from_raw_os_error(code))), "{code}");
        }
        assert!(!is_free(Ok(())));
    }
}
