//! Windows half of `authority`: agents run as the same user, so that a certificate keeps the access list of its folder.

use std::{io, path::Path};

/// Lets everybody read a file who has to.
pub(super) fn publish(file: &Path) -> io::Result<()> {
    std::fs::metadata(file).map(drop)
}
