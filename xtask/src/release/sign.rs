//! Signatures in minisign's form, made by openssl alone. The key stays in its file: it is in no argument and no variable.

use crate::{release::sha256, shell::Shell};
use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A private Ed25519 key in a PEM file, as `openssl genpkey -algorithm ed25519` makes it.
pub(crate) struct Key {
    file: PathBuf,
    /// For what openssl reads and writes.
    work: PathBuf,
    public: Vec<u8>,
    id: Vec<u8>,
}

impl Key {
    /// Reads its public half. `work` is a folder that may be written to.
    pub(crate) fn read(file: &Path, work: &Path) -> Result<Self> {
        fs::create_dir_all(work)?;
        let der = work.join("key.der");
        Shell::new("openssl pkey -pubout -outform DER -in").arg(file).arg("-out").arg(&der).read()?;
        let der = fs::read(der)?;
        ensure!(der.len() == 44, "{} is no Ed25519 key", file.display());
        let public = der[12..].to_vec();
        // Minisign's is random. Ours is of the key, so that one key has one name.
        let id = sha256(&public).as_bytes()[..8].to_vec();
        Ok(Self { file: file.to_owned(), work: work.to_owned(), public, id })
    }

    /// The public key, as minisign's `-P` takes it.
    pub(crate) fn public(&self) -> String {
        STANDARD.encode([b"Ed", self.id.as_slice(), &self.public].concat())
    }

    /// The text of the `.minisig` beside a file. The comment is signed, too.
    pub(crate) fn sign(&self, file: &Path, comment: &str) -> Result<String> {
        let hash = self.work.join("hash");
        Shell::new("openssl dgst -blake2b512 -binary -out").arg(&hash).arg(file).read()?;
        let first = self.raw(&fs::read(hash)?)?;
        let second = self.raw(&[first.as_slice(), comment.as_bytes()].concat())?;
        let first = STANDARD.encode([b"ED", self.id.as_slice(), &first].concat());
        let second = STANDARD.encode(second);
        Ok(format!("untrusted comment: signature of a Leeward release\n{first}\ntrusted comment: {comment}\n{second}\n"))
    }

    fn raw(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let [message, signature] = ["message", "signature"].map(|name| self.work.join(name));
        fs::write(&message, bytes)?;
        let sign = Shell::new("openssl pkeyutl -sign -rawin -inkey").arg(&self.file);
        sign.arg("-in").arg(&message).arg("-out").arg(&signature).read()?;
        fs::read(signature).context("openssl made no signature")
    }
}
