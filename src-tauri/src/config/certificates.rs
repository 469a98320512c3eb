//! Certificates and keys in PEM files, read and checked: at the config's load, and again by the engine when they change.

use super::types::ClientIdentity;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::path::Path;

/// The certificates of a PEM file.
///
/// # Errors
/// A sentence without the key's name: unreadable, not PEM, or empty.
pub fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    std::fs::File::open(file).map_err(|e| format!("cannot read {}: {e}; name a readable PEM file", file.display()))?;
    let unusable = |why: &dyn std::fmt::Display| format!("{} is not a usable PEM file: {why}", file.display());
    let list: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let list = list.map_err(|e| unusable(&e))?;
    if list.is_empty() { Err(unusable(&"it holds no certificate")) } else { Ok(list) }
}

/// A root certificate file: each entry must be a certificate, not only PEM.
pub(super) fn check_roots(file: &Path) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    for (index, der) in read_certificates(file)?.into_iter().enumerate() {
        roots.add(der).map_err(|e| format!("certificate {} of {} is not usable: {e}", index + 1, file.display()))?;
    }
    Ok(())
}

impl ClientIdentity {
    /// Certificate chain and key, which belong together.
    ///
    /// # Errors
    /// The config key at fault and a sentence; nothing of the private key.
    pub fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), (&'static str, String)> {
        let chain = read_certificates(&self.cert).map_err(|why| ("tls.client_cert", why))?;
        let at_key = |why: String| ("tls.client_key", why);
        std::fs::File::open(&self.key)
            .map_err(|e| at_key(format!("cannot read {}: {e}; name a readable PEM file", self.key.display())))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| {
            at_key(format!("{} holds no private key that can be used (PKCS #8, PKCS #1 or SEC 1): {e}", self.key.display()))
        })?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider).map_err(|e| {
            at_key(match e {
                rustls::Error::InconsistentKeys(_) => {
                    format!("{} does not belong to the certificate in {}", self.key.display(), self.cert.display())
                }
                other => format!("{} cannot be used with {}: {other}", self.key.display(), self.cert.display()),
            })
        })?;
        Ok((chain, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    #[test]
    fn a_pair_is_read_and_a_stranger_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = home.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let cert = CertificateParams::new(vec!["me".into()]).unwrap().self_signed(&key).unwrap();
        let cert = file("cert.pem", &cert.pem());
        let identity = |key: &Path| ClientIdentity { cert: cert.clone(), key: key.to_path_buf() };
        assert_eq!(identity(&file("key.pem", &key.serialize_pem())).read().unwrap().0.len(), 1);
        let (at, why) = identity(&file("other.pem", &other.serialize_pem())).read().unwrap_err();
        assert!(at == "tls.client_key" && why.contains("other.pem does not belong to the certificate in"), "{why}");
        let (at, why) = identity(&cert).read().unwrap_err();
        assert!(at == "tls.client_key" && why.contains("holds no private key"), "{why}");
        let (at, why) = ClientIdentity { cert: file("empty.pem", ""), key: cert.clone() }.read().unwrap_err();
        assert!(at == "tls.client_cert" && why.contains("holds no certificate"), "{why}");
        let junk = file("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(check_roots(&junk).unwrap_err().contains("certificate 1 of"));
        assert!(check_roots(&cert).is_ok());
    }
}
