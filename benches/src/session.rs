//! A session of Leeward's, opened as `wrap` opens one: what opens tunnels, and with what its connections are decrypted.

use crate::peer::{Peer, Place};
use anyhow::{Context, Result, ensure};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A token has 32 characters at least. This one opens tunnels of a process that lives for seconds.
const TOKEN: &str = "00000000000000000000000000000000";
/// `leeward:TOKEN` in base 64.
const LOGIN: &str = "Basic bGVld2FyZDowMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA==";
/// What has to be there after a start.
const PATIENCE: Duration = Duration::from_secs(30);

/// How an agent of a program gets through it.
pub(crate) struct Session {
    /// What a CONNECT shows; other programs than Leeward want nothing.
    pub(crate) login: Option<String>,
    /// The certificate (PEM) of the authority that its connections are decrypted with.
    pub(crate) authority: Option<PathBuf>,
    /// The session lasts as long as this.
    _stream: Option<TcpStream>,
}

/// Whether a program is Leeward.
pub(crate) fn is_leeward(peer: &dyn Peer) -> bool {
    matches!(peer.name(), "leeward" | "before")
}

impl Session {
    /// Of a program that runs there. Its connections are decrypted, or not.
    pub(crate) fn of(peer: &dyn Peer, place: &Place<'_>, decrypts: bool) -> Result<Self> {
        if is_leeward(peer) {
            return register(place, decrypts);
        }
        let authority = peer.decrypts_by(place).filter(|_| decrypts).map(|file| there(&file)).transpose()?;
        Ok(Self { login: None, authority, _stream: None })
    }
}

/// Waits for a file; it is there a moment after the port.
fn there(file: &Path) -> Result<PathBuf> {
    let end = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(file).is_ok_and(|text| !text.trim().is_empty()) {
        ensure!(Instant::now() < end, "there is no {}", file.display());
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(file.to_owned())
}

fn register(place: &Place<'_>, decrypts: bool) -> Result<Session> {
    let (state, address) = (place.folder.join("state"), place.listen);
    let token = std::fs::read_to_string(there(&state.join("control.token"))?)?;
    let body = format!("{{\"agent\":\"claude\",\"pid\":1,\"tunnel_token\":\"{TOKEN}\",\"intercept\":{decrypts}}}");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /_leeward/v1/sessions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        token.trim(),
        body.len()
    )?;
    let mut said = String::new();
    // Its first line is a JSON object.
    while !said.contains("}\n") {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece)?;
        ensure!(n > 0 && (said.is_empty() || said.starts_with("HTTP/1.1 200 ")), "no session: {said}");
        said += &String::from_utf8_lossy(&piece[..n]);
    }
    let told = told(&said).with_context(|| format!("no session: {said}"))?;
    let authority = told["authority"].as_str().map(|id| state.join("authority").join(format!("{id}.crt")));
    ensure!(!decrypts || authority.is_some(), "nothing can be decrypted: {told}");
    Ok(Session { login: Some(LOGIN.to_owned()), authority, _stream: Some(stream) })
}

/// The first line of the response's body.
fn told(said: &str) -> Option<serde_json::Value> {
    let (head, body) = said.split_once("\r\n\r\n")?;
    let line = body.get(body.find('{')?..body.rfind('}')? + 1)?;
    if head.starts_with("HTTP/1.1 200 ") { serde_json::from_str(line).ok() } else { None }
}
