//! Where tests take hold of an engine: an accept loop's source that fails on demand, and news of the network by script.

use leeward::{
    inbound::{Accept, Adopt, listen},
    network::NetworkNews,
    supervisor::{NetworkSource, TestHooks},
};
use std::{
    collections::VecDeque,
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpStream, sync::mpsc};

/// What the next accept does instead of accepting.
pub enum Step {
    Fail(io::Error),
    /// As `Fail`, and the connection stays where it waits.
    Starve(io::Error),
    Panic,
    /// Never accepts again, and does not say so.
    Hang,
    /// Blocks the thread that asks.
    Block(Duration),
}

/// The steps to come, and the last socket that was handed out.
#[derive(Clone, Default)]
pub struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    socket: Arc<Mutex<Option<TcpListener>>>,
}

impl Script {
    pub fn then(&self, steps: impl IntoIterator<Item = Step>) {
        self.steps.lock().unwrap().extend(steps);
    }

    pub fn left(&self) -> usize {
        self.steps.lock().unwrap().len()
    }

    /// What other code in the process could do to the engine's socket. Elsewhere a shutdown of a listener is refused.
    #[cfg(target_os = "linux")]
    pub fn shut_socket_down(&self) {
        let socket = self.socket.lock().unwrap();
        socket2::SockRef::from(socket.as_ref().unwrap()).shutdown(std::net::Shutdown::Both).unwrap();
    }

    pub fn hooks(&self) -> TestHooks {
        let script = self.clone();
        let adopt: Adopt = Arc::new(move |socket| {
            *script.socket.lock().unwrap() = Some(socket.try_clone()?);
            Ok(Box::new(Scripted { inner: listen::adopt(socket)?, script: script.clone(), hung: false, waiting: Vec::new() }))
        });
        TestHooks { adopt: Some(adopt), ..Default::default() }
    }
}

struct Scripted {
    inner: Box<dyn Accept>,
    script: Script,
    hung: bool,
    waiting: Vec<TcpStream>,
}

impl Accept for Scripted {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        if self.hung {
            return Poll::Pending;
        }
        // A step strikes when a connection is there to be lost.
        let accepted = match self.inner.poll_accept(cx) {
            Poll::Ready(Ok(accepted)) => accepted,
            other => return other,
        };
        let step = self.script.steps.lock().unwrap().pop_front();
        match step {
            None => Poll::Ready(Ok(accepted)),
            Some(Step::Fail(error)) => Poll::Ready(Err(error)),
            Some(Step::Starve(error)) => {
                self.waiting.push(accepted.0);
                Poll::Ready(Err(error))
            }
            Some(Step::Panic) => panic!("scripted"),
            Some(Step::Hang) => {
                self.hung = true;
                Poll::Pending
            }
            Some(Step::Block(time)) => {
                std::thread::sleep(time);
                Poll::Pending
            }
        }
    }

    fn let_go(self: Box<Self>, address: SocketAddr) {
        self.inner.let_go(address);
    }
}

/// A source that tells what a test sends.
pub fn scripted_network() -> (mpsc::Sender<NetworkNews>, NetworkSource) {
    let (tell, told) = mpsc::channel::<NetworkNews>(8);
    let told = Mutex::new(Some(told));
    let source: NetworkSource = Arc::new(move |changes| {
        let told = told.lock().unwrap().take();
        Box::pin(async move {
            let Some(mut told) = told else { return };
            while let Some(change) = told.recv().await {
                changes.send(change).await.ok();
            }
        })
    });
    (tell, source)
}
