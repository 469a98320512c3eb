//! logind's word that the machine has resumed, over the system's D-Bus. Asks for nothing and starts no service.

use crate::network::source::Hint;
use futures_util::StreamExt;
use std::{io, num::NonZeroUsize, time::Duration};
use tokio::{sync::mpsc, time::timeout};
use zbus::{MatchRule, MessageStream, connection::Builder, message::Type};

/// A bus that does not take a subscription within this has other worries; the clocks notice a sleep too.
const LIMIT: Duration = Duration::from_secs(10);
/// Signals that may wait: a sleep and its end.
const QUEUE: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// Sends a hint at the end of each sleep, until the bus goes away.
pub(super) async fn listen(bus: Builder<'_>, hints: mpsc::Sender<Hint>) -> io::Result<()> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("D-Bus did not answer within {LIMIT:?}"));
    let signals = timeout(LIMIT, subscribe(bus)).await.map_err(late)?.map_err(io::Error::other)?;
    relay(signals, hints).await;
    Ok(())
}

/// `PrepareForSleep` of org.freedesktop.login1(5), from logind alone.
async fn subscribe(bus: Builder<'_>) -> zbus::Result<MessageStream> {
    let connection = bus.build().await?;
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.login1")
        .path("/org/freedesktop/login1")
        .interface("org.freedesktop.login1.Manager")
        .member("PrepareForSleep")
        .build()?;
    MessageStream::for_match_rule(rule, &connection, Some(QUEUE)).await
}

async fn relay(mut signals: MessageStream, hints: mpsc::Sender<Hint>) {
    while let Some(signal) = signals.next().await {
        // `true` stands before the sleep; there is nothing to save then.
        let resumed = signal.is_ok_and(|s| s.body().deserialize::<bool>().is_ok_and(|before| !before));
        if resumed && hints.send(Hint::Resumed).await.is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hint, LIMIT, listen, relay, subscribe};
    use std::{
        io::{BufRead, BufReader, Write},
        process::{Child, Command, Stdio},
    };
    use tokio::{sync::mpsc, task::JoinSet, time::timeout};
    use zbus::{Connection, connection::Builder};

    /// A bus of this test's own.
    struct Bus(Child, String);

    impl Bus {
        /// `None` where there is no dbus-daemon.
        fn start() -> Option<Self> {
            let mut daemon = Command::new("dbus-daemon");
            daemon.args(["--session", "--nofork", "--nopidfile", "--print-address"]);
            let mut child = daemon.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
            let mut address = String::new();
            BufReader::new(child.stdout.take()?).read_line(&mut address).ok()?;
            let bus = Self(child, address.trim().to_owned());
            (!bus.1.is_empty()).then_some(bus)
        }

        fn builder(&self) -> Builder<'static> {
            Builder::address(self.1.as_str())
        }
    }

    impl Drop for Bus {
        fn drop(&mut self) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    async fn say(connection: &Connection, before: bool) {
        let (path, interface) = ("/org/freedesktop/login1", "org.freedesktop.login1.Manager");
        connection.emit_signal(None::<&str>, path, interface, "PrepareForSleep", &before).await.unwrap();
    }

    #[tokio::test]
    async fn the_end_of_a_sleep_is_heard_from_logind_alone() {
        let Some(bus) = Bus::start() else {
            std::io::stderr().write_all(b"SKIP the_end_of_a_sleep_is_heard_from_logind_alone: no dbus-daemon starts here\n").ok();
            return;
        };
        let logind = bus.builder().build().await.unwrap();
        logind.request_name("org.freedesktop.login1").await.unwrap();
        let stranger = bus.builder().build().await.unwrap();
        let (hints, mut hinted) = mpsc::channel(4);
        let mut relaying = JoinSet::new();
        relaying.spawn(relay(subscribe(bus.builder()).await.unwrap(), hints));
        say(&stranger, false).await;
        stranger.request_name("org.example.stranger").await.unwrap(); // so the bus has dealt with what it said
        say(&logind, true).await;
        say(&logind, false).await;
        assert_eq!(timeout(LIMIT, hinted.recv()).await.expect("heard in time"), Some(Hint::Resumed));
        say(&logind, true).await;
        say(&logind, false).await;
        assert_eq!(timeout(LIMIT, hinted.recv()).await.expect("heard in time"), Some(Hint::Resumed));
        drop(bus);
        assert_eq!(timeout(LIMIT, hinted.recv()).await.expect("it ends in time"), None, "two sleeps, and nobody else's");
    }

    #[tokio::test]
    async fn a_machine_without_a_bus_costs_an_error_and_nothing_else() {
        let (hints, mut hinted) = mpsc::channel(4);
        let folder = tempfile::tempdir().unwrap();
        let nowhere = Builder::address(&*format!("unix:path={}", folder.path().join("none").display()));
        assert!(listen(nowhere, hints).await.is_err());
        assert_eq!(hinted.recv().await, None);
    }
}
