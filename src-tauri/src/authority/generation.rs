//! One certificate authority in memory: what it may sign, for how long, and its leaves. Reads and writes no file.

use super::{
    certificate::{self, BACKDATED, Facts},
    leaf::Leaves,
    trouble::Trouble,
};
use rcgen::{Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// It is replaced when less than this is left of it.
const REPLACED_BEFORE: Duration = Duration::from_secs(60 * 24 * 3600);

/// One certificate authority.
pub(super) struct Generation {
    /// Eight hexadecimal digits; its name ends in them.
    pub(super) id: String,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) facts: Facts,
    issuer: Issuer<'static, KeyPair>,
    leaves: Leaves,
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("id", &self.id).field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Generation {
    /// Of a key that belongs to the certificate. `paths`: of both, for what is said of them.
    pub(super) fn new(
        id: &str,
        certificate: CertificateDer<'static>,
        key: KeyPair,
        (certificate_path, key_path): (&Path, &Path),
    ) -> Result<Self, Trouble> {
        let facts = certificate::facts(certificate_path, &certificate)?;
        if rcgen::PublicKeyData::subject_public_key_info(&key) != facts.public_key {
            return Err(Trouble::Mismatched(key_path.to_owned()));
        }
        let issuer = certificate::issuer(id, key)?;
        Ok(Self { id: id.to_owned(), certificate, facts, issuer, leaves: Leaves::default() })
    }

    /// Whether it can sign now.
    pub(super) fn is_valid(&self, now: SystemTime) -> Result<(), Trouble> {
        if now < self.facts.from {
            return Err(Trouble::NotYetValid(self.id.clone()));
        }
        if now >= self.facts.until {
            return Err(Trouble::Expired(self.id.clone()));
        }
        Ok(())
    }

    /// Whether new agents should get another one: its end is near, or the table of hosts is another.
    pub(super) fn is_outdated(&self, now: SystemTime) -> bool {
        let listed = super::hosts().map(str::to_owned).collect();
        self.facts.hosts != listed || now + REPLACED_BEFORE >= self.facts.until
    }

    /// When it was made.
    pub(super) fn made_at(&self) -> SystemTime {
        self.facts.from + BACKDATED
    }

    /// What a TLS server for that host needs.
    pub(super) fn server(&self, host: &str, now: SystemTime) -> Result<Arc<ServerConfig>, Trouble> {
        self.is_valid(now)?;
        let host = host.to_ascii_lowercase();
        if !self.facts.hosts.contains(&host) {
            return Err(Trouble::NotConstrainedTo { id: self.id.clone(), host });
        }
        self.leaves.get(&host, now, |span| self.sign(&host, span))
    }

    fn sign(
        &self,
        host: &str,
        (from, until): (SystemTime, SystemTime),
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), Trouble> {
        // A leaf that outlives its authority, or is older, is refused by some.
        certificate::leaf(&self.issuer, host, (from.max(self.facts.from), until.min(self.facts.until)))
    }
}
