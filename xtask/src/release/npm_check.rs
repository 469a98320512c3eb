//! The step `npm`: the packages are made twice with the same bytes, installed into an empty root without a registry, used as
//! people use them, and removed without a trace.

use crate::{
    release::{npm, parts::Built, platforms::Platform, stripped},
    shell::{Shell, target},
    test::Outcome,
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

/// Makes Node forget that it can become another program, so that the other way is tested on every Node.
const WITHOUT_EXECVE: &str = "delete process.execve;\n";

/// Makes, installs, uses and removes them.
pub(crate) fn check() -> Result<Outcome> {
    let Some(platform) = Platform::here().filter(|platform| platform.os == "linux") else {
        return Ok(Outcome::Skipped("the check sends signals as Linux does".to_owned()));
    };
    let place = target().join("npm-check");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    let list = [Built { platform, program: stripped(&place)?, tray: None }];
    let (first, second) = (place.join("first"), place.join("second"));
    let made = npm::make(&list, &first)?;
    for (one, other) in made.iter().zip(npm::make(&list, &second)?) {
        ensure!(fs::read(one)? == fs::read(&other)?, "two runs made different bytes: {} and {}", one.display(), other.display());
    }
    let [program, main] = made.as_slice() else { bail!("{} packages were made, not two", made.len()) };
    let root = Root::new(&place.join("root"))?;
    root.npm("install -g").arg(main).arg(program).run()?;
    versions(&root)?;
    ends(&root)?;
    npx(&root, main, program)?;
    root.npm("uninstall -g leeward").arg(npm_name(platform)).run()?;
    let left = root.left()?;
    ensure!(left.is_empty(), "these are left after the packages were removed: {left:?}");
    alone(&root, main)?;
    fs::remove_dir_all(&place)?;
    Ok(if root.execve()? { Outcome::Passed } else { Outcome::PassedWith("a Node that can't become the program".to_owned()) })
}

fn npm_name(platform: &Platform) -> String {
    format!("leeward-{}", platform.id)
}

/// A place with a home, a prefix and a working folder of its own.
struct Root(PathBuf);

impl Root {
    fn new(folder: &Path) -> Result<Self> {
        for part in ["home", "prefix", "work"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("without-execve.js"), WITHOUT_EXECVE)?;
        Ok(Self(folder.to_owned()))
    }

    /// npm without a registry.
    fn npm(&self, line: &str) -> Shell {
        self.surround(Shell::new(&format!("npm {line} --offline --no-fund --no-audit"))).within(self.0.join("work"))
    }

    fn surround(&self, shell: Shell) -> Shell {
        let shell = shell.env("HOME", self.0.join("home")).env("npm_config_prefix", self.0.join("prefix"));
        let shell = shell.env("npm_config_cache", self.0.join("cache")).env("npm_config_update_notifier", "false");
        shell.env("LEEWARD_HOME", self.0.join("leeward"))
    }

    /// The installed command, started in both ways where this Node has both.
    fn leeward(&self, becomes: bool, words: &[&str]) -> Command {
        let mut command = Command::new("node");
        if !becomes {
            command.arg("--require").arg(self.0.join("without-execve.js"));
        }
        command.arg(self.0.join("prefix").join("bin").join("leeward")).args(words);
        command.current_dir(self.0.join("work")).env("HOME", self.0.join("home")).env("LEEWARD_HOME", self.0.join("leeward"));
        command
    }

    /// Whether this Node can become another program.
    fn execve(&self) -> Result<bool> {
        Ok(Shell::new("node --print").arg("typeof process.execve").read()? == "function")
    }

    fn ways(&self) -> Result<Vec<bool>> {
        Ok(if self.execve()? { vec![true, false] } else { vec![false] })
    }

    /// What is named after Leeward below home and prefix.
    fn left(&self) -> Result<Vec<PathBuf>> {
        let mut left = Vec::new();
        for part in ["home", "prefix"] {
            named(&self.0.join(part), &mut left)?;
        }
        Ok(left)
    }
}

fn named(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().contains("leeward")) {
            found.push(path);
        } else if path.is_dir() && !path.is_symlink() {
            named(&path, found)?;
        }
    }
    Ok(())
}

fn versions(root: &Root) -> Result<()> {
    for becomes in root.ways()? {
        let said = root.leeward(becomes, &["--version"]).output()?;
        let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        let expected = format!("leeward {}\n", super::parts::version()?);
        ensure!(said.status.success() && out == expected && err.is_empty(), "`leeward --version` says `{out}{err}`");
    }
    let tray = root.surround(Shell::program(root.0.join("prefix").join("bin").join("leeward-tray")));
    let said = tray.read().err().context("a tray that is not there started")?.to_string();
    ensure!(said.contains("has no tray for"), "the tray that is not there says: {said}");
    Ok(())
}

/// How a program ends: (what it runs, the signal sent to the launcher once it has said `ready`, how the launcher has to end).
const ENDS: [(&str, Option<&str>, &str); 6] = [
    ("exit 7", None, "exit status: 7"),
    ("kill -KILL $$", None, "exit status: 137"),
    // What the launcher started is ended itself.
    ("kill -KILL $PPID", None, "signal: 9 (SIGKILL)"),
    ("trap 'kill $!; exit 9' TERM; sleep 20 & echo ready; wait", Some("TERM"), "exit status: 9"),
    ("trap 'kill $!; exit 8' INT; sleep 20 & echo ready; wait", Some("INT"), "exit status: 8"),
    ("trap 'kill $!; exit 6' HUP; sleep 20 & echo ready; wait", Some("HUP"), "exit status: 6"),
];

fn ends(root: &Root) -> Result<()> {
    for becomes in root.ways()? {
        let server = Server::start(root.leeward(becomes, &["serve", "--listen", "127.0.0.1:0"]))?;
        for (script, signal, expected) in ENDS {
            let status = end(root.leeward(becomes, &["run", "--", "sh", "-c", script]), signal)?;
            println!("leeward run -- sh -c '{script}': {status}");
            ensure!(status.to_string() == expected, "`{script}` with {signal:?} ended with {status}, not {expected}");
        }
        let status = server.end()?;
        ensure!(status.success(), "`leeward serve` ended with {status}");
        let status = end(root.leeward(becomes, &["status"]), None)?;
        ensure!(status.code() == Some(69), "`leeward status` without a Leeward ended with {status}");
    }
    Ok(())
}

/// A Leeward on a port that nobody else uses, so that `run` starts none.
struct Server(Child);

impl Server {
    fn start(mut command: Command) -> Result<Self> {
        let mut server = Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let mut line = String::new();
        BufReader::new(server.0.stdout.as_mut().context("its output is not ours")?).read_line(&mut line)?;
        ensure!(line.contains("http://127.0.0.1:"), "`leeward serve` says `{line}`");
        Ok(server)
    }

    fn end(mut self) -> Result<ExitStatus> {
        Shell::new(&format!("kill -TERM {}", self.0.id())).read()?;
        Ok(self.0.wait()?)
    }
}

impl Drop for Server {
    /// The launcher passes this signal on; a kill would leave its program behind.
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            Shell::new(&format!("kill -TERM {}", self.0.id())).succeeds();
            self.0.wait().ok();
        }
    }
}

fn end(mut command: Command, signal: Option<&str>) -> Result<ExitStatus> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(signal) = signal {
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().context("its output is not ours")?).read_line(&mut line)?;
        ensure!(line == "ready\n", "it said `{line}`");
        Shell::new(&format!("kill -{signal} {}", child.id())).read()?;
    }
    Ok(child.wait()?)
}

/// In a project, and without an install.
fn npx(root: &Root, main: &Path, program: &Path) -> Result<()> {
    let version = format!("leeward {}", super::parts::version()?);
    let once = root.surround(Shell::new("npx --offline --yes")).within(root.0.join("home"));
    let once = once.arg(format!("--package={}", main.display())).arg(format!("--package={}", program.display()));
    let said = once.args(["leeward", "--version"]).read()?;
    ensure!(said == version, "npx from two packages says `{said}`");
    root.npm("install").arg(main).arg(program).run()?;
    let said = root.surround(Shell::new("npx --offline leeward --version")).within(root.0.join("work")).read()?;
    ensure!(said == version, "npx in a project says `{said}`");
    let status = root.surround(Shell::new("npx --offline leeward status")).within(root.0.join("work")).read();
    let status = status.err().context("`npx leeward status` found a Leeward")?.to_string();
    ensure!(status.contains("69"), "`npx leeward status` without a Leeward: {status}");
    Ok(())
}

/// The launcher without its program says so, with a command.
fn alone(root: &Root, main: &Path) -> Result<()> {
    root.npm("install -g --omit=optional").arg(main).run()?;
    let said = root.leeward(false, &["--version"]).output()?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.status.code() == Some(127), "without its program the launcher ended with {}", said.status);
    ensure!(text.contains("is missing") && text.contains("npm install leeward-"), "without its program it says: {text}");
    Ok(())
}
