//! The manifests of package managers, each from its template in `packaging/manifests`: version, address and checksums of one
//! release are filled in. A manifest whose files the release does not have is not written.

use crate::release::{Release, archive::date};
use anyhow::{Context, Result, bail};

macro_rules! template {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../packaging/manifests/", $path)))
    };
}

/// By their path below `manifests`.
const TEMPLATES: [(&str, &str); 10] = [
    template!("homebrew/leeward.rb"),
    template!("homebrew/leeward-cask.rb"),
    template!("scoop/leeward.json"),
    template!("winget/Leeward.Leeward.yaml"),
    template!("winget/Leeward.Leeward.installer.yaml"),
    template!("winget/Leeward.Leeward.locale.en-US.yaml"),
    template!("aur/PKGBUILD"),
    template!("aur/SRCINFO"),
    template!("nix/flake.nix"),
    template!("binstall.toml"),
];

/// What a template may ask for.
pub(crate) trait Facts {
    /// The file of a platform (`linux-x64`) or with another ending (`darwin-x64.dmg`), if the release has it.
    fn file(&self, name: &str) -> Option<String>;
    /// The checksum of such a file.
    fn sum(&self, file: &str) -> Result<String>;
    /// `version`, `url`, `date`, `key`.
    fn word(&self, name: &str) -> Option<String>;
}

/// Writes all that can be; the others, with what they lack.
pub(crate) fn write(release: &Release, key: Option<&str>) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let facts = Of { release, key };
    for (path, template) in TEMPLATES {
        match fill(template, &facts).with_context(|| format!("the template {path}"))? {
            Ok(text) => {
                let path = path.replace("SRCINFO", ".SRCINFO");
                release.write(&format!("manifests/{path}"), text.as_bytes())?;
            }
            Err(lacks) => missing.push(format!("{path}: this release has no {lacks}")),
        }
    }
    Ok(missing)
}

struct Of<'a> {
    release: &'a Release,
    key: Option<&'a str>,
}

impl Facts for Of<'_> {
    fn file(&self, name: &str) -> Option<String> {
        let name = match name.split_once('.') {
            Some(_) => format!("leeward-{}-{name}", self.release.version),
            None => self.release.archive(self.release.list.iter().find(|built| built.platform.id == name)?),
        };
        self.release.out.join(&name).is_file().then_some(name)
    }

    fn sum(&self, file: &str) -> Result<String> {
        self.release.sum(file)
    }

    fn word(&self, name: &str) -> Option<String> {
        let (year, month, day) = date(self.release.time);
        match name {
            "version" => Some(self.release.version.clone()),
            "url" => Some(self.release.url.clone()),
            "date" => Some(format!("{year:04}-{month:02}-{day:02}")),
            "key" => self.key.map(str::to_owned),
            _ => None,
        }
    }
}

/// A line that begins with `{{?PLATFORM}}` is left out where the release has nothing for it. What else is missing leaves out
/// the whole manifest.
fn fill(template: &str, facts: &impl Facts) -> Result<Result<String, String>> {
    let mut text = String::new();
    for line in template.lines() {
        let line = match line.strip_prefix("{{?").and_then(|rest| rest.split_once("}}")) {
            Some((platform, _)) if facts.file(platform).is_none() => continue,
            Some((_, line)) => line,
            None => line,
        };
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("{{") {
            let (asked, after) = after.split_once("}}").with_context(|| format!("`{line}` has no end of its {{{{"))?;
            text += before;
            match answer(asked, facts)? {
                Some(value) => text += &value,
                None => return Ok(Err(asked.to_owned())),
            }
            rest = after;
        }
        text += rest;
        text.push('\n');
    }
    Ok(Ok(text))
}

fn answer(asked: &str, facts: &impl Facts) -> Result<Option<String>> {
    let (what, name) = asked.split_once(' ').unwrap_or((asked, ""));
    let file = facts.file(name);
    Ok(match what {
        "file" => file,
        "id" => file.map(|_| name.to_owned()),
        "sha256" => file.map(|file| facts.sum(&file)).transpose()?,
        "SHA256" => file.map(|file| facts.sum(&file)).transpose()?.map(|sum| sum.to_uppercase()),
        "version" | "url" | "date" | "key" => facts.word(what),
        _ => bail!("nothing is known of `{asked}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A release with these files.
    struct Some_(&'static [&'static str]);

    impl Facts for Some_ {
        fn file(&self, name: &str) -> Option<String> {
            self.0.contains(&name).then(|| format!("leeward-{name}"))
        }

        fn sum(&self, file: &str) -> Result<String> {
            Ok(format!("sum-of-{file}"))
        }

        fn word(&self, name: &str) -> Option<String> {
            Some(format!("the-{name}"))
        }
    }

    const ALL: Some_ =
        Some_(&["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64", "darwin-x64.dmg", "darwin-arm64.dmg"]);

    #[test]
    fn every_template_is_filled_by_a_whole_release() {
        for (path, template) in TEMPLATES {
            let text = fill(template, &ALL).unwrap().unwrap_or_else(|lacks| panic!("{path} lacks {lacks}"));
            assert!(!text.contains("{{") && text.contains("the-") && text.ends_with('\n'), "{path}: {text}");
            if path.ends_with(".json") {
                serde_json::from_str::<serde_json::Value>(&text).unwrap();
            }
        }
    }

    #[test]
    fn a_manifest_never_names_a_file_that_is_not_there() {
        for (path, template) in TEMPLATES {
            if let Ok(text) = fill(template, &Some_(&["linux-x64"])).unwrap() {
                assert!(!text.contains("darwin-") && !text.contains("win32-"), "{path}: {text}");
            }
        }
    }

    #[test]
    fn an_unknown_word_is_an_error() {
        assert!(fill("{{versoin}}", &ALL).is_err() && fill("{{version", &ALL).is_err());
        assert_eq!(fill("{{?linux-x64-musl}}a\nb {{sha256 linux-x64}}", &ALL).unwrap().unwrap(), "b sum-of-leeward-linux-x64\n");
        assert_eq!(fill("{{file linux-x64-musl}}", &ALL).unwrap(), Err("file linux-x64-musl".to_owned()));
    }
}
