//! The source of Rust's standard library for one version of the compiler, from Debian's `rust-src`. Builds nothing.

use super::apt::Apt;
use crate::shell::Shell;
use anyhow::{Context, Result, bail};
use std::{fs, path::Path, process::Command};

/// Debian releases that may carry the source of a newer compiler.
pub(super) const SUITES: [&str; 3] = ["trixie", "trixie-backports", "sid"];
/// Packages whose content is known: version and SHA-256. Others are trusted by the archive's signature alone.
const PINS: &[(&str, &str)] = &[("1.95.0+dfsg1-2~bpo13+1", "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b")];

/// Puts it at `folder/library`; false if Debian has no source of exactly this version.
pub(super) fn fetch(version: &str, folder: &Path) -> Result<bool> {
    println!("Fetching the source of Rust {version}'s standard library from Debian.");
    let apt = Apt::of_releases(folder.join("apt"), &SUITES)?;
    apt.update()?;
    let known = apt.versions(&["rust-src"])?;
    let Some((_, found)) = known.into_iter().find(|(_, v)| v.starts_with(&format!("{version}+dfsg"))) else {
        apt.remove()?;
        return Ok(false);
    };
    let downloads = folder.join("packages");
    let packages = apt.download(&[format!("rust-src={found}")], &downloads)?;
    let package = packages.first().context("apt-get download wrote no package")?;
    verify(package, &found)?;
    unpack(package, folder)?;
    fs::remove_dir_all(downloads)?;
    apt.remove()?;
    Ok(true)
}

fn verify(package: &Path, version: &str) -> Result<()> {
    let Some((_, pinned)) = PINS.iter().find(|(known, _)| *known == version) else { return Ok(()) };
    let sum = Shell::new("sha256sum").arg(package).read()?;
    if !sum.starts_with(pinned) {
        bail!("{} is not the package that is known as {version}: its SHA-256 is {sum}, wanted {pinned}", package.display());
    }
    Ok(())
}

/// Only `library`, moved into place when it is whole.
pub(super) fn unpack(package: &Path, folder: &Path) -> Result<()> {
    let beside = folder.join("unpacking");
    fs::create_dir_all(&beside)?;
    let tar = beside.join("package.tar");
    fs::write(&tar, Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package).output()?.stdout)?;
    let members = ["--strip-components=4", "--wildcards", "./usr/src/rustc-*/library"];
    Shell::new("tar --extract --file").arg(&tar).arg("--directory").arg(&beside).args(members).run()?;
    fs::rename(beside.join("library"), folder.join("library"))?;
    fs::remove_dir_all(beside)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_other_content_is_refused() {
        let package = std::env::temp_dir().join(format!("leeward-xtask-{}.deb", std::process::id()));
        fs::write(&package, "not the package").unwrap();
        let error = verify(&package, PINS[0].0).unwrap_err().to_string();
        assert!(error.contains("SHA-256") && error.contains(PINS[0].1), "{error}");
        verify(&package, "a version nobody has pinned").unwrap();
        fs::remove_file(package).unwrap();
    }
}
