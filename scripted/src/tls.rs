//! A certificate authority that lives as long as one upstream: its key is in memory only and nobody else trusts it.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{io, sync::Arc};
use tokio_rustls::TlsAcceptor;

/// Names the upstream's certificate is valid for: this machine's, and those that real agents ask for, in a network of their own.
const NAMES: [&str; 11] = [
    "localhost",
    "127.0.0.1",
    "127.0.0.2",
    "::1",
    "api.anthropic.com",
    "platform.claude.com",
    "mcp-proxy.anthropic.com",
    "api.openai.com",
    "chatgpt.com",
    "auth.openai.com",
    "ab.chatgpt.com",
];

/// An acceptor with a fresh certificate, and the authority's certificate that clients have to trust.
pub(super) fn throw_away() -> io::Result<(TlsAcceptor, Certificate)> {
    let (authority, leaf, key) = certificates().map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.into()], key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), authority))
}

fn certificates() -> Result<(Certificate, Vec<u8>, PrivateKeyDer<'static>), rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "Leeward demo, throw-away authority");
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let root = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let mut leaf = CertificateParams::new(NAMES.map(String::from))?;
    leaf.distinguished_name.push(DnType::CommonName, "Leeward demo upstream");
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf_key = KeyPair::generate()?;
    let signed = leaf.signed_by(&leaf_key, &issuer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    Ok((root, signed.der().to_vec(), key))
}
