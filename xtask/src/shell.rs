//! Running other programs: each is shown before it runs, and a failure names it.

use anyhow::{Context, Result, bail};
use std::{
    env,
    ffi::OsStr,
    fmt,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The project's root, where every command runs unless it says otherwise.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// The target folder, as cargo itself finds it.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A program that `cargo build` made.
pub(crate) fn built(name: &str, release: bool) -> PathBuf {
    let profile = if release { "release" } else { "debug" };
    target().join(profile).join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// All headless programs, and the tests. A program alone is built with fewer features of its dependencies than the tests have
/// left there, and a good part of these once more.
pub(crate) const PROGRAMS: &str = "build --locked --workspace --bins --tests";

/// One program to run, with inherited input and output.
pub(crate) struct Shell(Command);

impl Shell {
    /// A program and its arguments, separated by blanks.
    pub(crate) fn new(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap_or_default();
        // npm is a script on Windows, which only its full name starts.
        let program = if cfg!(windows) && program == "npm" { "npm.cmd" } else { program };
        let mut command = Command::new(program);
        command.args(words).current_dir(root());
        Self(command)
    }

    /// A program by its path, blanks and all.
    pub(crate) fn program(path: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(path);
        command.current_dir(root());
        Self(command)
    }

    /// The cargo that runs this very program.
    pub(crate) fn cargo(line: &str) -> Self {
        Self::program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(line.split_whitespace())
    }

    /// One more argument, blanks and all.
    pub(crate) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.0.arg(word);
        self
    }

    /// More arguments.
    pub(crate) fn args<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.0.args(words);
        self
    }

    /// The same with its variables, started by another program (a display server, a session bus).
    pub(crate) fn under(self, other: Self) -> Self {
        let other = other.arg(self.0.get_program()).args(self.0.get_args());
        let variables = self.0.get_envs().filter_map(|(name, value)| Some((name, value?)));
        variables.fold(other, |other, (name, value)| other.env(name, value))
    }

    /// A variable for the program alone.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Another folder.
    pub(crate) fn within(mut self, folder: impl AsRef<Path>) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Shows it, runs it, and fails unless it succeeds.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("$ {self}");
        let status = self.0.status().with_context(|| format!("cannot start `{self}`"))?;
        if !status.success() {
            bail!("`{self}` ended with {status}");
        }
        Ok(())
    }

    /// Another place for its standard output.
    pub(crate) fn output(mut self, to: Stdio) -> Self {
        self.0.stdout(to);
        self
    }

    /// A file for all that it says.
    pub(crate) fn both_to(mut self, file: &File) -> Result<Self> {
        self.0.stdout(file.try_clone()?).stderr(file.try_clone()?);
        Ok(self)
    }

    /// Shows it and fails, with all that it said, unless it succeeds.
    pub(crate) fn quietly(self) -> Result<()> {
        println!("$ {self}");
        let Self(mut command) = self;
        let output = command.output()?;
        if !output.status.success() {
            let [out, err] = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
            bail!("`{}` ended with {}:\n{out}{err}", Self(command), output.status);
        }
        Ok(())
    }

    /// Starts it and does not wait.
    pub(crate) fn spawn(mut self) -> Result<Child> {
        self.0.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start `{self}`"))
    }

    /// Runs it without showing it; its standard output, trimmed.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self.0.stderr(Stdio::piped()).output().with_context(|| format!("cannot start `{self}`"))?;
        if !output.status.success() {
            bail!("`{self}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs it without showing it; whether it could be started and succeeded.
    pub(crate) fn succeeds(mut self) -> bool {
        self.0.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// Becomes it where the system can, so that signals reach it; else waits for it and returns its status.
    pub(crate) fn become_it(mut self) -> Result<std::process::ExitCode> {
        println!("$ {self}");
        #[cfg(unix)]
        {
            let error = std::os::unix::process::CommandExt::exec(&mut self.0);
            Err(error).with_context(|| format!("cannot start `{self}`"))
        }
        #[cfg(not(unix))]
        {
            let status = self.0.status().with_context(|| format!("cannot start `{self}`"))?;
            Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1).into())
        }
    }
}

impl fmt::Display for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Path::new(self.0.get_program()).file_name().unwrap_or_default();
        f.write_str(&name.to_string_lossy())?;
        self.0.get_args().try_for_each(|word| write!(f, " {}", word.to_string_lossy()))
    }
}

/// Whether a program is on the PATH and runs.
pub(crate) fn available(program: &str) -> bool {
    Shell::new(program).arg("--version").succeeds()
}
