//! A middlebox before a TLS upstream: it looks at the size of each hello and lets it pass or not.

use socket2::SockRef;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A hello larger than this is a post-quantum one.
const LARGE: u16 = 1200;

/// What becomes of a hello.
#[derive(Clone, Copy, PartialEq)]
pub enum WriteOutcome {
    Pass,
    Reset,
    /// Neither answered nor refused.
    Swallow,
}

/// Decides by whether the hello is a large one.
pub type Judge = fn(large: bool) -> WriteOutcome;

/// Relays to an upstream until it is dropped.
pub struct Middlebox {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<bool>>>,
    _tasks: JoinSet<()>,
}

impl Middlebox {
    pub async fn start(upstream: SocketAddr, at: &str, judge: Judge) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let seen = Arc::<Mutex<Vec<bool>>>::default();
        let mut tasks = JoinSet::new();
        let log = seen.clone();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(relay(stream, upstream, judge, log.clone()));
            }
        });
        Ok(Self { address, seen, _tasks: tasks })
    }

    /// Whether each hello since the last call was large.
    pub fn take_seen(&self) -> Vec<bool> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn relay(mut stream: TcpStream, upstream: SocketAddr, judge: Judge, log: Arc<Mutex<Vec<bool>>>) {
    let mut header = [0; 5];
    while stream.peek(&mut header).await.is_ok_and(|n| n > 0 && n < 5) {
        tokio::task::yield_now().await;
    }
    let large = u16::from_be_bytes([header[3], header[4]]) > LARGE;
    log.lock().unwrap().push(large);
    match judge(large) {
        WriteOutcome::Reset => SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
        WriteOutcome::Swallow => std::future::pending().await,
        WriteOutcome::Pass => {
            let Ok(mut on) = TcpStream::connect(upstream).await else { return };
            copy_bidirectional(&mut stream, &mut on).await.ok();
        }
    }
}
