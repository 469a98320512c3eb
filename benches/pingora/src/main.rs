//! A small reverse proxy on the crate pingora, with its defaults: what Leeward is measured beside. One worker, one
//! upstream, nothing added. `bench-pingora LISTEN UPSTREAM [tls]`.

use async_trait::async_trait;
use pingora_core::{
    Error, ErrorType, Result,
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use std::{net::SocketAddr, sync::Arc};

struct Reverse {
    upstream: SocketAddr,
    tls: bool,
}

#[async_trait]
impl ProxyHttp for Reverse {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.upstream, self.tls, "localhost".to_owned());
        peer.options.verify_cert = false;
        peer.options.verify_hostname = false;
        Ok(Box::new(peer))
    }
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["--version"] {
        println!("pingora {}", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    let usage = || Error::explain(ErrorType::InternalError, "usage: bench-pingora LISTEN UPSTREAM [tls]");
    let (Some(listen), Some(upstream)) = (words.first(), words.get(1)) else { return Err(usage()) };
    let upstream = upstream.parse().map_err(|_| usage())?;
    let conf = ServerConf { threads: 1, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), Reverse { upstream, tls: words.len() > 2 });
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever()
}
