//! The file that an agent reads to trust us: our certificates and those of the file that it would have read without us.
//! Holds no key.
//!
//! Its name says which authority and whose certificates it holds, so that it is written once and never changed: an agent's
//! children read it hours later.

use super::{
    folder::{self, Kept, bundles, pem},
    platform,
    trouble::Trouble,
};
use crate::{
    config::read_certificates,
    files,
    instance::{self, create_private_dir},
};
use aws_lc_rs::digest;
use std::path::{Path, PathBuf};

/// A bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The file.
    pub path: PathBuf,
    /// Inherited files that could not be used, each in a sentence; the agent would not have used them either.
    pub unusable: Vec<String>,
}

/// The bundle for an agent that is started with this certificate authority. `inherited`: the files that variables like
/// `NODE_EXTRA_CA_CERTS` name already.
///
/// # Errors
/// When our own certificate cannot be used, or the file not be written.
pub fn bundle(folder: &Path, id: &str, inherited: &[PathBuf]) -> Result<Bundle, Trouble> {
    let (own, others): (Vec<_>, Vec<_>) = folder::read(folder)?.into_iter().partition(|kept| kept.id == id);
    let Some(Kept { state, .. }) = own.into_iter().next() else { return Err(Trouble::Gone(id.to_owned())) };
    // It is of no use to trust what cannot sign.
    let mut text = pem(&state?.certificate);
    for other in others.iter().filter_map(|kept| kept.state.as_ref().ok()) {
        text.push_str(&pem(&other.certificate));
    }
    let mut unusable = Vec::new();
    for file in inherited {
        match read_certificates(file) {
            Ok(read) => read.iter().for_each(|certificate| text.push_str(&pem(certificate))),
            Err(why) => unusable.push(why),
        }
    }
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let short = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
    let path = bundles(folder).join(format!("{id}-{short}.pem"));
    if files::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(Bundle { path, unusable });
    }
    let write = || {
        create_private_dir(&bundles(folder))?;
        instance::write_atomically(&path, text.as_bytes())?;
        platform::publish(&path)
    };
    write().map_err(|why| Trouble::Folder { path: folder.to_owned(), why })?;
    Ok(Bundle { path, unusable })
}
