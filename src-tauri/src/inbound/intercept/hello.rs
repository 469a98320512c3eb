//! A client's TLS hello, looked at before anybody answers it: for which host it is and what it would speak. Takes nothing away:
//! whoever goes on gets the same bytes.

use rustls::server::Acceptor;
use std::io::Cursor;

/// A hello that may still be incomplete.
#[derive(Default)]
pub struct Hello(Acceptor);

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hello")
    }
}

/// What is seen of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// It goes on.
    More,
    /// It is none.
    NotTls,
    /// It is whole.
    Seen(Seen),
}

/// What a hello says.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// The host, where it names one.
    host: Option<String>,
    /// Whether what follows can be HTTP/1.1.
    speaks_http1: bool,
}

impl Hello {
    /// Looks at more of it.
    pub fn look(&mut self, more: &[u8]) -> Look {
        let mut rest = Cursor::new(more);
        loop {
            let is_end = rest.position() >= more.len() as u64;
            match self.0.accept() {
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    let speaks_http1 = hello.alpn().is_none_or(|mut all| all.any(|protocol| protocol == b"http/1.1"));
                    return Look::Seen(Seen { host: hello.server_name().map(str::to_ascii_lowercase), speaks_http1 });
                }
                Ok(None) if is_end => return Look::More,
                Ok(None) => {}
                Err(_) => return Look::NotTls,
            }
            if !matches!(self.0.read_tls(&mut rest), Ok(1..)) {
                return Look::NotTls;
            }
        }
    }
}

impl Seen {
    /// Whether its TLS can end here for that host.
    ///
    /// # Errors
    /// Why not, as the end of a sentence.
    pub fn fits(&self, host: &str) -> Result<(), &'static str> {
        match &self.host {
            None => Err("their TLS hello names no host"),
            Some(named) if named != host => Err("their TLS hello names another host"),
            Some(_) if !self.speaks_http1 => Err("the program speaks only HTTP/2"),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName};
    use std::sync::Arc;

    fn hello(host: &str, alpn: &[&str], sni: bool) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.enable_sni = sni;
        let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(host.to_owned()).unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn host_and_protocol_are_seen_wherever_the_hello_is_cut() {
        const FITS: Result<(), &str> = Ok(());
        for (host, alpn, sni, want) in [
            ("api.anthropic.com", &["http/1.1"][..], true, FITS),
            ("api.anthropic.com", &[], true, FITS),
            ("API.anthropic.com", &["h2", "http/1.1"], true, FITS),
            ("api.anthropic.com", &["h2"], true, Err("the program speaks only HTTP/2")),
            ("api.anthropic.com", &[], false, Err("their TLS hello names no host")),
            ("claude.ai", &[], true, Err("their TLS hello names another host")),
        ] {
            let bytes = hello(host, alpn, sni);
            for cut in (0..bytes.len()).step_by(97) {
                let mut looked = Hello::default();
                assert_eq!(looked.look(&bytes[..cut]), Look::More, "{cut}");
                match looked.look(&bytes[cut..]) {
                    Look::Seen(seen) => assert_eq!(seen.fits("api.anthropic.com"), want, "{host} {alpn:?} cut at {cut}"),
                    other => panic!("{host} {alpn:?} cut at {cut}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn what_is_no_hello_is_none() {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[22, 3, 1, 0, 4, 2, 0, 0, 0], &[23, 3, 3, 0, 1, 0], &[255; 300]] {
            assert_eq!(Hello::default().look(bytes), Look::NotTls, "{bytes:?}");
        }
    }
}
