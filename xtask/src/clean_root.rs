//! A Debian of its own, with nothing but what every Debian has, in which a package shows what it forgot to ask for. Knows
//! nothing of Leeward. Its programs share this machine's network, and no process or mount outlives the command that made it.

use crate::{
    packages::{self, CLEAN_ROOT},
    shell::{Shell, target},
};
use anyhow::{Context, Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Its folder.
pub(crate) struct CleanRoot(PathBuf);

impl CleanRoot {
    /// Why there can be none here, as a clause; `None` if there can.
    pub(crate) fn why_not() -> Result<Option<String>> {
        if !cfg!(target_os = "linux") || !packages::on_debian() {
            return Ok(Some("it is made with Debian's debootstrap, and this is no Debian".to_owned()));
        }
        if Shell::new("id -u").read()? != "0" {
            return Ok(Some("it takes root to make and enter it".to_owned()));
        }
        if !Shell::new("unshare --mount --pid --fork --kill-child true").succeeds() {
            return Ok(Some("this machine allows no mounts and process ids of one's own (unshare)".to_owned()));
        }
        let device = target().join("clean-root-null");
        fs::create_dir_all(target())?;
        fs::remove_file(&device).ok();
        let made = Shell::new("mknod").arg(&device).args(["c", "1", "3"]).succeeds();
        let works = made && fs::write(&device, "").is_ok();
        fs::remove_file(&device).ok();
        Ok((!works).then(|| format!("this machine allows no device files in {}", target().display())))
    }

    /// Made anew, of this machine's own release.
    pub(crate) fn make(folder: PathBuf) -> Result<Self> {
        packages::ensure(&CLEAN_ROOT)?;
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let about = fs::read_to_string("/etc/os-release")?;
        let release = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let release = release.context("/etc/os-release names no VERSION_CODENAME")?;
        let mirror = packages::debian_mirror()?;
        Shell::new("debootstrap --variant=minbase").arg(release).arg(&folder).arg(mirror).quietly()?;
        let root = Self(folder);
        root.reach_the_mirror_as_this_machine_does()?;
        // Nobody needs it after a power failure, and syncing each file takes minutes on a busy disk.
        let dpkg = root.path("/etc/dpkg/dpkg.cfg.d");
        fs::create_dir_all(&dpkg)?;
        fs::write(dpkg.join("clean-root"), "force-unsafe-io\n")?;
        root.run("apt-get -qq update")?;
        Ok(root)
    }

    /// A mirror behind a company's proxy or certificate is reached in no other way.
    fn reach_the_mirror_as_this_machine_does(&self) -> Result<()> {
        let settings = Path::new("/etc/apt/apt.conf.d");
        for file in fs::read_dir(settings)?.flatten() {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            if text.contains("Acquire::http") {
                fs::write(self.path(settings.join(file.file_name())), text)?;
            }
        }
        let certificates = Path::new("/etc/ssl/certs/ca-certificates.crt");
        if certificates.exists() {
            let copy = self.path(certificates);
            fs::create_dir_all(copy.parent().unwrap_or(&self.0))?;
            fs::copy(certificates, copy)?;
        }
        Ok(())
    }

    /// Where one of its files is for us.
    pub(crate) fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        self.0.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// A command in it, with no variable of ours but the way out to the network.
    pub(crate) fn command(&self, line: &str) -> Shell {
        let shell = Shell::new("unshare --mount --pid --fork --kill-child --mount-proc --wd=/ --root").arg(&self.0);
        let shell =
            shell.args(["env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]);
        let proxies = ["http_proxy", "https_proxy", "no_proxy"];
        let proxies = proxies.iter().filter_map(|name| env::var(name).ok().map(|value| format!("{name}={value}")));
        shell.args(proxies).args(["DEBIAN_FRONTEND=noninteractive"]).args(line.split_whitespace())
    }

    /// Runs a command in it; its output, if it succeeds.
    pub(crate) fn run(&self, line: &str) -> Result<String> {
        println!("[clean root] {line}");
        self.command(line).read()
    }

    /// Fails unless the file is there and says that.
    pub(crate) fn holds(&self, file: &str, what: &str) -> Result<()> {
        let bytes = match file.ends_with(".gz") {
            true => self.command("zcat").arg(file).read()?.into_bytes(),
            false => fs::read(self.path(file)).with_context(|| format!("{file} is not installed"))?,
        };
        if !String::from_utf8_lossy(&bytes).contains(what) {
            bail!("{file} says nothing of `{what}`");
        }
        Ok(())
    }

    /// The processes in it that run this program, by the first 15 letters of its name.
    pub(crate) fn processes(&self, name: &str) -> Vec<u32> {
        let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
        let numbers = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let here = |pid: &u32| fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|root| root == self.0);
        let named = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name);
        numbers.filter(|pid| here(pid) && named(pid)).collect()
    }

    /// Gives its space back.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.0).with_context(|| format!("cannot remove {}", self.0.display()))
    }
}
