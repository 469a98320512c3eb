//! Paths of the machine that builds: kept out of the programs of a release, and looked for in them.

use crate::shell::{Shell, root};
use anyhow::{Result, ensure};
use std::{
    env,
    path::{Path, PathBuf},
};

/// In every program of a release that was built without the flags below, by whoever.
const USUAL: &str = ".cargo/registry/src";

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}

/// What is named otherwise in a program: (as it is here, as it is called there).
fn renamed() -> Vec<(PathBuf, &'static str)> {
    let mut renamed = vec![(root(), "/leeward")];
    renamed.extend(cargo_home().map(|home| (home, "/cargo")));
    renamed
}

/// The same build with these names, for Rust and for C.
pub(crate) fn rename(build: Shell) -> Shell {
    let words = |variable: &str, flag: &str, between: &str| {
        let own = env::var(variable).ok().filter(|own| !own.is_empty());
        let flags = flags(&renamed(), flag);
        own.into_iter().chain(flags).collect::<Vec<_>>().join(between)
    };
    // Paths may hold blanks, which this form of the variable alone bears.
    let rust = match env::var("RUSTFLAGS") {
        Ok(own) => own
            .split_whitespace()
            .map(str::to_owned)
            .chain(flags(&renamed(), "--remap-path-prefix"))
            .collect::<Vec<_>>()
            .join("\u{1f}"),
        Err(_) => words("CARGO_ENCODED_RUSTFLAGS", "--remap-path-prefix", "\u{1f}"),
    };
    let build = build.env("CARGO_ENCODED_RUSTFLAGS", rust);
    if cfg!(windows) { build } else { build.env("CFLAGS", words("CFLAGS", "-ffile-prefix-map", " ")) }
}

fn flags(renamed: &[(PathBuf, &str)], flag: &str) -> Vec<String> {
    renamed.iter().map(|(from, to)| format!("{flag}={}={to}", from.display())).collect()
}

/// Fails where a program holds a path of a machine that built it.
pub(crate) fn check(program: &Path, bytes: &[u8]) -> Result<()> {
    let here = renamed().into_iter().map(|(path, _)| path.display().to_string());
    let found = found(bytes, here.chain([USUAL.to_owned()]));
    ensure!(found.is_empty(), "{} holds paths of the machine that built it: {}", program.display(), found.join(", "));
    Ok(())
}

fn found(bytes: &[u8], paths: impl Iterator<Item = String>) -> Vec<String> {
    let count = |path: &str| bytes.windows(path.len()).filter(|window| *window == path.as_bytes()).count();
    paths.filter_map(|path| Some(count(&path)).filter(|count| *count > 0).map(|count| format!("{path} ({count})"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::target;
    use std::fs;

    /// The compiler itself is asked: with the flag no path is left, without it one is.
    #[test]
    fn a_renamed_path_is_not_in_the_program() {
        let folder = target().join("build-paths-test");
        fs::create_dir_all(&folder).unwrap();
        let (source, program) = (folder.join("main.rs"), folder.join("program"));
        fs::write(&source, "fn main() { println!(\"{}\", std::panic::Location::caller().file()); }").unwrap();
        let path = folder.display().to_string();
        let compile = |flags: Vec<String>| {
            let rustc = Shell::new("rustc --edition 2024 -C strip=symbols").args(flags);
            rustc.arg(&source).arg("-o").arg(&program).read().unwrap();
            found(&fs::read(&program).unwrap(), [path.clone()].into_iter())
        };
        assert_eq!(compile(Vec::new()).len(), 1);
        assert_eq!(compile(flags(&[(folder.clone(), "/gone")], "--remap-path-prefix")), [""; 0]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_path_of_any_machine_is_found() {
        let error = check(Path::new("leeward"), b"..\0/home/x/.cargo/registry/src/y\0..").unwrap_err().to_string();
        assert!(error.contains(USUAL), "{error}");
        assert!(check(Path::new("leeward"), b"/cargo/registry/src/y").is_ok());
    }
}
