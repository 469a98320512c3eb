//! Why the certificate authority cannot be used, each in a sentence for the user. Nothing of a key is in one.

use std::{io, path::PathBuf};

/// Why it cannot be used. Agents are tunnelled without decryption meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The key's file is gone.
    #[error("the key {0} is missing; `leeward authority rotate` makes a new certificate authority for agents started after it")]
    KeyMissing(PathBuf),
    /// The key's file cannot be read.
    #[error("the key {path} cannot be read ({why})")]
    KeyUnreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: io::Error,
    },
    /// Others can read the key's file.
    #[error(
        "other users can read the key {path}: {mend}, and run `leeward authority rotate`, because the key may be known to others"
    )]
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// What protects it.
        mend: String,
    },
    /// The key's file holds no key.
    #[error("{0} holds no key that can be used; `leeward authority rotate` makes a new certificate authority")]
    KeyDamaged(PathBuf),
    /// The certificate's file cannot be used.
    #[error("the certificate {path} cannot be used ({why}); `leeward authority rotate` makes a new certificate authority")]
    CertificateDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Key and certificate are not of each other.
    #[error(
        "the key {0} does not belong to its certificate; `leeward authority rotate` makes a new certificate authority for agents started after it"
    )]
    Mismatched(PathBuf),
    /// Its time is over.
    #[error("the certificate authority {0} has expired; an agent started now gets a new one")]
    Expired(String),
    /// Its time has not begun.
    #[error("the certificate authority {0} is not valid yet by this machine's clock; set the clock")]
    NotYetValid(String),
    /// There is none of that name.
    #[error("the certificate authority {0}, which this agent was started with, has been removed; start the agent again")]
    Gone(String),
    /// It may not sign for that host.
    #[error("the certificate authority {id} may not sign for {host}; start the agent again to get one that may")]
    NotConstrainedTo {
        /// Its name.
        id: String,
        /// The host.
        host: String,
    },
    /// The folder cannot be read or written.
    #[error("the folder {path} cannot be used ({why})")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        why: io::Error,
    },
    /// No certificate could be made.
    #[error("no certificate could be made: {0}")]
    Making(String),
}
