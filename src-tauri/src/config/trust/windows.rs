//! Windows half of `trust`: the access list decides. Only groups that anybody is in count: what is allowed to a user or
//! group by name is somebody's choice, and profiles of companies have such entries.

use crate::config::distrust::Distrust;
use std::{fs::OpenOptions, io, os::windows::fs::OpenOptionsExt, path::Path};

/// Everyone, anonymous, authenticated, interactive and network users, users and guests of the machine and of its domain.
const ANYBODY: [&str; 9] = ["WD", "AN", "AU", "IU", "NU", "BU", "BG", "DU", "DG"];
/// FILE_WRITE_DATA, FILE_APPEND_DATA, FILE_DELETE_CHILD, DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_ALL, GENERIC_WRITE.
const WRITE: u32 = 0x0002 | 0x0004 | 0x0040 | 0x0001_0000 | 0x0004_0000 | 0x0008_0000 | 0x1000_0000 | 0x4000_0000;
/// FILE_READ_DATA, GENERIC_ALL, GENERIC_READ.
const READ: u32 = 0x0001 | 0x1000_0000 | 0x8000_0000;
/// Rights as access lists write them.
const RIGHTS: [(&str, u32); 21] = [
    ("CC", 0x1),
    ("DC", 0x2),
    ("LC", 0x4),
    ("SW", 0x8),
    ("RP", 0x10),
    ("WP", 0x20),
    ("DT", 0x40),
    ("LO", 0x80),
    ("CR", 0x100),
    ("SD", 0x0001_0000),
    ("RC", 0x0002_0000),
    ("WD", 0x0004_0000),
    ("WO", 0x0008_0000),
    ("GA", 0x1000_0000),
    ("GX", 0x2000_0000),
    ("GW", 0x4000_0000),
    ("GR", 0x8000_0000),
    ("FA", 0x001f_01ff),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00a0),
];
/// READ_CONTROL: an access list can be asked for with nothing else.
const READ_CONTROL: u32 = 0x0002_0000;
/// FILE_FLAG_BACKUP_SEMANTICS: folders can be opened.
const FOLDERS_TOO: u32 = 0x0200_0000;

/// `None` as well for what is not there or cannot be looked at: whoever uses it says so.
pub(super) fn distrust(path: &Path, _sticky: bool) -> Option<Distrust> {
    list_of(path).is_ok_and(|list| allows_anybody(&list, WRITE)).then_some(Distrust::Writable)
}

/// The command that mends it.
pub(super) fn mend(path: &Path, _distrust: Distrust) -> String {
    format!("icacls \"{}\" /inheritance:r /grant:r \"%USERNAME%:(OI)(CI)F\"", path.display())
}

/// The command that hides a file.
pub(super) fn hide(path: &Path) -> String {
    format!("icacls \"{}\" /inheritance:r /grant:r \"%USERNAME%:F\"", path.display())
}

/// Folders around it keep nobody out: by default everybody passes through them.
pub(super) fn is_readable_by_others(path: &Path) -> bool {
    list_of(path).is_ok_and(|list| allows_anybody(&list, READ))
}

fn list_of(path: &Path) -> io::Result<String> {
    let file = OpenOptions::new().access_mode(READ_CONTROL).custom_flags(FOLDERS_TOO).open(path)?;
    leeward_windows::access_list(&file)
}

fn allows_anybody(list: &str, wanted: u32) -> bool {
    let Some((_, entries)) = list.split_once("D:") else { return false };
    // A file without a list is everybody's.
    entries.starts_with("NO_ACCESS_CONTROL")
        || entries.split('(').skip(1).filter_map(|entry| entry.split_once(')')).any(|(entry, _)| {
            let fields: Vec<_> = entry.split(';').collect();
            let [kind, flags, rights, _, _, who, ..] = fields[..] else { return false };
            // What is made within has a list of its own.
            let here = !flags.as_bytes().chunks(2).any(|flag| flag == b"IO");
            kind == "A" && here && ANYBODY.contains(&who) && mask(rights) & wanted != 0
        })
}

fn mask(rights: &str) -> u32 {
    if let Some(number) = rights.strip_prefix("0x") {
        return u32::from_str_radix(number, 16).unwrap_or(0);
    }
    let known = |pair: &[u8]| RIGHTS.iter().find(|(name, _)| name.as_bytes() == pair).map_or(0, |(_, bits)| *bits);
    rights.as_bytes().chunks(2).fold(0, |all, pair| all | known(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_lets_anybody_write_or_not() {
        for (what, list, write, read) in [
            ("of a profile", "D:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;S-1-5-21-1-2-3-1001)", false, false),
            ("a folder of C:", "D:AI(A;ID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;ID;0x1301bf;;;AU)", true, true),
            ("read by all", "D:P(A;;FA;;;SY)(A;;0x1200a9;;;WD)", false, true),
            ("written by all", "D:P(A;;FW;;;WD)", true, false),
            ("in letters", "D:P(A;;CCDCLC;;;BU)", true, true),
            ("only for what is made within", "D:P(A;OICIIO;FA;;;AU)(A;;FA;;;SY)", false, false),
            ("denied", "D:P(D;;FA;;;WD)(A;;FA;;;SY)", false, false),
            ("a user by name", "D:P(A;;FA;;;S-1-5-21-1-2-3-1002)", false, false),
            ("no list", "D:NO_ACCESS_CONTROL", true, true),
            ("not told", "", false, false),
        ] {
            assert_eq!((allows_anybody(list, WRITE), allows_anybody(list, READ)), (write, read), "{what}");
        }
    }
}
