//! The certificate authorities as files: `ID.key` for the user alone, `ID.crt` for everybody, in a folder for the user alone.
//! Never logs a key.
//!
//! A key is written before its certificate: what has a certificate and no key has lost it.

use super::{certificate, generation::Generation, platform, trouble::Trouble};
use crate::{
    files,
    instance::{self, create_private_dir, how_to_protect, is_exposed},
};
use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A certificate authority as it lies there.
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) state: Result<Generation, Trouble>,
}

/// A certificate authority as `leeward authority show` shows it.
#[derive(Debug)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// The file with its certificate.
    pub certificate: PathBuf,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub fingerprint: String,
    /// From when until when it is valid.
    pub valid: (SystemTime, SystemTime),
    /// The hosts that it can sign for.
    pub hosts: Vec<String>,
}

pub(super) fn certificate_file(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.crt"))
}

pub(super) fn key_file(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.key"))
}

pub(super) fn bundles(folder: &Path) -> PathBuf {
    folder.join("bundles")
}

/// All that there are, the newest first; those that cannot be read come last.
pub(super) fn read(folder: &Path) -> Result<Vec<Kept>, Trouble> {
    let unusable = |why| Trouble::Folder { path: folder.to_owned(), why };
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unusable)?,
    };
    let mut kept = Vec::new();
    for entry in entries {
        let name = entry.map_err(unusable)?.file_name();
        if let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".crt")) {
            kept.push(Kept { id: id.to_owned(), state: one(folder, id) });
        }
    }
    kept.sort_by_key(|Kept { id, state }| {
        let made = state
            .as_ref()
            .ok()
            .map(Generation::made_at)
            .or_else(|| fs::metadata(certificate_file(folder, id)).ok()?.modified().ok());
        (std::cmp::Reverse(made), id.clone())
    });
    Ok(kept)
}

/// Makes one beside the others.
pub(super) fn make(folder: &Path, now: SystemTime) -> Result<Generation, Trouble> {
    let made = certificate::authority(now)?;
    let (certificate_path, key_path) = (certificate_file(folder, &made.id), key_file(folder, &made.id));
    let write = || {
        create_private_dir(folder)?;
        instance::write_atomically(&key_path, made.key.serialize_pem().as_bytes())?;
        instance::write_atomically(&certificate_path, pem(&made.certificate).as_bytes())?;
        platform::publish(&certificate_path)
    };
    write().map_err(|why| Trouble::Folder { path: folder.to_owned(), why })?;
    Generation::new(&made.id, made.certificate, made.key, (&certificate_path, &key_path))
}

/// Destroys one.
pub(super) fn destroy(folder: &Path, id: &str) -> io::Result<()> {
    remove(&key_file(folder, id))?;
    remove(&certificate_file(folder, id))?;
    let Ok(entries) = fs::read_dir(bundles(folder)) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(id)) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Destroys all, and the folder.
pub(super) fn remove_all(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The certificate of one, without its key.
fn certificate_of(folder: &Path, id: &str) -> Result<CertificateDer<'static>, Trouble> {
    let path = certificate_file(folder, id);
    let damaged = |why: String| Trouble::CertificateDamaged { path: path.clone(), why };
    let bytes = files::read(&path).map_err(|e| damaged(e.to_string()))?;
    CertificateDer::from_pem_slice(&bytes).map_err(|e| damaged(e.to_string()))
}

fn one(folder: &Path, id: &str) -> Result<Generation, Trouble> {
    let (certificate_path, path) = (certificate_file(folder, id), key_file(folder, id));
    let certificate = certificate_of(folder, id)?;
    let key = files::open(&path).and_then(|file| Ok((is_exposed(&file)?, files::read_to_string(&path)?)));
    let text = match key {
        Ok((true, _)) => return Err(Trouble::KeyExposed { mend: how_to_protect(&path), path }),
        Ok((false, text)) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Trouble::KeyMissing(path)),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(Trouble::KeyDamaged(path)),
        Err(why) => return Err(Trouble::KeyUnreadable { path, why }),
    };
    // What the parser says of it could quote it.
    let key = KeyPair::from_pem(&text).map_err(|_| Trouble::KeyDamaged(path.clone()))?;
    Generation::new(id, certificate, key, (&certificate_path, &path))
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A certificate as text.
pub(super) fn pem(certificate: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(certificate);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

impl Shown {
    pub(super) fn of(folder: &Path, generation: &Generation) -> Self {
        let hash = digest::digest(&digest::SHA256, &generation.certificate);
        Self {
            name: format!("Leeward CA {}", generation.id),
            certificate: certificate_file(folder, &generation.id),
            fingerprint: hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"),
            valid: (generation.facts.from, generation.facts.until),
            hosts: generation.facts.hosts.iter().cloned().collect(),
        }
    }
}
