//! The authority's contract: every field of its certificates, every fault of its files, and what becomes of one that is
//! replaced.

use super::{
    Authority, Trouble, bundle,
    certificate::{self, DAY},
    hosts,
};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use x509_parser::{extensions::ParsedExtension as Extension, prelude::*};

fn fresh() -> (tempfile::TempDir, Authority) {
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new(home.path().join("authority"));
    (home, authority)
}

fn read(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

/// A leaf for a host, signed with the key that lies in the folder, past everything that would refuse to.
fn forged(authority: &Authority, id: &str, host: &str) -> CertificateDer<'static> {
    let key = fs::read_to_string(authority.folder().join(format!("{id}.key"))).unwrap();
    let issuer = certificate::issuer(id, rcgen::KeyPair::from_pem(&key).unwrap()).unwrap();
    let now = SystemTime::now();
    certificate::leaf(&issuer, host, (now - DAY, now + DAY)).unwrap().0
}

fn verify(root: CertificateDer<'static>, leaf: &CertificateDer<'_>, host: &str) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    verifier.verify_server_cert(leaf, &[], &name, &[], UnixTime::now()).map(drop)
}

/// Critical extensions and others, by what they are.
fn extensions(certificate: &X509Certificate<'_>) -> Vec<(bool, &'static str)> {
    let name = |extension: &X509Extension<'_>| match extension.parsed_extension() {
        Extension::BasicConstraints(_) => "basic",
        Extension::KeyUsage(_) => "usage",
        Extension::ExtendedKeyUsage(_) => "extended",
        Extension::NameConstraints(_) => "names",
        Extension::SubjectAlternativeName(_) => "san",
        Extension::SubjectKeyIdentifier(_) => "ski",
        Extension::AuthorityKeyIdentifier(_) => "aki",
        _ => "another",
    };
    let mut all: Vec<_> = certificate.extensions().iter().map(|e| (e.critical, name(e))).collect();
    all.sort_by_key(|(_, name)| *name);
    all
}

const P256: &str = "1.2.840.10045.3.1.7";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

fn is_p256(certificate: &X509Certificate<'_>) {
    let parameters = certificate.public_key().algorithm.parameters.as_ref().unwrap();
    assert_eq!(parameters.as_oid().unwrap().to_id_string(), P256);
    assert_eq!(certificate.signature_algorithm.algorithm.to_id_string(), ECDSA_SHA256);
    let serial = certificate.raw_serial();
    assert!(serial.len() == 20 && serial[0] & 0x80 == 0, "159 bits: {serial:?}");
}

fn span(certificate: &X509Certificate<'_>) -> (i64, i64) {
    let now = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let validity = certificate.validity();
    let day = |at: ASN1Time| (at.timestamp() - now + if at.timestamp() > now { 60 } else { -60 }) / (24 * 3600);
    (day(validity.not_before), day(validity.not_after))
}

#[test]
fn every_field_is_as_the_agents_were_tried_with() {
    let (_home, authority) = fresh();
    let id = authority.current().unwrap();
    let root = read(&authority.folder().join(format!("{id}.crt")));
    let (_, ca) = X509Certificate::from_der(&root).unwrap();
    is_p256(&ca);
    assert_eq!(ca.subject().to_string(), format!("CN=Leeward CA {id}"));
    assert_eq!(ca.issuer(), ca.subject());
    assert_eq!((id.len(), span(&ca)), (8, (-1, 730)));
    assert_eq!(extensions(&ca), [(true, "basic"), (true, "names"), (false, "ski"), (true, "usage")]);
    let basic = ca.basic_constraints().unwrap().unwrap().value;
    assert_eq!((basic.ca, basic.path_len_constraint), (true, Some(0)));
    assert_eq!(ca.key_usage().unwrap().unwrap().value.flags, 1 << 5 | 1 << 6, "keyCertSign and cRLSign");
    let names = ca.name_constraints().unwrap().unwrap().value;
    let dns = |name: &GeneralName<'_>| if let GeneralName::DNSName(name) = name { (*name).to_owned() } else { panic!("{name}") };
    let permitted: BTreeSet<_> = names.permitted_subtrees.as_ref().unwrap().iter().map(|tree| dns(&tree.base)).collect();
    assert_eq!(permitted, hosts().map(str::to_owned).collect());
    let excluded: Vec<_> = names.excluded_subtrees.as_ref().unwrap().iter().map(|tree| tree.base.clone()).collect();
    assert_eq!(excluded, [GeneralName::IPAddress(&[0; 8]), GeneralName::IPAddress(&[0; 32])]);

    let leaf = forged(&authority, &id, "api.anthropic.com");
    let (_, end) = X509Certificate::from_der(&leaf).unwrap();
    is_p256(&end);
    assert_eq!((end.subject().to_string(), end.issuer()), ("CN=api.anthropic.com".into(), ca.subject()));
    assert_eq!(
        extensions(&end),
        [(false, "aki"), (true, "basic"), (false, "extended"), (false, "san"), (false, "ski"), (true, "usage")]
    );
    assert!(!end.basic_constraints().unwrap().unwrap().value.ca);
    assert_eq!(end.key_usage().unwrap().unwrap().value.flags, 1, "digitalSignature");
    let extended = end.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && !extended.client_auth && !extended.any);
    let san = &end.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert_eq!(san[..], [GeneralName::DNSName("api.anthropic.com")]);
    let identifiers = |certificate: &X509Certificate<'_>| {
        certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
            Extension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
    };
    let issued_by = end.extensions().iter().find_map(|e| match e.parsed_extension() {
        Extension::AuthorityKeyIdentifier(aki) => aki.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    });
    assert!(issued_by.is_some() && issued_by == identifiers(&ca), "the leaf names its authority's key");
}

#[test]
fn only_the_hosts_of_the_table_can_be_signed_for_and_a_forged_leaf_is_refused() {
    let (_home, authority) = fresh();
    let id = authority.current().unwrap();
    let root = read(&authority.folder().join(format!("{id}.crt")));
    for host in hosts() {
        authority.server(&id, host).unwrap();
        verify(root.clone(), &forged(&authority, &id, host), host).unwrap();
    }
    for host in ["github.com", "claude.ai", "127.0.0.1", "anthropic.com"] {
        assert!(matches!(authority.server(&id, host), Err(Trouble::NotConstrainedTo { .. })), "{host}");
        let refused = verify(root.clone(), &forged(&authority, &id, host), host).unwrap_err();
        assert!(format!("{refused:?}").contains("NameConstraint"), "{host}: {refused:?}");
    }
}

#[test]
fn a_leaf_is_made_once_a_host_and_again_when_two_thirds_of_it_are_over() {
    let (_home, authority) = fresh();
    let id = authority.current().unwrap();
    let now = SystemTime::now();
    let at = |then| authority.server_at(&id, "api.anthropic.com", then).unwrap();
    let first = at(now);
    for (then, same) in [(now + DAY * 19, true), (now + DAY * 21, false)] {
        assert_eq!(Arc::ptr_eq(&first, &at(then)), same);
    }
    assert!(Arc::ptr_eq(&authority.server_at(&id, "API.anthropic.com", now + DAY * 21).unwrap(), &at(now + DAY * 21)));
    let other = authority.server(&id, "chatgpt.com").unwrap();
    assert!(!Arc::ptr_eq(&first, &other));
    assert_eq!((first.alpn_protocols.as_slice(), first.max_early_data_size), (&[b"http/1.1".to_vec()][..], 0));
}

/// Does something to the key and the certificate of a fresh authority.
type Fault = fn(key: &Path, certificate: &Path);

#[test]
fn each_fault_of_the_files_has_its_sentence_and_another_authority_mends_it() {
    let faults: &[(&str, Fault, fn(&Trouble) -> bool)] = &[
        ("missing", |key, _| fs::remove_file(key).unwrap(), |t| matches!(t, Trouble::KeyMissing(_))),
        (
            "unreadable",
            |key, _| {
                fs::remove_file(key).unwrap();
                fs::create_dir(key).unwrap();
            },
            |t| matches!(t, Trouble::KeyUnreadable { .. } | Trouble::KeyExposed { .. }),
        ),
        (
            "no key",
            |key, _| overwrite(key, "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n"),
            |t| matches!(t, Trouble::KeyDamaged(_)),
        ),
        (
            "of another",
            |key, _| overwrite(key, &rcgen::KeyPair::generate().unwrap().serialize_pem()),
            |t| matches!(t, Trouble::Mismatched(_)),
        ),
        ("no certificate", |_, certificate| overwrite(certificate, "hello"), |t| matches!(t, Trouble::CertificateDamaged { .. })),
        (
            "of another kind",
            |_, certificate| {
                let key = rcgen::KeyPair::generate().unwrap();
                overwrite(
                    certificate,
                    &rcgen::CertificateParams::new(vec!["x".into()]).unwrap().self_signed(&key).unwrap().pem(),
                );
            },
            |t| matches!(t, Trouble::CertificateDamaged { .. }),
        ),
        #[cfg(unix)]
        (
            "exposed",
            |key, _| fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap(),
            |t| matches!(t, Trouble::KeyExposed { .. }),
        ),
    ];
    for (what, fault, is_it) in faults {
        let (_home, authority) = fresh();
        let id = authority.current().unwrap();
        let (key, certificate) = (authority.folder().join(format!("{id}.key")), authority.folder().join(format!("{id}.crt")));
        let secret = fs::read_to_string(&key).unwrap();
        fault(&key, &certificate);
        let trouble = authority.current().unwrap_err();
        assert!(is_it(&trouble), "{what}: {trouble:?}");
        let sentence = trouble.to_string();
        let line = secret.lines().nth(1).unwrap();
        assert!(sentence.contains(&id) && !sentence.contains(line), "{what}: {sentence}");
        assert!(authority.server(&id, "api.anthropic.com").is_err(), "{what}: nothing is signed with it any more");
        assert!(bundle(authority.folder(), &id, &[]).is_err(), "{what}: nobody is told to trust it");
        if key.is_dir() {
            fs::remove_dir(&key).unwrap();
        }
        let other = authority.rotate().unwrap();
        assert_eq!(authority.current().unwrap(), other, "{what}");
        assert!(!certificate.exists(), "{what}");
    }
}

fn overwrite(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

#[test]
fn clocks_decide_what_is_expired_not_yet_valid_or_near_its_end() {
    let (_home, authority) = fresh();
    let (now, id) = (SystemTime::now(), authority.current().unwrap());
    assert!(matches!(authority.current_at(now - DAY * 2), Err(Trouble::NotYetValid(_))));
    assert!(matches!(authority.server_at(&id, "chatgpt.com", now - DAY * 2), Err(Trouble::NotYetValid(_))));
    assert!(matches!(authority.server_at(&id, "chatgpt.com", now + DAY * 731), Err(Trouble::Expired(_))));
    assert_eq!(authority.current_at(now + DAY * 669).unwrap(), id);
    let second = authority.current_at(now + DAY * 671).unwrap();
    assert_ne!(second, id, "59 days are left");
    authority.server_at(&id, "chatgpt.com", now + DAY * 671).unwrap();
    assert_ne!(authority.current_at(now + DAY * 5000).unwrap(), second, "an expired one is replaced");
}

#[test]
fn a_replaced_one_goes_when_nobody_uses_it_or_after_a_month() {
    let (_home, authority) = fresh();
    let (old, now) = (authority.current().unwrap(), SystemTime::now());
    let new = authority.current_at(now + DAY * 671).unwrap();
    let there = |id: &str| [format!("{id}.key"), format!("{id}.crt")].map(|name| authority.folder().join(name).exists());
    let later = now + DAY * 671 + Duration::from_secs(3600);
    let bundled = bundle(authority.folder(), &old, &[]).unwrap().path;
    for (then, settled, used) in [(later, true, true), (later, false, false), (now + DAY * 671, true, false)] {
        authority.tend_at(then, settled, |_| used);
        assert_eq!((there(&old), there(&new)), ([true; 2], [true; 2]), "{settled} {used}");
    }
    authority.tend_at(later, true, |id| id != old);
    assert_eq!((there(&old), there(&new)), ([false; 2], [true; 2]));
    assert!(!bundled.exists());
    assert!(matches!(authority.server(&old, "chatgpt.com"), Err(Trouble::Gone(_))));
    let third = authority.rotate().unwrap();
    authority.tend_at(now + DAY * 40, true, |_| true);
    assert_eq!((there(&third), authority.show().unwrap().len()), ([true; 2], 2), "the newest by its own time is kept");
}

#[test]
fn another_process_finds_the_same_one_and_removing_leaves_nothing() {
    let (home, authority) = fresh();
    let id = authority.current().unwrap();
    let again = Authority::new(authority.folder().to_owned());
    assert_eq!(again.current().unwrap(), id);
    again.check(&id).unwrap();
    bundle(authority.folder(), &id, &[]).unwrap();
    again.remove().unwrap();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    assert!(authority.server(&id, "chatgpt.com").is_ok(), "in memory until it is told");
    authority.reread().unwrap();
    for gone in [authority.server(&id, "chatgpt.com").map(drop), authority.check(&id)] {
        assert!(matches!(gone, Err(Trouble::Gone(_))), "{gone:?}");
    }
    again.remove().unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_told_and_the_old_one_stays_in_use() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    let authority = Authority::new(home.path().join("file"));
    assert!(matches!(authority.current(), Err(Trouble::Folder { .. })));
}

#[test]
fn a_bundle_holds_every_living_authority_and_what_the_agent_trusted_before() {
    let (home, authority) = fresh();
    let (old, new) = (authority.current().unwrap(), authority.rotate().unwrap());
    let company = rcgen::CertificateParams::new(vec!["corp".into()]).unwrap();
    let company = company.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let (good, bad) = (home.path().join("corp.pem"), home.path().join("none.pem"));
    fs::write(&good, company.pem()).unwrap();
    let all = |path: &PathBuf| CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    let made = bundle(authority.folder(), &new, &[good.clone(), bad]).unwrap();
    let own = |id: &str| read(&authority.folder().join(format!("{id}.crt")));
    assert_eq!(all(&made.path), [own(&new), own(&old), company.der().clone()]);
    assert!(made.unusable[..].len() == 1 && made.unusable[0].contains("none.pem"), "{:?}", made.unusable);
    assert!(!fs::read_to_string(&made.path).unwrap().contains("PRIVATE"));
    assert_eq!(bundle(authority.folder(), &new, &[good]).unwrap().path, made.path);
    // Deleted while agents run: written again for the next one.
    fs::remove_file(&made.path).unwrap();
    bundle(authority.folder(), &new, &[home.path().join("corp.pem")]).unwrap();
    assert!(made.path.exists());
}

#[cfg(unix)]
#[test]
fn the_key_is_the_users_alone_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let (_home, authority) = fresh();
    let id = authority.current().unwrap();
    let path = bundle(authority.folder(), &id, &[]).unwrap().path;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = |name: String| mode(&authority.folder().join(name));
    assert_eq!((file(format!("{id}.key")), file(format!("{id}.crt")), mode(&path)), (0o600, 0o644, 0o644));
    assert_eq!(mode(authority.folder()), 0o700);
}
