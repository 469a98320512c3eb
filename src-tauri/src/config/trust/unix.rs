//! Unix half of `trust`: owner and mode decide. Lists beyond them (POSIX ACLs) are not read.
//!
//! Root is trusted by everybody: it reads and changes everything anyway, and system-wide configs are its own. Root itself
//! trusts a folder of any owner: volumes of containers belong to users of the host, and NFS shows root's files as nobody's.

use crate::config::distrust::Distrust;
use rustix::{
    fs::{StatVfsMountFlags, statvfs},
    process::{getegid, geteuid},
};
use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
};

const ROOT: u32 = 0;
const STICKY: u32 = 0o1000;

/// `None` as well for what is not there or cannot be looked at: whoever uses it says so. `sticky`: in a folder such as /tmp
/// others can add files and not change ours, which is enough where the owner of each file is looked at.
pub(super) fn distrust(path: &Path, sticky: bool) -> Option<Distrust> {
    let found = fs::metadata(path).ok()?;
    let link = fs::symlink_metadata(path).ok()?;
    if let Some(foreign) = [&link, &found].into_iter().find(|metadata| !is_trusted(metadata.uid(), geteuid().as_raw())) {
        return Some(Distrust::Foreign { owner: foreign.uid() });
    }
    let mode = found.mode();
    let open = mode & 0o002 != 0 || (mode & 0o020 != 0 && !is_private(found.gid()));
    let safe = (sticky && mode & STICKY != 0) || is_read_only(path);
    (open && !safe).then_some(Distrust::Writable)
}

fn is_trusted(owner: u32, own: u32) -> bool {
    owner == own || owner == ROOT || own == ROOT
}

/// Kubernetes mounts its config maps with mode 0777, and read-only.
fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// The command that mends it.
pub(super) fn mend(path: &Path, distrust: Distrust) -> String {
    let path = quoted(path);
    match distrust {
        Distrust::Foreign { .. } => format!("sudo chown -R {} {path}", geteuid().as_raw()),
        Distrust::Writable => format!("chmod go-w {path}"),
    }
}

/// The command that hides a file.
pub(super) fn hide(path: &Path) -> String {
    format!("chmod 600 {}", quoted(path))
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A file that others may read, in folders that let them through.
pub(super) fn is_readable_by_others(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    let Ok(file) = fs::metadata(&path) else { return false };
    let through = |bits: u32| {
        let folders = path.ancestors().skip(1).map(fs::metadata);
        folders.into_iter().all(|folder| folder.is_ok_and(|folder| folder.mode() & bits != 0))
    };
    (file.mode() & 0o004 != 0 && through(0o001)) || (is_group_told(&file) && through(0o011))
}

/// A key of root's that a group may read (`ssl-cert`) is meant to be read by it.
fn is_group_told(file: &Metadata) -> bool {
    file.mode() & 0o040 != 0 && file.uid() == geteuid().as_raw() && !is_private(file.gid())
}

/// Whether a group's members are this user and root alone. Where each user has a group of his own (Debian, Fedora), the umask
/// is 002 and everything is writable for it; OpenShift runs users without a name in root's group.
fn is_private(group: u32) -> bool {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let me = Me { user: geteuid().as_raw(), group: getegid().as_raw() };
    me.has_alone(group, &read("/etc/passwd"), &read("/etc/group"))
}

struct Me {
    user: u32,
    group: u32,
}

impl Me {
    fn has_alone(&self, group: u32, passwd: &str, groups: &str) -> bool {
        if group != ROOT && group != self.group {
            return false;
        }
        let name = named(passwd, self.user).and_then(|fields| fields.first().copied());
        let Some(fields) = named(groups, group) else { return group == ROOT || group == self.user };
        let members = fields.get(3).copied().unwrap_or_default().split(',').filter(|member| !member.is_empty());
        let mut strangers = members.filter(|member| *member != "root" && Some(*member) != name);
        let own = group == ROOT || group == self.user || (name.is_some() && fields.first().copied() == name);
        own && strangers.next().is_none()
    }
}

/// The fields of the line with this number in the third one.
fn named(table: &str, number: u32) -> Option<Vec<&str>> {
    table
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2).and_then(|n| n.parse().ok()) == Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags, Sources, load};
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_private_group_is_its_users_alone() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:/bin/sh\nbob:x:1001:100::/:/bin/sh\n";
        let groups = "root:x:0:\nann:x:1000:\nusers:x:100:\nteam:x:2000:ann,eve\nodd:x:3000:\nbob:x:1001:eve\n";
        for (user, own, group, alone, what) in [
            (1000, 1000, 1000, true, "the user's own"),
            (1000, 1000, 2000, false, "not the primary group"),
            (1000, 2000, 2000, false, "has other members"),
            (1001, 100, 100, false, "the primary group of everybody"),
            (1001, 1001, 1001, false, "the user's own, with another member"),
            (1001, 3000, 3000, false, "of another name and number"),
            (1001, 100, 0, true, "root's"),
            (5000, 5000, 5000, true, "a number without a name, as in a container"),
            (5000, 0, 0, true, "OpenShift"),
            (5000, 20, 20, false, "macOS' staff"),
        ] {
            assert_eq!(Me { user, group: own }.has_alone(group, passwd, groups), alone, "{what}");
        }
    }

    #[test]
    fn root_is_trusted_and_trusts() {
        let rows = [(5, 5, true), (0, 5, true), (6, 5, false), (6, 0, true)];
        for (owner, own, trusted) in rows {
            assert_eq!(is_trusted(owner, own), trusted, "{owner}'s for {own}");
        }
    }

    #[test]
    fn what_others_can_write_is_refused_with_the_command_that_mends_it() {
        let home = tempfile::tempdir().unwrap();
        let (config, state) = (home.path().join("config.toml"), home.path().join("state"));
        fs::write(&config, "").unwrap();
        fs::create_dir(&state).unwrap();
        chmod(&state, 0o755);
        Config::under(home.path()).unwrap();
        for (path, was) in [(home.path(), 0o700), (&state, 0o755), (&config, 0o644)] {
            chmod(path, was | 0o002);
            let why = Config::under(home.path()).unwrap_err().to_string();
            assert!(
                why.contains("other users can write to") && why.contains(&format!("`chmod go-w {}`", path.display())),
                "{why}"
            );
            chmod(path, was);
            Config::under(home.path()).unwrap();
        }
        // As /tmp: others add files, and cannot change ours.
        chmod(home.path(), 0o1777);
        Config::under(home.path()).unwrap();
        chmod(&state, 0o1777);
        Config::under(home.path()).unwrap_err();
    }

    #[test]
    fn the_folder_of_a_named_file_is_nobodys_business() {
        let (home, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = shared.path().join("leeward.toml");
        fs::write(&file, "").unwrap();
        chmod(shared.path(), 0o777);
        let env = |name: &str| (name == "LEEWARD_HOME").then(|| home.path().display().to_string());
        let load_named = || load(&Sources { env: &env, flags: Flags { config_file: Some(file.clone()), ..Flags::default() } });
        load_named().unwrap();
        chmod(&file, 0o666);
        load_named().unwrap_err();
    }

    #[test]
    fn a_secret_that_others_reach_is_told_until_it_is_hidden() {
        // Within /tmp, which lets everybody through.
        let home = tempfile::tempdir_in("/tmp").unwrap();
        let file = home.path().join("config.toml");
        fs::write(&file, "client_token = '0123456789abcdef'").unwrap();
        let config = Config::under(home.path()).unwrap();
        let rows =
            [(0o755, 0o644, true), (0o700, 0o644, false), (0o755, 0o600, false), (0o711, 0o604, true), (0o755, 0o200, false)];
        for (folder, mode, told) in rows {
            chmod(home.path(), folder);
            chmod(&file, mode);
            assert_eq!(is_readable_by_others(&file), told, "{folder:o} {mode:o}");
        }
        chmod(&file, 0o644);
        let sentence = crate::config::exposed(&config).unwrap();
        assert_eq!(sentence, format!("Other users can read secrets in {0}; run `chmod 600 {0}`.", file.display()));
        fs::write(&file, "").unwrap();
        assert_eq!(crate::config::exposed(&config), None, "nothing is secret in it");
    }

    #[test]
    fn a_path_is_written_as_a_shell_takes_it() {
        assert_eq!(hide(Path::new("/a/b-c.d")), "chmod 600 /a/b-c.d");
        assert_eq!(hide(Path::new("/a b/it's")), r"chmod 600 '/a b/it'\''s'");
    }
}
