//! The check of intercept mode's certificate authority: its days, its rights, its hosts, and the bundles that agents read. Makes
//! none and mends none.

use super::{
    context::Context,
    finding::{Finding, Verdict},
};
use crate::{
    authority::{self, Authority, Shown, Trouble},
    config::{Config, Mode, read_certificates},
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Those with a row in the table of hosts.
const AGENTS: [&str; 3] = ["claude", "codex", "gemini"];
/// An agent that is started now would get a new one long before.
const FEW_DAYS: u64 = 14;

pub(super) fn authority(context: &Context) -> Finding {
    let Some(config) = &context.config else {
        return Finding::not_known("the config is invalid, so it is not known where its files are");
    };
    let folder = config.paths.authority_dir();
    let found = Authority::new(folder.clone()).show();
    judge(&folder, found, SystemTime::now(), is_wanted(config))
}

/// Whether agents are decrypted without being asked for it one by one.
fn is_wanted(config: &Config) -> bool {
    AGENTS.iter().any(|agent| config.mode_of(agent) == Mode::Intercept)
}

fn judge(folder: &Path, found: Result<Vec<Result<Shown, Trouble>>, Trouble>, now: SystemTime, is_wanted: bool) -> Finding {
    let all = match found {
        Ok(all) => all,
        Err(trouble) => {
            let facts = json!({ "folder": folder });
            return Finding::new(Verdict::Broken, format!("{trouble}."), facts).advise("mend the folder's permissions");
        }
    };
    let mut all = all.into_iter();
    let newest = match all.next() {
        None => {
            let wanted = if is_wanted { ", and the config asks for that mode" } else { "" };
            return Finding::not_run(format!(
                "there is none: it is made when an agent is first started in intercept mode{wanted}"
            ));
        }
        // An agent that is started now gets another one.
        Some(Err(trouble @ Trouble::Expired(_))) => {
            return Finding::new(Verdict::Warning, capital(&trouble), json!({ "folder": folder }))
                .advise("agents that run still need to be started again");
        }
        Some(Err(trouble)) => {
            let said = format!("{} Agents that are started with it are tunnelled without decryption.", capital(&trouble));
            return Finding::new(Verdict::Broken, said, json!({ "folder": folder }))
                .advise("`leeward authority rotate` makes a new one; start the agents again");
        }
        Some(Ok(shown)) => shown,
    };
    let older: Vec<String> = all.filter_map(|one| Some(capital(&one.err()?))).collect();
    let days = newest.valid.1.duration_since(now).map_or(0, |left| left.as_secs() / DAY.as_secs());
    let table: BTreeSet<&str> = authority::hosts().collect();
    let signs: BTreeSet<&str> = newest.hosts.iter().map(String::as_str).collect();
    let strange = bundles_without(folder, &newest);
    let facts = json!({
        "name": newest.name, "fingerprint": newest.fingerprint, "days_left": days, "hosts": newest.hosts,
        "hosts_are_the_tables": table == signs, "bundles_without_it": strange, "older_unusable": older.len(),
    });
    let said = format!("{} is valid for {days} more days and can sign for {} hosts alone.", newest.name, newest.hosts.len());
    let finding =
        |verdict, more: String, advice: &str| Finding::new(verdict, format!("{said} {more}"), facts.clone()).advise(advice);
    if let Some(file) = strange.first() {
        let more = format!(
            "{} does not hold its certificate, so agents that read that file refuse decrypted connections.",
            file.display()
        );
        return finding(Verdict::Broken, more, "remove that file and start the agents again");
    }
    if newest.valid.0 > now {
        return finding(Verdict::Broken, "It is not valid yet by this machine's clock.".into(), "set this machine's clock");
    }
    if table != signs {
        let more = "Those are not the hosts that this version decrypts; the others are tunnelled.".to_owned();
        return finding(Verdict::Warning, more, "start the agents again: the first to start gets a new one");
    }
    if days < FEW_DAYS {
        return finding(Verdict::Warning, String::new(), "start the agents again: the first to start gets a new one");
    }
    if let Some(first) = older.first() {
        return finding(Verdict::Warning, format!("An older one: {first}"), "start the agents that began with it again");
    }
    Finding::new(Verdict::Ok, format!("{said} Its key is yours alone."), facts)
}

/// Bundles of this authority that hold another certificate: an agent would read one and trust the wrong key.
fn bundles_without(folder: &Path, shown: &Shown) -> Vec<PathBuf> {
    let id = shown.certificate.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let Ok(own) = read_certificates(&shown.certificate) else { return Vec::new() };
    let entries = std::fs::read_dir(folder.join("bundles")).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let of_it = files.filter(|file| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&format!("{id}-")) && name.ends_with(".pem")
    });
    of_it.filter(|file| !read_certificates(file).is_ok_and(|held| own.iter().all(|one| held.contains(one)))).collect()
}

fn capital(trouble: &Trouble) -> String {
    let text = trouble.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder with one authority that was made now, and what is seen of it after a change.
    fn seen(after: Duration, change: impl Fn(&Path, &str)) -> Finding {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("authority");
        let made = Authority::new(folder.clone());
        let id = made.current().unwrap();
        let bundle = authority::bundle(&folder, &id, &[]).unwrap();
        assert!(bundle.path.starts_with(&folder));
        change(&folder, &id);
        judge(&folder, Authority::new(folder.clone()).show(), SystemTime::now() + after, false)
    }

    fn is(finding: &Finding, verdict: Verdict, word: &str) {
        assert!(finding.verdict == verdict && finding.measured.contains(word), "{verdict:?} {word}: {finding:?}");
    }

    #[test]
    fn an_authority_is_judged_by_days_rights_hosts_and_bundles() {
        let none = |_: &Path, _: &str| {};
        is(&seen(Duration::ZERO, none), Verdict::Ok, "729 more days");
        is(&seen(DAY * 720, none), Verdict::Warning, "9 more days");
        let lost = |folder: &Path, id: &str| fs::remove_file(folder.join(format!("{id}.key"))).unwrap();
        is(&seen(Duration::ZERO, lost), Verdict::Broken, "is missing");
        let foreign = |folder: &Path, _: &str| {
            let other = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
            for file in fs::read_dir(folder.join("bundles")).unwrap().flatten() {
                fs::write(file.path(), other.cert.pem()).unwrap();
            }
        };
        is(&seen(Duration::ZERO, foreign), Verdict::Broken, "does not hold its certificate");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let open = |folder: &Path, id: &str| {
                fs::set_permissions(folder.join(format!("{id}.key")), fs::Permissions::from_mode(0o644)).unwrap();
            };
            is(&seen(Duration::ZERO, open), Verdict::Broken, "Other users can read the key");
        }
        let none = judge(Path::new("/nowhere"), Ok(Vec::new()), SystemTime::now(), true);
        assert!(none.verdict.reason().unwrap().contains("the config asks for that mode"), "{none:?}");
        let expired = judge(Path::new("/x"), Ok(vec![Err(Trouble::Expired("ab".into()))]), SystemTime::now(), false);
        is(&expired, Verdict::Warning, "has expired");
        let unread = Trouble::Folder { path: "/x".into(), why: std::io::Error::other("denied") };
        is(&judge(Path::new("/x"), Err(unread), SystemTime::now(), false), Verdict::Broken, "denied");
    }

    #[test]
    fn hosts_that_are_not_the_tables_are_a_warning() {
        let shown = |hosts: &[&str]| Shown {
            name: "Leeward CA ab".into(),
            certificate: "/nowhere/ab.crt".into(),
            fingerprint: String::new(),
            valid: (SystemTime::UNIX_EPOCH, SystemTime::now() + DAY * 100),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        let all: Vec<&str> = authority::hosts().collect();
        let of = |hosts: &[&str]| judge(Path::new("/nowhere"), Ok(vec![Ok(shown(hosts))]), SystemTime::now(), false);
        is(&of(&all), Verdict::Ok, "yours alone");
        is(&of(&all[1..]), Verdict::Warning, "not the hosts");
    }
}
