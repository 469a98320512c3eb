//! The control token: made at each start, readable by the user alone, refused when it is not.

use super::private::{create_private_dir, how_to_protect, is_exposed, write_atomically};
use crate::{
    config::{Paths, Secret},
    files,
};
use std::{
    io::{self, Read},
    path::PathBuf,
};

/// Why there is no usable token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No file: no Leeward has served from this state folder yet.
    #[error("there is no control token at {}; start Leeward first (`leeward serve`)", .0.display())]
    Missing(PathBuf),
    /// Other users could read it.
    #[error("the control token {} can be read by other users; {}, or restart Leeward for a new one", .0.display(), how_to_protect(.0))]
    Exposed(PathBuf),
    /// The file is empty or not text.
    #[error("the control token {} is damaged; restart Leeward for a new one", .0.display())]
    Damaged(PathBuf),
    /// Any other trouble with the file.
    #[error("cannot use the control token {}: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: io::Error,
    },
}

/// Reads the token.
///
/// # Errors
/// `TokenError`, whose message says what to do.
pub fn read_token(paths: &Paths) -> Result<Secret, TokenError> {
    let path = paths.token_file();
    let fail = |why: io::Error| match why.kind() {
        io::ErrorKind::NotFound => TokenError::Missing(path.clone()),
        _ => TokenError::Io { path: path.clone(), why },
    };
    let mut file = files::open(&path).map_err(fail)?;
    if is_exposed(&file).map_err(fail)? {
        return Err(TokenError::Exposed(path));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(fail)?;
    let text = text.trim();
    if text.len() < 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(TokenError::Damaged(path));
    }
    Ok(Secret::new(text.to_owned()))
}

/// A new token of 256 random bits, in the place of the one before: what was caught of an earlier Leeward opens nothing.
///
/// # Errors
/// `Io` when the state folder cannot be written.
pub fn create_token(paths: &Paths) -> Result<Secret, TokenError> {
    let token = unwritten_token(paths)?;
    let path = paths.token_file();
    let written = create_private_dir(&paths.state_dir).and_then(|()| write_atomically(&path, token.reveal().as_bytes()));
    written.map_err(|why| TokenError::Io { path, why })?;
    Ok(token)
}

/// A token that nobody can read, for whoever serves where it cannot be written: it opens nothing.
///
/// # Errors
/// `Io` when the system gives no random bytes.
pub fn unwritten_token(paths: &Paths) -> Result<Secret, TokenError> {
    random_key().map(Secret::new).map_err(|why| TokenError::Io { path: paths.token_file(), why })
}

/// 256 random bits as hexadecimal digits. From the system itself: the TLS library's generator takes 50 ms to gather entropy
/// for its first bytes.
pub(super) fn random_key() -> io::Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(format!("the system gave no random bytes: {e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
