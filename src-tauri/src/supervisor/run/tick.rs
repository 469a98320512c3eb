//! What is done once a second: ended generations are taken in, everything is checked; less often the config file and a
//! port that is taken.

use super::state::{Run, Tick};
use crate::{health::Code, instance::reachable};
use std::{io, net::SocketAddr};

/// The config file and a taken port are checked every so many ticks.
const SLOW_TICKS: u64 = 2;

impl Run {
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        self.generations.reap();
        self.check();
        self.tell_log();
        if self.ticks.is_multiple_of(SLOW_TICKS) {
            if self.file.has_changed(&self.config) {
                tracing::info!("the config file has changed");
                self.restart(Vec::new());
            }
            // A changed mode changes no time that the file shows.
            if self.shared.health.stands(Code::ConfigExposed) {
                self.tell_exposed();
            }
            self.try_wanted_port();
            if !self.listener.leaving {
                self.listener.socket.hold_other(&self.shared.health);
            }
        }
    }

    /// Tells that lines of the log are lost, until they are not.
    pub(super) fn tell_log(&self) {
        match self.log_trouble.as_ref().and_then(|trouble| trouble()) {
            Some(sentence) => self.shared.health.set(Code::LogUnwritable, None, sentence),
            None => self.shared.health.clear(Code::LogUnwritable, None),
        }
    }

    fn try_wanted_port(&mut self) {
        if let Some(address) = self.listener.socket.wanted() {
            let limit = self.config.watch.probe_timeout;
            self.work.spawn(async move {
                let connected = tokio::time::timeout(limit, tokio::net::TcpStream::connect(reachable(address))).await;
                Tick::Free(address, connected.is_ok_and(is_free))
            });
        }
    }

    pub(super) fn port_free(&mut self, address: SocketAddr, free: bool) {
        if free && self.listener.socket.wanted() == Some(address) {
            self.port_settled();
            let served = self.listener.socket.address();
            tracing::info!("{address} is free again; Leeward stays on {served} until it is started again");
        }
    }

    /// No other address is wanted any more.
    pub(super) fn port_settled(&mut self) {
        self.listener.socket.settle();
        self.shared.health.clear(Code::PortTaken, None);
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
