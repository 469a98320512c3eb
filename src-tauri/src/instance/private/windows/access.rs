//! Access lists as text (SDDL): the one of private files, and whether one lets others in. Asks and changes nothing.

use std::io;

/// What is made within a folder gets its entries.
pub(super) const INHERITED: &str = "OICI";

/// Those who reach every file of the machine anyway: the system, administrators of it and of its domain; and whoever
/// owns the file.
const MAY: [&str; 7] = ["SY", "BA", "LA", "DA", "EA", "OW", "CO"];
/// Users whose SID is written as a letter pair in access lists: services without an account of their own.
const SERVICES: [(&str, &str); 2] = [("S-1-5-19", "LS"), ("S-1-5-20", "NS")];

/// For this user, the system and administrators; nothing is inherited from the folder around it.
pub(super) fn private(flags: &str) -> io::Result<String> {
    let own = leeward_windows::own_sid()?;
    Ok(["SY", "BA", &own].iter().fold("D:P".to_owned(), |list, who| format!("{list}(A;{flags};FA;;;{who})")))
}

/// Whether a list allows anything to others than the user `own` and those who may do everything.
pub(super) fn is_open_to_others(list: &str, own: &str) -> bool {
    let Some((_, entries)) = list.split_once("D:") else { return true };
    // A file without a list is everybody's.
    entries.starts_with("NO_ACCESS_CONTROL")
        || entries.split('(').skip(1).filter_map(|entry| entry.split_once(')')).any(|(entry, _)| {
            let mut fields = entry.split(';');
            let (kind, flags) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            // Rights and two fields of other kinds of object stand before the name.
            let who = fields.nth(3).unwrap_or_default();
            let here = !flags.as_bytes().chunks(2).any(|flag| flag == b"IO");
            let known = MAY.contains(&who) || who == own || SERVICES.contains(&(own, who));
            // Kinds that allow end in A, kinds that deny in D.
            kind.ends_with('A') && here && !known
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_private_or_not() {
        let own = "S-1-5-21-1-2-3-1001";
        let rows = [
            ("as it is made", "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;S-1-5-21-1-2-3-1001)", false),
            ("inherited from the profile", "D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;S-1-5-21-1-2-3-1001)", false),
            ("nobody at all", "D:P", false),
            ("the built-in administrator", "D:P(A;;FA;;;LA)", false),
            ("others are denied", "D:P(D;;FA;;;WD)(A;;FA;;;SY)", false),
            ("only for what is made within", "D:P(A;OICIIO;FA;;;AU)(A;;FA;;;SY)", false),
            ("a folder of C:", "D:AI(A;ID;0x1301bf;;;AU)(A;ID;FA;;;SY)", true),
            ("a flag that looks like another", "D:P(A;CIOI;FR;;;BU)", true),
            ("another user", "D:P(A;;FR;;;S-1-5-21-1-2-3-1002)", true),
            ("everybody, on a condition", "D:P(XA;;FR;;;WD;(Member_of {SID(BA)}))", true),
            ("no list", "D:NO_ACCESS_CONTROL", true),
            ("not told", "", true),
        ];
        for (what, list, open) in rows {
            assert_eq!(is_open_to_others(list, own), open, "{what}");
        }
        assert!(!is_open_to_others("D:P(A;;FA;;;LS)", "S-1-5-19"), "a service's own file");
        assert!(!is_open_to_others(&private(INHERITED).unwrap(), &leeward_windows::own_sid().unwrap()));
    }
}
