//! TLS towards upstreams: whom to trust, whom to be, which key shares to offer. Made when first needed, and again when a
//! file of it has changed.
//!
//! A refused certificate is reported with its issuer, because the issuer tells TLS inspection from a broken server.

use super::paths::Share;
use crate::{
    config::{self, KeyShare, Trust, read_certificates},
    escape,
    message::Failure,
    status::faults::Cause,
};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, InvalidMessage, NamedGroup, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate, X509Name};

/// The connectors of one generation.
#[derive(Debug)]
pub(super) struct Connectors {
    trust: Trust,
    tls: config::Tls,
    made: Mutex<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    files: Vec<Seen>,
    pair: Result<Pair, String>,
}

/// What a file was when it was read; `None`: it was not there.
type Seen = Option<(SystemTime, u64)>;

#[derive(Debug)]
struct Pair {
    post_quantum: Arc<ClientConfig>,
    classical: Arc<ClientConfig>,
}

impl Connectors {
    pub(super) fn new(trust: Trust, tls: config::Tls) -> Self {
        Self { trust, tls, made: Mutex::default() }
    }

    /// True when post-quantum hellos may be sent at all.
    pub(super) fn may_offer_post_quantum(&self) -> bool {
        self.tls.key_share == KeyShare::Auto
    }

    /// The connector; reading the platform's store takes some milliseconds the first time.
    pub(super) fn connector(&self, share: Share) -> Result<TlsConnector, Failure> {
        let files = self.files();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match made.as_mut() {
            Some(Made { files: known, pair: Ok(_) }) if *known == files => {}
            Some(Made { files: known, pair: Ok(_) }) => match make(&self.trust, &self.tls) {
                Ok(pair) => *made = Some(Made { files, pair: Ok(pair) }),
                Err(why) => {
                    tracing::warn!("{why}; the certificates that were read before stay in use");
                    *known = files;
                }
            },
            // What could not be read may be readable now: the platform's store has no file to go by.
            _ => *made = Some(Made { files, pair: make(&self.trust, &self.tls) }),
        }
        match made.as_ref().map(|m| &m.pair) {
            Some(Ok(pair)) => Ok(TlsConnector::from(match share {
                Share::PostQuantum => pair.post_quantum.clone(),
                Share::Classical => pair.classical.clone(),
            })),
            Some(Err(why)) => Err(Failure::new(Cause::Certificate, why).fact(why, "Mend that in Leeward's config")),
            None => Err(Failure::new(Cause::Certificate, "no certificates were read")),
        }
    }

    /// The files that the connectors are made from, as they are now.
    fn files(&self) -> Vec<Seen> {
        let own = self.tls.client.iter().flat_map(|c| [&c.cert, &c.key]);
        files_of(&self.trust).into_iter().chain(own).map(|f| seen(f)).collect()
    }
}

fn files_of(trust: &Trust) -> Vec<&PathBuf> {
    match trust {
        Trust::Platform { extra } => extra.iter().collect(),
        Trust::Also { base, roots } => files_of(base).into_iter().chain(roots).collect(),
        Trust::Only(_) => Vec::new(),
    }
}

fn seen(file: &Path) -> Seen {
    let data = std::fs::metadata(file).ok()?;
    Some((data.modified().ok()?, data.len()))
}

fn make(trust: &Trust, tls: &config::Tls) -> Result<Pair, String> {
    let full = rustls::crypto::aws_lc_rs::default_provider();
    let mut classical = full.clone();
    classical.kx_groups.retain(|group| is_classical(group.name()));
    let verifier = Arc::new(IssuerVerifier(verifier(trust, &Arc::new(full.clone()))?));
    let identity = tls.client.as_ref().map(config::ClientIdentity::read).transpose();
    let identity = identity.map_err(|(key, why)| format!("{key}: {why}"))?;
    let client = |provider: CryptoProvider| -> Result<Arc<ClientConfig>, String> {
        let unusable = |e: rustls::Error| format!("TLS cannot be set up: {e}");
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        let mut config = match &identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(unusable)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    };
    Ok(Pair { post_quantum: client(full)?, classical: client(classical)? })
}

/// A key share that fits, with everything else, into one segment.
fn is_classical(group: NamedGroup) -> bool {
    matches!(group, NamedGroup::X25519 | NamedGroup::X448 | NamedGroup::secp256r1 | NamedGroup::secp384r1 | NamedGroup::secp521r1)
}

/// Certificates that are trusted besides the others of a `Trust`.
type Roots = Vec<CertificateDer<'static>>;

fn verifier(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    verifier_with(trust, Roots::new(), provider)
}

fn verifier_with(trust: &Trust, mut also: Roots, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let store = |e: rustls::Error| format!("the platform's trust store cannot be used: {e}");
    Ok(match trust {
        Trust::Only(certificates) => {
            let mut roots = RootCertStore::empty();
            for der in certificates.iter().map(|der| CertificateDer::from(der.clone())).chain(also) {
                roots.add(der).map_err(|e| format!("a root certificate is not usable: {e}"))?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|e| format!("no root certificate is usable: {e}"))?
        }
        Trust::Platform { extra } => {
            if let Some(file) = extra {
                also.extend(read_certificates(file).map_err(|why| format!("extra_ca: {why}"))?);
            }
            if also.is_empty() {
                Arc::new(Verifier::new(provider.clone()).map_err(store)?)
            } else {
                Arc::new(Verifier::new_with_extra_roots(also, provider.clone()).map_err(store)?)
            }
        }
        Trust::Also { base, roots } => {
            for file in roots {
                match read_certificates(file) {
                    Ok(read) => also.extend(read),
                    // Agents go on without them too.
                    Err(why) => tracing::warn!("certificates of an agent: {why}"),
                }
            }
            verifier_with(base, also, provider)?
        }
    })
}

/// A certificate that was not believed.
#[derive(Debug, thiserror::Error)]
#[error("the certificate for {host} is not trusted ({reason}); it was issued by {issuer}")]
pub(super) struct Untrusted {
    host: String,
    issuer: String,
    /// The issuer by the one name that people know it by.
    known_as: Option<String>,
    reason: String,
}

/// A certificate that would be believed at another time.
#[derive(Debug, thiserror::Error)]
#[error("the certificate for {host} {when}, by this machine's clock, and would be trusted otherwise")]
pub(super) struct OutOfTime {
    host: String,
    when: String,
    /// The same for people, with a day and no more.
    says: String,
    advice: &'static str,
}

/// Believes what the inner verifier believes, and names the issuer of what it does not.
#[derive(Debug)]
struct IssuerVerifier(Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for IssuerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0.verify_server_cert(end_entity, intermediates, name, ocsp, now).map_err(|reason| {
            let host = name.to_str().into_owned();
            if let Some((when, day, then)) = out_of_time(&reason, end_entity, intermediates)
                && self.0.verify_server_cert(end_entity, intermediates, name, ocsp, then).is_ok()
            {
                let (says, advice) = match day {
                    Day::Begins(day) => (format!("{host}'s certificate begins on {day}, by this clock"), "Set the clock"),
                    Day::Ended(day) => (
                        format!("{host}'s certificate expired on {day}, by this clock"),
                        "If the clock is right, only the server's owner can renew it",
                    ),
                };
                return rustls::Error::Other(OtherError(Arc::new(OutOfTime { host, when, says, advice })));
            }
            let read = X509Certificate::from_der(end_entity);
            let issuer = read.as_ref().map_or_else(
                |_| "nobody (it cannot be read)".into(),
                |(_, c)| escape::foreign(&c.issuer().to_string()).into_owned(),
            );
            let known_as = read.ok().and_then(|(_, c)| known_as(c.issuer()));
            let reason = match reason {
                rustls::Error::InvalidCertificate(why) => why.to_string(),
                other => other.to_string(),
            };
            rustls::Error::Other(OtherError(Arc::new(Untrusted { host, issuer, known_as, reason })))
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

/// The one name of an issuer: its own, else its organization's.
fn known_as(issuer: &X509Name<'_>) -> Option<String> {
    let name = issuer.iter_common_name().chain(issuer.iter_organization()).find_map(|name| name.as_str().ok())?;
    let short: String = name.chars().take(LONGEST_NAME).collect();
    Some(escape::foreign(&short).into_owned())
}

/// More of an issuer's name tells nobody more.
const LONGEST_NAME: usize = 40;

/// A day on which a certificate's time begins or ended.
enum Day {
    Begins(String),
    Ended(String),
}

/// The day of a time.
fn day(time: ASN1Time) -> String {
    let date = time.to_datetime().date();
    format!("{}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// For a certificate that is refused for its time alone: how it stands to it, in words and by its day, and a time at which it
/// would be valid with all that were sent along.
fn out_of_time(
    reason: &rustls::Error,
    end_entity: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
) -> Option<(String, Day, UnixTime)> {
    use rustls::{CertificateError as E, Error::InvalidCertificate as Invalid};
    let is_early = match reason {
        Invalid(E::NotValidYet | E::NotValidYetContext { .. }) => true,
        Invalid(E::Expired | E::ExpiredContext { .. }) => false,
        _ => return None,
    };
    let chain = std::iter::once(end_entity).chain(others).filter_map(|der| X509Certificate::from_der(der).ok());
    let times: Vec<_> = chain.map(|(_, c)| (c.validity().not_before, c.validity().not_after)).collect();
    let (from, until) = (times.iter().map(|t| t.0).max()?, times.iter().map(|t| t.1).min()?);
    let (when, day, then) = if is_early {
        (format!("is valid from {from} on"), Day::Begins(day(from)), from.timestamp())
    } else {
        (format!("has expired on {until}"), Day::Ended(day(until)), until.timestamp())
    };
    Some((when, day, UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(then).ok()?))))
}

/// Alerts that say that the two sides have no version, cipher or protocol in common: another handshake meets them again.
fn is_refusal(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(alert, A::ProtocolVersion | A::HandshakeFailure | A::InsufficientSecurity | A::NoApplicationProtocol)
}

/// Tells what is permanent (a certificate that is not believed, another protocol) from a handshake that broke, which is not.
pub(super) fn classify(error: &std::io::Error, endpoint: &impl std::fmt::Display, host: &str) -> Failure {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    let new = |cause, detail: String| Failure::new(cause, detail);
    match inner {
        Some(rustls::Error::Other(OtherError(other))) => match (other.downcast_ref(), other.downcast_ref()) {
            (Some(OutOfTime { says, advice, .. }), _) => new(Cause::Clock, other.to_string()).fact(says, advice),
            (_, Some(Untrusted { host, known_as, .. })) => {
                let by = known_as.as_ref().map_or_else(String::new, |by| format!(": issued by {by}"));
                let says = format!("the certificate of {host} is not trusted{by}");
                new(Cause::Certificate, other.to_string()).fact(says, "If your company inspects TLS, set extra_ca")
            }
            _ => new(Cause::Tls, format!("the TLS handshake with {host} failed ({other})")),
        },
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            let says = format!("{endpoint} speaks plain HTTP");
            new(Cause::NotTls, format!("{endpoint} answers without TLS, as a server of plain HTTP does"))
                .fact(says, "Write http:// in its URL")
        }
        Some(rustls::Error::AlertReceived(alert)) if is_refusal(*alert) => {
            let detail = format!("{endpoint} speaks no TLS that Leeward does (it refused the handshake: {alert:?})");
            new(Cause::NotTls, detail).fact(format!("{endpoint} has no TLS 1.2 or 1.3"), "Update that server")
        }
        Some(rustls::Error::InvalidCertificate(why)) => {
            new(Cause::Certificate, format!("the certificate for {host} is not valid ({why})"))
        }
        Some(other) => new(Cause::Tls, format!("the TLS handshake with {host} failed ({other})")),
        None => new(Cause::Tls, format!("the connection to {host} broke during the TLS handshake ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The platform's store, or a file that is being written, may be readable a moment later, and look the same.
    #[test]
    fn certificates_that_could_not_be_read_are_read_again_at_the_next_dial() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("ca.pem");
        let pem = rcgen::generate_simple_self_signed(vec!["h".into()]).unwrap().cert.pem();
        let put = |text: &[u8]| {
            std::fs::write(&file, text).unwrap();
            std::fs::File::options().write(true).open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        };
        put(&vec![b'x'; pem.len()]);
        let tls = crate::config::Config::under(home.path()).unwrap().tls;
        let connectors = Connectors::new(Trust::Platform { extra: Some(file.clone()) }, tls);
        let refused = connectors.connector(Share::Classical).err().unwrap();
        assert_eq!(refused.cause, Cause::Certificate);
        put(pem.as_bytes());
        assert!(connectors.connector(Share::Classical).is_ok());
    }
}
