//! The command as a Python wheel, for `pipx run leeward`. It holds no Python: an installer puts the program into its `bin`.

use crate::release::{archive, parts::Built, parts::Entry, parts::glibc};
use anyhow::Result;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::fs;

/// The name and the bytes of a wheel.
pub(crate) fn make(built: &Built, version: &str, time: u64) -> Result<(String, Vec<u8>)> {
    let tag = tag(built.platform.id, glibc(&fs::read(&built.program)?));
    let (data, about) = (format!("leeward-{version}.data"), format!("leeward-{version}.dist-info"));
    let mut entries = built.entries()?;
    for entry in &mut entries {
        entry.path = match entry.path.strip_prefix("bin/") {
            Some(program) => format!("{data}/scripts/{program}"),
            None => format!("{data}/data/{}", entry.path),
        };
    }
    let metadata = format!(
        "Metadata-Version: 2.4\nName: leeward\nVersion: {version}\nLicense-Expression: Apache-2.0\nRequires-Python: >=3.8\n\
         Summary: A hardened local proxy between coding agents and their APIs\n"
    );
    entries.push(Entry::text(format!("{about}/METADATA"), metadata));
    let wheel =
        format!("Wheel-Version: 1.0\nGenerator: leeward-xtask ({version})\nRoot-Is-Purelib: false\nTag: py3-none-{tag}\n");
    entries.push(Entry::text(format!("{about}/WHEEL"), wheel));
    entries.sort();
    let mut record = String::new();
    for entry in &entries {
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&entry.bytes));
        record += &format!("{},sha256={hash},{}\n", entry.path, entry.bytes.len());
    }
    record += &format!("{about}/RECORD,,\n");
    entries.push(Entry::text(format!("{about}/RECORD"), record));
    Ok((format!("leeward-{version}-py3-none-{tag}.whl"), archive::zip(&entries, time)?))
}

/// What pip calls a platform.
fn tag(id: &str, glibc: Option<(u32, u32)>) -> String {
    let (os, rest) = id.split_once('-').unwrap_or((id, ""));
    let (cpu, musl) = rest.strip_suffix("-musl").map_or((rest, false), |cpu| (cpu, true));
    let of = |x64: &'static str, arm64: &'static str| if cpu == "x64" { x64 } else { arm64 };
    let (major, minor) = glibc.unwrap_or((2, 17));
    match os {
        "linux" if musl => format!("musllinux_1_2_{}", of("x86_64", "aarch64")),
        "linux" => format!("manylinux_{major}_{minor}_{}", of("x86_64", "aarch64")),
        "darwin" => format!("macosx_11_0_{}", of("x86_64", "arm64")),
        _ => of("win_amd64", "win_arm64").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::platforms::PLATFORMS;

    #[test]
    fn every_platform_has_a_tag_of_its_own() {
        let tags: Vec<_> = PLATFORMS.iter().map(|platform| tag(platform.id, Some((2, 34)))).collect();
        assert_eq!(
            tags,
            [
                "manylinux_2_34_x86_64",
                "manylinux_2_34_aarch64",
                "musllinux_1_2_x86_64",
                "musllinux_1_2_aarch64",
                "macosx_11_0_x86_64",
                "macosx_11_0_arm64",
                "win_amd64",
                "win_arm64"
            ]
        );
    }
}
