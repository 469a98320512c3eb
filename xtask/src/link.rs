//! How a release is linked: smaller, where this machine's linker can. A debug build is linked as cargo does it.

use crate::shell::Shell;
use anyhow::Result;

/// The variable that the build script passes on.
pub(crate) const VARIABLE: &str = "LEEWARD_LINK_ARGS";

/// Functions with the same machine code are kept once (Rust promises no function an address of its own), which takes a tenth
/// off the tray. Functions alone: data keep their addresses.
const FOLD: &str = "-Wl,--icf=all";
/// Relative relocations in a bit map instead of 24 bytes each: 1 MB less that every start reads.
const PACK: &str = "-Wl,-z,pack-relative-relocs";
/// The C library that understands them, and the one of the oldest system that a release is for (Debian 12).
const PACKED_SINCE: (u32, u32) = (2, 36);

/// The words for a release on this machine.
pub(crate) fn args() -> Result<String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) || !has_lld()? {
        return Ok(String::new());
    }
    let understands = Shell::new("getconf GNU_LIBC_VERSION").read().is_ok_and(|said| version(&said) >= Some(PACKED_SINCE));
    Ok(if understands { format!("{FOLD} {PACK}") } else { FOLD.to_owned() })
}

/// What a package has to ask for where its programs were linked with these words, as Debian and as RPM say it: the tools that
/// look at a program's symbols do not see it.
pub(crate) fn dependency(args: &str) -> Option<(&'static str, &'static str)> {
    args.contains(PACK).then_some(("libc6 (>= 2.36)", "libc.so.6(GLIBC_ABI_DT_RELR)(64bit)"))
}

/// rustup's compilers bring lld and link with it on this platform since Rust 1.90; a distribution's take the system's linker.
fn has_lld() -> Result<bool> {
    let target = Shell::new("rustc --print target-libdir").read()?;
    Ok(std::path::Path::new(&target).with_file_name("bin").join("gcc-ld").join("ld.lld").exists())
}

/// Of `glibc 2.36`.
fn version(said: &str) -> Option<(u32, u32)> {
    let (major, minor) = said.strip_prefix("glibc ")?.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_asks_for_the_c_library_that_its_programs_need() {
        assert_eq!(dependency(FOLD), None);
        let (debian, _) = dependency(&format!("{FOLD} {PACK}")).unwrap();
        assert!(debian.contains(&format!("{}.{}", PACKED_SINCE.0, PACKED_SINCE.1)));
    }

    #[test]
    fn the_c_librarys_version_is_read() {
        assert_eq!(version("glibc 2.36"), Some((2, 36)));
        assert!(version("glibc 2.35") < Some(PACKED_SINCE) && version("glibc 2.41") > Some(PACKED_SINCE));
        assert_eq!(version("musl 1.2"), None);
    }
}
