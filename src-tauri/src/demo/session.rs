//! A session of the demo's engine, opened as `wrap` opens one: over the control API, with a token of its own.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use std::{io, net::SocketAddr, path::Path, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Leeward makes its certificate authority in this time, at the first session that wants one.
const WITHIN: Duration = Duration::from_secs(10);

/// Lasts until it is dropped.
pub(super) struct Session {
    /// Opens tunnels.
    pub(super) token: String,
    /// The authority that Leeward decrypts with (DER), where it does.
    pub(super) authority: Option<CertificateDer<'static>>,
    _stream: TcpStream,
}

impl Session {
    /// Opens one. `control`: the file with the control token; `authorities`: the folder with the certificates.
    pub(super) async fn open(engine: SocketAddr, control: &Path, authorities: &Path, intercept: bool) -> io::Result<Self> {
        timeout(WITHIN, Self::begin(engine, control, authorities, intercept)).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    }

    async fn begin(engine: SocketAddr, control: &Path, authorities: &Path, intercept: bool) -> io::Result<Self> {
        let control = tokio::fs::read_to_string(control).await?;
        let mut token = [0; 16];
        getrandom::fill(&mut token).map_err(io::Error::other)?;
        let token: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({ "agent": "claude", "pid": std::process::id(), "tunnel_token": token, "intercept": intercept });
        let body = body.to_string();
        let head = format!(
            "POST /_leeward/v1/sessions HTTP/1.1\r\nhost: {engine}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            control.trim(),
            body.len()
        );
        let mut stream = TcpStream::connect(engine).await?;
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        let told = first_line(&mut stream).await?;
        let authority = match (intercept, told["authority"].as_str()) {
            (false, _) => None,
            (true, Some(id)) => {
                let pem = tokio::fs::read(authorities.join(format!("{id}.crt"))).await?;
                Some(CertificateDer::from_pem_slice(&pem).map_err(io::Error::other)?)
            }
            (true, None) => return Err(io::Error::other(format!("nothing can be decrypted: {told}"))),
        };
        Ok(Self { token, authority, _stream: stream })
    }
}

/// The first line of the stream that a session lasts as long as: JSON, in a chunk of its own.
async fn first_line(stream: &mut TcpStream) -> io::Result<Value> {
    let mut got = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&got);
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            if !head.starts_with("HTTP/1.1 200 ") {
                return Err(io::Error::other(format!("no session: {}", head.lines().next().unwrap_or_default())));
            }
            if let Some(line) = rest.split_once('{').and_then(|(_, rest)| Some(format!("{{{}", rest.split_once('\n')?.0))) {
                return serde_json::from_str(&line).map_err(io::Error::other);
            }
        }
        if stream.read_buf(&mut got).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
