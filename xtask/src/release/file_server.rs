//! The files of one folder over HTTP on loopback, whole or cut on their way. For checks alone.

use anyhow::Result;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Nobody here is slower.
const LIMIT: Duration = Duration::from_secs(30);

/// Serves until it is dropped.
pub(crate) struct FileServer {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    folder: PathBuf,
    cut: AtomicBool,
    ended: AtomicBool,
}

impl FileServer {
    /// On a free port.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { folder: folder.to_owned(), cut: AtomicBool::new(false), ended: AtomicBool::new(false) });
        let its = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if its.ended.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away is its own affair.
                stream.and_then(|stream| answer(stream, &its)).ok();
            }
        });
        Ok(Self { address, state, thread: Some(thread) })
    }

    /// Without a slash at its end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on half of each file comes, and the connection ends.
    pub(crate) fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn answer(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let name = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    match fs::read(state.folder.join(name)) {
        Ok(bytes) => {
            let part = if state.cut.load(Ordering::SeqCst) { bytes.len() / 2 } else { bytes.len() };
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", bytes.len())?;
            stream.write_all(&bytes[..part])
        }
        Err(_) => stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
    }
}
