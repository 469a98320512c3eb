//! The leaves of one certificate authority: one a host, made when first asked for, in memory only. Hosts come from a table,
//! so that there are never more than it has rows.

use super::{
    certificate::{BACKDATED, LEAF_LASTS},
    trouble::Trouble,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// A certificate and its key.
pub(super) type Pair = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// The leaves.
#[derive(Debug, Default)]
pub(super) struct Leaves(Mutex<BTreeMap<String, Leaf>>);

#[derive(Debug)]
struct Leaf {
    server: Arc<ServerConfig>,
    /// Outside these another one is made: two thirds of its life, and no time before it.
    used: (SystemTime, SystemTime),
}

impl Leaves {
    /// The host's leaf, or a new one.
    pub(super) fn get(
        &self,
        host: &str,
        now: SystemTime,
        sign: impl FnOnce((SystemTime, SystemTime)) -> Result<Pair, Trouble>,
    ) -> Result<Arc<ServerConfig>, Trouble> {
        let mut leaves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Leaf { server, used }) = leaves.get(host)
            && (used.0..used.1).contains(&now)
        {
            return Ok(server.clone());
        }
        let from = now - BACKDATED;
        let server = Arc::new(server(sign((from, now + LEAF_LASTS))?)?);
        leaves.insert(host.to_owned(), Leaf { server: server.clone(), used: (from, now + LEAF_LASTS * 2 / 3) });
        Ok(server)
    }
}

fn server((certificate, key): Pair) -> Result<ServerConfig, Trouble> {
    let unusable = |e: rustls::Error| Trouble::Making(e.to_string());
    let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(unusable)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Data that rides on a hello could be sent twice.
    server.max_early_data_size = 0;
    server.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
    Ok(server)
}
