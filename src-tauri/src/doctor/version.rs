//! Versions of agents: read from their files, never by starting them. Orders them and decides nothing.

use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// Three numbers; what follows them is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Version(u32, u32, u32);

/// Folders above an executable in which its package describes itself.
const LEVELS: usize = 4;

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().trim_start_matches('v').splitn(3, '.');
        let mut next = || numbers.next()?.parse().ok();
        let (major, minor) = (next()?, next()?);
        let patch = text.trim().trim_start_matches('v').splitn(3, '.').nth(2)?;
        let digits: String = patch.chars().take_while(char::is_ascii_digit).collect();
        let rest = &patch[digits.len()..];
        (rest.is_empty() || rest.starts_with(['-', '+'])).then_some(())?;
        Some(Self(major, minor, digits.parse().ok()?))
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a version"))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The same as text, for those who show it.
pub fn installed_version(program: &Path, package: Option<&str>) -> Option<String> {
    installed(program, package).map(|version| version.to_string())
}

/// The version of an installed program: from the package that its file is in, else from a folder or file that is named by it.
pub(super) fn installed(program: &Path, package: Option<&str>) -> Option<Version> {
    let real = program.canonicalize().ok()?;
    let of_package = package.and_then(|package| {
        let folders = real.ancestors().skip(1).take(LEVELS);
        let files = folders
            .flat_map(|folder| [folder.join("package.json"), folder.join("node_modules").join(package).join("package.json")]);
        files.filter_map(|file| std::fs::read_to_string(file).ok()).find_map(|text| {
            let described: Value = serde_json::from_str(&text).ok()?;
            (described.get("name")?.as_str()? == package).then(|| Version::parse(described.get("version")?.as_str()?))?
        })
    });
    of_package.or_else(|| real.iter().rev().find_map(|part| Version::parse(part.to_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let v = |text: &str| Version::parse(text);
        assert!(v("2.1.9") < v("2.1.150") && v("v0.171.0-beta.1") == v("0.171.0") && v("1.2.3+x") == v("1.2.3"));
        for none in ["", "2.1", "node20.1.2", "2.1.x", "1.2.3.4", "a.b.c"] {
            assert_eq!(v(none), None, "{none}");
        }
    }

    #[test]
    fn a_version_comes_from_a_package_or_from_a_path() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let program = file("lib/@x/agent/bin/cli.js", "");
        file("lib/@x/agent/package.json", r#"{"name":"@x/agent","version":"3.4.5"}"#);
        assert_eq!(installed(&program, Some("@x/agent")), Version::parse("3.4.5"));
        assert_eq!(installed(&program, Some("@x/other")), None, "another package's number is not this one's");
        assert_eq!(installed(&file("versions/2.1.150", ""), None), Version::parse("2.1.150"));
        assert_eq!(installed(&file("Cellar/a/1.0.2/bin/a", ""), None), Version::parse("1.0.2"));
        assert_eq!(installed(&home.path().join("gone"), None), None);
    }
}
