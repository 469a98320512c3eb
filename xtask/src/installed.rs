//! The step `bundle`: the Debian package is made, installed where nothing else is, used, and removed without a trace.

use crate::{
    bundle,
    clean_root::CleanRoot,
    packages::{self, BUNDLE, CLEAN_ROOT, TRAY_TESTS},
    shell::{Shell, root, target},
    test::Outcome,
    tray,
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Everything waited for here takes a second or two.
const LIMIT: Duration = Duration::from_secs(60);
/// Some of what must be there, with a word it must say.
const FILES: [(&str, &str); 12] = [
    ("/usr/share/applications/Leeward.desktop", "\nExec=leeward-tray\n"),
    ("/usr/share/applications/Leeward.desktop", "\nCategories=Development;\n"),
    ("/usr/share/icons/hicolor/128x128/apps/leeward-tray.png", "PNG"),
    ("/usr/share/man/man1/leeward.1.gz", "leeward\\-wrap(1)"),
    ("/usr/share/man/man1/leeward-wrap.1.gz", "dry\\-run"),
    ("/usr/share/man/man1/leeward-tray.1.gz", "hidden"),
    ("/usr/share/zsh/vendor-completions/_leeward", "#compdef leeward"),
    ("/usr/share/fish/vendor_completions.d/leeward.fish", "complete -c leeward"),
    ("/usr/share/doc/leeward/copyright", "Apache License"),
    ("/usr/share/doc/leeward/changelog.gz", "Changelog"),
    ("/usr/share/doc/leeward/third-party.gz", "\ntokio 1."),
    ("/usr/share/doc/leeward/third-party.gz", "\nuplot 1."),
];

/// Makes, installs, uses and removes it.
pub(crate) fn check() -> Result<Outcome> {
    if let Some(why) = CleanRoot::why_not()? {
        return Ok(Outcome::Skipped(format!("a clean Debian to install the package in: {why}")));
    }
    // All of them now: below two threads are busy, and apt-get lets only one install.
    [&TRAY_TESTS, &BUNDLE, &CLEAN_ROOT].into_iter().try_for_each(packages::ensure)?;
    if !root().join("ui").join("dist").join("index.html").exists() {
        tray::prepare()?;
    }
    let begun = Instant::now();
    // The clean Debian comes over the network meanwhile, which leaves the processor to the compiler.
    let (made, debian) = thread::scope(|scope| {
        let debian = scope.spawn(|| CleanRoot::make(target().join("bundle").join("clean")));
        (bundle::make(&["deb"], bundle::Profile::Debug), debian.join())
    });
    let package = made?.pop().context("no package was made")?;
    let debian = debian.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    println!("{} and a clean Debian made in {:.0?}", package.display(), begun.elapsed());
    let begun = Instant::now();
    fs::copy(&package, debian.path("/tmp/leeward.deb"))?;
    debian.run("apt-get install -y -qq --no-install-recommends /tmp/leeward.deb")?;
    println!("installed in {:.0?}", begun.elapsed());
    files(&debian)?;
    engine(&debian)?;
    agent(&debian)?;
    window(&debian)?;
    debian.run("apt-get purge -y -qq leeward")?;
    let left = debian.run("find / -xdev -iname *leeward* -not -path /tmp/*")?;
    ensure!(left.is_empty(), "these are left after the package was removed:\n{left}");
    debian.remove()?;
    Ok(Outcome::Passed)
}

fn files(debian: &CleanRoot) -> Result<()> {
    FILES.iter().try_for_each(|(file, what)| debian.holds(file, what))?;
    let changed = debian.run("dpkg --verify leeward")?;
    ensure!(changed.is_empty(), "installed files differ from the package's:\n{changed}");
    let version = debian.run("leeward --version")?;
    let packaged = debian.run("dpkg-query --show --showformat=${Version} leeward")?;
    ensure!(version == format!("leeward {packaged}"), "`leeward --version` says `{version}`, the package is {packaged}");
    ensure!(debian.run("leeward-tray --version")? == format!("leeward-tray {packaged}"), "the tray's version");
    let script = ". /usr/share/bash-completion/completions/leeward && complete -p leeward";
    let completed = debian.command("bash -c").arg(script).read()?;
    ensure!(completed.contains("_leeward"), "bash completes by `{completed}`");
    Ok(())
}

/// A child that does not outlive us.
struct Background(Child);

impl Background {
    fn start(shell: Shell) -> Result<Self> {
        println!("{shell} &");
        shell.spawn().map(Self)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn engine(debian: &CleanRoot) -> Result<()> {
    let serve = debian.command("env LEEWARD_HOME=/tmp/serve leeward serve --listen 127.0.0.1:0");
    let mut serve = Background::start(serve.output(Stdio::piped()))?;
    let said = first_line(&mut serve.0)?;
    let (_, address) = said.trim().split_once("http://").with_context(|| format!("`leeward serve` said `{said}`"))?;
    lives(address)?;
    let page = get(address, "/_leeward/ui/")?;
    ensure!(page.starts_with("HTTP/1.1 200 ") && page.contains("<title>Leeward</title>"), "the panel's page: {page}");
    let asset = page.split('"').find(|word| word.contains("assets/") && word.ends_with(".js"));
    let asset = asset.context("the panel's page names no script")?.trim_start_matches("./");
    let script = get(address, &format!("/_leeward/ui/{}", asset.trim_start_matches('/')))?;
    ensure!(script.starts_with("HTTP/1.1 200 "), "{asset}: {}", script.lines().next().unwrap_or_default());
    Ok(())
}

/// An agent that says what it was given.
fn agent(debian: &CleanRoot) -> Result<()> {
    let agent = debian.path("/usr/local/bin/claude");
    fs::write(&agent, "#!/bin/sh\necho \"$ANTHROPIC_BASE_URL $*\"\n")?;
    Shell::new("chmod +x").arg(&agent).read()?;
    let shown = debian.run("env LEEWARD_HOME=/tmp/wrap leeward wrap claude --dry-run -- hello")?;
    ensure!(shown.contains("ANTHROPIC_BASE_URL") && shown.contains("hello"), "the dry run says: {shown}");
    let said = debian.run("env LEEWARD_HOME=/tmp/wrap leeward wrap claude -- hello")?;
    ensure!(said.starts_with("http://127.0.0.1:") && said.ends_with(" hello"), "the agent behind Leeward says: {said}");
    fs::remove_file(agent)?;
    Ok(())
}

/// The tray on a display and a session bus that shows no icons, so that the panel's window comes.
fn window(debian: &CleanRoot) -> Result<()> {
    // It prints the number of the display when it is ready. The kernel's name for its socket is seen in the clean root, too.
    let display = Shell::new("Xvfb -displayfd 1 -screen 0 1280x800x24 -nolisten tcp -ac -noreset").output(Stdio::piped());
    let mut display = Background::start(display)?;
    let number = first_line(&mut display.0)?;
    // Software rendering and no accessibility bus: neither exists on a bare machine.
    let variables = format!("DISPLAY=:{} LEEWARD_HOME=/tmp/tray NO_AT_BRIDGE=1 LIBGL_ALWAYS_SOFTWARE=1", number.trim());
    let tray = debian.command(&format!("env {variables} dbus-run-session -- leeward-tray --listen 127.0.0.1:0"));
    let mut tray = Background::start(tray)?;
    let state = debian.path("/tmp/tray/state");
    let address = until("the tray serves", &state, || recorded(&state.join("instance.json")))?;
    lives(&address)?;
    until("the panel's window has its page", &state, || debian.processes("WebKitWebProces").pop())?;
    let pid = debian.processes("leeward-tray").pop().context("the tray does not run")?;
    Shell::new("kill -TERM").arg(pid.to_string()).run()?;
    let status = until("the tray ends", &state, || tray.0.try_wait().ok().flatten())?;
    ensure!(status.success(), "the tray ended with {status}");
    Ok(())
}

/// The address in an instance's record.
fn recorded(record: &Path) -> Option<String> {
    let record = fs::read_to_string(record).ok()?;
    let (_, rest) = record.split_once("\"address\"")?;
    rest.split('"').nth(1).map(str::to_owned)
}

fn lives(address: &str) -> Result<()> {
    let answer = get(address, "/livez")?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "/livez of {address}: {answer}");
    Ok(())
}

fn get(address: &str, path: &str) -> Result<String> {
    println!("GET http://{address}{path}");
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn first_line(child: &mut Child) -> Result<String> {
    let output = child.stdout.as_mut().context("its output is not ours")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(!line.is_empty(), "it ended without a word");
    Ok(line)
}

/// Waits for it; when it does not come, the log says more than we can.
fn until<T>(what: &str, state: &Path, mut there: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        if let Some(found) = there() {
            return Ok(found);
        }
        thread::sleep(Duration::from_millis(50));
    }
    let log = fs::read_to_string(state.join("logs").join("leeward.log")).unwrap_or_default();
    bail!("{what}: not within {LIMIT:?}; its log:\n{log}");
}
