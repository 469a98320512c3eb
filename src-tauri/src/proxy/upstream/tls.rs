//! Whom to trust upstream, made once and only when the first https connection is needed.
//!
//! A refused certificate is reported with its issuer, because the issuer tells TLS inspection from a broken server.

use super::Failure;
use crate::{config::Trust, status::traffic::Cause};
use rustls::{
    ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use std::sync::{Arc, OnceLock};
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The trust of one generation.
#[derive(Debug)]
pub(in crate::proxy) struct Roots {
    trust: Trust,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Roots {
    pub(in crate::proxy) fn new(trust: Trust) -> Self {
        Self { trust, config: OnceLock::new() }
    }

    /// The connector; reading the platform's store takes some milliseconds the first time.
    pub(super) fn connector(&self) -> Result<TlsConnector, Failure> {
        match self.config.get_or_init(|| build(&self.trust).map(Arc::new)) {
            Ok(config) => Ok(TlsConnector::from(config.clone())),
            Err(why) => Err(Failure::new(Cause::Certificate, why.clone())),
        }
    }
}

fn build(trust: &Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = verifier(trust, &provider)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Naming(verifier)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn verifier(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let store = |e: rustls::Error| format!("the platform's trust store cannot be used: {e}");
    Ok(match trust {
        Trust::Only(certificates) => {
            let mut roots = RootCertStore::empty();
            for der in certificates {
                roots.add(CertificateDer::from(der.clone())).map_err(|e| format!("a root certificate is not usable: {e}"))?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|e| format!("no root certificate is usable: {e}"))?
        }
        Trust::Platform { extra: None } => Arc::new(Verifier::new(provider.clone()).map_err(store)?),
        Trust::Platform { extra: Some(file) } => {
            let unusable = |why: &dyn std::fmt::Display| format!("extra_ca: {} is not a usable PEM file: {why}", file.display());
            let extra: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
            let extra = extra.map_err(|e| unusable(&e))?;
            if extra.is_empty() {
                return Err(unusable(&"it holds no certificate"));
            }
            Arc::new(Verifier::new_with_extra_roots(extra, provider.clone()).map_err(store)?)
        }
    })
}

/// A certificate that was not believed.
#[derive(Debug, thiserror::Error)]
#[error("the certificate for {host} is not trusted ({reason}); it was issued by {issuer}")]
pub(super) struct Untrusted {
    host: String,
    issuer: String,
    reason: String,
}

/// Believes what the inner verifier believes, and names the issuer of what it does not.
#[derive(Debug)]
struct Naming(Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for Naming {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0.verify_server_cert(end_entity, intermediates, name, ocsp, now).map_err(|reason| {
            let issuer = X509Certificate::from_der(end_entity)
                .map_or_else(|_| "nobody (it cannot be read)".into(), |(_, c)| c.issuer().to_string());
            let reason = match reason {
                rustls::Error::InvalidCertificate(why) => why.to_string(),
                other => other.to_string(),
            };
            rustls::Error::Other(OtherError(Arc::new(Untrusted { host: name.to_str().into_owned(), issuer, reason })))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Tells a certificate that is not believed, which is permanent, from a handshake that broke, which is not.
pub(super) fn classify(error: &std::io::Error, host: &str) -> Failure {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::Other(OtherError(other))) if other.is::<Untrusted>() => {
            Failure::new(Cause::Certificate, other.to_string())
        }
        Some(rustls::Error::InvalidCertificate(why)) => {
            Failure::new(Cause::Certificate, format!("the certificate for {host} is not valid ({why})"))
        }
        Some(other) => Failure::new(Cause::Tls, format!("the TLS handshake with {host} failed ({other})")),
        None => Failure::new(Cause::Tls, format!("the connection to {host} broke during the TLS handshake ({error})")),
    }
}
