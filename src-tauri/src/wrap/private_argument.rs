//! Arguments that hold a secret. Every user of the machine can read a program's arguments, so the agent gets the name of a file
//! that only its own user can read. The file ends with the agent.

use super::mask::without_credentials;
use crate::config::Secret;
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use tempfile::TempPath;

const PREFIX: &str = "leeward-settings-";
const SUFFIX: &str = ".json";

/// An argument that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateArgument {
    /// Its place among the arguments; there it stands without credentials.
    at: usize,
    /// What stands before the file's name.
    option: &'static str,
    /// What the agent must read.
    text: Secret,
}

impl PrivateArgument {
    /// Puts it among the arguments at `at`, where there is one for it already; `option` stands before it in the same argument.
    pub(super) fn put(args: &mut [OsString], at: usize, option: &'static str, text: String) -> Self {
        args[at] = format!("{option}{}", without_credentials(&text)).into();
        Self { at, option, text: Secret::new(text) }
    }
}

/// The arguments of a plan that hold a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateArguments {
    /// They.
    pub(super) arguments: Vec<PrivateArgument>,
    /// Where their files are made, if that is possible; else in the system's folder for temporary files.
    folder: Option<PathBuf>,
}

impl PrivateArguments {
    pub(super) fn new(arguments: Vec<PrivateArgument>, folder: &Path) -> Self {
        let folder = (!arguments.is_empty()).then(|| folder.to_owned());
        Self { arguments, folder }
    }

    /// The arguments with files in the place of secrets.
    pub(super) fn write(&self, args: &[OsString]) -> io::Result<(Vec<OsString>, Vec<PrivateFile>)> {
        let (mut args, mut files) = (args.to_vec(), Vec::new());
        let Some(folder) = &self.folder else { return Ok((args, files)) };
        remove_left_over(folder);
        for PrivateArgument { at, option, text } in &self.arguments {
            let file = PrivateFile::new(folder, text).or_else(|_| PrivateFile::new(&std::env::temp_dir(), text));
            let file = file.map_err(|e| io::Error::other(format!("no private file can be made for its settings: {e}")))?;
            let mut named = OsString::from(option);
            named.push(&*file.path);
            args[*at] = named;
            files.push(file);
        }
        Ok((args, files))
    }

    /// What the agent reads in the place of the arguments.
    #[cfg(test)]
    pub(super) fn texts(&self) -> Vec<&str> {
        self.arguments.iter().map(|argument| argument.text.reveal()).collect()
    }
}

/// A file for this user alone that ends with this value. Held open, so that it is known from one that a crash has left.
#[derive(Debug)]
pub(super) struct PrivateFile {
    // Windows removes no file that is held; this one is dropped first.
    _held: File,
    path: TempPath,
}

impl PrivateFile {
    fn new(folder: &Path, text: &Secret) -> io::Result<Self> {
        let made = tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).rand_bytes(16).make_in(folder, create)?;
        let (mut held, path) = made.into_parts();
        held.write_all(text.reveal().as_bytes())?;
        Ok(Self { _held: held, path })
    }
}

/// A new file, held: a name that is there already, or was taken for one left over meanwhile, is tried with other letters.
#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // Where nothing can be locked, nothing is taken for left over either.
    file.lock().ok();
    if path.exists() { Ok(file) } else { Err(io::ErrorKind::AlreadyExists.into()) }
}

/// A new file that others may read and nobody may remove while it is open. The folder's access list is the file's.
#[cfg(windows)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt;
    const FILE_SHARE_READ: u32 = 1;
    OpenOptions::new().write(true).create_new(true).share_mode(FILE_SHARE_READ).open(path)
}

#[cfg(unix)]
fn is_held(path: &Path) -> bool {
    !File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// The system keeps it then.
#[cfg(windows)]
fn is_held(_path: &Path) -> bool {
    false
}

/// Removes files of wraps that were killed.
fn remove_left_over(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if is_ours
            && !is_held(&entry.path())
            && let Err(e) = fs::remove_file(entry.path())
        {
            tracing::debug!("{} stays: {e}", entry.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_a_file_as_long_as_it_is_needed_and_what_was_left_over_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut args: Vec<OsString> = ["--settings", "", "-p"].map(OsString::from).into();
        let settings = r#"{"env":{"ANTHROPIC_CUSTOM_HEADERS":"x: hush"}}"#;
        let argument = PrivateArgument::put(&mut args, 1, "", settings.to_owned());
        let mut joined = vec![OsString::new()];
        let second = PrivateArgument::put(&mut joined, 0, "--settings=", settings.to_owned());
        assert!([&args[1], &joined[0]].iter().all(|shown| !shown.to_str().unwrap().contains("hush")), "{args:?} {joined:?}");
        let first = PrivateArguments::new(vec![argument], folder.path());
        let second = PrivateArguments::new(vec![second], folder.path());
        let left_over = folder.path().join(format!("{PREFIX}old{SUFFIX}"));
        fs::write(&left_over, settings).unwrap();
        let other = folder.path().join("settings.json");
        fs::write(&other, "").unwrap();
        let (given, files) = first.write(&args).unwrap();
        assert!(!left_over.exists() && other.exists());
        let path = PathBuf::from(&given[1]);
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), &given[0], &given[2]), (settings, &args[0], &args[2]));
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
        let (joined, more) = second.write(&joined).unwrap();
        assert!(path.exists(), "another session's stays");
        let named = joined[0].to_str().unwrap().strip_prefix("--settings=").unwrap();
        assert_eq!(fs::read_to_string(named).unwrap(), settings);
        drop((files, more));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the other file is left");
    }

    #[test]
    fn where_the_folder_is_of_no_use_the_systems_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = vec![OsString::new()];
        let argument = PrivateArgument::put(&mut args, 0, "", "{}".to_owned());
        let arguments = PrivateArguments::new(vec![argument], &folder.path().join("not/there"));
        let (given, _files) = arguments.write(&args).unwrap();
        assert!(Path::new(&given[0]).starts_with(std::env::temp_dir()), "{given:?}");
    }
}
