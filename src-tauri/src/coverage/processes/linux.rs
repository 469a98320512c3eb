//! Linux: proc(5). A process that hides its memory (`PR_SET_DUMPABLE`) also hides its variables.

use crate::coverage::process::{Inside, Process, asked};
use rustix::process::getuid;
use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// `AT_CLKTCK` of getauxval(3).
const CLOCK_TICKS: usize = 17;
/// What it is on every processor that we build for.
const USUAL_TICKS: u64 = 100;

pub(super) fn list() -> Result<Vec<Process>, String> {
    let entries = fs::read_dir("/proc").map_err(|e| format!("/proc cannot be read ({e})"))?;
    let (own, clock) = (getuid().as_raw(), Clock::read());
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let found: Vec<Process> = pids.filter_map(|pid| process(pid, own, clock.as_ref())).collect();
    // This process is one of them, unless another /proc is mounted.
    if found.iter().any(|process| process.pid == std::process::id()) {
        Ok(found)
    } else {
        Err("/proc shows not even this process".to_owned())
    }
}

/// Nothing for another user's, a kernel's thread, and one that has just ended.
fn process(pid: u32, own: u32, clock: Option<&Clock>) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // The folder belongs to root where a process hides its memory, so its owner does not say it.
    let user: u32 = field(&status, "Uid:")?.split_whitespace().next()?.parse().ok()?;
    if user != own {
        return None;
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
    let arguments = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let started = fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| start(&stat));
    Some(Process {
        pid,
        parent: field(&status, "PPid:").and_then(|parent| parent.trim().parse().ok()).filter(|parent| *parent != 0),
        arguments,
        program: fs::read_link(format!("/proc/{pid}/exe")).ok(),
        since_unix_ms: started.zip(clock).map(|(ticks, clock)| clock.unix_ms(ticks)),
    })
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

/// Field 22 of proc_pid_stat(5). The name before it may hold blanks and brackets.
fn start(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// When this machine started, and how its kernel counts.
struct Clock {
    boot_unix_ms: u64,
    ticks: u64,
}

impl Clock {
    fn read() -> Option<Self> {
        let up = fs::read_to_string("/proc/uptime").ok()?;
        let up: f64 = up.split_whitespace().next()?.parse().ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let boot = now.checked_sub(std::time::Duration::try_from_secs_f64(up).ok()?)?;
        Some(Self { boot_unix_ms: u64::try_from(boot.as_millis()).ok()?, ticks: ticks().unwrap_or(USUAL_TICKS) })
    }

    fn unix_ms(&self, ticks: u64) -> u64 {
        self.boot_unix_ms + ticks.saturating_mul(1000) / self.ticks
    }
}

/// Pairs of words: what, and how much.
fn ticks() -> Option<u64> {
    const WORD: usize = size_of::<usize>();
    let vector = fs::read("/proc/self/auxv").ok()?;
    let words: Vec<usize> =
        vector.chunks_exact(WORD).filter_map(|word| Some(usize::from_ne_bytes(word.try_into().ok()?))).collect();
    let pair = words.chunks_exact(2).find(|pair| pair[0] == CLOCK_TICKS)?;
    u64::try_from(pair[1]).ok().filter(|ticks| *ticks > 0)
}

pub(super) fn inside(pid: u32, names: &[String]) -> Inside {
    let folder: Option<PathBuf> = fs::read_link(format!("/proc/{pid}/cwd")).ok();
    let variables = match fs::read(format!("/proc/{pid}/environ")) {
        // A process that ends at this moment has none any more, and none has none.
        Ok(block) if block.is_empty() => Err("it shows none".to_owned()),
        Ok(block) => Ok(variables(&block, names)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound) => Err("it has just ended".to_owned()),
        Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied) => {
            Err("it hides its memory from other programs".to_owned())
        }
        Err(e) => Err(e.to_string()),
    };
    Inside { folder, variables }
}

fn variables(block: &[u8], names: &[String]) -> BTreeMap<String, String> {
    let all = block.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let mut found = BTreeMap::new();
    for variable in all {
        if let Some((name, value)) = asked(&variable, names) {
            // Where one stands twice, programs read the first.
            found.entry(name).or_insert_with(|| value.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_hides_no_field() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        for name in ["cat", "a b", "a) S (b", ")"] {
            assert_eq!(start(&format!("7 ({name}) {rest}")), Some(4242), "{name}");
        }
        assert_eq!(start("7 cat"), None);
    }

    #[test]
    fn the_kernel_says_how_it_counts() {
        assert!(ticks().is_some_and(|ticks| ticks >= 100));
    }

    #[test]
    fn only_what_is_asked_for_is_kept_and_the_first_of_two_counts() {
        let block = b"A=1\0SECRET=hush\0B=2=3\0A=4\0=C\0\0";
        let names = ["A".to_owned(), "B".to_owned(), "C".to_owned()];
        let want = BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2=3".to_owned())]);
        assert_eq!(variables(block, &names), want);
    }
}
