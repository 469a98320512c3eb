//! The systems that Leeward is packed for, by all their names. Decides nothing about what is built where.

/// One system. The names are npm's and Node's own, so that a launcher needs no table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// `linux-x64`; part of every file name.
    pub(crate) id: &'static str,
    /// Node's `process.platform`.
    pub(crate) os: &'static str,
    /// Node's `process.arch`.
    pub(crate) cpu: &'static str,
    /// The C library, where a system has several.
    pub(crate) libc: Option<&'static str>,
    /// Rust's name.
    pub(crate) triple: &'static str,
}

const fn platform(
    id: &'static str,
    os: &'static str,
    cpu: &'static str,
    libc: Option<&'static str>,
    triple: &'static str,
) -> Platform {
    Platform { id, os, cpu, libc, triple }
}

/// All of them.
pub(crate) const PLATFORMS: [Platform; 8] = [
    platform("linux-x64", "linux", "x64", Some("glibc"), "x86_64-unknown-linux-gnu"),
    platform("linux-arm64", "linux", "arm64", Some("glibc"), "aarch64-unknown-linux-gnu"),
    platform("linux-x64-musl", "linux", "x64", Some("musl"), "x86_64-unknown-linux-musl"),
    platform("linux-arm64-musl", "linux", "arm64", Some("musl"), "aarch64-unknown-linux-musl"),
    platform("darwin-x64", "darwin", "x64", None, "x86_64-apple-darwin"),
    platform("darwin-arm64", "darwin", "arm64", None, "aarch64-apple-darwin"),
    platform("win32-x64", "win32", "x64", None, "x86_64-pc-windows-gnu"),
    platform("win32-arm64", "win32", "arm64", None, "aarch64-pc-windows-gnullvm"),
];

impl Platform {
    /// By its id.
    pub(crate) fn named(id: &str) -> Option<&'static Self> {
        PLATFORMS.iter().find(|platform| platform.id == id)
    }

    /// The one that this program runs on.
    pub(crate) fn here() -> Option<&'static Self> {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            "windows" => "win32",
            other => other,
        };
        let cpu = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        let libc = if cfg!(target_env = "musl") { "musl" } else { "glibc" };
        PLATFORMS.iter().find(|p| p.os == os && p.cpu == cpu && p.libc.is_none_or(|name| name == libc))
    }

    /// What a program is called there.
    pub(crate) fn program(&self, name: &str) -> String {
        if self.os == "win32" { format!("{name}.exe") } else { name.to_owned() }
    }

    /// How an archive for it ends.
    pub(crate) fn archive(&self) -> &'static str {
        if self.os == "win32" { "zip" } else { "tar.gz" }
    }
}
