//! System packages: installed on Debian after saying which; elsewhere their names are shown.

use crate::shell::Shell;
use anyhow::{Context, Result, bail};
use std::{fs, path::Path};

/// What a purpose needs, and how it is called on systems where Leeward does not install it.
pub(crate) struct Packages {
    /// What for, as it ends the sentence "needed …".
    pub(crate) purpose: &'static str,
    /// Debian's names.
    pub(crate) debian: &'static [&'static str],
    /// One sentence for other systems.
    pub(crate) elsewhere: &'static str,
}

/// A C compiler, for the cryptography and for linking.
pub(crate) const HEADLESS: Packages = Packages {
    purpose: "to build the engine and the command line",
    debian: &["build-essential"],
    elsewhere: "A C compiler: `xcode-select --install` on macOS; the C++ workload of Visual Studio's build tools on Windows; gcc elsewhere.",
};

/// What the tray links to.
pub(crate) const TRAY: Packages = Packages {
    purpose: "to build and show the tray",
    debian: &["build-essential", "pkg-config", "libwebkit2gtk-4.1-dev", "libayatana-appindicator3-1"],
    elsewhere: "WebKitGTK 4.1 and Ayatana AppIndicator: `dnf install webkit2gtk4.1-devel libayatana-appindicator-gtk3` on Fedora, \
                `pacman -S webkit2gtk-4.1 libayatana-appindicator` on Arch; the WebView2 runtime on Windows (part of Windows 11); nothing on macOS.",
};

/// What the bundler asks pkg-config for.
pub(crate) const BUNDLE: Packages = Packages {
    purpose: "to make the packages",
    debian: &["build-essential", "pkg-config", "libwebkit2gtk-4.1-dev", "libayatana-appindicator3-dev"],
    elsewhere: "what the tray needs to compile, with the development files of Ayatana AppIndicator.",
};

/// A display and a session bus that exist only for the test.
pub(crate) const TRAY_TESTS: Packages = Packages {
    purpose: "to test the tray without a desktop",
    debian: &["xvfb", "xauth", "dbus-daemon", "webkit2gtk-driver"],
    elsewhere: "Xvfb, xauth, dbus-run-session and WebKitWebDriver.",
};

/// Makes the Debian that a package is installed in.
pub(crate) const CLEAN_ROOT: Packages = Packages {
    purpose: "to install the package in a clean Debian",
    debian: &["debootstrap"],
    elsewhere: "debootstrap, on Debian.",
};

/// The browser that opens the panel.
pub(crate) const BROWSER: Packages = Packages {
    purpose: "to test the panel in a browser",
    debian: &["chromium-headless-shell"],
    elsewhere: "Chromium; name its program in CHROMIUM.",
};

/// The proxies that Leeward is measured beside, what builds the third, and what makes system calls fail.
pub(crate) const BENCH: Packages = Packages {
    purpose: "to measure other proxies",
    debian: &["nginx", "haproxy", "tinyproxy", "cmake", "strace", "python3", "python3-venv"],
    elsewhere: "nginx, HAProxy, cmake and strace.",
};

/// What runs the public SDKs in the tests.
pub(crate) const CLIENTS: Packages = Packages {
    purpose: "to test with the agents' own SDKs",
    debian: &["curl", "python3", "python3-venv"],
    elsewhere: "curl and Python 3 with its venv module.",
};

/// The cross compiler; `windows.rs` brings the standard library.
pub(crate) const WINDOWS: Packages = Packages {
    purpose: "to check the Windows build",
    debian: &["gcc-mingw-w64-x86-64-win32"],
    elsewhere: "the mingw-w64 cross compiler.",
};

/// What takes the standard library's source out of Debian's package.
pub(crate) const STD: Packages =
    Packages { purpose: "to build the standard library for another system", debian: &["xz-utils"], elsewhere: "xz." };

/// What runs the Windows build.
pub(crate) const WINE: Packages =
    Packages { purpose: "to run the Windows build", debian: &["nsis", "wine64"], elsewhere: "Wine and NSIS." };

/// True on Debian and what is made from it.
pub(crate) fn on_debian() -> bool {
    Path::new("/etc/debian_version").exists() && Shell::new("apt-get --version").succeeds()
}

/// Installs what is missing, after saying what. Elsewhere it cannot look and says nothing.
pub(crate) fn ensure(wanted: &Packages) -> Result<()> {
    if !on_debian() {
        return Ok(());
    }
    let missing: Vec<_> = wanted.debian.iter().filter(|name| !installed(name)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("Missing {}: {}. Installing with apt-get.", wanted.purpose, missing.join(", "));
    let root = Shell::new("id -u").read()? == "0";
    if !root && !Shell::new("sudo --version").succeeds() {
        bail!(
            "you are not root and there is no sudo; as root run `apt-get install --no-install-recommends {}`",
            missing.join(" ")
        );
    }
    let apt = |line: &str| match root {
        true => Shell::new(&format!("apt-get {line}")).env("DEBIAN_FRONTEND", "noninteractive"),
        false => Shell::new(&format!("sudo DEBIAN_FRONTEND=noninteractive apt-get {line}")),
    };
    // An index of last month names packages that are gone.
    apt("update -qq").run()?;
    apt("install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends").args(missing).run()
}

fn installed(package: &str) -> bool {
    let query = Shell::new("dpkg-query --show --showformat=${db:Status-Status}").arg(package);
    query.read().is_ok_and(|status| status == "installed")
}

/// Debian's own mirror as this machine knows it, so that no host is named here.
pub(crate) fn debian_mirror() -> Result<String> {
    let format = "$(SITE) $(REPO_URI) $(LABEL)";
    let targets = Shell::new("apt-get indextargets --format").arg(format).arg("Created-By: Packages").read()?;
    let line = targets.lines().find(|line| line.ends_with(" Debian")).map(str::to_owned);
    let line = line.context("this machine's apt sources name no Debian mirror; run `apt-get update`")?;
    Ok(line.split(' ').nth(1).unwrap_or_default().to_owned())
}

/// Debian's keys, which its archive is signed with.
pub(crate) fn debian_keyring() -> Result<&'static str> {
    const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::metadata(KEYRING).with_context(|| format!("{KEYRING} is missing; install debian-archive-keyring"))?;
    Ok(KEYRING)
}
