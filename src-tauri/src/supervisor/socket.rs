//! The one listening socket: bound, looked after, bound again. Accepts nothing itself.

use super::{other_loopback::OtherLoopback, platform, recovery::Listening, start_error::StartError};
use crate::{
    config::{Config, DEFAULT_PORT, LAST_FALLBACK_PORT},
    health::{Code, Tracker},
    inbound::listen,
    instance::{self, Holder},
    shortage::is_shortage,
};
use socket2::{Domain, Protocol, Socket as Raw, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener},
};
use tokio_util::task::TaskTracker;

/// The kernel cuts it to its own limit (net.core.somaxconn); a burst of 50 agents fits many times.
#[cfg(unix)]
const BACKLOG: i32 = 4096;
/// Winsock takes a plain number for 200 at most; a negative one is its SOMAXCONN_HINT, and goes up to 65,535.
#[cfg(windows)]
const BACKLOG: i32 = -4096;

/// The socket and the address it keeps.
#[derive(Debug)]
pub(super) struct Socket {
    listener: Option<TcpListener>,
    address: SocketAddr,
    /// The configured address, while it is not this one.
    wanted: Option<SocketAddr>,
    other: OtherLoopback,
    /// The connections that came there and are open.
    users: TaskTracker,
}

/// A generation's own handle of a socket.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
    /// Counts who comes there.
    pub(super) users: TaskTracker,
}

impl Socket {
    /// Binds the configured address, or the next free port of the range that `wrap` and users know: where the configured
    /// one is of that range, or the program can show that it moved.
    pub(super) fn bind(config: &Config, health: &Tracker, may_leave: bool) -> Result<Self, StartError> {
        let wanted = config.listen;
        let why = match listen_on(wanted) {
            Ok(listener) => return Self::of(listener, None, health).map_err(|why| StartError::Bind { address: wanted, why }),
            Err(why) => why,
        };
        let taken = why.kind() == io::ErrorKind::AddrInUse;
        let within = (DEFAULT_PORT..=LAST_FALLBACK_PORT).contains(&wanted.port());
        let may_move = !config.listen_pinned && (within || may_leave);
        if may_move && (taken || why.kind() == io::ErrorKind::PermissionDenied) {
            for port in (DEFAULT_PORT..=LAST_FALLBACK_PORT).filter(|p| *p != wanted.port()) {
                let address = SocketAddr::new(wanted.ip(), port);
                if let Ok(listener) = listen_on(address) {
                    elsewhere(health, config, &why, address);
                    return Self::of(listener, Some(wanted), health).map_err(|why| StartError::Bind { address, why });
                }
            }
        }
        Err(if taken {
            StartError::PortTaken { address: wanted, holder: holder(wanted, config) }
        } else {
            StartError::Bind { address: wanted, why }
        })
    }

    /// Goes on with the socket of the engine before, wherever it listens: agents know that address. From there it goes to the
    /// configured one, unless it was given to `stay`.
    pub(super) fn inherit(listener: TcpListener, stay: bool, config: &Config, health: &Tracker) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(|why| StartError::Bind { address: config.listen, why })?;
        // Whoever bound it may have asked for a short queue; on a socket that listens this changes only that, and what is
        // no TCP socket is refused here.
        socket2::SockRef::from(&listener).listen(BACKLOG).map_err(|why| StartError::Bind { address, why })?;
        let wanted = (!stay && config.listen != address && config.listen.port() != 0).then_some(config.listen);
        if let Some(why) = wanted.and_then(|wanted| listen_on(wanted).err()) {
            elsewhere(health, config, &why, address);
        }
        Self::of(listener, wanted, health).map_err(|why| StartError::Bind { address, why })
    }

    /// A socket that agents know from before; `None` for one that is of no use.
    pub(super) fn former(listener: TcpListener) -> Option<Self> {
        let address = listener.local_addr().ok()?;
        socket2::SockRef::from(&listener).listen(BACKLOG).ok()?;
        Some(Self::over(listener, address))
    }

    /// Binds exactly this address.
    pub(super) fn at(address: SocketAddr) -> io::Result<Self> {
        let listener = listen_on(address)?;
        let address = listener.local_addr()?;
        Ok(Self::over(listener, address))
    }

    fn over(listener: TcpListener, address: SocketAddr) -> Self {
        let (other, users) = (OtherLoopback::of(address), TaskTracker::new());
        Self { address, listener: Some(listener), wanted: None, other, users }
    }

    fn of(listener: TcpListener, wanted: Option<SocketAddr>, health: &Tracker) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let mut socket = Self { wanted, ..Self::over(listener, address) };
        socket.hold_other(health);
        Ok(socket)
    }

    /// Holds the same port on the other loopback address, unless that is done or somebody has it.
    pub(super) fn hold_other(&mut self, health: &Tracker) {
        self.other.hold(health);
    }

    /// Another process is to hold that.
    pub(super) fn release_other(&mut self) {
        self.other.release();
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The configured address, while it is not this one.
    pub(super) fn wanted(&self) -> Option<SocketAddr> {
        self.wanted
    }

    /// This address is the configured one.
    pub(super) fn settle(&mut self) {
        self.wanted = None;
    }

    /// The configured address is another one, and cannot be bound: `config` has it. Reports why.
    pub(super) fn want(&mut self, config: &Config, why: &io::Error, health: &Tracker) {
        self.wanted = Some(config.listen);
        elsewhere(health, config, why, self.address);
    }

    /// Whether connections that came there are open.
    pub(super) fn is_used(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether both cannot be bound at once, though they are not the same: one of them is of every address of the machine.
    pub(super) fn overlaps(&self, address: SocketAddr) -> bool {
        let both = [self.address, address];
        self.address.port() == address.port() && self.address != address && both.iter().any(|a| a.ip().is_unspecified())
    }

    /// Lets go of an address that is only held, for a socket that is to listen there.
    pub(super) fn makes_way(&mut self, address: SocketAddr) {
        if self.other.address() == Some(address) {
            self.other.release();
        }
    }

    /// Whether the address that it holds beside its own is that one.
    pub(super) fn other_is(&self, address: SocketAddr) -> bool {
        self.other.address() == Some(address)
    }

    /// A handle for a generation.
    pub(super) fn handle(&self) -> io::Result<Handle> {
        Ok(Handle { socket: self.dup()?, address: self.address, users: self.users.clone() })
    }

    /// Another handle of the same socket.
    pub(super) fn dup(&self) -> io::Result<TcpListener> {
        self.listener.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?.try_clone()
    }

    /// Whether it listens, as far as the system can say.
    pub(super) fn listening(&self) -> Listening {
        let Some(listener) = &self.listener else { return Listening::No };
        match listener.local_addr() {
            Ok(own) if own == self.address => heard(platform::is_listening(listener)),
            // A number that somebody else has by now is not ours, whatever it is.
            address => heard(address.map(|_| false)),
        }
    }

    /// Whether connections wait on it, where the system says.
    pub(super) fn has_backlog(&self) -> Option<bool> {
        self.listener.as_ref().and_then(|listener| platform::has_backlog(listener).ok())
    }

    /// Binds the same address again.
    pub(super) fn rebind(&mut self) -> io::Result<()> {
        self.let_go();
        self.listener = Some(listen_on(self.address)?);
        Ok(())
    }

    /// Goes on with a duplicate that somebody held, if it is of the same address. Listening begins anew where it was ended.
    pub(super) fn adopt(&mut self, held: TcpListener) -> io::Result<()> {
        let at = held.local_addr()?;
        if at != self.address {
            return Err(io::Error::other(format!("it is of {at}, and {} was lost", self.address)));
        }
        socket2::SockRef::from(&held).listen(BACKLOG)?;
        self.listener = Some(held);
        Ok(())
    }

    /// Ends with a socket that is gone.
    pub(super) fn let_go(&mut self) {
        if let Some(gone) = self.listener.take() {
            listen::let_go(gone, self.address);
        }
    }

    /// Ends listening: from now on the port refuses.
    pub(super) fn close(&mut self) {
        self.listener = None;
        self.release_other();
    }
}

/// A shortage is no word on the socket; any other error is.
fn heard(listens: io::Result<bool>) -> Listening {
    match listens {
        Ok(true) => Listening::Yes,
        Err(e) if is_shortage(&e) => Listening::Unknown,
        Ok(false) | Err(_) => Listening::No,
    }
}

/// Reports that another address than the configured one is served, and who holds that.
fn elsewhere(health: &Tracker, config: &Config, why: &io::Error, address: SocketAddr) {
    let wanted = config.listen;
    let reason = match why.kind() {
        io::ErrorKind::AddrInUse => format!("is taken by {}", holder(wanted, config)),
        _ => format!("cannot be used ({why})"),
    };
    let sentence = format!(
        "{wanted} {reason}; Leeward serves on {address} instead. `leeward wrap` finds it; agents with a fixed base URL do not."
    );
    health.set(Code::PortTaken, None, sentence);
}

/// Who has the address: another program, or the wrap of an agent of ours that did not answer.
fn holder(address: SocketAddr, config: &Config) -> Holder {
    instance::holder_of(address, &instance::holders(&config.paths))
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let raw = Raw::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    platform::prepare(&raw)?;
    raw.bind(&address.into())?;
    raw.listen(BACKLOG)?;
    Ok(raw.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(home: &std::path::Path, listen: SocketAddr) -> Config {
        Config { listen, listen_pinned: true, ..Config::under(home).unwrap() }
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        let home = tempfile::tempdir().unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = Socket::bind(&config(home.path(), other.local_addr().unwrap()), &Tracker::default(), true).unwrap_err();
        assert!(matches!(refused, StartError::PortTaken { .. }), "{refused}");
        if cfg!(target_os = "linux") {
            assert!(refused.to_string().contains(&format!("pid {}", std::process::id())), "{refused}");
        }
    }

    #[test]
    fn a_configured_port_is_left_only_by_who_can_show_it() {
        let home = tempfile::tempdir().unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = other.local_addr().unwrap();
        let config = Config { listen_pinned: false, ..config(home.path(), wanted) };
        assert!(matches!(Socket::bind(&config, &Tracker::default(), false), Err(StartError::PortTaken { .. })));
        let health = Tracker::default();
        let socket = Socket::bind(&config, &health, true).unwrap();
        assert!((DEFAULT_PORT..=LAST_FALLBACK_PORT).contains(&socket.address().port()), "{}", socket.address());
        assert_eq!(socket.wanted(), Some(wanted));
        let [condition] = &health.visible()[..] else { panic!("one condition") };
        assert!(condition.sentence.contains(&format!("{wanted} is taken by ")), "{}", condition.sentence);
    }

    #[test]
    fn a_shortage_is_no_word_on_the_socket() {
        #[cfg(unix)]
        let (short, gone) = {
            use rustix::io::Errno;
            let short = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS].map(Errno::raw_os_error);
            (short, [Errno::BADF, Errno::NOTSOCK, Errno::INVAL].map(Errno::raw_os_error))
        };
        #[cfg(windows)]
        let (short, gone) = ([10_024, 4, 8, 10_055], [6, 10_038, 10_022]);
        for code in short {
            assert_eq!(heard(Err(io::Error::from_raw_os_error(code))), Listening::Unknown, "{code}");
        }
        for code in gone {
            assert_eq!(heard(Err(io::Error::from_raw_os_error(code))), Listening::No, "{code}");
        }
        assert_eq!((heard(Ok(true)), heard(Ok(false))), (Listening::Yes, Listening::No));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_shut_down_behind_our_back_is_seen_and_bound_again() {
        let home = tempfile::tempdir().unwrap();
        let mut socket = Socket::bind(&config(home.path(), "127.0.0.1:0".parse().unwrap()), &Tracker::default(), false).unwrap();
        let address = socket.address();
        assert_eq!(socket.listening(), Listening::Yes);
        socket2::SockRef::from(&socket.dup().unwrap()).shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(socket.listening(), Listening::No);
        socket.rebind().unwrap();
        assert_eq!(socket.listening(), Listening::Yes);
        assert_eq!(socket.address(), address);
        assert_eq!(socket.has_backlog(), Some(false));
        let _client = std::net::TcpStream::connect(address).unwrap();
        assert_eq!(socket.has_backlog(), Some(true));
    }
}
