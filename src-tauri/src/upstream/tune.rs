//! What is asked of a socket: no delay, keep-alive, the segment size, a limit for what stays unacknowledged.
//!
//! What a system does not offer is left out in its platform half, which says so.

#[cfg_attr(target_os = "linux", path = "tune/linux.rs")]
#[cfg_attr(all(unix, not(target_os = "linux")), path = "tune/unix.rs")]
#[cfg_attr(windows, path = "tune/windows.rs")]
mod platform;

use socket2::{SockRef, TcpKeepalive};
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::{TcpSocket, TcpStream};

/// Unanswered keep-alive probes until a connection counts as dead: with the default interval 75 s after the last sign of
/// life, where systems alone wait for 8 to 10 probes.
const PROBES: u32 = 4;

/// Connects, with a segment size of one's own where one is given and the system takes it.
pub(super) async fn connect(address: SocketAddr, segment: Option<u32>) -> io::Result<TcpStream> {
    let Some(segment) = segment else { return TcpStream::connect(address).await };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Err(e) = platform::limit_segment(&SockRef::from(&socket), segment) {
        tracing::debug!("the segment size stays the system's: {e}");
    }
    socket.connect(address).await
}

/// A new connection: small writes go out at once, and a dead peer is noticed. Best effort, each by itself: a connection
/// without them serves all the same (Windows before 10.0.15063, and Wine, know no number of probes).
pub(super) fn tune(stream: &TcpStream, keepalive: Duration) {
    let told = |what: &str, done: io::Result<()>| {
        if let Err(e) = done {
            tracing::debug!("{what} stays the system's: {e}");
        }
    };
    told("the delay of small writes", stream.set_nodelay(true));
    let probes = TcpKeepalive::new().with_time(keepalive).with_interval(keepalive);
    told("the pace of keep-alive probes", SockRef::from(stream).set_tcp_keepalive(&probes));
    told("their number", SockRef::from(stream).set_tcp_keepalive(&probes.with_retries(PROBES)));
}

/// From now on the system breaks the connection when bytes stay unacknowledged for this long; `None`: as long as it
/// thinks right. Best effort: what the socket itself refuses is noticed without it.
pub(super) fn limit_unacknowledged(stream: &TcpStream, limit: Option<Duration>) {
    platform::limit_unacknowledged(&SockRef::from(stream), limit).ok();
}

/// True when `limit_unacknowledged` does something here.
pub(super) const KNOWS_UNACKNOWLEDGED: bool = platform::KNOWS_UNACKNOWLEDGED;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_tuned_on_every_platform() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect(listener.local_addr().unwrap(), Some(1180)).await.unwrap();
        tune(&stream, Duration::from_secs(15));
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        {
            let facts = (socket.tcp_keepalive_retries().unwrap(), socket.tcp_keepalive_interval().unwrap());
            assert_eq!(facts, (PROBES, Duration::from_secs(15)));
            assert!(socket.tcp_mss().unwrap() <= 1180, "{:?}", socket.tcp_mss());
            limit_unacknowledged(&stream, Some(Duration::from_secs(20)));
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(20)));
            limit_unacknowledged(&stream, None);
            assert_eq!(socket.tcp_user_timeout().unwrap().unwrap_or_default(), Duration::ZERO);
        }
    }
}
