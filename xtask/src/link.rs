//! How a release is linked: smaller, where this machine's C library can read that. A debug build is linked as cargo does it.

use crate::{release::build_paths, shell::Shell};

/// The variable that the build script forwards.
pub(crate) const VARIABLE: &str = "LEEWARD_LINK_ARGS";

/// Relative relocations in a bit map instead of 24 bytes each: 1 MB less that every start reads.
const PACK: &str = "-Wl,-z,pack-relative-relocs";
/// The C library that understands them, and the one of the oldest system that a release is for (Debian 12).
const PACKED_SINCE: (u32, u32) = (2, 36);

/// The words for a release on this machine.
pub(crate) fn args() -> String {
    let understands = || Shell::new("getconf GNU_LIBC_VERSION").read().is_ok_and(|said| version(&said) >= Some(PACKED_SINCE));
    if cfg!(all(target_os = "linux", target_env = "gnu")) && understands() { PACK.to_owned() } else { String::new() }
}

/// A release build: linked with these words, and without the paths of this machine. All release builds are made so, since
/// cargo builds everything once more for other flags.
pub(crate) fn for_others(build: Shell) -> Shell {
    build_paths::rename(build.env(VARIABLE, args()))
}

/// What a package has to ask for where its programs were linked with these words, as Debian and as RPM say it: the tools that
/// look at a program's symbols do not see it.
pub(crate) fn dependency(args: &str) -> Option<(&'static str, &'static str)> {
    (args == PACK).then_some(("libc6 (>= 2.36)", "libc.so.6(GLIBC_ABI_DT_RELR)(64bit)"))
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
        assert_eq!(dependency(""), None);
        let (debian, _) = dependency(PACK).unwrap();
        assert!(debian.contains(&format!("{}.{}", PACKED_SINCE.0, PACKED_SINCE.1)));
    }

    #[test]
    fn the_c_librarys_version_is_read() {
        assert_eq!(version("glibc 2.36"), Some((2, 36)));
        assert!(version("glibc 2.35") < Some(PACKED_SINCE) && version("glibc 2.41") > Some(PACKED_SINCE));
        assert_eq!(version("musl 1.2"), None);
    }
}
