//! What the targets share: a real engine in this process, a strict upstream after it, and a client on a raw socket.
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

use leeward::{
    config::{Flags, Settings},
    inbound::guard::chunks::Chunks,
    supervisor::{Engine, EngineOptions},
};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

/// A response that takes longer is a hang, which is a finding.
const LIMIT: Duration = Duration::from_secs(10);

/// An engine with a home of its own before the upstream, as a user who has set nothing has it.
pub struct Running {
    pub engine: Engine,
    pub token: String,
    pub upstream: Strict,
    _home: tempfile::TempDir,
}

impl Running {
    pub fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let upstream = Strict::start();
        let folder = home.path().to_str().unwrap().to_owned();
        let flags = Flags {
            listen: Some("127.0.0.1:0".into()),
            upstream: Some(format!("http://{}", upstream.address)),
            ..Flags::default()
        };
        let look = move |name: &str| (name == "LEEWARD_HOME").then(|| folder.clone());
        let settings = Arc::new(Settings::with(look, flags));
        let config = settings.load().unwrap();
        let token = config.paths.token_file();
        let engine = Engine::start(config, EngineOptions::of(settings)).unwrap();
        let token = std::fs::read_to_string(token).unwrap().trim().to_owned();
        Self { engine, token, upstream, _home: home }
    }

    /// Sends bytes on a new connection, says that there are no more, and reads until the end. To Leeward that is a client
    /// that leaves: a request that still waits for its response is given up.
    pub fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        self.talk(bytes, true)
    }

    /// Sends a request that asks for the end of its connection, and reads until that.
    pub fn ask(&self, bytes: &[u8]) -> Vec<u8> {
        self.talk(bytes, false)
    }

    fn talk(&self, bytes: &[u8], leaves: bool) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.engine.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        // Refused while it is still sent is a response, too.
        stream.write_all(bytes).ok();
        if leaves {
            stream.shutdown(Shutdown::Write).ok();
        }
        let mut answer = Vec::new();
        if let Err(e) = stream.read_to_end(&mut answer) {
            assert!(e.kind() == std::io::ErrorKind::ConnectionReset, "no end within {LIMIT:?}: {e}");
        }
        answer
    }

    /// Fails unless the listener still answers.
    pub fn is_alive(&self) {
        let answer = self.ask(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        assert!(answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
    }
}

/// An upstream that believes nobody: each request must be one that every parser reads alike.
pub struct Strict {
    pub address: SocketAddr,
}

impl Strict {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { address }
    }
}

fn serve(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 256];
        let mut request = httparse::Request::new(&mut fields);
        let (begin, length) = match request.parse(&bytes) {
            Ok(httparse::Status::Partial) => match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    bytes.extend_from_slice(&piece[..read]);
                    continue;
                }
            },
            Err(e) => fail(&format!("an upstream was sent no request ({e})"), &bytes),
            Ok(httparse::Status::Complete(begin)) => {
                let values =
                    |name: &str| request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).collect::<Vec<_>>();
                let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
                if lengths.len() + codings.len() > 1 || values("host").len() != 1 {
                    fail("ambiguous framing or host", &bytes);
                }
                let length = lengths.first().map(|field| std::str::from_utf8(field.value).unwrap().parse::<usize>().unwrap());
                (begin, if codings.is_empty() { Some(length.unwrap_or(0)) } else { None })
            }
        };
        bytes.drain(..begin);
        let end = loop {
            let whole = match length {
                Some(length) => (bytes.len() >= length).then_some(length),
                None => match Chunks::default().scan(&bytes) {
                    Some((end, true)) => Some(end),
                    Some(_) => None,
                    None => fail("broken chunks", &bytes),
                },
            };
            if let Some(end) = whole {
                break end;
            }
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(read) => bytes.extend_from_slice(&piece[..read]),
            }
        };
        bytes.drain(..end);
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}").is_err() {
            return;
        }
    }
}

/// A panic of this thread alone would go unnoticed.
fn fail(why: &str, bytes: &[u8]) -> ! {
    eprintln!("{why}: {:?}", String::from_utf8_lossy(bytes));
    std::process::abort()
}
