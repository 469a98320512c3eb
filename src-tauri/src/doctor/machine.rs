//! Checks of this machine: the state folder, the disk, open files. Reads and asks the system; writes nothing.

#[cfg(unix)]
#[path = "machine/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "machine/windows.rs"]
mod platform;

use super::{
    context::{Context, Serving},
    finding::{Finding, Verdict},
};
use crate::instance::{TokenError, read_token};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Less than this and the next log file does not fit.
const TIGHT: u64 = 100 << 20;
/// Less than this and nothing does.
const FULL: u64 = 1 << 20;
/// An agent with a few subagents takes dozens on each side.
const FEW_FILES: u64 = 512;
const TOO_FEW_FILES: u64 = 64;

pub(super) fn state(context: &Context) -> Finding {
    let Some(paths) = &context.paths else {
        return Finding::not_known("this user has no home folder, so there is no state folder; set LEEWARD_HOME");
    };
    let folder = &paths.state_dir;
    let mut facts = json!({ "folder": folder, "exists": folder.exists(), "in_memory": paths.stands_in.is_some() });
    if let Some(told) = paths.not_kept() {
        return Finding::new(Verdict::Warning, told, facts);
    }
    if !folder.exists() {
        return match platform::may_write(&nearest(folder)) {
            Ok(true) => Finding::new(Verdict::Ok, "There is no state folder yet; the first start makes it.", facts),
            Ok(false) => Finding::new(Verdict::Broken, format!("{} cannot be made.", folder.display()), facts)
                .advise("mend the permissions of the folder above it, or set LEEWARD_HOME"),
            Err(why) => Finding::not_known(format!("the system did not say whether {} can be made: {why}", folder.display())),
        };
    }
    match platform::may_write(folder) {
        Ok(true) => {}
        Ok(false) => {
            return Finding::new(Verdict::Broken, format!("The state folder {} cannot be written.", folder.display()), facts)
                .advise("mend its permissions, or set LEEWARD_HOME to a folder of your own");
        }
        Err(why) => {
            return Finding::not_known(format!("the system did not say whether {} can be written: {why}", folder.display()));
        }
    }
    let token = read_token(paths);
    facts["token"] = match &token {
        Ok(_) => "private",
        Err(TokenError::Missing(_)) => "none",
        Err(TokenError::Exposed(_)) => "exposed",
        Err(_) => "unusable",
    }
    .into();
    match token {
        Ok(_) => Finding::new(Verdict::Ok, "The state folder can be written, and the control token is yours alone.", facts),
        Err(TokenError::Missing(_)) => {
            Finding::new(Verdict::Ok, "The state folder can be written; no Leeward has served from it yet.", facts)
        }
        Err(e) => Finding::new(Verdict::Broken, format!("{e}."), facts),
    }
}

/// The nearest folder above that exists.
fn nearest(folder: &Path) -> PathBuf {
    folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_path_buf()
}

pub(super) fn disk(context: &Context) -> Finding {
    let Some(paths) = &context.paths else {
        return Finding::not_known("this user has no home folder, so there is no state folder");
    };
    let folder = nearest(&paths.state_dir);
    match platform::free_bytes(&folder) {
        Ok(free) => judge_disk(free, &folder),
        Err(why) => Finding::not_known(why),
    }
}

fn judge_disk(free: u64, folder: &Path) -> Finding {
    let facts = json!({ "folder": folder, "free_bytes": free });
    let said = format!("{} MiB are free where {} is.", free >> 20, folder.display());
    match free {
        0..FULL => Finding::new(Verdict::Broken, said, facts).advise("free some space"),
        FULL..TIGHT => Finding::new(Verdict::Warning, said, facts).advise("free some space"),
        _ => Finding::new(Verdict::Ok, said, facts),
    }
}

/// Of a program that is started here; and of the running Leeward, where the system says it.
pub(super) fn descriptors(context: &Context) -> Vec<Finding> {
    let here = match platform::open_files() {
        Ok(limit) => judge_descriptors(limit),
        Err(why) => Finding::not_run(why),
    };
    let pid = match &context.serving {
        Serving::Ours { status: Ok(status), .. } => status.get("pid").and_then(Value::as_u64),
        _ => None,
    };
    let running = pid.and_then(platform::open_by).map(|(open, limit)| judge_open(open, limit).of("running Leeward"));
    std::iter::once(here).chain(running).collect()
}

/// How many a process has open of those that it may.
fn judge_open(open: u64, limit: u64) -> Finding {
    let facts = json!({ "open": open, "limit": limit });
    let said = format!("The running Leeward has {open} of {limit} files and connections open.");
    let advice = "raise its limit, such as by `ulimit -n 4096` in the shell that starts it, then restart it";
    match open.saturating_mul(100) / limit.max(1) {
        0..80 => Finding::new(Verdict::Ok, said, facts),
        80..98 => Finding::new(Verdict::Warning, said, facts).advise(advice),
        _ => Finding::new(Verdict::Broken, said, facts).advise(advice),
    }
}

/// `None`: there is no limit.
fn judge_descriptors(limit: Option<u64>) -> Finding {
    let facts = json!({ "limit": limit });
    let Some(limit) = limit else { return Finding::new(Verdict::Ok, "There is no limit of open files.", facts) };
    let said = format!("A program started here may have {limit} files and connections open; each request takes two.");
    let advice = "raise it in the shell that starts Leeward, such as `ulimit -n 4096`, then restart Leeward";
    match limit {
        0..TOO_FEW_FILES => Finding::new(Verdict::Broken, said, facts).advise(advice),
        TOO_FEW_FILES..FEW_FILES => Finding::new(Verdict::Warning, said, facts).advise(advice),
        _ => Finding::new(Verdict::Ok, said, facts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_and_files_are_judged() {
        for (free, verdict) in
            [(0, Verdict::Broken), (FULL, Verdict::Warning), (TIGHT - 1, Verdict::Warning), (TIGHT, Verdict::Ok)]
        {
            assert_eq!(judge_disk(free, Path::new("/x")).verdict, verdict, "{free}");
        }
        for (open, verdict) in [(79, Verdict::Ok), (80, Verdict::Warning), (97, Verdict::Warning), (98, Verdict::Broken)] {
            let finding = judge_open(open, 100);
            assert!(finding.verdict == verdict && finding.advice.is_some() == (verdict != Verdict::Ok), "{finding:?}");
        }
        for (limit, verdict) in
            [(Some(8), Verdict::Broken), (Some(256), Verdict::Warning), (Some(1024), Verdict::Ok), (None, Verdict::Ok)]
        {
            let finding = judge_descriptors(limit);
            assert!(finding.verdict == verdict && finding.advice.is_some() == (verdict != Verdict::Ok), "{finding:?}");
        }
    }
}
