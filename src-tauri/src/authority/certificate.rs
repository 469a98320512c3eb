//! What the certificates say, field by field, and what is read back of them. Touches no file.
//!
//! P-256, because an agent hangs on Ed25519; an authority key identifier, because Python 3.13 refuses a leaf without one.

use super::{hosts, trouble::Trouble};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer, X509Certificate},
};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
/// Clocks differ, so that what is made now has been valid for a day.
pub(super) const BACKDATED: Duration = DAY;
const AUTHORITY_LASTS: Duration = Duration::from_secs(730 * 24 * 3600);
pub(super) const LEAF_LASTS: Duration = Duration::from_secs(30 * 24 * 3600);

/// A new certificate authority.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: KeyPair,
}

/// What a certificate says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The hosts that it is constrained to.
    pub(super) hosts: BTreeSet<String>,
    pub(super) from: SystemTime,
    pub(super) until: SystemTime,
    /// Of its key.
    pub(super) public_key: Vec<u8>,
}

/// Makes a certificate authority that is valid from a day before `now`.
pub(super) fn authority(now: SystemTime) -> Result<Made, Trouble> {
    let id = random::<4>()?.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(making)?;
    let mut params = params(&id, (now - BACKDATED, now + AUTHORITY_LASTS))?;
    params.serial_number = Some(serial()?);
    let certificate = params.self_signed(&key).map_err(making)?.der().clone();
    Ok(Made { id, certificate, key })
}

/// What signs in the name of an authority.
pub(super) fn issuer(id: &str, key: KeyPair) -> Result<Issuer<'static, KeyPair>, Trouble> {
    // Of these only the name and the key go into what is signed.
    Ok(Issuer::new(params(id, (UNIX_EPOCH, UNIX_EPOCH))?, key))
}

fn params(id: &str, (from, until): (SystemTime, SystemTime)) -> Result<CertificateParams, Trouble> {
    let mut params = CertificateParams::new(Vec::new()).map_err(making)?;
    params.distinguished_name = named(&format!("Leeward CA {id}"));
    (params.not_before, params.not_after) = (from.into(), until.into());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: hosts::hosts().map(|host| GeneralSubtree::DnsName(host.to_owned())).collect(),
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    });
    Ok(params)
}

/// A certificate for one host, and its key.
pub(super) fn leaf(
    issuer: &Issuer<'_, KeyPair>,
    host: &str,
    (from, until): (SystemTime, SystemTime),
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), Trouble> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(making)?;
    let mut params = CertificateParams::new(vec![host.to_owned()]).map_err(making)?;
    params.distinguished_name = named(host);
    (params.not_before, params.not_after) = (from.into(), until.into());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    let certificate = params.signed_by(&key, issuer).map_err(making)?.der().clone();
    Ok((certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
}

/// Reads what a certificate authority of ours says.
pub(super) fn facts(path: &Path, certificate: &CertificateDer<'_>) -> Result<Facts, Trouble> {
    let damaged = |why: String| Trouble::CertificateDamaged { path: path.to_owned(), why };
    let (_, read) = X509Certificate::from_der(certificate).map_err(|e| damaged(e.to_string()))?;
    let constraints = read.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(constraints) if extension.critical => Some(constraints),
        _ => None,
    });
    let subtrees = constraints.and_then(|constraints| constraints.permitted_subtrees.as_ref());
    let hosts = subtrees.into_iter().flatten().filter_map(|subtree| match subtree.base {
        GeneralName::DNSName(name) => Some(name.to_owned()),
        _ => None,
    });
    let hosts: BTreeSet<_> = hosts.collect();
    if hosts.is_empty() {
        return Err(damaged("it is bound to no hosts".into()));
    }
    let at = |time: x509_parser::time::ASN1Time| {
        let seconds = Duration::from_secs(time.timestamp().unsigned_abs());
        if time.timestamp() < 0 { UNIX_EPOCH - seconds } else { UNIX_EPOCH + seconds }
    };
    let validity = read.validity();
    Ok(Facts { hosts, from: at(validity.not_before), until: at(validity.not_after), public_key: read.public_key().raw.to_vec() })
}

fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

/// 159 random bits: the first is 0, because a serial number is positive, and the next 1, because its length is the same always.
fn serial() -> Result<SerialNumber, Trouble> {
    let mut bytes = random::<20>()?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn random<const N: usize>() -> Result<[u8; N], Trouble> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Trouble::Making(e.to_string()))?;
    Ok(bytes)
}

fn making(e: Error) -> Trouble {
    Trouble::Making(e.to_string())
}
