//! The install scripts of a release: the templates with the version, the public key, and the checksum of each archive.

use crate::release::{Release, parts::glibc, sign::Key};
use anyhow::Result;
use std::fs;

const SHELL: &str = include_str!("../../../packaging/install.sh");
const POWERSHELL: &str = include_str!("../../../packaging/install.ps1");

/// Writes both.
pub(crate) fn write(release: &Release, key: &Key) -> Result<()> {
    let mut sums = Vec::new();
    for built in &release.list {
        let name = release.archive(built);
        let needs = glibc(&fs::read(&built.program)?).map(|(major, minor)| format!(" {major}.{minor}")).unwrap_or_default();
        sums.push(format!("{} {} {name}{needs}", release.sum(&name)?, built.platform.id));
    }
    let of = |windows: bool| {
        let mine = sums.iter().filter(|line| line.contains(" win32-") == windows);
        mine.cloned().collect::<Vec<_>>().join("\n")
    };
    let fill = |template: &str, sums: &str| {
        let text = template.replace("{{version}}", &release.version).replace("{{url}}", &release.url);
        text.replace("{{key}}", &key.public()).replace("{{sums}}", sums)
    };
    release.write("install.sh", fill(SHELL, &of(false)).as_bytes())?;
    release.write("install.ps1", fill(POWERSHELL, &of(true)).as_bytes())
}
