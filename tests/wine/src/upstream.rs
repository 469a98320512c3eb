//! The API behind the Windows build, as far as its contracts need one: messages, events, and faults that Linux' own sockets
//! make. Shares no code with what it tests.

use socket2::SockRef;
use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

/// What happens to a connection instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A reset before it has said anything.
    ResetAtAccept,
    /// A reset behind its whole request.
    ResetBehindRequest,
    /// A reset in the middle of the answer's head.
    ResetInHead,
    /// A reset behind the first event of a stream, which has no content yet.
    ResetBeforeContent,
    /// The end of the connection behind some content.
    CutInContent,
}

/// Serves until the test's program ends.
pub struct Upstream {
    pub url: String,
    faults: Faults,
}

type Faults = Arc<Mutex<VecDeque<Fault>>>;

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let faults = Faults::default();
        let coming = faults.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let coming = coming.clone();
                std::thread::spawn(move || serve(&stream, &coming));
            }
        });
        Self { url, faults }
    }

    /// The next requests meet these, in their order.
    pub fn fail(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Those that nobody has met yet.
    pub fn left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }
}

/// Requests of a connection, one after the other; an error is that of a client that has gone.
fn serve(stream: &TcpStream, faults: &Faults) -> Option<()> {
    if take(faults, |fault| fault == Fault::ResetAtAccept).is_some() {
        return reset(stream);
    }
    let mut reader = BufReader::new(stream);
    loop {
        let (line, body) = request(&mut reader)?;
        let fault = take(faults, |_| true);
        match fault {
            Some(Fault::ResetAtAccept | Fault::ResetBehindRequest) => return reset(stream),
            Some(Fault::ResetInHead) => {
                send(stream, "HTTP/1.1 200 OK\r\ncontent-ty")?;
                return reset(stream);
            }
            _ => {}
        }
        if let Some((count, pause)) = events_wanted(&line) {
            events(stream, count, pause)?;
        } else if body.contains("\"stream\":true") {
            message_stream(stream, fault)?;
        } else {
            let answer = r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"hello"}]}"#;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
            send(stream, &format!("{head}{answer}"))?;
        }
    }
}

fn take(faults: &Faults, wanted: impl Fn(Fault) -> bool) -> Option<Fault> {
    let mut faults = faults.lock().unwrap();
    if faults.front().is_some_and(|fault| wanted(*fault)) { faults.pop_front() } else { None }
}

/// Closes with a reset: what has been sent has arrived, since both ends are on this machine.
fn reset(stream: &TcpStream) -> Option<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).ok()
}

fn send(mut stream: &TcpStream, text: &str) -> Option<()> {
    stream.write_all(text.as_bytes()).ok()
}

/// Its first line, and its body.
fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.to_ascii_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head.first()?.clone(), String::from_utf8_lossy(&body).into_owned()))
}

/// `/sse/COUNT?delay_ms=PAUSE`
fn events_wanted(line: &str) -> Option<(u32, Duration)> {
    let (_, rest) = line.split_once("/sse/")?;
    let target = rest.split(' ').next()?;
    let (count, pause) = target.split_once("?delay_ms=").unwrap_or((target, "0"));
    Some((count.parse().ok()?, Duration::from_millis(pause.parse().ok()?)))
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(stream: &TcpStream, text: &str) -> Option<()> {
    send(stream, &format!("{:x}\r\n{text}\r\n", text.len()))
}

fn events(stream: &TcpStream, count: u32, pause: Duration) -> Option<()> {
    send(stream, STREAM)?;
    for number in 1..=count {
        std::thread::sleep(pause);
        chunk(stream, &format!("data: {number}\n\n"))?;
    }
    send(stream, "0\r\n\r\n")
}

fn message_stream(stream: &TcpStream, fault: Option<Fault>) -> Option<()> {
    send(stream, STREAM)?;
    let event = |name: &str, rest: &str| chunk(stream, &format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n"));
    event("message_start", r#","message":{"type":"message","role":"assistant","content":[]}"#)?;
    if fault == Some(Fault::ResetBeforeContent) {
        reset(stream)?;
        return None;
    }
    event("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#)?;
    event("content_block_delta", r#","index":0,"delta":{"type":"text_delta","text":"hello"}"#)?;
    if fault == Some(Fault::CutInContent) {
        return None;
    }
    event("content_block_stop", r#","index":0"#)?;
    event("message_stop", "")?;
    send(stream, "0\r\n\r\n")
}
